"""A student's files in this process: whose module is whose, what enters the table, what is refused, what is told."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from tinyres import models, ops
from tinyres.errors import KernelError, LabError
from tinyres.kernels import registry
from tinyres.kernels.files import OutsideError
from tinyres.kernels.launch import launch
from tinyres.lab import catalogue, derive, own, progress, start
from tinyres.tensor import Tensor

GEOMETRY = {"stride": 1, "padding": (0, 0, 0, 0), "groups": 1}


pytestmark = pytest.mark.usefixtures("own_kernels")


@pytest.fixture
def folder(tmp_path):
    """The folder of a lab, with the library's solutions or with stubs."""

    def make(name, which=start.solutions):
        lab = catalogue.lab(name)
        home = tmp_path / start.folder_name(lab)
        home.mkdir()
        for file, text in which(lab).items():
            (home / file).write_text(text, encoding="utf-8")
        progress.fresh(lab, start.stubs(lab)).save(home)
        return home

    return make


def edit(path, what, instead):
    text = path.read_text(encoding="utf-8")
    assert what in text
    path.write_text(text.replace(what, instead), encoding="utf-8")


def step():
    """A training step of the smallest residual net."""
    rng = np.random.default_rng(0)
    net = models.create("resnet8", num_classes=10, in_channels=1)
    loss = ops.softmax_cross_entropy(net(Tensor(rng.standard_normal((2, 8, 8, 1), np.float32))), np.array([1, 2]))
    loss.backward()
    return np.concatenate([p.grad.numpy().ravel() for p in net.parameters()])


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("02", {"conv2d": 7}),
        ("03", {"conv2d_input": 6, "conv2d_weight": 7}),
        ("04", {"batch_norm": 7, "batch_norm_gradient": 7, "running_averages": 7, "batch_norm_eval": 0}),
        ("05", {"relu": 4, "relu_gradient": 7, "add_relu": 3, "pad_shortcut": 2, "pad_shortcut_gradient": 2}),
    ],
)
def test_no_fused_kernel_goes_past_a_students(folder, name, counts):
    student = own.load(folder(name))
    assert {kernel.op for kernel in student.kernels} == set(counts)
    usual = step()
    assert not student.calls
    with registry.use(**dict.fromkeys(counts, own.NAME)):
        got = step()
    assert dict(student.calls) == {op: count for op, count in counts.items() if count}
    assert np.linalg.norm(got - usual) < 1e-3 * np.linalg.norm(usual)


def test_a_file_that_another_imports_is_the_students(folder, rng):
    home = folder("02")
    edit(home / "columns.py", "def im2col(", "def im2col(*arrays):\n    raise ValueError('mine')\n\n\ndef old(")
    own.load(home)
    x, w = rng.standard_normal((1, 4, 4, 2)), rng.standard_normal((3, 3, 2, 5))
    with registry.use(conv2d=own.NAME), pytest.raises(OutsideError, match="mine") as caught:
        launch("conv2d", x, w, **GEOMETRY)
    assert re.search(r"columns.py, line \d+, in im2col:\n    raise ValueError\('mine'\)", str(caught.value))
    assert np.isfinite(launch("conv2d", x, w, **GEOMETRY)).all(), "the library's own module is what it was"


def test_without_its_files_a_lab_uses_the_librarys_and_with_earlier_ones_theirs(folder, rng):
    earlier, home = folder("02"), folder("03")
    edit(earlier / "columns.py", "def im2col(", "def im2col(*arrays):\n    raise ValueError('mine')\n\n\ndef old(")
    others = {source.module: earlier / source.file for source in catalogue.lab("02").sources}
    dy, w = rng.standard_normal((1, 2, 2, 5)), rng.standard_normal((3, 3, 2, 5))
    own.load(home)
    with registry.use(conv2d_input=own.NAME):
        launch("conv2d_input", dy, w, shape=(1, 4, 4, 2), **GEOMETRY)
    student = own.load(home, others)
    assert {kernel.op for kernel in student.kernels} == {"conv2d_input", "conv2d_weight"}, "those of lab 2 stay out"
    with registry.use(conv2d_input=own.NAME), pytest.raises(OutsideError, match="mine"):
        launch("conv2d_input", dy, w, shape=(1, 4, 4, 2), **GEOMETRY)


@pytest.mark.parametrize(
    "line",
    [
        "import torch",
        "from tinyres.kernels import launch",
        "import tinyres.kernels.naive.conv as secret",
        "from tinyres.kernels.on_numba import conv",
        "def later():\n    import tinyres",
    ],
)
def test_what_must_not_be_imported_is_refused_before_anything_runs(folder, line):
    home = folder("02")
    edit(home / "conv.py", "Array = Any\n", f"Array = Any\nprint('it ran')\n{line}\n")
    with pytest.raises(LabError, match=r"conv\.py, line \d+: it imports .* earns nothing\.$"):
        own.load(home)


@pytest.mark.parametrize(
    "line",
    [
        "import tinyres.kernels.on_numpy.columns as theirs",
        "from tinyres.kernels.on_numpy import columns as theirs",
        "import columns as theirs",
        "import importlib.util, tinyres.kernels.on_numpy.columns\ntheirs = tinyres.kernels.on_numpy.columns",
    ],
)
def test_every_way_to_import_a_module_leads_to_the_students_file(folder, line):
    home = folder("02")
    edit(home / "columns.py", "Array = Any\n", "Array = Any\nMARK = 7\n")
    edit(home / "conv.py", "Array = Any\n", f"Array = Any\n{line}\nprint(theirs.MARK)\n")
    own.load(home)


def test_a_broken_file_is_told_with_its_line(folder):
    home = folder("02")
    edit(home / "conv.py", "Array = Any\n", "Array = Any\nnothing_of_that_name\n")
    with pytest.raises(OutsideError, match=r"conv\.py, line \d+, in <module>:\n    nothing_of_that_name\nNameError"):
        own.load(home)
    edit(home / "conv.py", "nothing_of_that_name\n", "def (\n")
    with pytest.raises(OutsideError, match=r"conv\.py, line \d+:\n    def \(\nSyntaxError"):
        own.load(home)


def test_one_file_of_a_lab_a_folder_and_any_other_file_can_be_entered(folder, tmp_path):
    home = folder("05")
    assert set(own.enter(home / "relu.py")) == {(op, own.NAME) for op in ("relu", "relu_gradient", "add_relu")}
    assert ("pad_shortcut", own.NAME) in own.enter(home)
    (tmp_path / "other.py").write_text("def neg(x):\n    return -1 * x\n", encoding="utf-8")
    assert own.enter(tmp_path / "other.py") == [("neg", "mine")]
    with pytest.raises(KernelError, match=r"variants\.py has no kernels: what lab 05-residual asks for .* 02-conv"):
        own.enter(home / "variants.py")


def test_stubs_enter_too_and_say_that_they_are_empty(folder, rng):
    own.load(folder("05", start.stubs))
    with registry.use(relu=own.NAME), pytest.raises(OutsideError, match=r"relu\.forward is not written yet"):
        launch("relu", rng.standard_normal(3))


def test_kernels_of_a_gpu_enter_as_such(folder):
    student = own.load(folder("06"))
    assert {(kernel.op, kernel.device) for kernel in student.kernels} == {
        (op, "cuda") for op in ("relu", "relu_gradient", "conv2d", "conv2d_input", "conv2d_weight")
    }


def test_a_folder_without_kernels_and_one_that_is_no_lab(folder, tmp_path):
    assert own.load(folder("01")).kernels == ()
    with pytest.raises(LabError, match="is not the folder of a lab"):
        own.load(tmp_path)


def test_a_dataclass_in_a_students_file_works(folder):
    home = folder("02")
    edit(
        home / "conv.py",
        "Array = Any\n",
        "Array = Any\nimport dataclasses\n\n\n@dataclasses.dataclass\nclass Size:\n    n: int\n",
    )
    own.load(home)
    assert "tinyres_student_lab02_conv" in sys.modules
    assert derive.BACKEND == own.NAME
