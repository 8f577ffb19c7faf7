"""A bank of 1,000 random convolutions: every kernel against the oracle, forward and both gradients.

An error of `SLACK * eps * sqrt(n)` times the scale of the result is allowed, n being the length of the sum: rounding
errors of a sum of n terms of either sign grow like a walk of n steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from tinyres import use
from tinyres.errors import KernelError
from tinyres.kernels import launch, registry
from tinyres.kernels.backends import backend_of

OPS = ("conv2d", "conv2d_input", "conv2d_weight")
COUNT, CHUNK = 1000, 100
SLACK = 2.0


@dataclass(frozen=True)
class Configuration:
    x: tuple[int, ...]
    w: tuple[int, ...]
    stride: int
    padding: tuple[int, int, int, int]
    groups: int
    dtype: str
    layouts: tuple[str, ...]  # of x, w and dy


LAYOUTS = {
    "contiguous": lambda a: a,
    "Fortran": np.asfortranarray,
    "gaps": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[:, ::-1].copy()[:, ::-1],
    "channels first": lambda a: np.moveaxis(np.moveaxis(a, -1, 1).copy(), 1, -1),
}


def draw(rng, low, high):
    return int(rng.integers(low, high + 1))


@cache
def configuration(number):
    rng = np.random.default_rng([number, 2015])
    groups = int(rng.choice([1, 1, 1, 2, 3, 4]))
    wide = rng.random() < 0.2  # channels that fill vector registers
    per_group = int(rng.choice([4, 8, 16])) if wide else draw(rng, 1, 5)
    filters = groups * (int(rng.choice([4, 8, 16])) if wide else draw(rng, 1, 5))
    if rng.random() < 0.1:  # depthwise
        groups, per_group, filters = draw(rng, 2, 6), 1, 0
    channels = groups * per_group
    filters = filters or channels * draw(rng, 1, 2)
    square = rng.random() < 0.4
    r = draw(rng, 1, 5)
    s = r if square else draw(rng, 1, 5)
    top, left = draw(rng, 0, r + 2), draw(rng, 0, s + 2)  # also beyond the kernel
    bottom, right = (top, left) if square else (draw(rng, 0, r + 2), draw(rng, 0, s + 2))
    if rng.random() < 0.3:
        top = bottom = left = right = (r - 1) // 2
    high = max(draw(rng, 1, 9), r - top - bottom)
    width = max(draw(rng, 1, 9), s - left - right)
    return Configuration(
        (draw(rng, 1, 4), high, width, channels),
        (r, s, per_group, filters),
        int(rng.choice([1, 1, 2, 2, 3, 4])),
        (top, bottom, left, right),
        groups,
        str(rng.choice(["float32", "float64"])),
        tuple(str(rng.choice(list(LAYOUTS))) for _ in range(3)),
    )


@cache
def problem(number):
    """Arrays of the three ops, the oracle's results, and the length of the sums."""
    c = configuration(number)
    rng = np.random.default_rng(number)
    geometry = {"stride": c.stride, "padding": c.padding, "groups": c.groups}
    x, w = (rng.standard_normal(shape).astype(c.dtype) for shape in (c.x, c.w))
    oracle = [registry.find(op, "naive").function for op in OPS]
    y = oracle[0](x, w, **geometry)
    dy = rng.standard_normal(y.shape).astype(c.dtype)
    x, w, dy = (LAYOUTS[name](a) for name, a in zip(c.layouts, (x, w, dy), strict=True))
    calls = [
        ((x, w), geometry, y, np.prod(c.w[:3])),
        ((dy, w), {"shape": c.x, **geometry}, None, np.prod(c.w[:2]) * c.w[3] // c.groups),
        ((x, dy), {"shape": c.w, **geometry}, None, np.prod(y.shape[:3])),
    ]
    return [(a, p, f(*a, **p) if r is None else r, int(n)) for f, (a, p, r, n) in zip(oracle, calls, strict=True)]


def kernels():
    """Those of a CPU; those of a GPU have a bank of their own."""
    own = [name for name in registry.names("conv2d") if name != "naive"]
    return [name for name in own if registry.backend(backend_of(name)).DEVICE == "cpu"]


@pytest.mark.parametrize("chunk", range(COUNT // CHUNK))
@pytest.mark.parametrize("name", kernels())
def test_bank(name, chunk):
    worst = 0.0
    for number in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        c = configuration(number)
        for op, (arrays, params, right, length) in zip(OPS, problem(number), strict=True):
            try:
                found = registry.find(op, name)
            except KernelError as reason:
                pytest.skip(str(reason))
            if c.dtype not in found.dtypes:
                continue
            with use(**{op: name}):
                got = launch(op, *arrays, **params)
            assert got.shape == right.shape
            allowed = SLACK * np.finfo(c.dtype).eps * np.sqrt(length) * max(1.0, np.abs(right).max())
            error = np.abs(got - right).max()
            assert error <= allowed, f"{op}, {c}: error {error:.1e}, allowed {allowed:.1e}"
            worst = max(worst, error / allowed)
    print(f"{name}, {CHUNK} configurations: largest error {worst:.2f} of what is allowed")


@pytest.mark.parametrize("name", kernels())
@pytest.mark.parametrize("groups", [1, 2])
def test_batches_of_many_blocks(name, groups):
    """More images than one pass over the cache takes, with a rest at the end."""
    rng = np.random.default_rng(1)
    geometry = {"stride": 2, "padding": (1, 0, 2, 1), "groups": groups}
    x, w = rng.standard_normal((53, 17, 16, 16)), rng.standard_normal((3, 3, 16 // groups, 24))
    dy = rng.standard_normal(registry.find("conv2d", "naive").function(x, w, **geometry).shape)
    for op, arrays, params in (
        ("conv2d", (x, w), geometry),
        ("conv2d_input", (dy, w), {"shape": x.shape, **geometry}),
        ("conv2d_weight", (x, dy), {"shape": w.shape, **geometry}),
    ):
        try:
            registry.find(op, name)
        except KernelError as reason:
            pytest.skip(str(reason))
        with use(**{op: name}):
            got = launch(op, *arrays, **params)
        np.testing.assert_allclose(got, registry.find(op, "naive").function(*arrays, **params), atol=1e-11)


def test_the_readable_kernel_in_blocks_of_one_image(monkeypatch):
    """A second pass through the bank's beginning, each block being a single image."""
    monkeypatch.setattr("tinyres.kernels.on_numpy.parts.COLUMN_BYTES", 1)
    test_bank("numpy", 0)


def test_the_bank_holds_what_it_promises():
    bank = [configuration(number) for number in range(COUNT)]
    assert len({(c.x, c.w, c.stride, c.padding, c.groups) for c in bank}) > 0.98 * COUNT
    shares = {
        "batch of one": [c.x[0] == 1 for c in bank],
        "one pixel": [c.x[1] == 1 or c.x[2] == 1 for c in bank],
        "oblong image": [c.x[1] != c.x[2] for c in bank],
        "oblong kernel": [c.w[0] != c.w[1] for c in bank],
        "1x1 kernel": [c.w[:2] == (1, 1) for c in bank],
        "even kernel": [c.w[0] % 2 == 0 for c in bank],
        "stride": [c.stride > 1 for c in bank],
        "stride beyond the kernel": [c.stride > max(c.w[:2]) for c in bank],
        "remainder": [(c.x[1] + sum(c.padding[:2]) - c.w[0]) % c.stride > 0 for c in bank],
        "asymmetric": [c.padding[0] != c.padding[1] or c.padding[2] != c.padding[3] for c in bank],
        "padding beyond the kernel": [c.padding[0] > c.w[0] or c.padding[3] > c.w[1] for c in bank],
        "no padding": [c.padding == (0, 0, 0, 0) for c in bank],
        "groups": [c.groups > 1 for c in bank],
        "depthwise": [c.groups > 1 and c.groups == c.x[3] for c in bank],
        "16 channels": [c.w[2] % 16 == 0 or c.w[3] % 16 == 0 for c in bank],
        "float32": [c.dtype == "float32" for c in bank],
        "float64": [c.dtype == "float64" for c in bank],
        "x strided": [c.layouts[0] != "contiguous" for c in bank],
        "dy strided": [c.layouts[2] != "contiguous" for c in bank],
    }
    assert {what: sum(hits) for what, hits in shares.items() if sum(hits) < 30} == {}


def test_the_tolerance_would_notice():
    """One tap less, a window one pixel off, or one lost bit of precision is outside it."""
    for number in range(0, 200, 7):
        c = configuration(number)
        if c.w[0] * c.w[1] == 1 or min(c.x[1:3]) < 3:
            continue
        (arrays, params, right, length), *_ = problem(number)
        allowed = SLACK * np.finfo(c.dtype).eps * np.sqrt(length) * max(1.0, np.abs(right).max())
        lost = arrays[1].copy()
        lost[0, 0, 0] = 0
        rows = np.roll(arrays[0], 1, axis=1)
        for x, w in ((arrays[0], lost), (rows, arrays[1])):
            wrong = registry.find("conv2d", "naive").function(x, w, **params)
            if np.abs(wrong - right).max() > 0:  # the tap may lie on padding alone
                assert np.abs(wrong - right).max() > 100 * allowed
