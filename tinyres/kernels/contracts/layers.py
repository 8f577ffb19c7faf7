"""Contracts of shortcut, pooling, loss, update, input and log."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinyres.kernels.contracts.table import Array, Case, Generator, contract, outputs
from tinyres.kernels.shapes import RULES


@contract("pad_shortcut")
def _pad_shortcut(rng: Generator, op: str) -> Iterator[Case]:
    for shape, channels, stride in (((2, 5, 7, 3), 8, 2), ((1, 4, 6, 3), 3, 1), ((2, 7, 4, 2), 5, 3)):
        x = rng.standard_normal(shape)
        yield Case(f"{list(shape)} -> {channels}, stride {stride}", (x,), {"channels": channels, "stride": stride})


@contract("pad_shortcut_gradient")
def _pad_shortcut_gradient(rng: Generator, op: str) -> Iterator[Case]:
    for case in _pad_shortcut(rng, op):
        shape = case.arrays[0].shape
        dy = rng.standard_normal(RULES["pad_shortcut"](*case.arrays, **case.params)[0][0])
        yield Case(case.name, (dy,), {"shape": shape, "stride": case.params["stride"]})


POOLS = (((2, 7, 5, 3), 3, 2, 1), ((1, 6, 8, 2), 2, 2, 0), ((2, 5, 4, 3), 3, 1, 1))


@contract("max_pool2d", operations=lambda case: outputs(case, "max_pool2d") * case.params["kernel"] ** 2)
def _max_pool2d(rng: Generator, op: str) -> Iterator[Case]:
    for shape, size, stride, padding in POOLS:
        x = rng.permutation(math.prod(shape)).reshape(shape) / 7.0  # no two values equal
        yield Case(f"{list(shape)}", (x,), {"kernel": size, "stride": stride, "padding": padding})


def _places(rng: Generator) -> Iterator[tuple[Array, Array, Array]]:
    """Image, cotangent, and places in the image, some of them twice."""
    for (n, h, w, c), size in (((2, 7, 5, 3), (4, 3)), ((1, 4, 6, 2), (2, 3))):
        shape = (n, *size, c)
        yield rng.standard_normal((n, h, w, c)), rng.standard_normal(shape), rng.integers(0, h * w * c, shape)


@contract("max_pool2d_gradient")
def _max_pool2d_gradient(rng: Generator, op: str) -> Iterator[Case]:
    for x, dy, place in _places(rng):
        yield Case(f"{list(x.shape)}", (dy, place), {"shape": x.shape}, 4)


@contract("max_pool2d_gather")
def _max_pool2d_gather(rng: Generator, op: str) -> Iterator[Case]:
    for x, _, place in _places(rng):
        yield Case(f"{list(x.shape)}", (x, place))


@contract("global_avg_pool", operations=lambda case: case.arrays[0].size)
def _global_avg_pool(rng: Generator, op: str) -> Iterator[Case]:
    for shape in ((2, 3, 5, 4), (1, 1, 1, 3)):
        yield Case(f"{list(shape)}", (rng.standard_normal(shape),), terms=shape[1] * shape[2])


@contract("global_avg_pool_gradient")
def _global_avg_pool_gradient(rng: Generator, op: str) -> Iterator[Case]:
    yield Case("[2,4] -> [2,3,5,4]", (rng.standard_normal((2, 4)),), {"shape": (2, 3, 5, 4)})


@contract("softmax_cross_entropy", operations=lambda case: 4 * case.arrays[0].size)
def _softmax_cross_entropy(rng: Generator, op: str) -> Iterator[Case]:
    for n, k in ((5, 7), (1, 3)):
        yield Case(f"[{n},{k}]", (5 * rng.standard_normal((n, k)), rng.integers(0, k, n)), terms=n * k)


@contract("softmax_cross_entropy_gradient", operations=lambda case: 5 * case.arrays[1].size)
def _softmax_cross_entropy_gradient(rng: Generator, op: str) -> Iterator[Case]:
    for case in _softmax_cross_entropy(rng, op):
        yield Case(case.name, (np.asarray(rng.standard_normal()), *case.arrays), terms=case.terms)


@contract("sgd", operations=lambda case: 6 * case.arrays[0].size)
def _sgd(rng: Generator, op: str) -> Iterator[Case]:
    for nesterov in (False, True):
        settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2, "nesterov": nesterov}
        yield Case(f"nesterov {nesterov}", tuple(rng.standard_normal(1001) for _ in range(3)), settings)


@contract("augment")
def _augment(rng: Generator, op: str) -> Iterator[Case]:
    for (h, w, c), n, padding in (((6, 5, 3), 4, 2), ((8, 8, 1), 3, 0)):
        images = rng.integers(0, 256, (7, h, w, c), dtype=np.uint8)
        index, flip = rng.integers(0, 7, n), rng.integers(0, 2, n).astype(bool)
        top, left = (rng.integers(0, 2 * padding + 1, n) for _ in range(2))
        arrays = images, index, rng.uniform(0, 1, (h, w, c)), top, left, flip
        yield Case(f"{n} of [{h},{w},{c}], padding {padding}", arrays, {"scale": 1 / 255, "padding": padding})


@contract("next_batch")
def _next_batch(rng: Generator, op: str) -> Iterator[Case]:
    shapes = (((7, 6, 5, 3), 4, 3, 2), ((9, 4, 4, 1), 2, 1, 0), ((7, 3, 2, 2), 4, 2, 1))
    for step, ((m, h, w, c), batch, count, padding) in enumerate(shapes, 2):
        images, labels = rng.integers(0, 256, (m, h, w, c), dtype=np.uint8), rng.integers(0, 10, m)
        order = np.stack([rng.permutation(m) for _ in range(2)])
        arrays = images, labels, order, rng.uniform(0, 1, (h, w, c)), np.array([step])
        settings = {"count": count, "batch": batch, "per_epoch": -(-m // batch), "seed": 3 << 40 | 5}
        augmented = {"padding": padding, "flip": padding != 1, "scale": 1 / 255}
        yield Case(f"{count} of [{m},{h},{w},{c}], step {step}, padding {padding}", arrays, {**settings, **augmented})


@contract("log_step", operations=lambda case: case.arrays[1].size)
def _log_step(rng: Generator, op: str) -> Iterator[Case]:
    for n, k, length, step in ((5, 7, 3, 4), (70, 10, 2, 0), (1, 3, 1, 8)):
        logits, labels = rng.integers(-2, 3, (n, k)) / 2, rng.integers(0, k, n)  # many are equal: the first one counts
        log = rng.standard_normal(length), rng.integers(0, n + 1, length)
        yield Case(
            f"[{n},{k}], step {step} of {length}", (rng.standard_normal(()), logits, labels, np.array([step]), *log)
        )
