"""Grading a class with a stand-in for the process of a submission: what it does is what the file says."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

import pytest

from tinyres.errors import LabError
from tinyres.lab import catalogue, grade, stored
from tinyres.lab.gather import Submission
from tinyres.lab.one import BROKEN, DONE

STAND_IN = """
import json, os, sys, time
from pathlib import Path
said = json.load(sys.stdin)
does = Path(said["sources"][0]).read_text()
record = Path(said["record"])
entries = {"form": 1, "lab": said["lab"], "submission": said["name"], "seed": said["seed"], "tasks": [], "notes": [],
           "possible": 1.0, "version": said["version"], "extra": {"done": True, "digest": said["digest"]}}
with open(record.parent.parent / "started", "a") as log:
    log.write(said["name"] + "\\n")
if does == "dies":
    os.kill(os.getpid(), 9)
if does == "raises":
    raise ValueError("a fault of ours")
if does == "half":
    entries["extra"]["done"] = False
record.write_text(json.dumps(entries))
if does in ("half", "hangs"):
    time.sleep(60)
"""


@pytest.fixture
def lab():
    return catalogue.lab(catalogue.ids()[0])


@pytest.fixture
def hand_in(tmp_path):
    def write(**does):
        for name, text in does.items():
            (tmp_path / f"{name}.py").write_text(text)
        return [Submission(name, (tmp_path / f"{name}.py",)) for name in does]

    return write


@pytest.fixture
def how(lab, tmp_path, monkeypatch):
    from tinyres.train.start import versions

    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN.replace('said["version"]', repr(versions()["tinyres"])))
    monkeypatch.setattr(grade, "GRACE", 0.5)
    command = (sys.executable, "-S", str(script))
    (tmp_path / "out" / "results").mkdir(parents=True)
    return grade.Grading(lab, tmp_path / "out", grade.seeds("key"), limit=1.0, command=command)


def started(how):
    return sorted((how.out / "started").read_text().split())


def test_nobody_is_lost(hand_in, how):
    reports = grade.grade(hand_in(ada="", bob="dies", cem="raises", dan="half", eve="hangs", fay=""), how)
    assert [report.submission for report in reports] == ["ada", "bob", "cem", "dan", "eve", "fay"]
    broken = {report.submission: report.extra.get(BROKEN, "") for report in reports}
    assert broken["ada"] == broken["fay"] == ""
    assert "ended with -9" in broken["bob"]
    assert "wrote nothing" in broken["cem"] or "a fault of ours" in broken["cem"]
    assert "still ran after" in broken["dan"]
    assert "still ran after" in broken["eve"]
    assert all(stored.read(how.record(Submission(r.submission, ()))) == r for r in reports)


def test_a_second_run_grades_what_is_left(hand_in, how):
    submissions = hand_in(ada="", bob="dies", cem="")
    grade.grade(submissions[:2], how)
    assert started(how) == ["ada", "bob"]
    told = []
    grade.grade(submissions, how, lambda report, new: told.append((report.submission, new)))
    assert started(how) == ["ada", "bob", "bob", "cem"]
    assert sorted(told) == [("ada", False), ("bob", True), ("cem", True)]
    hand_in(ada=" ")  # handed in anew
    grade.grade(submissions, how)
    assert started(how).count("ada") == 2
    assert started(how).count("cem") == 1


def test_again_and_another_key_grade_all(hand_in, how):
    from dataclasses import replace

    submissions = hand_in(ada="")
    for changed in (how, replace(how, again=True), replace(how, seed=grade.seeds("another"))):
        grade.grade(submissions, changed)
    assert started(how) == ["ada"] * 3


def test_results_of_another_lab_are_not_mixed_in(hand_in, how):
    from dataclasses import replace

    submissions = hand_in(ada="")
    grade.grade(submissions, how)
    with pytest.raises(LabError, match="holds results of"):
        grade.grade(submissions, replace(how, lab=catalogue.lab(catalogue.ids()[1])))


def test_an_interruption_ends_what_runs_and_keeps_what_is_done(hand_in, how):
    from dataclasses import replace

    submissions = hand_in(ada="", bob="hangs", cem="hangs", dan="")
    slow, told = replace(how, limit=60.0), []

    def interrupt():
        while not (told and how.record(submissions[1]).is_file()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        grade.grade(submissions, slow, lambda report, new: told.append(report.submission))
    assert told == ["ada"]
    assert time.perf_counter() - begin < 20
    assert stored.read(how.record(submissions[0])).extra[DONE]
    assert "dan" not in started(how)


def test_seeds_repeat_and_differ():
    seed = grade.seeds("key")
    assert seed("ada") == grade.seeds("key")("ada")
    assert len({seed("ada"), seed("bob"), grade.seeds("yek")("ada")}) == 3
    assert 0 <= seed("ada") < 2**31


def test_the_key_is_kept(tmp_path):
    key = grade.key_of(tmp_path / "out")
    assert len(key) == 32
    assert grade.key_of(tmp_path / "out") == key
    assert grade.key_of(tmp_path / "other") != key


def test_the_lab_is_what_most_locks_say(tmp_path):
    first, second = catalogue.ids()[:2]

    def locked(name, text):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lab.lock").write_text(text)
        return Submission(name, (tmp_path / name,))

    mixed = [locked("a", json.dumps({"lab": first})), locked("b", json.dumps({"lab": second})), locked("c", "damaged")]
    assert grade.lab_of([*mixed, locked("d", json.dumps({"lab": first}))]).id == first
    with pytest.raises(LabError, match="--lab"):
        grade.lab_of([mixed[2], locked("e", json.dumps({"lab": "99-none"})), locked("f", "[1]")])


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_who_is_interrupted_leaves_no_folder_behind(lab, hand_in, how, tmp_path, monkeypatch):
    """The real process, in the middle of a submission that waits."""
    from dataclasses import replace

    (tmp_path / "folders").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "folders"))
    source = tmp_path / "ada"
    source.mkdir()
    (source / lab.sources[0].file).write_text("import time\nopen('mine', 'w').close()\ntime.sleep(60)\n")

    def interrupt():
        until = time.monotonic() + 20
        while not list((tmp_path / "folders").glob("*/mine")) and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        grade.grade([Submission("ada", (source,))], replace(how, limit=60.0, command=grade.COMMAND))
    assert time.perf_counter() - begin < 30
    assert not list((tmp_path / "folders").iterdir())
