"""Lab 1: its reference against the engine and finite differences, its graphs, its mistakes."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tinyres import Tensor, ops, passback
from tinyres.autograd import run_backward
from tinyres.function import Function, apply_all
from tinyres.lab import catalogue
from tinyres.lab.check import cases_of
from tinyres.lab.compare import wrong
from tinyres.lab.diagnose import Failure, apply, causes
from tinyres.lab.labs.lab01_autograd import adapter, cases, reference, slips
from tinyres.ops import derivatives

LAB = catalogue.lab("01-autograd")
KEYS = [task.key for task in LAB.tasks]


@functools.cache
def drawn(key, seed=3):
    """All cases but the longest graphs: a chain of 1,000 would be as good here."""
    return [case for case in cases_of(LAB.task(key), seed, hidden=True) if not case.name.startswith("chain")]


@functools.cache
def expected(key):
    """The public cases and what they shall yield."""
    return [(case, LAB.task(key).checks.reference(case)) for case in drawn(key) if not case.hidden]


class Linear(Function):
    """A node of the lab's graphs as a Function: each result is a sum of weighted inputs."""

    def __init__(self, weights):
        self.weights = weights  # [inputs, results]

    def forward(self, *arrays):
        results = self.weights.shape[1]
        return tuple(sum(w[r] * a for w, a in zip(self.weights, arrays, strict=True)) for r in range(results))

    def backward(self, *cotangents):
        return tuple(
            sum((ops.mul(c, float(w[r])) for r, c in enumerate(cotangents) if c is not None), start=Tensor(np.zeros(3)))
            for w in self.weights
        )


@pytest.mark.parametrize("case", drawn("order.walk_back")[:8], ids=lambda case: case.name)
def test_the_pass_is_that_of_the_engine(case):
    """The same graph as tinyres' own: the leaves get the gradients of the reference."""
    a = case.arrays
    made = {}
    for order, results in enumerate(a["results"]):
        if not results:
            made[order] = (Tensor(np.ones(cases.D), requires_grad=True),)
        else:
            rows = np.flatnonzero(a["edges"][:, 0] == order)
            inputs = [made[owner][index] for _, owner, index in a["edges"][rows]]
            made[order] = apply_all(Linear(a["weights"][rows][:, :results]), *inputs)
    roots = [made[owner][index] for owner, index in a["roots"]]
    run_backward(roots, [Tensor(c) for c in a["cotangents"]])
    gradients = reference.walk_back(case)["gradients"]
    for leaf in np.flatnonzero(a["results"] == 0):
        got = made[leaf][0].grad
        np.testing.assert_allclose(gradients[leaf, 0], 0 if got is None else got.numpy(), atol=1e-9)


def test_forward_and_backward_are_each_other_s_transpose():
    """<cotangent, tangent of the roots> = <gradient of the leaves, their tangents>."""
    for case in drawn("order.walk_back"):
        a, rng = case.arrays, np.random.default_rng(0)
        leaves = np.flatnonzero(a["results"] == 0)
        changes = rng.standard_normal((len(leaves), cases.D))
        moved = case.but({"ends": a["roots"], "leaves": leaves, "changes": changes})
        forward = (reference.walk_forward(moved)["tangents"] * a["cotangents"]).sum()
        backward = (reference.walk_back(case)["gradients"][leaves, 0] * changes).sum()
        np.testing.assert_allclose(forward, backward, rtol=1e-9)


@pytest.mark.parametrize(
    ("key", "call", "function"),
    [
        ("order.reachable", adapter.reachable, passback.reachable),
        ("order.needed", adapter.needed, passback.leading_to),
        ("order.walk_back", adapter.walk_back, passback.walk_back),
        ("order.walk_back", adapter.walk_back, slips.heaped),  # of which the slips are made
        ("forward.walk", adapter.forward, slips.forward),
    ],
)
def test_the_library_s_functions_are_right_on_these_graphs(key, call, function):
    for case in drawn(key):
        got = call(function, {name: array.copy() for name, array in case.arrays.items()})
        for name, right in LAB.task(key).checks.reference(case).items():
            np.testing.assert_allclose(got[name], right, rtol=1e-9, atol=1e-9, err_msg=f"{case.name} {name}")


@pytest.mark.parametrize("rule", ["product", "quotient"])
def test_rules_by_finite_differences(rule):
    for case in drawn(f"derive.{rule}"):
        a, b, dy = (case.arrays[name] for name in ("a", "b", "dy"))
        value = np.multiply if rule == "product" else np.divide
        found = getattr(reference, rule)(case)
        for name, needed, (da, db) in zip(("da", "db"), case.params["needs"], ((1e-6, 0), (0, 1e-6)), strict=True):
            slope = (value(a + da, b + db) - value(a - da, b - db)) / 2e-6
            np.testing.assert_allclose(found[name], needed * dy * slope, rtol=1e-6, atol=1e-8)


def test_softmax_by_finite_differences():
    for case in drawn("derive.softmax"):
        y, dy, axis = case.arrays["y"], case.arrays["dy"], case.params["axis"]
        x, direction = np.log(y), np.random.default_rng(0).standard_normal(y.shape)

        def loss(step, x=x, direction=direction, dy=dy, axis=axis):
            e = np.exp(x + step * direction)
            return (dy * e / e.sum(axis, keepdims=True)).sum()

        slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
        y = y / y.sum(axis, keepdims=True)  # it was rounded
        exact = reference.softmax(case.but({"y": y}))["dx"]
        np.testing.assert_allclose((exact * direction).sum(), slope, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(derivatives.softmax(dy, y, axis), exact, atol=1e-12)


def test_sum_to_is_the_transpose_of_broadcasting():
    for case in drawn("derive.sum_to"):
        x, shape = case.arrays["x"], case.params["shape"]
        before, y = np.random.default_rng(0).standard_normal(shape), reference.sum_to(case)["y"]
        np.testing.assert_allclose((np.broadcast_to(before, x.shape) * x).sum(), (before * y).sum(), rtol=1e-9)
        np.testing.assert_allclose(derivatives.sum_to(x, tuple(shape)), y, atol=1e-12)


def test_a_walk_without_end_is_stopped():
    """60 shortcuts, path by path: the checks stop it, and say how many visits it made."""
    case = next(c for c in drawn("order.walk_back") if c.name == "shortcuts-60")
    got = adapter.walk_back(slips.from_input_to_input, case.arrays)
    assert got["visits"][-1] > 3 * len(case.arrays["results"])


def test_a_search_without_end_is_told():
    case = next(c for c in drawn("order.reachable") if c.name == "shortcuts-60")

    def each_path(starts, behind):
        return [each for node in starts for each in [*each_path(behind(node), behind), node]]

    with pytest.raises(RuntimeError, match="look behind each node once"):
        adapter.reachable(each_path, case.arrays)


def test_a_chain_of_10_000_is_walked():
    (case,) = (c for c in cases_of(LAB.task("order.walk_back"), 1, hidden=True) if c.name == "chain-10000")
    got = adapter.walk_back(passback.walk_back, case.arrays)
    assert got["visits"].tolist() == [*range(10_000, -1, -1), 10_001]


def test_two_slips_at_once_are_named():
    task = LAB.task("order.walk_back")
    recipes = {recipe.name: recipe for recipe in task.checks.recipes}
    planted = [recipes["ones-at-the-roots"], recipes["overwritten"]]
    outcomes = []
    for case, right in expected("order.walk_back"):
        got = {name: array.astype(right[name].dtype) for name, array in apply(task, planted, case).items()}
        outcomes.append(Failure(case, right, got, wrong(case.but(), right, got, task.checks.terms(case))))
    failures = [o for o in outcomes if o.wrong]
    named = {frozenset(cause.recipes) for cause in causes(task, failures, [])}
    assert frozenset({"ones-at-the-roots", "overwritten"}) in named


@pytest.mark.parametrize(
    ("key", "returned", "said"),
    [
        ("order.reachable", None, "returned nothing; a list of nodes"),
        ("order.reachable", [1, 2], "returned a list of int; a list of nodes"),
        ("order.reachable", 3, "returned a int; a list of nodes"),
        ("order.needed", [adapter.Leaf(1)], "returned a list of Leaf; a set of orders"),
        ("derive.product", np.zeros(2), "something else than the two gradients"),
        ("forward.walk", None, "returned nothing; a list with a tangent for each end"),
    ],
)
def test_what_is_no_result_is_told(key, returned, said):
    """In words of the task, not of the adapter that stumbles over it."""
    task, case = LAB.task(key), drawn(key)[0]
    module = type("Module", (), {task.function: staticmethod(lambda *arguments: returned)})
    arrays = {name: array.copy() for name, array in case.arrays.items()}
    with pytest.raises(TypeError, match=said):
        adapter.CALLS[key]({task.file: module}, arrays, dict(case.params), {})
