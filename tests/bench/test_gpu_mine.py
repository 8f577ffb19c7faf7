"""`tinyres bench --mine FILE.cu`: a kernel of one's own is right or wrong with its place, and never timed on a CPU."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyres import cli
from tinyres.errors import ConfigError, KernelError
from tinyres.kernels import cuda, files, registry
from tinyres.kernels.cuda import named
from tinyres.kernels.launch import launch, moved

EXAMPLE = Path(__file__).parents[2] / "benchmarks" / "example.cu"
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ for the emulated GPU")
RELU = """// tinyres: block=64
template <typename T> __global__ void relu(const T* x, T* y, int size) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) y[i] = x[i] > 0 ? x[i] : T(0);
}
"""


@pytest.fixture
def bench(monkeypatch, tmp_path, capsys, own_kernels):
    """Run the command in an empty folder, where there is no GPU: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYRES_GPU", raising=False)
    if cuda.missing() is None:
        pytest.skip("on a GPU the kernels are timed")

    def call(text, *options, name="mine.cu"):
        Path(name).write_text(text)
        code = cli.main(["bench", "--mine", name, *options])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def loaded(tmp_path, text, name="mine.cu"):
    (tmp_path / name).write_text(text)
    return files.load(tmp_path / name)


@needs_compiler
def test_a_right_kernel_is_told_right_and_not_timed(bench, tmp_path):
    code, out, err = bench(RELU, "--nets", "resnet20", "--batch", "1")
    assert (code, err) == (0, "")
    assert "mine.cu is held against the oracle on an emulated one, and not timed" in out
    assert "mine of relu: keeps the contract on all its samples" in out
    assert len(re.findall(r"^right  relu  .*, mine: error", out, re.MULTILINE)) == 3
    assert out.endswith("nothing was timed.\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.cu"]  # no record of times


@needs_compiler
def test_a_wrong_kernel_is_refused_with_the_place(bench):
    code, out, _ = bench(RELU.replace("T(0)", "x[i]"), "--nets", "resnet20", "--batch", "1")
    assert code == 1
    assert "REFUSED kernel 'mine' of relu, case " in out
    assert re.search(r"result 0 at \[.*\] is .*, expected .*, the first of", out)


@needs_compiler
@pytest.mark.parametrize("fault", ["if (i < size) ", "[i] :"])
def test_a_write_beyond_the_result_and_a_shifted_index_are_seen(bench, fault):
    replaced = {"if (i < size) ": "", "[i] :": "[(i + 1) % size] :"}[fault]
    code, out, _ = bench(RELU.replace(fault, replaced), "--nets", "resnet20", "--batch", "1")
    assert code == 1
    assert "REFUSED" in out


@needs_compiler
def test_what_the_compiler_says_is_told_with_the_line(bench):
    code, out, _ = bench(RELU.replace("T(0);", "zero;"), "--nets", "resnet20")
    assert code == 1
    assert "REFUSED mine.cu, line 4:\n    if (i < size) y[i] = x[i] > 0 ? x[i] : zero;\n" in out
    assert "zero" in out.partition("zero;\n")[2]


@needs_compiler
def test_the_example_is_right(monkeypatch, own_kernels, rng):
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    assert files.load(EXAMPLE) == [("conv2d", "mine")]
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 7, 5, 6), (3, 2, 3, 4)))
    how = {"stride": 2, "padding": (0, 1, 2, 0), "groups": 2}
    with registry.use(conv2d="mine"):
        got = launch("conv2d", moved(x, "cuda"), moved(w, "cuda"), **how).get()
    with registry.use(conv2d="naive"):
        np.testing.assert_allclose(got, launch("conv2d", x, w, **how), atol=1e-5)


@needs_compiler
def test_a_file_that_is_edited_meanwhile_changes_no_run(monkeypatch, tmp_path, own_kernels):
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    loaded(tmp_path, RELU)
    (tmp_path / "mine.cu").write_text("nonsense")
    with registry.use(relu="mine"):
        assert launch("relu", moved(np.float32([-1, 2]), "cuda")).get().tolist() == [0, 2]


MISTAKES = {
    "int main() {}": "has no kernel named like an op",
    RELU.replace("int size", "size_t size"): "cannot read the parameter 'size_t size'; its type is one of float,",
    RELU.replace("block=64", "blocks=64"): "cannot read 'blocks=64'; write grid=... block=... shared=...",
    RELU.replace("relu", "add"): "add cannot be given as a .cu; those that can: conv2d,",
}


@pytest.mark.parametrize("text", MISTAKES, ids=list(MISTAKES.values()))
def test_a_file_that_makes_no_sense_costs_a_sentence(tmp_path, own_kernels, text):
    with pytest.raises(KernelError, match=re.escape(MISTAKES[text])):
        loaded(tmp_path, text)


CALLS = {
    RELU.replace("int size", "int sizes").replace("< size", "< sizes"): "there is no 'sizes' to be given; did you mean",
    RELU.replace("int size", "int* size").replace("< size", "< *size"): "size is a number; declare it as no pointer",
    RELU.replace("const T* x", "const int* x"): "x is an array of float32 and is declared int32",
    RELU.replace("block=64", "block=width"): "there is no 'width' to be given",
    RELU.replace("block=64", "block=64/0"): "cannot read '64/0' as a number",
}


@needs_compiler
@pytest.mark.parametrize("text", CALLS, ids=list(CALLS.values()))
def test_names_that_are_not_there_are_told(monkeypatch, tmp_path, own_kernels, text):
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    loaded(tmp_path, text)
    with registry.use(relu="mine"), pytest.raises(KernelError, match=re.escape(CALLS[text])):
        launch("relu", moved(np.float32([-1, 2]), "cuda"))


def test_what_a_kernel_may_ask_for():
    x, w, y = np.empty((2, 7, 5, 3)), np.empty((3, 2, 3, 4)), np.empty((2, 4, 3, 4))
    names = named.values("conv2d", (x, w), (y,), {"stride": 2, "padding": (0, 1, 2, 3), "groups": 1})
    sizes = {name: names[name] for name in ["N", "H", "W", "C", "R", "S", "F", "I", "J"]}
    assert sizes == {"N": 2, "H": 7, "W": 5, "C": 3, "R": 3, "S": 2, "F": 4, "I": 4, "J": 3}
    assert [names[name] for name in ("top", "bottom", "left", "right", "stride")] == [0, 1, 2, 3, 2]
    assert (names["size"], names["w_size"]) == (96, 72)
    at = named.geometry("grid=(J + 15) / 16, I, N block=16, 2 shared=4*R*S*C", "mine.cu").of(names)
    assert at == ((1, 4, 2), (16, 2), 72)
    assert named.Geometry().of(names) == ((1,), (256,), 0)


def test_a_file_chosen_for_training(tmp_path, own_kernels):
    loaded(tmp_path, RELU)
    path = str(tmp_path / "mine.cu")
    assert files.chosen({"relu": path, "conv2d": "numpy"}) == {"relu": "mine", "conv2d": "numpy"}
    with pytest.raises(KernelError, match=r"has kernels of relu and is chosen for conv; write relu="):
        files.chosen({"conv": path})
    with pytest.raises(ConfigError, match="there is no file"):
        files.chosen({"relu": "nothing.cu"})


NUMBA = """from numba import cuda

# tinyres: block=32
@cuda.jit
def relu_gradient(dy, y, dx, size):
    i = cuda.grid(1)
    if i < size:
        dx.ravel()[i] = dy.ravel()[i] if y.ravel()[i] > 0 else 0.0
"""
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from tinyres.kernels import files, registry
from tinyres.kernels.launch import launch, moved
assert files.load(Path(sys.argv[1])) == [("relu_gradient", "mine")]
dy, y = (moved(np.float32(a).reshape(1, 2, 2, 1), "cuda") for a in ([1, 2, 3, 4], [0, 5, 0, 6]))
with registry.use(relu_gradient="mine"):
    print(launch("relu_gradient", dy, y).get().ravel().tolist())
"""


def test_a_bare_numba_cuda_kernel_in_the_simulator(tmp_path):
    (tmp_path / "mine.py").write_text(NUMBA)
    simulated = os.environ | {"TINYRES_GPU": "emulated", "NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "mine.py")]
    done = subprocess.run(command, env=simulated, capture_output=True, text=True)
    assert done.stdout == "[0.0, 2.0, 0.0, 4.0]\n", done.stderr


def test_a_numba_cuda_kernel_without_a_gpu_costs_a_sentence(bench):
    code, out, err = bench(NUMBA, name="mine.py")
    assert (code, out) == (1, "")
    assert err.startswith("tinyres: kernel 'mine' of relu_gradient is not available: ")
    assert err.count("\n") == 1
