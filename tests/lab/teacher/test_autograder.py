"""The autograder where Gradescope would run it: a tree with source, submission and results, and a Python of its own."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import tinyres
from tinyres.lab import autograder, catalogue, one, start
from tinyres.lab.export import gradescope
from tinyres.lab.export.gradescope import Settings, gradescope_zip

LAB = "02-convolution"


@pytest.fixture
def tree(tmp_path):
    """An /autograder with settings, and a submission of these files."""

    def make(files, metadata=None, **settings):
        for name in ("source", "submission", "results"):
            (tmp_path / name).mkdir(exist_ok=True)
        text = json.dumps({"lab": LAB, "key": "secret", **settings})
        (tmp_path / "source" / gradescope.SETTINGS).write_text(text)
        for name, content in files.items():
            (tmp_path / "submission" / name).write_text(content)
        if metadata:
            (tmp_path / "submission_metadata.json").write_text(json.dumps(metadata))
        return tmp_path

    return make


@pytest.fixture
def lab():
    return catalogue.lab(LAB)


def written(root, faults):
    entries = json.loads((root / "results" / "results.json").read_text())
    assert faults(entries) == []
    return entries


def total(entries):
    return sum(test["score"] for test in entries["tests"]), sum(test["max_score"] for test in entries["tests"])


def test_what_cannot_be_graded_earns_nothing_and_says_why(tree, lab, faults):
    root = tree({"notes.txt": "I tried"})
    entries = autograder.autograde(root)
    assert entries == written(root, faults)
    assert total(entries) == (0, lab.points)
    assert "notes.txt" in entries["output"]


def test_scores_are_there_before_the_first_task_and_after_each(tree, lab, faults, monkeypatch):
    seen = []

    def check(lab, folder, *, seed, on_task, **options):
        seen.append(written(root, faults))
        for task in lab.tasks[:2]:
            result = one.unrun(task, seed, "a stand-in")
            on_task(replace(result, cases=(replace(result.cases[0], passed=True), *result.cases[1:])))
            seen.append(written(root, faults))
        raise RuntimeError("our fault")

    monkeypatch.setattr(one, "check", check)
    root = tree(start.stubs(lab))
    entries = autograder.autograde(root)
    assert len(seen) == 3
    assert 0 == total(seen[0])[0] < total(seen[1])[0] < total(seen[2])[0]
    assert [total(each)[1] for each in seen] == pytest.approx([lab.points] * 3)
    assert seen[0]["tests"][0]["output"]
    assert entries["output"].startswith("grading broke off, which is a fault of tinyres")
    assert entries == written(root, faults)


def test_a_fault_of_the_zip_is_told_to_the_teacher(tree, faults, monkeypatch, capsys):
    root = tree({}, lab="99-none")
    monkeypatch.setattr(sys, "argv", ["autograder", str(root)])
    assert autograder.main() == 1
    assert "Tell your teacher" in written(root, faults)["output"]
    assert "there is no lab '99-none'" in capsys.readouterr().err


def test_the_limit_of_submissions(tree, lab, faults):
    earlier = {"output": "Public checks", "tests": [{"name": "x", "score": 3.0}]}
    times = [f"2025-01-31T{hour}:00:00.000000-08:00" for hour in (14, 15)]
    previous = [{"submission_time": when, "score": 3.0, "results": earlier} for when in times]
    metadata = {"id": 7, "created_at": "2025-01-31T16:00:00.000000-08:00", "previous_submissions": previous}
    root = tree(start.stubs(lab), metadata, submissions=2)
    entries = autograder.autograde(root)
    assert entries["output"].startswith("Not graded: 2 submissions")
    assert total(written(root, faults) | {"tests": [{"score": 3.0, "max_score": 0}]}) == (3.0, 0)


def test_metadata_of_another_form_stops_nothing(tree, faults):
    root = tree({"notes.txt": ""}, {"created_at": 5, "previous_submissions": "many"}, submissions=1)
    autograder.autograde(root)
    written(root, faults)


@pytest.mark.slow
@pytest.mark.parametrize("name", catalogue.ids())
def test_every_lab(name, tree, faults):
    """A solution earns all points but those for speed on a machine under load, in half of the minute that there is."""
    lab = catalogue.lab(name)
    root = tree(start.solutions(lab), lab=name)
    begin = time.perf_counter()
    autograder.autograde(root)
    entries = written(root, faults)
    earned, possible = total(entries)
    assert possible == pytest.approx(lab.points)
    assert [
        test["name"] for test in entries["tests"] if test["status"] == "failed" and "speed" not in test["tags"]
    ] == []
    assert earned > 0.8 * possible
    assert time.perf_counter() - begin < 30


def launched(root, python):
    environment = {"PATH": os.environ["PATH"], "TINYRES_AUTOGRADER": str(root), "TINYRES_PYTHON": python}
    return environment | {
        name: value for name, value in os.environ.items() if name.upper().startswith(("PIP_", "SSL_"))
    }


@pytest.mark.slow
def test_the_zip_in_an_empty_tree(tmp_path, lab, faults):
    """setup.sh with a plain Python builds it; run_autograder grades; a kill in between leaves scores."""
    root = tmp_path / "autograder"
    for name in ("source", "submission", "results"):
        (root / name).mkdir(parents=True)
    data = gradescope_zip(lab, Settings(lab.id, "secret"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            path = Path(archive.extract(member, root / "source"))
            path.chmod(member.external_attr >> 16 & 0o777)
    os.replace(root / "source" / "run_autograder", root / "run_autograder")
    environment = launched(root, sys.executable)
    built = subprocess.run([root / "source" / "setup.sh"], env=environment, capture_output=True, text=True, cwd=root)
    assert built.returncode == 0, built.stdout + built.stderr
    names = "from importlib import metadata; print(*(each.name for each in metadata.distributions()))"
    listed = [root / "venv" / "bin" / "python", "-c", names]
    installed = set(subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split())
    assert installed - {"pip", "setuptools"} == {"numpy", "tinyres", *lab.requires}

    for name, text in start.solutions(lab).items():
        (root / "submission" / name).write_text(text)
    begin = time.perf_counter()
    done = subprocess.run([root / "run_autograder"], env=environment, capture_output=True, text=True, cwd=root)
    seconds = time.perf_counter() - begin
    assert done.returncode == 0, done.stdout + done.stderr
    entries = written(root, faults)
    earned, possible = total(entries)
    assert earned == pytest.approx(possible)
    assert possible == pytest.approx(lab.points)
    assert entries["extra_data"]["tinyres"] == tinyres.__version__
    assert seconds < 60

    late = lab.tasks[-1]
    source = (root / "submission" / late.file).read_text()
    endless = f"\n\ndef {late.function}(*arrays, **params):\n    while True:\n        pass\n"
    (root / "submission" / late.file).write_text(source + endless)
    (root / "results" / "results.json").unlink()
    child = subprocess.Popen([root / "run_autograder"], env=environment, stdout=subprocess.DEVNULL, cwd=root)
    while len(_graded(root)) < len(lab.tasks) - 1 and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    earned, possible = total(written(root, faults))
    assert 0 < earned < possible
    assert possible == pytest.approx(lab.points)


def _graded(root):
    """The tasks that a results.json has scores of."""
    try:
        entries = json.loads((root / "results" / "results.json").read_text())
    except FileNotFoundError:
        return set()
    return {test["tags"][0] for test in entries["tests"] if "tags" in test and test["score"] > 0}
