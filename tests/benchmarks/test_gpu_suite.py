"""benchmarks/gpu_suite.py: every section on an emulated GPU, small and without a time; a failure costs its section."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gpu_suite
import pytest

SCRIPT = Path(gpu_suite.__file__)
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ for the emulated GPU")
# The machine on which it runs may lack these.
BARE = "import runpy, sys; sys.modules.update(dict.fromkeys(('tyro', 'pooch', 'sklearn', 'PIL'))); "
QUICK = ("versions", "roof", "conformance", "kernels", "latency", "sanitizer")


@pytest.fixture
def suite(tmp_path):
    """Run it as a script, tiny, without what a bare machine lacks: exit code, output, record."""

    def call(*options, out="gpu.json"):
        program = f"{BARE}sys.argv[1:] = {['--tiny', '--out', str(tmp_path / out), *options]!r}; "
        program += f"sys.path.insert(0, {str(SCRIPT.parent)!r}); runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
        cache = os.environ.get("TINYRES_CACHE") or str(Path("~/.cache/tinyres").expanduser())
        environment = os.environ | {"TINYRES_GPU": "emulated", "TINYRES_CACHE": cache, "MPLBACKEND": "Agg"}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        path = tmp_path / out
        return done, json.loads(path.read_text()) if path.exists() else None

    return call


def times(value):
    """Every number in a record that stands for a time or a speed, by its name."""
    named = {"median", "p10", "p90", "gflops", "gbs", "images_per_second", "peak_gflops", "bandwidth_gbs"}
    if isinstance(value, dict):
        return [k for k, v in value.items() if k in named] + [t for v in value.values() for t in times(v)]
    return [t for v in value for t in times(v)] if isinstance(value, list) else []


def holds_schema(record):
    assert record["schema"] == "tinyres-gpu-1"
    assert {"date", "machine", "blas", "versions", "gpu", "sections", "written"} <= set(record)
    assert {"name", "capability", "multiprocessors", "emulated", "driver_cuda"} <= set(record["gpu"])
    assert all({"status", "seconds"} <= set(entries) for entries in record["sections"].values())
    assert times(record["sections"]) == []


def test_the_quick_sections(suite):
    done, record = suite("--only", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    holds_schema(record)
    assert {name: entries["status"] for name, entries in record["sections"].items()} == dict.fromkeys(QUICK, "done")
    assert record["gpu"]["emulated"] is True
    assert record["sections"]["roof"]["ffma_is_16"] is True
    assert all(row["right"] for row in record["sections"]["conformance"]["rows"])


@pytest.mark.slow
def test_every_section(suite):
    """Those that train as well: the same twice, graph as eager, gradients near those of the CPU."""
    done, record = suite()
    assert done.returncode == 0, done.stdout + done.stderr
    holds_schema(record)
    assert list(record["sections"]) == list(gpu_suite.sections())
    sections = record["sections"]
    assert sections["steps"]["graph_is_eager"] is True
    assert sections["repeat"]["all_the_same"] is True
    assert max(sections["gradients"]["distances"]["gpu fp32"]) < 1e-3
    assert sections["curves"]["means"]["cuda"] == pytest.approx(sections["curves"]["means"]["cpu"], rel=0.1)


def test_a_section_that_fails_costs_itself_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINYRES_GPU", "emulated")

    def broken(suite, entries):
        entries["so far"] = 3
        raise RuntimeError("the dog ate it")

    def endless(suite, entries):
        entries["so far"] = 4
        suite.until = 0
        suite.listen("one more row")

    made = {"broken": (5, broken), "endless": (5, endless), "fine": (5, lambda suite, entries: None)}
    monkeypatch.setattr(gpu_suite, "sections", lambda: made)
    out = tmp_path / "gpu.json"
    record = gpu_suite.run(gpu_suite.Suite(True, False), list(made), 60, out)
    assert {name: e["status"] for name, e in record["sections"].items()} == {
        "broken": "failed", "endless": "out of time", "fine": "done",
    }  # fmt: skip
    assert record["sections"]["broken"]["error"] == "RuntimeError: the dog ate it"
    assert record["sections"]["broken"]["so far"] == 3
    assert record["sections"]["endless"]["so far"] == 4
    assert json.loads(out.read_text())["sections"].keys() == made.keys()
    again = gpu_suite.run(gpu_suite.Suite(True, False), ["fine"], 60, out)
    assert set(again["sections"]) == set(made)  # what was not asked for stays


def test_a_section_that_hangs_or_dies_costs_itself_alone(tmp_path, monkeypatch):
    """Each has a process of its own."""
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    asked = []

    def process(command, timeout):
        asked.append(command[command.index("--only") + 1])
        if asked[-1] == "steps":
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, -11 if asked[-1] == "roof" else 0)

    monkeypatch.setattr(gpu_suite.subprocess, "run", process)
    out = tmp_path / "gpu.json"
    gpu_suite.isolated(["roof", "steps", "latency"], 200, out, [])
    found = json.loads(out.read_text())["sections"]
    assert asked == ["roof", "steps", "latency"]
    assert found["roof"]["error"] == "its process ended with exit code -11"
    assert found["steps"]["error"].startswith("it hung: ended after 160 s")


def test_a_section_that_is_ended_from_outside_leaves_what_it_had(tmp_path, monkeypatch):
    """Also one whose process ends with the exit code of a section that failed, before it could write so."""
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    monkeypatch.setattr(gpu_suite, "KEPT", 0)
    out = tmp_path / "gpu.json"

    def curves(suite, entries):
        entries["first"] = 3
        suite.say("a row")
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu_suite, "sections", lambda: {"curves": (5, curves), "roof": (5, curves)})

    def process(command, timeout):
        if command[command.index("--only") + 1] == "curves":
            with pytest.raises(KeyboardInterrupt):
                gpu_suite.run(gpu_suite.Suite(True, False), ["curves"], 60, out)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(gpu_suite.subprocess, "run", process)
    gpu_suite.isolated(["curves", "roof"], 60, out, [])
    found = json.loads(out.read_text())["sections"]
    assert (found["curves"]["status"], found["curves"]["first"]) == ("failed", 3)
    assert found["roof"]["status"] == "failed"


def test_a_record_is_written_when_the_gpu_no_longer_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRES_GPU", "emulated")

    def fatal(suite, entries):
        monkeypatch.setattr(gpu_suite, "gpu", lambda: 1 / 0)
        raise RuntimeError("an illegal memory access")

    monkeypatch.setattr(gpu_suite, "sections", lambda: {"roof": (5, fatal)})
    gpu_suite.run(gpu_suite.Suite(True, False), ["roof"], 60, tmp_path / "gpu.json")
    assert json.loads((tmp_path / "gpu.json").read_text())["sections"]["roof"]["status"] == "failed"


def test_a_section_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    gpu_suite.isolated(["latency"], 60, tmp_path / "gpu.json", ["--tiny"])
    assert json.loads((tmp_path / "gpu.json").read_text())["sections"]["latency"]["status"] == "done"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [(("--only", "rooof"), 2, "there is no section 'rooof'"), (("--tiny",), 2, "name a file with --out")],
)
def test_a_mistake_costs_a_sentence(monkeypatch, capsys, options, code, said):
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    monkeypatch.setattr(sys, "argv", ["gpu_suite.py", *options])
    assert gpu_suite.main() == code
    assert said in capsys.readouterr().err


def test_without_a_gpu_it_ends_in_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr("tinyres.kernels.cuda.missing", lambda: "no NVIDIA driver is loaded")
    monkeypatch.setattr(sys, "argv", ["gpu_suite.py"])
    assert gpu_suite.main() == 1
    assert capsys.readouterr().err == "gpu_suite: there is no GPU to use: no NVIDIA driver is loaded.\n"
