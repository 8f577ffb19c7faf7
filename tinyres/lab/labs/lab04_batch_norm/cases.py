"""The cases of the lab: every axis of another length, batch 1, one pixel, gaps in memory, a mean far from zero.

`eps` is large in most of them, so that where it stands is seen in float32 too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tinyres.lab.labs.lab04_batch_norm import reference
from tinyres.lab.task import Array, Case

Generator = np.random.Generator
Cases = Callable[[Generator], Iterator[Case]]


class Setting(NamedTuple):
    """What one case is like."""

    shape: tuple[int, ...]
    eps: float
    layout: str = "contiguous"
    dtype: str = "float32"
    far: float = 0.0  # how far the mean is from zero
    groups: int = 1

    def case(self, arrays: dict[str, Array], **params: float) -> Case:
        """A case of that setting, named `N2-3x5-C4` and what is special about it."""
        pixels = ["x".join(map(str, self.shape[1:-1]))] if len(self.shape) > 2 else []
        groups = [f"G{self.groups}"] if self.groups > 1 else []
        special = [s for s in (self.layout, self.dtype) if s not in ("contiguous", "float32")] + ["far"] * bool(
            self.far
        )
        name = "-".join([f"N{self.shape[0]}", *pixels, f"C{self.shape[-1]}", *groups, *special])
        return Case(name, arrays, params, self.dtype, self.layout).rounded()


PUBLIC = (
    Setting((4, 3), 0.3),
    Setting((2, 3, 5, 4), 1e-5),
    Setting((3, 4, 2, 5), 0.5),
    Setting((1, 5, 3, 2), 0.2),
    Setting((6, 1, 1, 4), 0.25),
    Setting((3, 2, 5, 4), 0.1, "strided"),
    Setting((2, 4, 7, 3), 1e-2, dtype="float64"),
)
HIDDEN = (
    Setting((7, 2), 0.15),
    Setting((2, 5, 1, 6), 0.4),
    Setting((1, 3, 8, 5), 1e-5, "strided"),
    Setting((5, 2, 3, 4), 1e-3, "strided", "float64"),
    Setting((4, 6, 5, 3), 0.6),
)
FAR = Setting((4, 5, 3, 7), 0.01, far=30.0)  # of which mean(x^2) - mean(x)^2 in float32 knows little
GROUPED = (
    Setting((2, 3, 5, 4), 0.3, groups=2),
    Setting((3, 4, 2, 6), 1e-5, "strided", groups=3),
    Setting((1, 5, 3, 6), 0.1, dtype="float64", groups=2),
    Setting((4, 1, 1, 8), 0.5, groups=4),
)
GROUPED_HIDDEN = (
    Setting((2, 5, 3, 9), 0.2, groups=3),
    Setting((5, 2, 4, 6), 0.4, "strided", groups=2),
    Setting((1, 2, 3, 8), 1e-3, dtype="float64", groups=4),
)


def drawn(rng: Generator, setting: Setting) -> dict[str, Array]:
    """Everything that batch norm has to do with: x and its statistics, parameters, an incoming gradient."""
    channels = setting.shape[-1]
    mean, deviation = setting.far + rng.uniform(-2, 2, channels), rng.uniform(0.5, 2, channels)
    x = mean + deviation * rng.standard_normal(setting.shape)
    gamma, beta = (rng.choice([-1.0, 1.0], channels) * rng.uniform(0.5, 2, channels) for _ in range(2))
    return {
        "x": x,
        "dy": rng.standard_normal(setting.shape) + rng.uniform(-1, 1, channels),
        "gamma": gamma,
        "beta": beta,
        "mean": x.mean(reference.over(x)),
        "variance": x.var(reference.over(x)),
    }


def _pick(arrays: dict[str, Array], names: str) -> dict[str, Array]:
    return {name: arrays[name] for name in names.split()}


def statistics(settings: Sequence[Setting]) -> Cases:
    """Of x alone."""
    return lambda rng: (setting.case(_pick(drawn(rng, setting), "x")) for setting in settings)


def training(settings: Sequence[Setting]) -> Cases:
    """Of x and the parameters; for group norm the number of groups as well."""

    def cases(rng: Generator) -> Iterator[Case]:
        for setting in settings:
            groups = {"groups": setting.groups} if setting.groups > 1 else {}
            yield setting.case(_pick(drawn(rng, setting), "x gamma beta"), **groups, eps=setting.eps)

    return cases


def evaluation(settings: Sequence[Setting]) -> Cases:
    """Statistics are given, and not those of x."""

    def cases(rng: Generator) -> Iterator[Case]:
        for setting in settings:
            arrays, channels = drawn(rng, setting), setting.shape[-1]
            arrays["mean"] = arrays["mean"] + rng.uniform(0.3, 1, channels)
            arrays["variance"] = arrays["variance"] * rng.uniform(1.5, 3, channels)
            yield setting.case(_pick(arrays, "x gamma beta mean variance"), eps=setting.eps)

    return cases


def gradients(settings: Sequence[Setting], names: str) -> Cases:
    """Incoming gradient, x and its statistics, and what else is named; dgamma and dbeta are those of the rest."""

    def cases(rng: Generator) -> Iterator[Case]:
        for setting in settings:
            case = setting.case(drawn(rng, setting), eps=setting.eps)
            known = {**case.arrays, **reference.parameter_gradients(case)}
            yield setting.case(_pick(known, names), eps=setting.eps)

    return cases


def channels_first(settings: Sequence[Setting]) -> Cases:
    """Those of the gradients that have pixels, the channels moved to the second axis."""
    last = gradients([setting for setting in settings if len(setting.shape) == 4], "dy x gamma mean variance")

    def cases(rng: Generator) -> Iterator[Case]:
        for case in last(rng):
            yield case.channels_first(("dy", "x"))

    return cases


def running(sizes: Sequence[tuple[int, int, float, str, str]]) -> Cases:
    """Averages of C channels and the statistics of a batch with M values in each."""

    def cases(rng: Generator) -> Iterator[Case]:
        for channels, count, momentum, layout, dtype in sizes:
            arrays = {
                "running_mean": rng.standard_normal(channels),
                "running_var": rng.uniform(0.5, 2, channels),
                "mean": 2 + rng.standard_normal(channels),
                "variance": rng.uniform(2.5, 5, channels),
            }
            special = [s for s in (layout, dtype) if s not in ("contiguous", "float32")]
            name = "-".join([f"C{channels}", f"M{count}", f"momentum{momentum:g}", *special])
            params = {"momentum": momentum, "scale": count / (count - 1)}
            yield Case(name, arrays, params, dtype, layout).rounded()

    return cases


RUNNING = (
    (2, 3, 0.1, "contiguous", "float32"),
    (5, 4, 0.3, "contiguous", "float32"),
    (4, 7, 0.01, "contiguous", "float64"),
    (3, 5, 0.2, "strided", "float32"),
    (7, 8, 0.6, "contiguous", "float32"),
)
RUNNING_HIDDEN = (
    (6, 6, 0.15, "strided", "float32"),
    (1, 3, 0.25, "contiguous", "float32"),
    (8, 9, 0.4, "strided", "float64"),
    (3, 12, 0.05, "contiguous", "float32"),
)
