"""Graphs and arrays on which the tasks of lab 1 are checked; the first case of a task is the smallest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinyres.lab.task import Case

Rng = np.random.Generator
Array = Any
D = 3  # values of a gradient


def graph(results: Sequence[int], inputs: Mapping[int, Sequence[tuple[int, int]]]) -> dict[str, Array]:
    """A graph as arrays: `inputs` says for each node where its inputs come from."""
    edges = [(user, owner, index) for user in sorted(inputs) for owner, index in inputs[user]]
    return {"results": np.array(results, np.int64), "edges": np.array(edges, np.int64).reshape(-1, 3)}


def drawn(rng: Rng, size: int, leaves: int) -> dict[str, Array]:
    """A graph at random, leaves made in between, inputs used twice, results that nobody uses."""
    order = np.sort(rng.permutation(np.arange(1, size))[: leaves - 1])
    results = rng.integers(1, 4, size)
    results[[0, *order]] = 0
    inputs = {}
    for user in np.flatnonzero(results).tolist():
        owners = rng.integers(max(0, user - 6), user, rng.integers(1, 4)).tolist()
        chosen = [(owner, int(rng.integers(max(results[owner], 1)))) for owner in owners]
        inputs[user] = chosen + chosen[:1] * int(rng.random() < 0.3)
    return graph(results.tolist(), inputs)


def chain(length: int) -> dict[str, Array]:
    """A leaf and one node after the other."""
    return graph([0, *[1] * length], {k: [(k - 1, 0)] for k in range(1, length + 1)})


def shortcuts(count: int) -> dict[str, Array]:
    """Blocks one after the other, each an identity, a branch beside it and their sum: 2^count paths."""
    inputs: dict[int, Sequence[tuple[int, int]]] = {}
    for block in range(count):
        stream, branch, total = 2 * block, 2 * block + 1, 2 * block + 2
        inputs |= {branch: [(stream, 0)], total: [(stream, 0), (branch, 0)]}
    return graph([0, *[1] * (2 * count)], inputs)


SMALL = {
    "one-node": graph([0, 1], {1: [(0, 0)]}),
    "diamond": graph([0, 1, 1, 1, 1], {1: [(0, 0)], 2: [(1, 0)], 3: [(1, 0)], 4: [(2, 0), (3, 0)]}),
    "an-input-twice": graph([0, 1, 1], {1: [(0, 0)], 2: [(1, 0), (1, 0)]}),
    "three-results-one-unused": graph([0, 3, 0, 1, 2], {1: [(0, 0)], 3: [(1, 2), (2, 0)], 4: [(1, 0), (3, 0), (1, 2)]}),
    "a-long-and-a-short-way": graph(
        [0, 0, 1, 1, 1, 1, 1], {2: [(0, 0), (1, 0)], 3: [(2, 0)], 4: [(3, 0)], 5: [(4, 0), (1, 0)], 6: [(2, 0), (5, 0)]}
    ),
    "an-array-for-two": graph([0, 0, 1, 1, 1], {2: [(1, 0)], 3: [(0, 0), (1, 0)], 4: [(3, 0), (2, 0)]}),
    "a-node-on-the-side": graph([0, 0, 1, 1, 1], {2: [(1, 0)], 3: [(0, 0)], 4: [(0, 0), (2, 0)]}),
    "leaves-in-between": graph(
        [0, 1, 0, 2, 0, 1, 1],
        {1: [(0, 0)], 3: [(1, 0), (2, 0)], 5: [(3, 1), (4, 0), (0, 0)], 6: [(5, 0), (3, 0), (1, 0)]},
    ),
}
CROSSED = graph([0, 0, 1, 1], {2: [(0, 0), (1, 0)], 3: [(1, 0), (0, 0)]})


def roots_of(name: str, arrays: dict[str, Array]) -> list[tuple[int, int]]:
    """Where the pass starts: the last results; in some graphs, others with them, or one of them twice."""
    results = arrays["results"]
    last = len(results) - 1
    if name == "three-results-one-unused":
        return [(last, 1), (last, 0)]
    if name == "leaves-in-between":
        return [(last, 0), (3, 1), (4, 0)]  # the second stands behind the first, the third is a leaf
    if name.startswith("drawn"):
        return [(k, int(results[k]) - 1) for k in np.flatnonzero(results)[[-1, -2, len(results) // 3, -1]].tolist()]
    return [(last, 0)]


def weighted(rng: Rng, name: str, arrays: dict[str, Array], dtype: str = "float32", hidden: bool = False) -> Case:
    """A graph with weights on its edges, some of them 1, and gradients to start from."""
    shape = len(arrays["edges"]), int(arrays["results"].max())
    single = arrays["results"][arrays["edges"][:, :1]] == 1  # the results of a node must differ from each other
    sums = single & (rng.random(shape) < 0.5)
    weights = np.where(sums, 1.0, rng.uniform(0.4, 1.2, shape) * rng.choice([-1, 1], shape))
    if name.startswith(("shortcuts", "chain")):
        weights = np.where(rng.random(shape) < 0.5, 1.0, -1.0)  # sums of thousands of products stay exact
    if name == "an-array-for-two":
        weights[1:] = 1.0  # the sum of two leaves sends both the same array, and one of them has another use
    if name.startswith("shortcuts"):
        weights[1::3] = 1.0  # the shortcut
        weights[2::3] = 0.5 * weights[2::3]
        weights[0::3] = 0.25
    roots = roots_of(name, arrays)
    more = {"weights": weights, "roots": np.array(roots, np.int64), "cotangents": rng.standard_normal((len(roots), D))}
    return Case(name, {**arrays, **more}, dtype=dtype, hidden=hidden)


def passes(rng: Rng) -> Iterator[Case]:
    """For `order.walk_back`."""
    for name, arrays in SMALL.items():
        yield weighted(rng, name, arrays)
    yield weighted(rng, "drawn-12", drawn(rng, 12, 3), dtype="float64")
    yield weighted(rng, "shortcuts-60", shortcuts(60))
    yield weighted(rng, "chain-2000", chain(2_000))


def passes_hidden(rng: Rng) -> Iterator[Case]:
    """For `order.walk_back`, at grading."""
    yield weighted(rng, "drawn-17", drawn(rng, 17, 4), hidden=True)
    yield weighted(rng, "drawn-31", drawn(rng, 31, 5), dtype="float64", hidden=True)
    yield weighted(rng, "drawn-80", drawn(rng, 80, 9), dtype="float64", hidden=True)
    yield weighted(rng, "shortcuts-300", shortcuts(300), hidden=True)
    yield weighted(rng, "chain-10000", chain(10_000), hidden=True)


def starting(name: str, arrays: dict[str, Array], hidden: bool = False) -> Case:
    """A graph for `order.reachable`: starts in the middle, where it has several, and one of them twice."""
    nodes = np.flatnonzero(arrays["results"])
    starts = nodes[[-1]] if len(nodes) < 5 or not name.startswith("drawn") else nodes[[-4, 2, -3, 2]]
    return Case(name, {**arrays, "starts": starts}, dtype="float64", hidden=hidden)


def starts(rng: Rng) -> Iterator[Case]:
    """For `order.reachable`."""
    yield from (starting(name, arrays) for name, arrays in SMALL.items())
    yield starting("drawn-16", drawn(rng, 16, 3))
    yield starting("shortcuts-60", shortcuts(60))
    yield starting("chain-2000", chain(2_000))


def starts_hidden(rng: Rng) -> Iterator[Case]:
    """For `order.reachable`, at grading."""
    for size in (13, 29, 90):
        yield starting(f"drawn-{size}", drawn(rng, size, 2 + size // 9), hidden=True)
    yield starting("shortcuts-200", shortcuts(200), hidden=True)
    yield starting("chain-10000", chain(10_000), hidden=True)


def wanting(name: str, arrays: dict[str, Array], wanted: Sequence[int], hidden: bool = False) -> Case:
    """A graph for `order.needed`."""
    return Case(name, {**arrays, "wanted": np.array(wanted, np.int64)}, dtype="float64", hidden=hidden)


def wants(rng: Rng) -> Iterator[Case]:
    """For `order.needed`."""
    yield wanting("one-node", SMALL["one-node"], [0])
    yield wanting("diamond-in-the-middle", SMALL["diamond"], [2])
    yield wanting("a-node-on-the-side", SMALL["a-node-on-the-side"], [0])
    yield wanting("first-and-second-input", CROSSED, [0])
    yield wanting("one-leaf-of-three", SMALL["leaves-in-between"], [4])
    yield wanting("one-leaf-of-two", SMALL["three-results-one-unused"], [2])
    yield wanting("a-leaf-and-a-node", SMALL["a-long-and-a-short-way"], [1, 4])
    yield wanting("drawn-16", drawn(rng, 16, 4), [0, 6])
    yield wanting("shortcuts-60", shortcuts(60), [31])


def wants_hidden(rng: Rng) -> Iterator[Case]:
    """For `order.needed`, at grading."""
    for size in (12, 25, 80):
        yield wanting(f"drawn-{size}", drawn(rng, size, 2 + size // 8), [size // 3], hidden=True)
    yield wanting("chain-10000", chain(10_000), [5000], hidden=True)


def moving(rng: Rng, name: str, arrays: dict[str, Array], count: int = 1, hidden: bool = False) -> Case:
    """A graph for `forward.walk`: some leaves change, and the last results are asked for, and a leaf."""
    case = weighted(rng, name, arrays, hidden=hidden)
    leaves = np.flatnonzero(arrays["results"] == 0)[:count]
    ends = np.concatenate([case.arrays.pop("roots"), [[int(leaves[-1]), 0]]])
    del case.arrays["cotangents"]
    return case.but({"ends": ends, "leaves": leaves, "changes": rng.standard_normal((len(leaves), D))})


def moves(rng: Rng) -> Iterator[Case]:
    """For `forward.walk`."""
    for name, arrays in SMALL.items():
        yield moving(rng, name, arrays)
    yield moving(rng, "drawn-14", drawn(rng, 14, 4), 2)
    yield moving(rng, "shortcuts-60", shortcuts(60))


def moves_hidden(rng: Rng) -> Iterator[Case]:
    """For `forward.walk`, at grading."""
    for size in (11, 26, 70):
        yield moving(rng, f"drawn-{size}", drawn(rng, size, 2 + size // 8), 2, hidden=True)
    yield moving(rng, "chain-10000", chain(10_000), hidden=True)
