"""`tinyres lab grade` and `export` as a teacher types them."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
import zipfile

import pytest

from tinyres.cli import main
from tinyres.lab import catalogue, start
from tinyres.lab.progress import fresh

LAB = "02-convolution"


@pytest.fixture(scope="module")
def lab():
    return catalogue.lab(LAB)


@pytest.fixture
def put(lab, tmp_path):
    """Hand in files for somebody, with the lock of the lab."""

    def write(name, files):
        folder = tmp_path / "class" / name
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
        fresh(lab, start.stubs(lab)).save(folder)
        return folder

    return write


@pytest.fixture
def tinyres(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*typed):
        code = main(["lab", *map(str, typed)])
        return code, *capsys.readouterr()

    return run


def test_nobody_could_be_graded_and_everybody_is_there(put, tinyres, tmp_path, lab):
    """Nothing runs here: what is there are a damaged zip and folders without a file of the lab."""
    put("=1+1", {"notes.txt": "ill"})
    (tmp_path / "class" / "bob.zip").write_bytes(b"no zip")
    code, out, err = tinyres("grade", "class", "-o", "class/marks")
    assert (code, err) == (0, "")
    assert out.startswith(f"{LAB}: 2 submissions")
    assert "earns nothing: bob.zip is damaged or no zip" in out
    with open(tmp_path / "class" / "marks" / "grades.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"_1+1", "bob"}
    assert {row["total"] for row in rows.values()} == {"0"}
    assert rows["bob"]["possible"] == f"{lab.points:g}"
    assert "bob.zip is damaged" in (tmp_path / "class" / "marks" / "feedback" / "bob.txt").read_text()
    assert "bob.zip is damaged" in (tmp_path / "class" / "marks" / "class.html").read_text()
    again = tinyres("grade", "class", "-o", "class/marks")[1]
    assert again.startswith(f"{LAB}: 2 submissions"), "the folder of the results is none"
    assert again.count("graded before") == 2


@pytest.mark.slow
def test_a_class(put, tinyres, tmp_path, lab):
    good = start.solutions(lab)
    put("ada", good)
    put("Bob Ölçer", {**good, "conv.py": good["conv.py"] + TURNED})
    put("cem", {**good, "conv.py": f"{good['conv.py']}\nimport os\nos._exit(0)\n"})
    put("dan", start.stubs(lab))
    typed = ("grade", "class", "--key", "secret", "--jobs", "2")
    code, out, err = tinyres(*typed)
    assert (code, err) == (0, "")
    assert re.search(r"Bob Ölçer .* conv\.forward: .*turned by 180 degrees", out)
    with open(tmp_path / "grades" / "grades.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["ada", "Bob Ölçer", "cem", "dan"]
    assert float(rows["ada"]["percent"]) > 85  # the points for speed are those of a machine under load
    assert 0 < float(rows["Bob Ölçer"]["percent"]) < 85
    assert float(rows["dan"]["total"]) == 0
    page = (tmp_path / "grades" / "class.html").read_text(encoding="utf-8")
    assert "turned by 180 degrees" in page
    assert "solution stand in it word" in page

    seeds = {name: row["seed"] for name, row in rows.items()}
    assert len(set(seeds.values())) == 4
    first = json.loads((tmp_path / "grades" / "results" / "Bob Ölçer.json").read_text())
    assert "graded before" not in tinyres(*typed, "--again")[1]
    second = json.loads((tmp_path / "grades" / "results" / "Bob Ölçer.json").read_text())
    verdicts = [[(case["gap"], case["cause"]) for case in task["cases"]] for task in first["tasks"]]
    assert verdicts == [[(case["gap"], case["cause"]) for case in task["cases"]] for task in second["tasks"]]


TURNED = """
right = conv2d
def conv2d(x, w, **params):
    return right(x, w[::-1, ::-1].copy(), **params)
"""


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((), "nothing to grade: name folders or zips"),
        (("class", "--key", "a", "--seed", "1"), "--key and --seed exclude each other"),
        (("class", "--limit", "0"), "a limit above 0"),
        (("absent",), "there is no absent"),
        (("class", "--lab", "99"), "there is no lab '99'"),
        (("class",), "none of the submissions has a lab.lock"),
    ],
)
def test_a_mistake_costs_a_sentence(tinyres, tmp_path, typed, said):
    (tmp_path / "class" / "ada").mkdir(parents=True)
    code, _, err = tinyres("grade", *typed)
    assert code in (1, 2)
    assert said in err
    assert err.count("\n") == 1


def test_export_for_students(tinyres, tmp_path, lab):
    assert tinyres("export", "student", "2")[:2] == (0, "lab02.zip\n")
    with zipfile.ZipFile(tmp_path / "lab02.zip") as archive:
        assert {name: archive.read(f"lab02/{name}").decode() for name in start.files(lab)} == start.files(lab)
        assert len(archive.namelist()) == len(start.files(lab))


def test_export_for_gradescope(tinyres, tmp_path):
    assert tinyres("export", "gradescope", LAB, "-o", "x.zip", "--key", "k", "--submissions", "5")[:2] == (0, "x.zip\n")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        settings = json.loads(archive.read("settings.json"))
    assert settings == {"lab": LAB, "key": "k", "limit": 480.0, "submissions": 5, "hours": 24.0}
    assert "from 0 on" in tinyres("export", "gradescope", LAB, "--submissions", "-1")[2]
    assert "there is no folder absent" in tinyres("export", "gradescope", LAB, "-o", "absent/x.zip")[2]


def test_export_of_junit(put, tinyres, tmp_path, lab):
    folder = put("lab02", start.stubs(lab))
    assert tinyres("export", "junit", folder, "-o", "x.xml", "--seed", "3")[:2] == (1, "x.xml\n")
    root = ET.parse(tmp_path / "x.xml").getroot()
    assert len(root) == len(lab.tasks)
    assert int(root.get("errors")) == len(lab.tasks), "one case of each task says that it is not written"
    assert int(root.get("tests")) > 2 * len(lab.tasks)
    assert "is not the folder of a lab" in tinyres("export", "junit", tmp_path)[2]
