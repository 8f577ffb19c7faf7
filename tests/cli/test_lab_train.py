"""`tinyres lab train`: right kernels train, wrong ones are refused with their cause, unwritten ones are left out."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from tinyres import cli
from tinyres.cli import lab_train
from tinyres.lab import catalogue, progress, start

QUICK = ("--iterations", "2", "--batch", "8", "--model", "resnet8")
pytestmark = pytest.mark.usefixtures("own_kernels")


@pytest.fixture
def train(monkeypatch, tmp_path, capsys):
    """Run the command beside the labs' folders: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def call(*options):
        code = cli.main(["lab", "train", *map(str, options)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def untimed(monkeypatch):
    """Steps are not compared: one test waits for that."""
    monkeypatch.setattr(lab_train, "_steps", lambda kernels, result: "")


@pytest.fixture
def folder(tmp_path):
    """The folder of a lab with the library's solutions, or stubs in some files."""

    def make(name, stubs=()):
        lab = catalogue.lab(name)
        home = tmp_path / start.folder_name(lab)
        home.mkdir()
        empty = start.stubs(lab)
        for file, text in start.solutions(lab).items():
            (home / file).write_text(empty[file] if file in stubs else text, encoding="utf-8")
        progress.fresh(lab, empty).save(home)
        return home

    return make


def edit(path, what, instead):
    text = path.read_text(encoding="utf-8")
    assert what in text
    path.write_text(text.replace(what, instead), encoding="utf-8")


def test_a_network_learns_with_a_students_kernels(train, folder):
    folder("03")
    code, out, err = train("lab03", *QUICK)
    assert (code, err) == (0, "")
    assert "conv2d_weight: conv2d_weight of lab03/conv_gradients.py is right in all public checks" in out
    assert "resnet8 on digits with your conv2d_weight, conv2d_input; all else is the library's" in out
    assert re.search(
        r"test error \d+\.\d\d%, training error \d+\.\d\d% after 2 steps in .* s: runs/resnet8-digits-", out
    )
    assert "your kernels ran: conv2d_weight 14 times, conv2d_input 12 times" in out  # 7 convolutions, twice
    assert re.search(
        r"a step of 8 images takes .* ms with your kernels: .* times as long as with the default ones", out
    )
    assert "`tinyres bench --mine lab03` shows each kernel beside the library's; `tinyres lab start 04-" in out


def test_a_wrong_kernel_is_refused_with_its_cause_or_used_anyway(train, folder, untimed):
    edit(folder("05") / "relu.py", "y > 0", "dy > 0")
    code, out, err = train("lab05", *QUICK)
    assert code == 1
    assert re.search(
        r"relu\.gradient is wrong \(case .*\); mend it, or see with --anyway what a network makes of it\.", err
    )
    assert len(err.splitlines()) == 1
    assert "test error" not in out
    code, out, err = train("lab05", "--anyway", *QUICK)
    assert (code, err) == (0, "")
    assert "relu_gradient of lab05/relu.py is wrong (relu.gradient), and used anyway" in out


def test_what_is_not_written_yet_is_the_librarys(train, folder, untimed):
    folder("05", stubs=("relu.py",))
    code, out, err = train("lab05", *QUICK)
    assert (code, err) == (0, "")
    assert "relu: relu.forward is not written yet; the library's kernel takes its place" in out
    assert "with your pad_shortcut, pad_shortcut_gradient; all else" in out


@pytest.mark.slow
def test_with_the_earlier_labs(train, folder, untimed):
    folder("02"), folder("03")
    code, out, err = train("lab03", "--mine", *QUICK)
    assert (code, err) == (0, "")
    assert "with your conv2d, conv2d_weight, conv2d_input" in out
    edit(folder("04") / "batch_norm.py", "Array = Any", "Array = Any\nimport torch")
    code, out, err = train("lab03", "--mine", *QUICK)
    assert (code, err) == (0, ""), "a later lab is not asked for"
    code, out, err = train("lab04", *QUICK)
    assert code == 1
    assert "batch_norm.py, line" in err
    assert "imports torch" in err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["02", "04", "07"])
def test_the_other_labs(train, folder, untimed, name):
    folder(name)
    code, out, err = train(f"lab{name}", *QUICK)
    assert (code, err) == (0, "")
    assert "your kernels ran: " in out


@pytest.mark.parametrize(
    ("name", "stubs", "said"),
    [
        (
            "01",
            (),
            r"there is nothing to train with: what lab 01-autograd asks for is not in the table of kernels; the labs",
        ),
        ("03", ("conv_gradients.py",), r"nothing of .*lab03 is written yet; write a kernel, and `tinyres lab check`"),
    ],
)
def test_nothing_to_train_with(train, folder, name, stubs, said):
    folder(name, stubs)
    code, _, err = train(f"lab{name}", *QUICK)
    assert code == 1
    assert re.search(said, err)
    assert len(err.splitlines()) == 1


def test_an_interrupted_run(train, folder, monkeypatch):
    def fit(config, follow):
        return SimpleNamespace(interrupted=True, step=1, iterations=2)

    monkeypatch.setattr("tinyres.train.fit", fit)
    folder("05")
    code, out, _ = train("lab05", *QUICK)
    assert code == 130
    assert out.endswith("stopped after 1 of 2 steps; the same command begins anew.\n")


def test_where_there_is_no_lab(train, tmp_path):
    code, _, err = train(".", *QUICK)
    assert code == 1
    assert "is not the folder of a lab" in err


def test_kernels_of_a_gpu_want_one(train, folder, monkeypatch):
    monkeypatch.setattr("tinyres.kernels.cuda.missing", lambda: "no NVIDIA driver")
    folder("06")
    code, _, err = train("lab06", *QUICK)
    assert code == 1
    assert "no NVIDIA driver" in err


def test_bench_takes_the_folder_of_a_lab(folder, monkeypatch, tmp_path, capsys):
    from tinyres.bench import roof

    monkeypatch.setattr(roof, "measure", lambda dtype: roof.Roof(dtype, 1, 1, [100.0], [10.0]))
    monkeypatch.setattr(roof.Roof, "sample", lambda self: None)
    monkeypatch.chdir(tmp_path)
    home = folder("05")
    options = ["--kernels", "numpy", "--nets", "resnet20", "--batch", "2", "--repeats", "2", "--ops", "relu"]
    assert cli.main(["bench", "--mine", "lab05", *options]) == 0
    out = capsys.readouterr().out
    assert "student of relu: keeps the contract on all its samples" in out
    assert re.search(r"^  student +\d", out, re.M)
    edit(home / "relu.py", "def relu(", "def relu(*arrays, out):\n    raise ValueError('mine')\n\n\ndef old(")
    assert cli.main(["bench", "--mine", "lab05/relu.py", *options]) == 1
    out = capsys.readouterr().out
    assert re.search(r"REFUSED .*relu\.py, line \d+, in relu:", out)
