"""Which ReLUs are on, and whether together: co-activation, dead units, constant units.

A unit is a place in the output of a ReLU (one feature; one channel at one pixel). Over a batch of N examples it is on
for k of them. Then, averaged over the units of a layer,

    active          k / N
    co-activation   k (k - 1) / (N (N - 1))      share of the pairs of different examples that both switch it on
    dead            k = 0
    constant        k = 0 or k = N               the unit is linear on this batch: it tells no examples apart

With batch norm before the ReLU, and examples that look independent to the unit, active = 1/2 and co-activation = 1/4,
layer after layer: then a gradient is switched on and off at random from example to example, and shatters. Without it
most units become constant with depth. A dead channel is off at every pixel. Source: Balduzzi, Frean, Leary, Lewis, Ma,
McWilliams 2017, "The shattered gradients problem", section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.errors import GradientError, ShapeError
from tinyres.flow.measures.state import statistics_of
from tinyres.flow.measures.trace import trace
from tinyres.nn.module import Module

RELUS = ("relu", "add_relu", "bn_relu", "bn_add_relu")


@dataclass(frozen=True, eq=False)
class Coactivation:
    """One row a ReLU, from the input on; shares of 1.

    Attributes
    ----------
    names : tuple of str
        The last weighted layer before the ReLU.
    depth : ndarray of int, shape [rows]
    active, together, dead, constant : ndarray, shape [rows]
        Means over the units of the layer; `together` is the co-activation.
    dead_channels : ndarray, shape [rows]
        Share of the channels that are off for every example at every pixel.
    examples : int
    """

    names: tuple[str, ...]
    depth: np.ndarray
    active: np.ndarray
    together: np.ndarray
    dead: np.ndarray
    constant: np.ndarray
    dead_channels: np.ndarray
    examples: int

    def table(self) -> dict[str, Sequence[Any]]:
        """Columns for a CSV: one row a ReLU."""
        return {
            "layer": list(self.names),
            "depth": self.depth.tolist(),
            "active": self.active.tolist(),
            "co-activation": self.together.tolist(),
            "dead": self.dead.tolist(),
            "constant": self.constant.tolist(),
            "dead channels": self.dead_channels.tolist(),
        }


def coactivation(model: Module, x: Any, *, statistics: str = "training") -> Coactivation:
    """Count which ReLUs of a net are on for which examples of a batch.

    Parameters
    ----------
    model : Module
        Any net; it is left as it was.
    x : ndarray, shape [N, ...]
        Two examples or more.
    statistics : {"training", "batch", "running"}
        What batch norm does: see `state`.

    Returns
    -------
    Coactivation

    Raises
    ------
    ShapeError
        A single example, which makes no pair.
    GradientError
        A net without ReLUs, or one that recomputes its blocks, which hides theirs; or values before a ReLU that are
        not finite.
    """
    if len(x) < 2:
        raise ShapeError(f"co-activation is about pairs of examples, and there is {len(x)}; give two or more.")
    with statistics_of(model, statistics, x):
        made = trace(model, x, None).whole("co-activation")
    orders = [order for order, step in made.steps.items() if step.node.name in RELUS]
    if not orders:
        raise GradientError(f"co-activation: {type(model).__name__} has no ReLU.")
    for order in orders:  # a ReLU may pass NaN on as 0, as if it were shut
        if not all(np.isfinite(tensor.numpy()).all() for tensor in made.steps[order].inputs):
            where = f"the ReLU after {made.layer_of(order)}"
            raise GradientError(f"co-activation: what enters {where} is not finite; nothing tells on from off there.")
    rows = np.array([_shares(made.result(order).numpy() > 0) for order in orders])
    names = tuple(made.layer_of(order) for order in orders)
    depth = np.array([made.depth_of(order) for order in orders])
    active, together, dead, constant, channels = rows.T
    return Coactivation(names, depth, active, together, dead, constant, channels, len(x))


def _shares(on: np.ndarray) -> tuple[float, float, float, float, float]:
    """Active, together, dead, constant, dead channels of [N, ..., C]."""
    n = len(on)
    count = on.sum(0, dtype=np.float64)
    together = count * (count - 1) / (n * (n - 1))
    dead, full = count == 0, count == n
    channels = dead.reshape(-1, on.shape[-1]).all(0)
    return count.mean() / n, together.mean(), dead.mean(), (dead | full).mean(), channels.mean()
