"""Figures of measures, from results made up: what is drawn is what is in the table, and what is said is so."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres.errors import ConfigError
from tinyres.flow.figures.axes import BROKEN
from tinyres.flow.figures.initial import sweep
from tinyres.flow.figures.landscapes import landscapes
from tinyres.flow.figures.lesions import lesions, shuffling, truncation
from tinyres.flow.figures.paths import paths
from tinyres.flow.figures.runs import Measured
from tinyres.flow.figures.shattered import shattered
from tinyres.flow.figures.signals import propagation, strength, together
from tinyres.flow.figures.spectra import curvature, spectra
from tinyres.flow.figures.style import PAPER
from tinyres.flow.measures.coactivation import Coactivation
from tinyres.flow.measures.hessian import Curvature
from tinyres.flow.measures.initial import GradientByDepth, InitialGradients
from tinyres.flow.measures.jacobian import Spectrum
from tinyres.flow.measures.landscape import Landscape
from tinyres.flow.measures.lesion import Lesions
from tinyres.flow.measures.paths import PathLengths
from tinyres.flow.measures.response import Responses
from tinyres.flow.measures.shattered import Neighbours, Shattering
from tinyres.flow.measures.signal import Signal

NAMES = ("a", "b", "c")
DEPTH = np.array([1, 2, 3])


def measured(*results, model="resnet8", shortcut="A", seeds=None) -> list[Measured]:
    meta = {"model": model, "shortcut": shortcut, "data": "digits", "weights": "initial", "images": 8}
    return [
        Measured({**meta, "seed": seed}, result)
        for seed, result in zip(seeds or range(len(results)), results, strict=True)
    ]


def lesion(kind, error, whole=0.1, order=None, amount=None):
    error = np.array(error)
    order = order or tuple((0, 1, 2) for _ in error)
    amount = np.arange(len(error)) if amount is None else np.array(amount)
    nothing = np.zeros(len(error), int)
    return Lesions(kind, NAMES, (3, 5, 7), (False, True, False), amount, nothing, order, error, error, 0.5, whole, 50)


def drawn(drawing, panel=0, number=0):
    return drawing.figure.axes[panel].lines[number].get_ydata()


def test_paths():
    result = PathLengths((1, 2, 1), np.array([3.0, 4.0, 1.0]), np.array([0.7, 0.4, -0.1]), 7.0, 3e-8, 2, "layer1.0")
    drawing = paths(measured(result))
    assert drawn(drawing, 0).tolist() == [1, 2, 1]
    assert drawn(drawing, 1).tolist() == [3, 2, 1]
    assert np.allclose(drawn(drawing, 2), [37.5, 50, 12.5])
    assert np.allclose(drawn(drawing, 2, 1), [70, 40, -10])
    assert drawing.table["norm per path"] == [3, 2, 1]
    assert drawing.said[0].endswith("within 3.0e-08")
    assert "2^n paths" in drawing.figure.texts[1].get_text(), "the definition stands on the figure"


def test_bands_of_measures():
    results = [
        PathLengths((1, 2), np.array([norm, 1.0]), np.array([0.5, 0.5]), 1.0, 1e-8, 1, "x") for norm in (1.0, 5.0, 2.0)
    ]
    drawing = paths(measured(*results), bands=True, style=PAPER)
    assert drawn(drawing, 1).tolist() == [2, 0.5], "the median"
    band = drawing.figure.axes[1].collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.5, 5.0)
    assert drawing.table["seed"] == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ConfigError, match="--bands"):
        paths(measured(results[0]), bands=True)


def test_seeds_with_other_places_are_lines_of_their_own():
    short = Responses(NAMES[:2], DEPTH[:2], np.array([1.0, 2.0]), ("", ""), "norm")
    long = Responses(NAMES, DEPTH, np.array([3.0, 2.0, 1.0]), ("", "", ""), "norm")
    drawing = strength(measured(short, long), bands=True)
    assert [len(drawn(drawing, 0, k)) for k in (0, 1)] == [2, 3]


def test_lesions():
    each, some = lesion("delete each", [0.9, 0.1, 0.3]), lesion("delete random", [0.2, 0.4, 0.8], amount=[1, 1, 2])
    drawing = lesions(measured(each), measured(some))
    assert drawn(drawing).tolist() == [90, 10, 30]
    assert drawn(drawing, 0, 1).tolist() == [10], "a square where the image is halved"
    assert np.allclose(drawn(drawing, 1, 1), [30, 80]), "the median of the draws"
    assert drawing.said == [
        "resnet8: error 10.0% whole, 30.0% in the median without one block, 90.0% without the block that matters most"
    ]
    assert drawing.table["block"] == ["a", "b", "c", "", "", ""]
    assert list(drawing.table)[:4] == ["run", "seed", "block", "depth"], "columns in the order of the measure's table"
    assert drawing.table["error"] == [0.9, 0.1, 0.3, 0.2, 0.4, 0.8]


@pytest.mark.parametrize(
    ("error", "enough"), [([0.9, 0.5, 0.105, 0.1], 2), ([0.1, 0.1, 0.1, 0.1], 0), ([0.1, 0.9, 0.9, 0.1], 3)]
)
def test_truncation_says_how_many_are_enough(error, enough):
    assert f"the first {enough} of 3 blocks" in truncation(measured(lesion("truncate", error))).said[0]


def test_shuffling():
    order = ((1, 0, 2), (2, 1, 0))
    drawing = shuffling(measured(lesion("shuffle", [0.2, 0.6], order=order, amount=[1, 5])))
    points = drawing.figure.axes[0].lines[0]
    assert np.allclose(points.get_xdata(), [1 / 3, -1])
    left, right = drawing.figure.axes[0].get_xlim()
    assert left > 1 / 3
    assert right < -1


def test_spectra():
    result = Spectrum(np.array([[4.0, 2.0, 1e-4], [8.0, 4.0, 2e-4]]), (3, 5), np.array([4.5, 9.0]), "input", "layer3")
    drawing = spectra(measured(result))
    assert drawn(drawing, 0).tolist() == pytest.approx([6, 3, 1.5e-4])
    assert drawn(drawing, 1).tolist() == pytest.approx([1, 0.5, 2.5e-5])
    assert drawing.said == ["resnet8: 2 of 3 singular values above 1e-3 of the largest, 6"]
    assert "d(layer3) / d(input), one matrix 3 x 5" in drawing.figure.texts[1].get_text().replace("\n", " ")


def test_curvature_keeps_the_sign():
    result = Curvature(20.0, -3.0, 0.1, 0.2, np.zeros((2, 4)), np.array([[5.0, 1.0], [20.0, -3.0]]))
    drawing = curvature(measured(result))
    assert drawing.said == ["resnet8: eigenvalues from -3 to 20"]
    low, high = drawing.figure.axes[0].get_ylim()
    assert low < -3
    assert high > 20


def test_landscapes():
    line = Landscape((np.array([-1.0, 0, 1]),), np.array([3.0, 1.0, np.inf]), np.array([0.5, 0.1, 0.9]), "training")
    drawing = landscapes(measured(line))
    assert "loss 1 at the centre" in drawing.said[0]
    assert BROKEN in [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    axis = np.array([-1.0, 0.0, 1.0])
    loss = np.array([[4.0, 3, 4], [2, 0.5, 2], [4, 3, np.nan]])
    planes = [Landscape((axis, axis), loss * k, loss * 0, "training") for k in (1, 3)]
    drawing = landscapes(measured(*planes))
    levels = [axes.collections[0].get_array() for axes in drawing.figure.axes[:2]]
    assert np.array_equal(*levels), "levels are common to all nets"
    assert drawing.table["loss"][1] == 3
    assert "loss 0.5 at the centre" in drawing.said[0]


def test_a_flat_landscape_draws():
    axis = np.array([-1.0, 1.0])
    assert landscapes(measured(Landscape((axis, axis), np.ones((2, 2)), np.ones((2, 2)), "batch"))).said


def test_signals():
    stream = np.arange(1.0, 13).reshape(3, 4)
    parts = np.array([np.nan, 1.0, 2.0])
    drawing = propagation(measured(Signal(NAMES, DEPTH, stream, parts, parts, parts)))
    assert drawn(drawing, 0).tolist() == [3, 7, 11]
    assert drawn(drawing, 2).tolist() == [1, 2]
    assert drawing.said == ["resnet8: the variance of the stream goes from 4 to 12, x 3"]
    shares = [np.array([x, x, x]) for x in (0.5, 0.25, 0.1, 0.2, 0.0)]
    drawing = together(measured(Coactivation(NAMES, DEPTH, *shares, examples=9)))
    assert drawing.said == ["resnet8: co-activation 25.0%, constant units 20.0%, dead units 10.0%, on average"]
    assert "9 examples" in drawing.figure.texts[1].get_text()


def test_shattered():
    lag, acf = np.arange(7), np.array([1, 0.5, 0.4, 0.3, 0.2, -0.25, 0])
    along = Shattering(lag, acf, lag * 0.0, 1 - lag / 9, np.array([[1.0], [-4.0], [2.0]]))
    near = Neighbours(np.array([0.0, 1.0]), np.array([[1.0, 0.3], [1.0, np.nan]]), np.array([1, 0]), np.ones(2))
    drawing = shattered(measured(along), measured(near))
    assert drawn(drawing).tolist() == [0.25, -1, 0.5]
    assert drawing.said == [
        "resnet8: autocorrelation +0.500 at lag 1, -0.250 at lag 5; cosine with the neighbour's gradient +0.300"
    ]


def test_sweep_groups_by_setting():
    settings = [(s, b, c, k) for s in (0.5, 1.0) for b in (True, False) for c in (True, False) for k in (0, 1)]
    runs = [GradientByDepth(NAMES, DEPTH, 1.0 * (2 if b else 1) ** (3.0 - DEPTH), DEPTH) for _, b, _, _ in settings]
    norms, growth = sweep(measured(InitialGradients(*map(tuple, zip(*settings, strict=True)), tuple(runs)))[0])
    assert [axes.get_title("left") for axes in norms.figure.axes] == [
        "plain, batch norm", "residual, batch norm", "plain, no batch norm", "residual, no batch norm",
    ]  # fmt: skip
    assert drawn(norms).tolist() == [4, 2, 1]
    assert growth.said[0] == "plain, batch norm, scale 1: x 2.000 a layer toward the input"
    assert growth.said[-1] == "residual, no batch norm, scale 1: x 1.000 a layer toward the input"
    assert len(growth.table["growth"]) == 16
