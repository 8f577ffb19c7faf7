"""Right is right in every order of summation, and a slip in one entry of a thousand is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres.lab import compare
from tinyres.lab.task import Case


def product(rng, n=300, dtype="float32"):
    case = Case("", {"a": rng.standard_normal((7, n)), "b": rng.standard_normal((n, 11))}, dtype=dtype).rounded()
    return case, {"c": case.arrays["a"] @ case.arrays["b"]}


def one_by_one(a, b):
    total = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for k in range(a.shape[1]):
        total += np.outer(a[:, k], b[k])
    return total


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "way",
    [
        one_by_one,
        lambda a, b: a @ b,
        lambda a, b: np.einsum("ik,kj->ij", a, b),
        lambda a, b: one_by_one(a[:, ::-1], b[::-1]),
        lambda a, b: sum(a[:, k::10] @ b[k::10] for k in range(10)),
        lambda a, b: (a[:, :, None] * b).sum(1),
    ],
)
def test_any_order_of_summation_passes(rng, way, dtype):
    for n in (1, 3, 300, 2000):
        case, expected = product(rng, n, dtype)
        got = {"c": way(case.arrays["a"].astype(dtype), case.arrays["b"].astype(dtype))}
        assert compare.wrong(case, expected, got, n) == ()


def test_axes_are_called_by_their_order():
    case = Case("c", {"x": np.zeros((2, 5, 6, 3)), "w": np.zeros((3, 2, 4, 7))}, dtype="float64")
    first = case.channels_first(("x",), ("w",))
    assert (first.arrays["x"].shape, first.arrays["w"].shape) == ((2, 3, 5, 6), (7, 4, 3, 2))
    right, got = np.arange(1.0, 181.0).reshape(2, 3, 5, 6), np.arange(1.0, 181.0).reshape(2, 3, 5, 6)
    got[:, 1] = 0.0
    assert "(all samples, channel 1, all rows, all columns)" in compare.gap(first, {"y": right}, {"y": got}, ("y",))
    assert "channel 1" not in compare.gap(case, {"y": right}, {"y": got}, ("y",))


def test_the_order_has_room(rng):
    """The tolerance is several times what the clumsiest summation needs, also where all terms have one sign."""
    for shift in (0.0, 1.0):
        case, _ = product(rng, 1000)
        case = case.but({name: a + shift for name, a in case.arrays.items()}).rounded()
        right = case.arrays["a"] @ case.arrays["b"]
        got = one_by_one(case.arrays["a"].astype("f4"), case.arrays["b"].astype("f4"))
        assert np.abs(got - right).max() < 0.25 * compare.tolerance(case, right, 1000)


def test_one_forgotten_term_in_one_entry_is_seen(rng):
    case, expected = product(rng, 300)
    got = {"c": expected["c"].astype("float32")}
    lost = case.arrays["a"][3, 7] * case.arrays["b"][7, 5]
    got["c"][3, 5] -= np.float32(lost)
    assert compare.wrong(case, expected, got, 300) == ("c",)
    said = compare.gap(case, expected, got, ("c",), 300)
    values = f"got {compare.number(got['c'][3, 5])}, expected {compare.number(expected['c'][3, 5])}"
    assert said == f"c[3,5]: {values}; 1 of 77 entries differ (row 3, column 5)"


def test_few_results_that_cancel_have_the_scale_of_their_inputs(rng):
    values = rng.standard_normal(1000)
    case = Case("", {"a": np.concatenate([values, -values])}).rounded()
    got = np.float32(0)
    for value in case.arrays["a"].astype("float32"):
        got += value
    expected = {"s": np.asarray(case.arrays["a"].sum())}
    assert got != 0
    assert compare.wrong(case, expected, {"s": np.asarray(got)}, 2000) == ()
    assert compare.wrong(case, expected, {"s": np.asarray(np.float32(0.1))}, 2000) == ("s",)


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (None, "c: nothing came back; an array [2, 3] of float32 was expected"),
        (np.ones((3, 2), "f4"), "c: got shape (3, 2), expected shape (2, 3)"),
        (np.ones((2, 3)), "c: got float64 of shape (2, 3), expected float32 of shape (2, 3); a result has the type"),
        (np.ones((2, 3), complex), "c: got complex128 of shape (2, 3), expected float32"),
        (np.ones((2, 3), int), "c: got int64 of shape (2, 3), expected float32"),
        (np.full((2, 3), None), "c: got object of shape (2, 3), expected float32"),
        (np.full((2, 3), "1"), "c: got <U1 of shape (2, 3), expected float32"),
        (np.full((2, 3), np.nan, "f4"), "c[0,0]: got +nan, expected +1.0000; 6 of 6 entries differ"),
        (np.full((2, 3), 1e38, "f4"), "c[0,0]: got +1e+38, expected +1.0000"),
        (np.array([[1, 1, -np.inf], [1, 1, 1]], "f4"), "c[0,2]: got -inf, expected +1.0000; 1 of 6 entries differ"),
        (np.float32(1), "c: got shape (), expected shape (2, 3)"),
        (np.zeros((2, 0), "f4"), "c: got shape (2, 0), expected shape (2, 3)"),
    ],
)  # fmt: skip
def test_anything_may_come_back(got, said):
    case, expected = Case("", {"a": np.ones(3)}), {"c": np.ones((2, 3))}
    results = {} if got is None else {"c": got}
    assert compare.wrong(case, expected, results, 1) == ("c",)
    assert compare.gap(case, expected, results, ("c",)).startswith(said)


def test_infinity_and_nan_equal_themselves_only():
    case, right = Case("", {"a": np.ones(3)}), np.array([np.inf, np.nan, 1])
    assert compare.wrong(case, {"c": right}, {"c": right.astype("f4")}, 1) == ()
    for swapped in ([np.inf, 1, 1], [-np.inf, np.nan, 1], [1e30, np.nan, 1]):
        assert compare.wrong(case, {"c": right}, {"c": np.array(swapped, "f4")}, 1) == ("c",)


def test_integers_are_compared_exactly_and_may_be_of_any_size():
    case, right = Case("", {"a": np.ones(3)}), {"c": np.array([1, 2, 3])}
    assert compare.wrong(case, right, {"c": np.array([1, 2, 3], "int32")}, 1) == ()
    assert compare.wrong(case, right, {"c": np.array([1, 2, 4])}, 1) == ("c",)
    assert (
        compare.gap(case, right, {"c": np.array([1, 2, 4])}, ("c",)) == "c[2]: got 4, expected 3; 1 of 3 entries differ"
    )


def test_gap_tells_where_and_what_else(rng):
    case = Case("", {"x": rng.standard_normal(3)})
    right = rng.standard_normal((2, 5, 6, 3))
    got = right.astype("f4")
    got[1, :, 2:4, 0] *= -1
    said = compare.gap(case, {"y": right, "z": right}, {"y": got, "z": got}, ("y", "z"))
    assert "(sample 1, all rows, columns 2 and 3, channel 0); z is wrong too" in said
