"""From an op, a layer and a batch to arrays: what a kernel is timed on, and what the oracle is asked about it.

The oracle answers for the very arrays that are timed where it can within seconds. Beyond that (`ORACLE_WORK`) the trust
goes in two steps: the kernel against the oracle on fewer images (and, for pooling, fewer channels), then the whole of
the timed results against the kernel `numpy` in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinyres.bench.layers import FAMILIES, Layer
from tinyres.conformance import check_call, compare, oracle
from tinyres.kernels import registry
from tinyres.kernels.contracts import CONTRACTS, Case
from tinyres.kernels.contracts.batch_norm import EPS, off_the_kink
from tinyres.kernels.launch import launch, moved
from tinyres.kernels.shapes import RULES

Array = Any
SEED = 2015
ORACLE_WORK = 4e9  # operations; the oracle does one to four billion a second
BY_VALUE = {"max_pool2d": 2000, "max_pool2d_gradient": 250}  # ops that it goes through value by value, that much slower


@dataclass(frozen=True)
class Problem:
    """One op at one layer: its arrays, and how to tell whether a kernel gets them right."""

    op: str
    layer: Layer
    nets: tuple[str, ...]
    batch: int
    dtype: str
    sampled: bool = False  # fewer images of another one: the oracle answers, whatever it costs

    @cached_property
    def case(self) -> Case:
        """Arrays and parameters, as `launch` takes them; the same ones each time."""
        return make_case(self.op, self.layer, self.batch, self.dtype)

    @property
    def name(self) -> str:
        """Layer and batch in words."""
        return f"{self.layer.name}, batch {self.batch}"

    @property
    def operations(self) -> int:
        """Arithmetic operations of the op's contract; a multiplication and an addition are two."""
        return CONTRACTS[self.op].operations(self.case)

    @property
    def bytes(self) -> int:
        """Compulsory traffic: every input read once, every result written once."""
        return CONTRACTS[self.op].bytes(self.case, self.dtype)

    def allowed(self, precision: str = "full") -> float:
        """Largest error of a result, relative to its scale, for a kernel that declares this precision."""
        return CONTRACTS[self.op].tolerance(self.case, self.dtype, precision)

    @cached_property
    def wanted(self) -> tuple[Array, ...]:
        """The right results for `case`, in float64."""
        if self._affordable(self.layer, self.batch):
            return oracle(self.op, self.case.arrays, self.case.params)
        exact = tuple(a.astype(np.float64) if a.dtype.kind == "f" else a for a in self.case.arrays)
        with registry.use(**{self.op: "numpy" if "numpy" in registry.names(self.op) else "naive"}):
            results = launch(self.op, *exact, **self.case.params)
        return results if isinstance(results, tuple) else (results,)

    @cached_property
    def sample(self) -> Problem | None:
        """The same with fewer images, where the oracle cannot answer for all of them."""
        if self._affordable(self.layer, self.batch):
            return None
        layer = self.layer
        if self.op in BY_VALUE:
            layer = replace(layer, channels=min(4, layer.channels))
        batch = max(n for n in (2, 3, 5, 8, 16, 32) if n == 2 or (n < self.batch and self._affordable(layer, n)))
        return replace(self, layer=layer, batch=min(batch, self.batch), sampled=True)

    def _affordable(self, layer: Layer, batch: int) -> bool:
        if self.sampled:
            return True
        one = make_case(self.op, layer, 1, self.dtype)
        return CONTRACTS[self.op].operations(one) * batch * BY_VALUE.get(self.op, 1) <= ORACLE_WORK

    def check(self, kernel: str) -> float:
        """Hold a kernel against the oracle; the largest relative error, or NonconformingError with the place."""
        if self.sample is not None:
            self.sample.check(kernel)
        said, found = f"{self.name}, {self.dtype}", registry.find(self.op, kernel)
        arrays, allowed = self.placed(found.device), self.allowed(found.precision)
        return check_call(self.op, kernel, arrays, self.case.params, self.wanted, allowed, said)

    def placed(self, device: str) -> tuple[Array, ...]:
        """The arrays of `case` on a device."""
        return tuple(moved(array, device) for array in self.case.arrays)

    def compare(self, name: str, got: Any, precision: str = "full") -> float:
        """Hold somebody's results against the right ones, as `check` does."""
        results = zip(got if isinstance(got, tuple) else (got,), self.wanted, strict=True)
        said = f"{name} of {self.op}, {self.name}: result"
        return max(compare(a, b, self.allowed(precision), f"{said} {number}") for number, (a, b) in enumerate(results))

    @property
    def checked(self) -> str:
        """What `check` compares, in words."""
        if self.sample is None:
            return "all values with the oracle"
        return f"{self.sample.name} with the oracle, all values with numpy in float64"


Maker = Callable[[str, Layer, int, np.random.Generator, Any], Case]
_MAKERS: dict[str, Maker] = {}


def make_case(op: str, layer: Layer, batch: int, dtype: str) -> Case:
    """Arrays and parameters of an op at a layer: normal values, the same for the same arguments."""
    made = _MAKERS[layer.kind](op, layer, batch, np.random.default_rng(SEED), np.dtype(dtype))
    return replace(made, name=layer.name)


def _maker(*kinds: str) -> Callable[[Maker], Maker]:
    def register(function: Maker) -> Maker:
        _MAKERS.update(dict.fromkeys(kinds, function))
        return function

    return register


def _normal(rng: np.random.Generator, dtype: Any, *shape: int) -> Array:
    return rng.standard_normal(shape, dtype=dtype)


@_maker("conv")
def _conv(op: str, layer: Layer, n: int, rng: np.random.Generator, dtype: Any) -> Case:
    x_shape = (n, layer.size, layer.size, layer.channels)
    w_shape = (layer.window, layer.window, layer.channels, layer.filters)
    geometry = {"stride": layer.stride, "padding": (layer.padding,) * 4, "groups": 1}
    x, w = _normal(rng, dtype, *x_shape), _normal(rng, dtype, *w_shape)
    y_shape = RULES["conv2d"](x, w, **geometry)[0][0]
    taps = layer.window**2
    if op in ("conv2d", "conv2d_stats"):
        return Case(
            "", (x, w), geometry, taps * layer.channels + (n * y_shape[1] * y_shape[2] if op != "conv2d" else 0)
        )
    dy = _normal(rng, dtype, *y_shape)
    if op == "conv2d_input":
        return Case("", (dy, w), geometry | {"shape": x_shape}, taps * layer.filters)
    return Case("", (x, dy), geometry | {"shape": w_shape}, n * y_shape[1] * y_shape[2])


@_maker("map")
def _map(op: str, layer: Layer, n: int, rng: np.random.Generator, dtype: Any) -> Case:
    shape, axes = (n, layer.size, layer.size, layer.channels), (0, 1, 2)
    x, other = _normal(rng, dtype, *shape), _normal(rng, dtype, *shape)
    if op in ("add", "add_relu"):
        return Case("", (x, other))
    if op == "relu":
        return Case("", (x,))
    if op == "relu_gradient":
        return Case("", (x, np.maximum(other, 0)))
    gamma, beta = rng.uniform(0.5, 2, layer.channels).astype(dtype), _normal(rng, dtype, layer.channels)
    mean, variance = (s.astype(dtype) for s in (x.mean(axes, np.float64), x.var(axes, np.float64)))
    dy = _normal(rng, dtype, *shape)
    arrays = {
        "batch_norm": (x, gamma, beta),
        "bn_relu": (x, gamma, beta),
        "bn_add_relu": (x, gamma, beta, other),
        "batch_norm_eval": (x, gamma, beta, mean, variance),
        "bn_relu_eval": (x, gamma, beta, mean, variance),
        "bn_add_relu_eval": (x, gamma, beta, mean, variance, other),
        "batch_norm_gradient": (dy, x, gamma, mean, variance),
        "bn_relu_gradient": (dy, off_the_kink(x, gamma, beta, mean, variance), gamma, beta, mean, variance),
        "bn_add_relu_gradient": (dy, np.maximum(other, 0), x, gamma, mean, variance),
    }[op]
    return Case("", arrays, {"eps": EPS}, n * layer.size**2)


@_maker("shortcut")
def _shortcut(op: str, layer: Layer, n: int, rng: np.random.Generator, dtype: Any) -> Case:
    shape, half = (n, layer.size, layer.size, layer.channels), -(-layer.size // layer.stride)
    if op == "pad_shortcut":
        return Case("", (_normal(rng, dtype, *shape),), {"channels": layer.filters, "stride": layer.stride})
    dy = _normal(rng, dtype, n, half, half, layer.filters)
    return Case("", (dy,), {"shape": shape, "stride": layer.stride})


@_maker("max_pool")
def _max_pool(op: str, layer: Layer, n: int, rng: np.random.Generator, dtype: Any) -> Case:
    shape = (n, layer.size, layer.size, layer.channels)
    x, window = _normal(rng, dtype, *shape), {"kernel": layer.window, "stride": layer.stride, "padding": layer.padding}
    if op == "max_pool2d":
        return Case("", (x,), window)
    with registry.use(max_pool2d="numpy"):
        y, place = launch("max_pool2d", x, **window)
    return Case("", (_normal(rng, dtype, *y.shape), place), {"shape": shape}, layer.window**2)


@_maker("avg_pool")
def _avg_pool(op: str, layer: Layer, n: int, rng: np.random.Generator, dtype: Any) -> Case:
    shape = (n, layer.size, layer.size, layer.channels)
    if op == "global_avg_pool":
        return Case("", (_normal(rng, dtype, *shape),), terms=layer.size**2)
    return Case("", (_normal(rng, dtype, n, layer.channels),), {"shape": shape})


@_maker("linear", "loss")
def _head(op: str, layer: Layer, n: int, rng: np.random.Generator, dtype: Any) -> Case:
    c, k = layer.channels, layer.filters
    x = _normal(rng, dtype, n, c)
    if op == "linear":
        return Case("", (x, _normal(rng, dtype, c, k), _normal(rng, dtype, k)), terms=c)
    first = (np.asarray(1, dtype),) if op == "softmax_cross_entropy_gradient" else ()
    return Case("", (*first, x, rng.integers(c, size=n)), terms=n * c)


@_maker("update")
def _update(op: str, layer: Layer, n: int, rng: np.random.Generator, dtype: Any) -> Case:
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": False}
    return Case("", tuple(_normal(rng, dtype, layer.channels) for _ in "wvg"), settings)


@_maker("input")
def _input(op: str, layer: Layer, n: int, rng: np.random.Generator, dtype: Any) -> Case:
    shape, padding = (layer.size, layer.size, layer.channels), 4
    images = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    top, left = (rng.integers(0, 2 * padding + 1, n) for _ in range(2))
    arrays = images, rng.permutation(n), rng.random(shape, dtype), top, left, rng.integers(0, 2, n).astype(bool)
    return Case("", arrays, {"scale": 1 / 255, "padding": padding})


def usual_batch(nets: tuple[str, ...]) -> int:
    """Images in a batch, unless told otherwise."""
    return 128 if any(name in FAMILIES["cifar"] for name in nets) else 4
