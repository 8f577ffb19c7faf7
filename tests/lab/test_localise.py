"""What is said of a difference that no recipe explains; each kind of it is made on purpose."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres.lab.compare import differs, tolerance
from tinyres.lab.localise import peculiar
from tinyres.lab.task import Case


def changed(where, how):
    def change(y):
        y = y.copy()
        y[where] = how(y[where])
        return y

    return change


def border(y):
    out = y * 2
    out[:, 1:-1, 1:-1] = y[:, 1:-1, 1:-1]
    return out


def off_stride(y):
    out = np.zeros_like(y)
    out[:, ::2, ::2] = y[:, ::2, ::2]
    return out


ALL = slice(None)


def shuffled(y):
    return np.random.default_rng(0).permutation(y.ravel()).reshape(y.shape)


per_sample = np.arange(1.0, 5.0)[:, None, None, None]


def per_channel(y):
    return y * np.array([2.0, 0.5, 3.0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y: -y, "the sign is the opposite"),
        (lambda y: y / 4, "got / expected = 0.25 (1 / (4, of the shape of x)) everywhere: a constant factor"),
        (lambda y: y * 0.9, "got / expected = 0.9 (1 - momentum) everywhere: a constant factor"),
        (lambda y: y * 1.2345, "got / expected = 1.235 everywhere"),
        (lambda y: y + 0.5, "got - expected = +0.5000 everywhere: a constant term"),
        (np.abs, "the magnitudes are right, some signs are not"),
        (lambda y: np.maximum(y, 0.01 * y), "only what should be negative is wrong; there, got / expected = 0.01"),
        (lambda y: np.zeros_like(y), "zero everywhere"),
        (lambda y: np.ones_like(y), "+1.0000 everywhere"),
        (lambda y: np.full_like(y, np.nan), "all of it is NaN"),
        (changed((ALL, -1), lambda v: np.nan), "NaN (never written, or 0/0) in the last row;"),
        (changed((ALL, ALL, ALL, 1), lambda v: np.inf), "infinite (a division by zero or an overflow) in channel 1;"),
        (border, "wrong at the border of the rows and columns only; there, got / expected = 2"),
        (changed((ALL, slice(1, None, 2)), lambda v: 0), "wrong in every second row (from 1 on) only; there, it"),
        (changed((ALL, ALL, slice(0, None, 2)), lambda v: -v), "wrong in every second column (from 0 on) only;"),
        (off_stride, "wrong off the places that a stride of 2 meets in the rows and columns only"),
        (changed(2, lambda v: v * 3), "wrong in sample 2 only; there, got / expected = 3"),
        (changed((ALL, ALL, ALL, 1), lambda v: v + 1), "wrong in channel 1 only; there, got - expected = +1.0000"),
        (changed((0, ALL, ALL, 2), lambda v: v[::-1]), "wrong in the first sample, the last channel only"),
        (per_channel, "each channel is off by a factor of its own (2, 0.5, 3"),
        (lambda y: y + per_sample, "each sample is off by a term of its own (1, 2, 3,"),
        (lambda y: y[:, ::-1], "the right values with rows in reverse order"),
        (lambda y: y[:, ::-1, ::-1], "the right values with rows and columns in reverse order"),
        (lambda y: np.roll(y, 1, 1), "shifted by one: each value stands one row later than it should"),
        (lambda y: np.roll(y, -1, 2), "shifted by one: each value stands one column earlier than it should"),
        (lambda y: y.transpose(0, 3, 1, 2).reshape(y.shape), "the right values in the order of axes (0, 3, 1, 2):"),
        (shuffled, "all the right values, but in other places"),
        (lambda y: y.astype("f2").astype("f4"), "right to 3 digits only: somewhere float16 is used where"),
        (lambda y: y.transpose(0, 2, 1, 3), "the axes are permuted: transposed by (0, 2, 1, 3) it is right"),
        (lambda y: y.reshape(4, -1), "the values are right; reshape it to (4, 7, 6, 3)"),
        (lambda y: y[:, :-1], "what both shapes have in common is right"),
        (lambda y: y.astype(complex), "complex numbers"),
        (lambda y: y.astype(object), "complex numbers or objects"),
        (lambda y: np.random.default_rng(0).standard_normal(y.shape), "shares no pattern with what is expected"),
        (lambda y: y[:, :, :, :0], ""),
    ],
)  # fmt: skip
def test_said(rng, change, said):
    y = rng.standard_normal((4, 7, 6, 3)).astype("f4")
    case = Case("", {"x": np.ones((4, 13, 11, 2))}, {"momentum": 0.1, "stride": 1, "flag": True})
    found = peculiar(case, "y", {"y": y.astype(float)}, {"y": change(y)})
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_double_precision_asked_and_single_computed(rng):
    y = rng.standard_normal((50, 7))
    case = Case("", {"x": y}, dtype="float64")
    found = peculiar(case, "y", {"y": y}, {"y": y.astype("f4").astype("f8")})
    assert found[:15] in ("right to 7 digi", "right to 8 digi")
    assert "somewhere float32 is used where float64 is wanted, or two large numbers" in found


def test_whole_numbers_have_no_digits_and_no_factors():
    right = {"order": np.random.default_rng(3).permutation(np.arange(400, 800, 20))}
    case = Case("", {"x": np.ones(3)})

    def said(got):
        return peculiar(case, "order", right, {"order": got})

    assert said(right["order"] + 1).startswith("got - expected = +1")
    assert "factor" not in said(right["order"] * 2)
    nearly = right["order"].copy()
    nearly[[3, 7]] += (1, -1)
    assert said(nearly) == "wrong in values 3 and 7 only"
    assert said(right["order"][::-1]) == "the right values with values in reverse order"


def test_square_results_tell_a_transposition(rng):
    y = rng.standard_normal((5, 5))
    case = Case("", {"x": y}).rounded()
    assert peculiar(case, "y", {"y": y}, {"y": y.T.astype("f4")}).startswith("the axes are permuted")


def test_right_values_of_the_wrong_type(rng):
    y = rng.standard_normal((5, 4)).astype("f4").astype(float)
    case = Case("", {"x": y})
    assert peculiar(case, "y", {"y": y}, {"y": y}) == "the values are right, the type is not"
    assert peculiar(case, "y", {"y": y}, {"y": y.astype("f4")}) == ""
    assert peculiar(case, "y", {"y": y}, {}) == ""


@pytest.mark.parametrize("shape", [(), (1,), (2,), (1, 1), (0, 3), (2, 1, 1, 2), (2, 2, 2, 2, 2, 2)])
def test_every_shape_is_survived(rng, shape):
    """Also nonsense in any of them: whatever is said, nothing is raised, and no warning escapes."""
    case, y = Case("", {"x": np.ones(2)}), rng.standard_normal(shape)
    for bad in (y + 1, -y, y * np.nan, y * np.inf, y * 1e300, np.zeros(shape)):
        found = peculiar(case, "y", {"y": y}, {"y": np.asarray(bad)})
        assert isinstance(found, str)


def test_what_is_right_is_not_talked_about(rng):
    """Noise within the tolerance is no difference."""
    y = rng.standard_normal((6, 5))
    case = Case("", {"x": y})
    noisy = y + rng.uniform(-1, 1, y.shape) * tolerance(case, y, 1) * 0.9
    assert not differs(y, noisy, tolerance(case, y, 1)).any()
    assert peculiar(case, "y", {"y": y}, {"y": noisy.astype("f4")}) == ""


def test_what_fits_nothing_is_still_compared() -> None:
    rng = np.random.default_rng(3)
    right, other = rng.standard_normal((2, 6, 7))
    case = Case("c", {"x": right}, dtype="float64")
    assert "shares no pattern" in peculiar(case, "y", {"y": right}, {"y": other})
    assert "closely" in peculiar(case, "y", {"y": right}, {"y": right + 0.1 * other})


@pytest.mark.parametrize(
    ("share", "said"), [(-0.8, "runs against"), (0.5, "resembles"), (0.97, "follows what is expected closely")]
)
def test_a_likeness_has_a_degree_and_a_sign(rng, share, said):
    right, noise = rng.standard_normal((2, 40, 10))
    case = Case("c", {"x": right}, dtype="float64")
    got = share * right + (1 - share**2) ** 0.5 * noise
    assert said in peculiar(case, "y", {"y": right}, {"y": got})
