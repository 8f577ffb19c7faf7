"""`tinyres bench` as a person meets it: mistakes cost a sentence, Ctrl-C keeps what was measured, files compare."""

from __future__ import annotations

import json

import pytest

from tinyres import cli
from tinyres.bench import measure, roof
from tinyres.errors import ConfigError

QUICK = ["--kernels", "numpy", "--nets", "resnet20", "--batch", "2", "--repeats", "2"]


@pytest.fixture(autouse=True)
def still_roof(monkeypatch):
    """No test here waits for the roof, or leaves a folder in the tree."""

    monkeypatch.setattr(roof, "measure", lambda dtype: roof.Roof(dtype, 1, 1, [100.0], [10.0]))
    monkeypatch.setattr(roof.Roof, "sample", lambda self: None)


@pytest.fixture
def bench(monkeypatch, tmp_path, capsys, own_kernels):
    """Run the command in an empty folder: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def call(*options):
        code = cli.main(["bench", *map(str, options)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_run_leaves_a_new_folder(bench, tmp_path):
    for count in (1, 2):
        code, out, err = bench("--ops", "relu", *QUICK)
        assert (code, err) == (0, "")
        assert len(list((tmp_path / "runs").iterdir())) == count  # nothing is overwritten
    written = [line for line in out.splitlines() if line.startswith("runs/")]
    assert [line.rsplit("/")[-1] for line in written] == ["bench.json", "roofline.png", "roofline.svg"]
    record = json.loads((tmp_path / written[0]).read_text())
    assert record["complete"] is True
    assert {(row["op"], row["kernel"]) for row in record["rows"]} == {("relu", "numpy")}
    assert all(len(row["seconds"]) == 2 and row["error"] <= row["allowed"] for row in record["rows"])
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ops", "conv3d"], "there is no op 'conv3d'"),
        (["--nets", "resnet51"], "there is no net 'resnet51'"),
        (["--kernels", "numbaa"], "did you mean 'numba'?"),
        (["--batch", "-1"], "batch is -1"),
        (["--repeats", "0"], "repeats is 0"),
        (["--seconds", "nan"], "seconds is nan"),
        (["--steps", "resnet20", "--ops", "conv"], "ask for one of them"),
        (["--steps", "resnet21"], "6n + 2"),
        (["--steps", "resnet20", "--peer", "p.py"], "step_vs_torch.py"),
        (["--ops", "pad_shortcut", "--nets", "plain20"], "plain20 has no layer for pad_shortcut"),
        (["--mine", "none.py"], "there is no file none.py"),
        (["--peer", "none.py"], "there is no file none.py"),
        (["--against", "none.json"], "none.json cannot be read: no such file"),
        (["--read", "none.json"], "none.json cannot be read: no such file"),
        (["--read", "none.json", "--mine", "none.py"], "--read measures nothing"),
    ],
)
def test_a_mistake_costs_a_sentence(bench, options, said, tmp_path):
    code, out, err = bench(*options)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


ENTER = "from tinyres.kernels import kernel\n"
MISTAKES = {
    "def relu(x:\n    return x\n": "mine.py, line 1:\n    def relu(x:\nSyntaxError: ",
    "import numpy\n\nx = numpy.nothing\n": "mine.py, line 3, in <module>:\n    x = numpy.nothing\nAttributeError: ",
    "x = 1\n": "has no kernel: put @tinyres.kernels.kernel(",
    ENTER + "@kernel('relu', 'numpy')\ndef f(x):\n    return x\n": "a name of tinyres itself",
    ENTER + "@kernel('rely', 'mine')\ndef f(x):\n    return x\n": "did you mean 'relu'?",
    "def tanh(x):\n    return x\n": "tanh is no op of these networks",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_in_a_file_shows_its_line(bench, text, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    code, out, err = bench("--mine", "mine.py")
    assert code in (1, 2)
    assert out == ""
    assert MISTAKES[text] in err
    assert "Traceback" not in err
    assert "site-packages" not in err


COMPILED = "import numba\n\n@numba.njit\ndef work(x):\n    return x.nothing()\n\ndef relu(x):\n    return work(x)\n"


def test_what_a_compiler_says_is_told(bench, tmp_path):
    (tmp_path / "mine.py").write_text(COMPILED)
    code, out, err = bench("--mine", "mine.py", *QUICK)
    assert (code, err) == (1, "")
    assert "REFUSED 'mine' of relu fails\nmine.py, line 8, in relu:\n    return work(x)\nTypingError: " in out
    assert "Unknown attribute 'nothing'" in out
    assert "Traceback" not in out


def test_functions_named_like_ops_are_kernels(bench, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n\ndef relu(x):\n    return np.maximum(x, 0)\n\ndef helper(x):\n    return x\n"
    )
    code, _, _ = bench("--mine", "mine.py", *QUICK, "--out", "out")
    assert code == 0
    rows = json.loads((tmp_path / "out" / "bench.json").read_text())["rows"]
    assert {(row["op"], row["kernel"]) for row in rows} == {("relu", "numpy"), ("relu", "mine")}


def test_ctrl_c_keeps_what_was_measured(bench, monkeypatch, tmp_path):
    original, calls = measure.interleaved, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(measure, "interleaved", interrupted)
    code, out, _ = bench("--ops", "relu", *QUICK, "--out", "out")
    assert code == 130
    assert "stopped; what was measured:" in out
    record = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert record["complete"] is False
    assert len(record["rows"]) == 1
    assert (tmp_path / "out" / "roofline.png").exists()


def test_ctrl_c_before_anything_was_measured(bench, monkeypatch, tmp_path):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "interleaved", interrupted)
    code, out, _ = bench("--ops", "relu", *QUICK)
    assert code == 130
    assert out.endswith("stopped before anything was measured.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_ours_does_not_cost_what_was_measured(bench, monkeypatch, tmp_path):
    original, calls = measure.interleaved, []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise ZeroDivisionError("a fault")
        return original(*arguments)

    monkeypatch.setattr(measure, "interleaved", failing)
    with pytest.raises(ZeroDivisionError):
        bench("--ops", "relu", *QUICK, "--out", "out")
    record = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert (record["complete"], len(record["rows"])) == (False, 1)


def test_compare_with_an_earlier_run_and_two_files(bench, tmp_path):
    bench("--ops", "relu", "add", *QUICK, "--out", "old")
    record = json.loads((tmp_path / "old" / "bench.json").read_text())
    for row in record["rows"]:
        row["seconds"] = [100 * s for s in row["seconds"]]
    (tmp_path / "old" / "bench.json").write_text(json.dumps(record))
    code, out, _ = bench("--ops", "relu", *QUICK, "--out", "new", "--against", "old/bench.json")
    assert code == 0
    assert sum(line.startswith("faster  relu") for line in out.splitlines()) == 3
    assert sum(line.startswith("only in the old file: add") for line in out.splitlines()) == 3
    code, again, _ = bench("--read", "new/bench.json", "--against", "old/bench.json")
    assert code == 0
    assert again.strip() in out


def test_read_shows_a_file_and_draws_its_figure(bench, tmp_path):
    _, first, _ = bench("--ops", "relu", *QUICK, "--out", "old")
    (tmp_path / "old" / "roofline.png").unlink()
    code, out, _ = bench("--read", "old/bench.json")
    assert code == 0
    assert [line for line in out.splitlines() if "numpy" in line] == [
        line for line in first.splitlines() if "numpy" in line
    ]
    assert (tmp_path / "old" / "roofline.png").exists()
    bench("--read", "old/bench.json", "--out", "elsewhere")
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["roofline.png", "roofline.svg"]


def test_steps(bench, tmp_path):
    code, _, _ = bench("--steps", "resnet8", *QUICK, "--out", "out")
    assert code == 0
    (row,) = json.loads((tmp_path / "out" / "bench.json").read_text())["rows"]
    assert (row["op"], row["layer"], row["batch"], row["kernel"]) == ("step", "resnet8", 2, "numpy")
    assert row["images_per_second"] == pytest.approx(2 / row["median"])
    assert not (tmp_path / "out" / "roofline.png").exists()


def test_a_step_with_another_gradient_is_refused(bench, tmp_path):
    """The kernel keeps its contract on small samples, and is wrong at the shapes of the net."""
    (tmp_path / "mine.py").write_text(
        "from tinyres.kernels import kernel, registry\n"
        "right = registry.find('conv2d_weight', 'numpy').function\n"
        "@kernel('conv2d_weight', 'mine')\n"
        "def conv2d_weight(x, dy, *, out, **how):\n"
        "    right(x, dy, out=out, **how)\n"
        "    if x.shape[1] > 16:\n"
        "        out *= 2\n"
    )
    code, out, _ = bench("--steps", "resnet8", *QUICK, "--mine", "mine.py", "--out", "out")
    assert code == 1
    assert "REFUSED a step with 'default + mine' has another gradient than with 'numpy'" in out
    assert [r["kernel"] for r in json.loads((tmp_path / "out" / "bench.json").read_text())["rows"]] == ["numpy"]


def test_an_out_that_is_a_file_is_told_before_the_clock_runs(bench, tmp_path):
    (tmp_path / "out").write_text("")
    code, out, err = bench("--ops", "relu", *QUICK, "--out", "out")
    assert (code, out) == (1, "")
    assert err.startswith("tinyres: out: ")


def test_from_python():
    from tinyres.bench.settings import Settings

    with pytest.raises(ConfigError, match="there is no net"):
        measure.measure_all(Settings(nets=("alexnet99",)), print)


def test_without_compiled_kernels_there_is_no_roof(bench, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    code, _, err = bench("--ops", "relu", *QUICK)
    assert code == 1
    assert "bench measures the roof with compiled code: NUMBA_DISABLE_JIT is set" in err
    assert len(err.splitlines()) == 1
