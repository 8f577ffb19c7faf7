"""The file of a run and the comparison of two: what is beyond the noise, what only one has, what is no such file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tinyres.bench import against, record
from tinyres.bench.measure import Bench
from tinyres.bench.results import HEAD, Refusal, Row, groups, heading, lines, table
from tinyres.bench.roof import Roof
from tinyres.bench.settings import Settings
from tinyres.errors import ConfigError

ROW = Row(
    op="conv2d", layer="3x3 16-16 @32", batch=128, dtype="float32", kernel="numba", seconds=[0.010, 0.011, 0.012],
    operations=604_000_000, traffic=16_800_000, attainable=110.0, error=1e-6, allowed=5e-5, checked="",
    reference="numpy", ratio=0.25, nets=["resnet20"],
)  # fmt: skip


def scaled(row, factor, **changes):
    return replace(row, seconds=[factor * s for s in row.seconds], **changes)


def write(path, *rows, **changes):
    bench = Bench(Settings(mine=Path("/home/me/mine.py")), Roof("float32", 2, 1, [300.0], [20.0]), list(rows))
    for name, value in changes.items():
        setattr(bench, name, value)
    record.write(bench, path)
    return record.read(path)


def test_derived_numbers():
    assert ROW.median == 0.011
    assert ROW.gflops == pytest.approx(54.909, rel=1e-4)
    assert ROW.gbs == pytest.approx(1.5273, rel=1e-4)
    assert ROW.share == pytest.approx(0.49917, rel=1e-4)
    assert ROW.spread == pytest.approx((0.0102, 0.0118))


def test_the_file_comes_back_as_it_was(tmp_path):
    refusal = Refusal("relu", "", "mine", "it is wrong.")
    read = write(tmp_path / "bench.json", ROW, refused=[refusal], stopped=KeyboardInterrupt())
    assert read.rows == [ROW]
    entries = read.entries
    assert entries["settings"]["mine"] == "mine.py"  # no path of this machine
    assert "/home/me" not in (tmp_path / "bench.json").read_text()
    assert entries["refused"] == [{"op": "relu", "layer": "", "kernel": "mine", "reason": "it is wrong."}]
    assert entries["complete"] is False
    assert entries["rows"][0]["images_per_second"] == pytest.approx(128 / 0.011)
    assert {"tinyres", "numpy", "python", "numba"} <= set(entries["versions"])
    assert entries["machine"]["cores"] >= 1


def test_a_run_that_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch):
    write(tmp_path / "bench.json", ROW)
    before = (tmp_path / "bench.json").read_bytes()
    monkeypatch.setattr("os.replace", lambda *names: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "bench.json", scaled(ROW, 2))
    assert (tmp_path / "bench.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "same"), (1.1, "same"), (1.3, "slower"), (0.9, "same"), (0.7, "faster")]
)
def test_what_is_beyond_the_noise(factor, verdict):
    """Each spread is sqrt(11.8 / 10.2) = 1.076, both together 1.157."""
    change = against.Change(ROW, scaled(ROW, factor))
    assert change.noise == pytest.approx(11.8 / 10.2)
    assert change.verdict == verdict


def test_five_per_cent_at_least():
    still = replace(ROW, seconds=[0.01, 0.01, 0.01])
    assert against.Change(still, scaled(still, 1.04)).verdict == "same"
    assert against.Change(still, scaled(still, 1.06)).verdict == "slower"


def test_report(tmp_path):
    other = replace(ROW, layer="3x3 32-32 @16")
    old = write(tmp_path / "old.json", ROW, other, replace(ROW, op="relu"))
    new = write(tmp_path / "new.json", scaled(ROW, 2), scaled(other, 0.4), replace(ROW, kernel="mine"))
    text = "\n".join(against.report(old, new))
    found = [line.split()[0] for line in text.splitlines() if line.startswith(("slower", "faster"))]
    assert found == ["slower", "faster"]
    assert "conv2d 3x3 16-16 @32, batch 128, numba" in text
    assert "only in the old file: relu 3x3 16-16 @32, batch 128, numba" in text
    assert "only in the new file: conv2d 3x3 16-16 @32, batch 128, mine" in text
    assert "1 slower, 1 faster, 0 within the noise" in text
    assert "WARNING" not in text
    assert max(map(len, text.splitlines())) <= 120 + len(str(tmp_path))


def test_another_machine_and_version_are_told(tmp_path):
    old, new = write(tmp_path / "old.json", ROW), write(tmp_path / "new.json", ROW, stopped=KeyboardInterrupt())
    new.entries["machine"]["processor"] = "Another"
    new.entries["versions"]["numpy"] = "1.0"
    text = "\n".join(against.report(old, new))
    assert "WARNING another machine" in text
    assert "WARNING numpy was" in text
    assert "not complete" in text


def test_nothing_in_common(tmp_path):
    old, new = write(tmp_path / "old.json", ROW), write(tmp_path / "new.json", replace(ROW, batch=1))
    assert any("no measurement in common" in line for line in against.report(old, new))


def damaged(entries, how):
    if how == "no rows":
        del entries["rows"]
    elif how == "a row without its times":
        del entries["rows"][0]["seconds"]
    elif how == "a row without times":
        entries["rows"][0]["seconds"] = []
    elif how == "times that are text":
        entries["rows"][0]["seconds"] = "fast"
    elif how == "times of zero":
        entries["rows"][0]["seconds"] = [0.0]
    elif how == "no machine":
        del entries["machine"]
    elif how == "rows that are a number":
        entries["rows"] = 3
    return entries


@pytest.mark.parametrize(
    "how",
    ["no rows", "a row without its times", "a row without times", "times that are text", "times of zero", "no machine",
     "rows that are a number"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
def test_a_damaged_file_is_told(tmp_path, how):
    path = tmp_path / "bench.json"
    write(path, ROW)
    path.write_text(json.dumps(damaged(json.loads(path.read_text()), how)))
    with pytest.raises(ConfigError, match="damaged"):
        record.read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "no JSON"), ("[]", "no schema"), ('{"schema": "other"}', "of schema 'other'"), (None, "read")],
)
def test_a_foreign_file_is_told(tmp_path, text, said):
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=said):
        record.read(tmp_path / "a.json")


def test_table_fits_the_width_of_a_page():
    slow = replace(ROW, kernel="numba.winograd", seconds=[12.3], ratio=1234.5, reference="torch 2.13.0")
    step = replace(ROW, op="step", layer="resnet1202", traffic=0, attainable=None)
    text = list(table([ROW, slow, step]))
    assert text[0] == HEAD
    assert max(map(len, text)) <= 120
    assert [len(group) for group in groups([ROW, slow, step])] == [2, 1]
    assert heading([ROW]) == "conv2d  3x3 16-16 @32, batch 128, float32: 604 MFLOP, 16.8 MB, roof 110 GFLOP/s"
    (line,) = lines([ROW])
    assert line.split() == [
        "numba",
        "11.000",
        "10.200",
        "11.800",
        "54.9",
        "1.5",
        "50%",
        "11,636",
        "1e-06",
        "0.25",
        "numpy",
    ]
