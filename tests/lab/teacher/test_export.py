"""Labs for other tools: Gradescope's results, its limit of submissions, JUnit XML, wheels and zips."""

from __future__ import annotations

import csv
import io
import json
import stat
import xml.etree.ElementTree as ET
import zipfile
from base64 import urlsafe_b64encode
from dataclasses import replace
from hashlib import sha256

import pytest

from tinyres.lab.export import rate
from tinyres.lab.export.gradescope import Settings, gradescope_zip
from tinyres.lab.export.junit import junit
from tinyres.lab.export.results import LONGEST, failure, results, write
from tinyres.lab.export.wheel import wheel
from tinyres.lab.one import unrun


def test_the_schema_bites(faults):
    right = {"tests": [{"score": 1.0}]}
    assert faults(right) == []
    for wrong in (
        {"tests": []},
        {"tests": [{"score": 1.0, "max": 2.0}]},
        {"tests": [{"score": float("nan")}]},
        {"tests": [{"score": 1.0, "visibility": "later"}]},
        {"tests": [{"score": 1.0, "status": "ok"}]},
        {**right, "stdout_visibility": True},
        {**right, "leaderboard": [{"name": "x"}]},
        {"tests": [{"score": 1.0, "number": "1"}, {"score": 1.0, "number": "1"}]},
    ):
        assert faults(wrong) != []


def test_results_keep_to_the_form(lab, reports, faults):
    for report in reports:
        waiting = [] if report.tasks else [unrun(task, 7, "the run ended before") for task in lab.tasks]
        entries = results(lab, report, waiting)
        assert faults(entries) == []
        assert "score" not in entries, "it would override the sum of the tests"
        assert sum(test["score"] for test in entries["tests"]) == pytest.approx(report.points)
        assert sum(test["max_score"] for test in entries["tests"]) == pytest.approx(lab.points)
    assert faults(failure("it is damaged", 14.0)) == []


def test_hidden_cases_wait_and_are_announced(lab, reports):
    entries = results(lab, reports[1])
    hidden = [test for test in entries["tests"] if "hidden" in test["name"]]
    assert [(test["number"], test["visibility"]) for test in hidden] == [
        ("1.2", "after_published"),
        ("2.2", "after_published"),
    ]
    assert "Public checks: 4 of 6 passed." in entries["output"]
    assert "2 more checks" in entries["output"]
    public = next(test for test in entries["tests"] if test["number"] == "2.1")
    assert "turned by 180" in public["output"]
    assert (public["score"], public["max_score"], public["status"]) == (2.0, 6.0, "failed")
    visible = [test["output"] for test in entries["tests"] if test["visibility"] == "visible"]
    assert not any("hidden case" in text for text in visible)


def test_the_leaderboard_ranks_speed(lab, reports):
    assert results(lab, reports[0])["leaderboard"] == [
        {"name": "conv.weight: times the naive loop", "value": 63.1, "order": "desc"}
    ]
    task = reports[0].tasks[1]
    endless = replace(reports[0], tasks=(replace(task, speed=replace(task.speed, ratio=float("inf"))),))
    assert results(lab, endless)["leaderboard"][0]["value"] == 0.0


def test_an_output_has_an_end(lab, reports):
    task = reports[1].tasks[1]
    long = replace(task, cases=tuple(replace(case, gap=f"{case.name}{'x' * LONGEST}") for case in task.cases))
    entries = results(lab, replace(reports[1], tasks=(long,)))
    assert all(len(test["output"]) < LONGEST + 100 for test in entries["tests"])


def test_results_are_written_whole_or_not_at_all(lab, reports, tmp_path, monkeypatch):
    path = tmp_path / "results" / "results.json"
    write(results(lab, reports[0]), path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write(results(lab, reports[2]), path)
    assert path.read_bytes() == before
    assert json.loads(before)
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


def submitted(hour, results=None):
    return {"submission_time": f"2025-01-31T{hour:02}:00:00.000000-08:00", "score": 1.0, "results": results}


def graded(score, **extra):
    return {"score": score, "output": "Public checks", "tests": [{"score": score}], "extra_data": extra}


@pytest.fixture
def metadata():
    """Four earlier submissions, the newest of them not graded for the limit."""
    limited = graded(2.0, limited=True) | {"output": "Not graded: 2\n\nPublic checks"}
    previous = [
        submitted(9, graded(0.0)),
        submitted(12, graded(1.0)),
        submitted(14, graded(2.0)),
        submitted(15, limited),
    ]
    return {"created_at": "2025-01-31T16:00:00.000000-08:00", "previous_submissions": previous}


def test_no_limit_unless_asked_for(metadata):
    assert rate.instead(metadata, 0, 24.0) is None
    assert rate.instead({}, 0, 24.0) is None


def test_the_limit_counts_what_was_graded(metadata, faults):
    assert rate.instead(metadata, 4, 24.0) is None
    assert rate.instead(metadata, 2, 3.0) is None
    said = rate.instead(metadata, 2, 6.0)
    assert said["output"].startswith("Not graded: 2 submissions within 6 hours")
    assert "from 2025-01-31 18:00 on" in said["output"]
    assert said["output"].count("Not graded") == 1
    assert said["tests"] == [{"score": 2.0}]
    assert said["extra_data"] == {"limited": True}
    assert faults(said) == []


def test_junit(reports):
    for report in reports:
        root = ET.fromstring(junit(report))
        cases = root.findall("testsuite/testcase")
        assert int(root.get("tests")) == len(cases)
        assert int(root.get("failures")) == len(root.findall(".//failure"))
        assert int(root.get("errors")) == len(root.findall(".//error"))
    bob, cem, eve = (ET.fromstring(junit(reports[k])) for k in (1, 2, 4))
    assert [suite.get("failures") for suite in bob] == ["0", "3"]
    assert "got +15.1914" in bob.find(".//failure").text
    assert [cem.get(name) for name in ("errors", "skipped", "failures")] == ["1", "2", "0"]
    assert "eve.zip is damaged" in eve.find(".//failure").get("message")


def test_junit_of_what_xml_cannot_say(reports):
    task = reports[1].tasks[1]
    odd = replace(task, cases=(replace(task.cases[1], gap="\x00\x1b[31m \ud800 ]]> <&"),))
    root = ET.fromstring(junit(replace(reports[1], tasks=(odd,))).encode())
    assert "??[31m ? ]]> <&" in root.find(".//failure").text


def test_the_wheel_is_one():
    name, data = wheel()
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = archive.namelist()
    version = name.split("-")[1]
    record = f"tinyres-{version}.dist-info/RECORD"
    assert archive.testzip() is None
    assert {"tinyres/__init__.py", "tinyres/lab/one.py", "tinyres/lab/export/setup.sh", record} <= set(names)
    assert not [n for n in names if "__pycache__" in n or "/." in n]
    rows = list(csv.reader(io.StringIO(archive.read(record).decode())))
    assert sorted(row[0] for row in rows) == sorted(names)
    for file, mark, size in rows:
        if file != record:
            text = archive.read(file)
            assert mark == "sha256=" + urlsafe_b64encode(sha256(text).digest()).rstrip(b"=").decode()
            assert int(size) == len(text)
    assert wheel()[1] == data


@pytest.fixture(scope="module")
def bundle():
    from tinyres.lab import catalogue

    lab = catalogue.lab(catalogue.ids()[0])
    return lab, zipfile.ZipFile(io.BytesIO(gradescope_zip(lab, Settings(lab.id, "secret"))))


def test_the_autograder_zip(bundle):
    lab, archive = bundle
    wheels = [name for name in archive.namelist() if name.endswith(".whl")]
    assert len(wheels) == 1
    others = {"setup.sh", "run_autograder", "settings.json", "requirements.txt", "lab.lock"}
    assert set(archive.namelist()) == {*others, *wheels}, "the files lie at the root"
    for name in ("setup.sh", "run_autograder"):
        assert stat.S_IMODE(archive.getinfo(name).external_attr >> 16) & 0o111
        assert archive.read(name).startswith(b"#!/usr/bin/env bash\n")
        assert b"conda" not in archive.read(name)
    assert json.loads(archive.read("settings.json"))["lab"] == json.loads(archive.read("lab.lock"))["lab"] == lab.id
    assert archive.read("requirements.txt").decode().split() == ["numpy>=2.0", *lab.requires]
