"""The sheet: everything that is written on a figure lies inside it and on nothing else."""

from __future__ import annotations

import csv
import itertools
import math

import numpy as np
import pytest
from matplotlib.text import Text

from tinyres.errors import ConfigError
from tinyres.flow.figures.axes import BROKEN, ZERO, edges, line
from tinyres.flow.figures.save import as_csv, save
from tinyres.flow.figures.style import PAPER, SCREEN, Drawing, Sheet, style_of


def drawn(style, panels=2, runs=3, words=40):
    with Sheet(style, panels, title="A title " * 6, note=["what is drawn " * words, "data and seed"]) as sheet:
        for axes in sheet.panels:
            axes.set_title("a panel")
            for k in range(runs):
                axes.plot([1, 2, 3], [10.0**k, 1, 2], label=f"a run with a long name {k}")
        sheet.labels("depth", "norm")
    return sheet


@pytest.mark.parametrize("style", [SCREEN, PAPER], ids=lambda style: style.name)
@pytest.mark.parametrize("panels", [1, 2, 4])
def test_nothing_is_clipped_or_covered(style, panels):
    figure = drawn(style, panels).figure
    figure.draw_without_rendering()
    whole = figure.bbox
    renderer = figure.canvas.get_renderer()
    boxes = {"legend": figure.legends[0].get_window_extent(renderer)}
    boxes |= {text.get_text()[:12]: text.get_window_extent(renderer) for text in figure.texts}
    boxes |= {f"panel {k}": axes.get_tightbbox(renderer) for k, axes in enumerate(figure.axes) if axes.get_visible()}
    for name, box in boxes.items():
        assert box.x0 >= whole.x0 - 1, name
        assert box.y0 >= whole.y0 - 1, name
        assert box.x1 <= whole.x1 + 1, name
        assert box.y1 <= whole.y1 + 1, name
    for (a, one), (b, other) in itertools.combinations(boxes.items(), 2):
        if not (a.startswith("panel") and b.startswith("panel")):
            assert not one.shrunk(0.98, 0.98).overlaps(other.shrunk(0.98, 0.98)), (a, b)


def test_paper_is_a_column_wide_with_panels_below_each_other():
    sheet = drawn(PAPER, panels=3)
    assert sheet.figure.get_size_inches()[0] == pytest.approx(3.4)
    lefts = {round(axes.get_subplotspec().colspan.start) for axes in sheet.panels}
    assert lefts == {0}


def test_settings_end_with_the_sheet():
    from matplotlib import rcParams

    before = dict(rcParams)
    drawn(PAPER)
    with pytest.raises(ZeroDivisionError), Sheet(SCREEN, 1, title="", note=[]):
        raise ZeroDivisionError
    assert dict(rcParams) == before


def test_unknown_style():
    with pytest.raises(ConfigError, match="did you mean 'paper'"):
        style_of("papr")


def test_zeros_and_nan_are_marked_on_a_log_axis():
    y = np.array([1.0, 0.0, 2.0, np.nan, -3.0, np.inf, 4.0])
    with Sheet(SCREEN, 1, title="t", note=["n"]) as sheet:
        (axes,) = sheet.panels
        line(sheet, axes, np.arange(7), y, color="#123456")
    whole, alone, zeros, broken = axes.lines
    assert np.array_equal(whole.get_ydata(), [1, math.nan, 2, math.nan, 3, math.nan, 4], equal_nan=True)
    assert alone.get_xdata().tolist() == [0, 2, 4, 6], "a point between gaps is no line and needs a mark"
    assert zeros.get_xdata().tolist() == [1]
    assert broken.get_xdata().tolist() == [3, 5]
    assert {line.get_color() for line in axes.lines} == {"#123456"}
    assert [text.get_text() for text in sheet.figure.legends[0].get_texts()] == [ZERO, BROKEN]
    assert axes.get_yscale() == "log"


def test_nothing_but_nan_still_draws(tmp_path):
    with Sheet(SCREEN, 1, title="t", note=["n"]) as sheet:
        line(sheet, sheet.panels[0], [1, 2], [np.nan, np.nan])
    assert save(Drawing(sheet.figure, {"x": [1]}), tmp_path, "f")


def test_edges_lie_half_way():
    assert edges([1, 2, 4]).tolist() == [0.5, 1.5, 3.0, 5.0]
    assert edges([7]).tolist() == [6.5, 7.5]


@pytest.mark.parametrize(
    ("style", "ends"), [(SCREEN, "png svg csv"), (PAPER, "png svg pdf csv")], ids=["screen", "paper"]
)
def test_files(style, ends, tmp_path):
    table = {"run": ["a, b", "c"], "value": [0.1 + 0.2, math.nan]}
    drawing = Drawing(drawn(style).figure, table)
    files = save(drawing, tmp_path / "new" / "folder", "norms", style)
    assert [path.name for path in files] == [f"norms.{end}" for end in ends.split()]
    before = {path: path.read_bytes() for path in files}
    heads = {"png": b"\x89PNG", "pdf": b"%PDF", "csv": b"run,value\n"}
    assert all(before[path].startswith(heads.get(path.suffix[1:], b"<?xml")) for path in files)
    rows = list(csv.DictReader(before[files[-1]].decode().splitlines()))
    assert [row["run"] for row in rows] == table["run"]
    assert float(rows[0]["value"]) == 0.1 + 0.2, "all digits"
    assert math.isnan(float(rows[1]["value"]))
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {path.name for path in files}
    save(Drawing(drawn(style).figure, table), tmp_path / "new" / "folder", "norms", style)
    assert {path: path.read_bytes() for path in files} == before, "the same figure gives the same bytes"


def test_columns_of_unequal_length_are_a_fault():
    with pytest.raises(ValueError, match="shorter"):
        as_csv({"a": [1, 2], "b": [1]})


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--out"):
        save(Drawing(drawn(SCREEN).figure, {}), tmp_path / "file" / "x", "norms")


def test_every_text_has_its_glyphs(tmp_path):
    """A missing glyph is a warning of matplotlib's, and warnings are errors here."""
    from tinyres.flow.report import EVERYTHING

    with Sheet(SCREEN, 1, title="", note=[each.definition + each.label for each in EVERYTHING]) as sheet:
        pass
    assert any(isinstance(each, Text) for each in sheet.figure.texts)
    save(Drawing(sheet.figure, {}), tmp_path, "glyphs")
