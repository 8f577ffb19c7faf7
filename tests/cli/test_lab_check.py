"""`tinyres lab check` and `time` as a student types them, in the folder of the lab on convolution."""

from __future__ import annotations

import os
import re

import pytest
import tyro

from tinyres.cli import lab_check, main
from tinyres.errors import ConfigError, LabError
from tinyres.lab import catalogue, start
from tinyres.lab.progress import fresh, read


def filled_in(name, parent):
    """The folder of a lab with all of it solved."""
    lab = catalogue.lab(name)
    folder = parent / start.folder_name(lab)
    folder.mkdir()
    for file, text in start.solutions(lab).items():
        (folder / file).write_text(text, encoding="utf-8")
    fresh(lab, start.stubs(lab)).save(folder)
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    begun = filled_in("02", tmp_path)
    monkeypatch.chdir(begun)
    return begun


def run(command, *typed):
    return tyro.cli(command, args=list(typed)).run()


def spoil(folder, old, new, name="conv.py"):
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def turned(folder):
    """The filters of conv2d upside down."""
    spoil(
        folder,
        "def conv2d(",
        "def conv2d(x, w, **kw):\n    return _conv2d(x, w[::-1, ::-1].copy(), **kw)\n\n\ndef _conv2d(",
    )


def test_right(folder, capsys):
    assert run(lab_check.Check, "conv.forward", "conv.pad", "--seed", "5") == 0
    out = capsys.readouterr().out
    assert out.startswith("02-convolution: im2col and the convolution; seed 5\n\nok   conv.pad: ")
    assert re.search(r"^\[#{24}\] \d+ of \d+ points on public checks$", out, re.M)
    assert re.search(r"^\d+ more hidden checks run at grading: conv\.pad 4, conv\.forward 5$", out, re.M)
    assert "next: `tinyres lab check` for all of the lab (4 more tasks)" in out
    assert read(folder).points.keys() == {"conv.pad", "conv.forward"}


def test_wrong(folder, capsys):
    turned(folder)
    assert run(lab_check.Check, "conv.forward", "--seed", "5") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("FAIL conv.forward: ")
    labels = [line.split()[0] for line in lines[3:] if re.match(r"  \w", line)]
    assert labels == ["case", "gap", "cause", "also", "again"]
    assert lines[5].startswith("  cause  equals what you get if the filters are turned by 180 degrees")
    assert "  again  tinyres lab check conv.forward --seed 5" in lines
    assert lines[-1] == "next: mend conv.forward in conv.py; a hint: `tinyres lab hint conv.forward`"


def test_the_seed_is_fresh_and_repeats(folder, capsys):
    turned(folder)
    outs = []
    for typed in ([], [], ["--seed", "5"], ["--seed", "5"]):
        run(lab_check.Check, "conv.forward", *typed)
        outs.append(capsys.readouterr().out)
    seeds = [re.search(r"seed (\d+)", out)[1] for out in outs]
    assert seeds[0] != seeds[1]
    assert outs[0] != outs[1]
    assert outs[2] == outs[3]


def test_from_outside_and_from_below(folder, monkeypatch, capsys):
    below = folder / "sub"
    below.mkdir()
    monkeypatch.chdir(below)
    assert run(lab_check.Check, "conv.pad") == 0
    monkeypatch.chdir(folder.parent)
    assert run(lab_check.Check, "conv.pad", "--lab", folder.name) == 0
    with pytest.raises(LabError, match="go into lab02"):
        run(lab_check.Check)


def test_mistakes_of_typing(folder):
    with pytest.raises(ConfigError, match=r"no task 'conv\.fward'; did you mean 'conv\.forward'\?"):
        run(lab_check.Check, "conv.fward")
    with pytest.raises(ConfigError, match="--seed is -1"):
        run(lab_check.Check, "--seed", "-1")
    with pytest.raises(ConfigError, match=r"points for speed; those of this lab that have: conv\.forward"):
        run(lab_check.Time, "conv.pad")


def test_exit_codes(folder, capsys):
    assert main(["lab", "check", "conv.pad"]) == 0
    spoil(folder, "return canvas", "return canvas + 1", name="columns.py")
    assert main(["lab", "check", "conv.pad"]) == 1
    assert main(["lab", "check", "conv.fward"]) == 2
    assert "did you mean 'conv.forward'?" in capsys.readouterr().err
    assert main(["lab", "check", "--sede", "3"]) == 2


def test_mine_uses_earlier_labs(folder, monkeypatch, capsys):
    with pytest.raises(LabError, match="no folder of a lab before 02-convolution"):
        run(lab_check.Check, "--mine")
    later = filled_in("03", folder.parent)
    monkeypatch.chdir(later)
    assert run(lab_check.Check, "--mine") == 0
    assert "is your lab02/" in capsys.readouterr().out
    for path in folder.glob("*.py"):
        path.write_text("raise SystemError('mine')\n", encoding="utf-8")
    assert run(lab_check.Check) == 0
    assert run(lab_check.Check, "--mine") == 1


def test_time(folder, capsys):
    assert run(lab_check.Time) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  speed  \d+ times as fast as the naive loops on ", out, re.M)
    assert "conv.pad" not in out


def test_watch_checks_again_after_each_change(folder, capsys):
    looks = []

    def sleep(seconds):
        assert seconds == lab_check.POLL
        if len(looks) == 3:
            raise KeyboardInterrupt
        if len(looks) == 2:
            os.utime(folder / "conv.py", ns=(1, 1))
        else:
            (folder / "new.py").write_text("", encoding="utf-8")

    lab_check.watch(folder, lambda: looks.append(0), sleep)
    out = capsys.readouterr().out
    assert len(looks) == 3
    assert "--- new.py, " in out
    assert "--- conv.py, " in out
    assert out.endswith("no longer watching.\n")


def test_watch_ends_well(folder, monkeypatch, capsys):
    def stop(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(lab_check.time, "sleep", stop)
    monkeypatch.setattr(lab_check.watch, "__defaults__", (stop,))
    assert run(lab_check.Check, "conv.pad", "--watch") == 0
    assert "watching" in capsys.readouterr().out
