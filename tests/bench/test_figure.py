"""The roofline: its names do not lie on each other, its points are where they belong, its files are pictures."""

from __future__ import annotations

import itertools
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from tinyres.bench import figure
from tinyres.bench.layers import chosen
from tinyres.bench.problems import Problem
from tinyres.bench.results import Row

PEAK, BANDWIDTH = 350.0, 20.0


def rows(nets, ops, kernels=("numpy", "numba", "numba.winograd", "mine", "torch 2.13.0")):
    found = []
    for op, layer, names in chosen(nets, ops):
        problem = Problem(op, layer, names, 1, "float32")
        operations, traffic = problem.operations, problem.bytes
        top = min(PEAK, BANDWIDTH * operations / traffic)
        for number, kernel in enumerate(kernels):
            seconds = operations / 1e9 / (top * 0.9 / (1 + number))
            found.append(
                Row(op, layer.name, 1, "float32", kernel, [0.9 * seconds, seconds, 1.2 * seconds], operations, traffic,
                    top, 0.0, 1.0, "", kernels[0], 1.0)
            )  # fmt: skip
    return found


def drawn(nets, ops):
    made = figure.roofline(rows(nets, ops), PEAK, BANDWIDTH, "a machine")
    FigureCanvasAgg(made).draw()
    return made, [axes for axes in made.axes if axes.get_visible()]


def box_of(text, made):
    """The letters alone, without the line that leads from them."""
    text.update_positions(made.canvas.get_renderer())
    return Text.get_window_extent(text)


@pytest.mark.parametrize(
    ("nets", "ops"), [(("cifar",), ("conv", "bn")), (("imagenet",), ("conv2d",)), (("resnet20",), ("relu",))]
)
def test_names_do_not_touch(nets, ops):
    made, panels = drawn(nets, ops)
    for axes in panels:
        boxes = [box_of(text, made) for text in axes.texts if text.get_rotation() == 90]
        assert boxes
        for a, b in itertools.combinations(boxes, 2):
            assert not (a.x0 < b.x1 - 1 and b.x0 < a.x1 - 1 and a.y0 < b.y1 and b.y0 < a.y1)
        inside = axes.get_window_extent()
        assert all(inside.x0 - 1 <= box.x0 and box.x1 <= inside.x1 + 1 and box.y1 <= inside.y1 + 1 for box in boxes)


def test_points_stand_at_their_speed_and_under_the_roof():
    _, panels = drawn(("cifar",), ("conv", "bn"))
    assert [axes.get_title(loc="left") for axes in panels] == [
        "conv2d", "conv2d_input", "conv2d_weight", "conv2d_stats", figure.OTHERS,
    ]  # fmt: skip
    axes = panels[0]
    points = {line.get_label(): line for line in axes.lines if line.get_marker() not in ("None", None)}
    assert {"numpy", "numba", "mine"} <= set(points)
    speeds = sorted(row.gflops for row in rows(("cifar",), ("conv2d",)) if row.kernel == "numpy")
    np.testing.assert_allclose(sorted(points["numpy"].get_ydata()), speeds)
    roof = next(line for line in axes.lines if line.get_linewidth() == 2)
    x, y = roof.get_data()
    np.testing.assert_allclose(y, np.minimum(PEAK, BANDWIDTH * np.asarray(x)))
    low, high = axes.get_ylim()
    assert all(low < speed < high for line in points.values() for speed in line.get_ydata())


def test_kernels_differ_in_colour_and_in_shape():
    made, _ = drawn(("cifar",), ("conv2d",))
    legend = made.legends[0]
    assert len({handle.get_color() for handle in legend.legend_handles}) == 5
    assert len({handle.get_marker() for handle in legend.legend_handles}) == 5


def test_files(tmp_path):
    files = figure.draw(
        rows(("resnet20",), ("relu",)), {"peak_gflops": PEAK, "bandwidth_gbs": BANDWIDTH}, "a", tmp_path
    )
    assert [file.name for file in files] == ["roofline.png", "roofline.svg"]
    assert files[0].read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(files[1]).getroot().tag.endswith("svg")


def test_steps_have_no_place_under_a_roof(tmp_path):
    step = replace(rows(("resnet20",), ("relu",))[0], op="step", traffic=0)
    assert figure.draw([step], {}, "a", tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("places", "gap"),
    [([0.5], 0.1), ([0.1, 0.5, 0.9], 0.1), ([0.5, 0.5, 0.5], 0.1), ([0.0, 0.01, 0.02, 0.99, 1.0], 0.05),
     ([0.3] * 10, 0.2), ([0.0, 0.1, 0.11, 0.2, 0.21, 0.22], 0.08)],
)  # fmt: skip
def test_apart(places, gap):
    moved = figure.apart(places, gap)
    room = min(gap, 1 / len(places))
    assert len(moved) == len(places)
    assert all(b - a >= room - 1e-9 for a, b in itertools.pairwise(moved))
    assert moved[0] >= room / 2 - 1e-9
    assert moved[-1] <= 1 - room / 2 + 1e-9


def test_what_is_apart_stays():
    assert figure.apart([0.2, 0.5, 0.8], 0.1) == pytest.approx([0.2, 0.5, 0.8])
