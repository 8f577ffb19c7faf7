"""The norm of the gradient at every depth, and how it depends on where training starts.

    |d loss / d h_l|,  h_l the stream of the net at depth l: inputs and sums of blocks, outputs of layers in a plain net
    growth = factor by which |.|^2 changes from one weighted layer to the one below it, by least squares on log |.|^2:
             1 where gradients keep their size, above 1 where they explode towards the input, below where they vanish

`initial_gradients` measures it over initial scale, batch norm on or off, shortcuts on or off. At He's scale a plain net
without batch norm keeps the norm (He et al. 2015, "Delving deep into rectifiers", section 2.2); with batch norm |.|^2
grows by pi / (pi - 1) = 1.467 a layer (Yang et al. 2019, "A mean field theory of batch normalization"), whatever the
scale, which batch norm takes out again. The loss is the mean over the batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres import ops
from tinyres.autograd import run_backward
from tinyres.errors import ConfigError
from tinyres.flow.measures.branches import find_blocks, find_places
from tinyres.flow.measures.state import statistics_of
from tinyres.flow.measures.trace import trace
from tinyres.nn.layers import BatchNorm2d
from tinyres.nn.module import Module, as_input
from tinyres.tensor import Tensor


@dataclass(frozen=True, eq=False)
class GradientByDepth:
    """One row a place on the stream, from the input on.

    Attributes
    ----------
    names : tuple of str
        Of the block that ends there, or of the layer.
    depth : ndarray of int, shape [rows]
    norm, rms : ndarray, shape [rows]
        2-norm over all values of the batch, and root of the mean square. What is not finite is left as it is; where the
        loss is not, there is no gradient, and all are NaN (its ReLUs would pass on zeros, as if gradients vanished).
    """

    names: tuple[str, ...]
    depth: np.ndarray
    norm: np.ndarray
    rms: np.ndarray

    @property
    def growth(self) -> float:
        """Factor of |gradient|^2 a layer towards the input; NaN with fewer than two finite values above 0."""
        good = np.isfinite(self.norm) & (self.norm > 0)
        if np.unique(self.depth[good]).size < 2:
            return float("nan")
        return float(np.exp(-np.polyfit(self.depth[good], 2 * np.log(self.norm[good]), 1)[0]))

    def table(self) -> dict[str, Sequence[Any]]:
        """Columns for a CSV: one row a place."""
        return {
            "layer": list(self.names),
            "depth": self.depth.tolist(),
            "norm": self.norm.tolist(),
            "rms": self.rms.tolist(),
        }


@dataclass(frozen=True, eq=False)
class InitialGradients:
    """Gradients by depth at initialisation, one for each setting and seed.

    Attributes
    ----------
    scale, batch_norm, shortcut, seed : tuple
        Of each run: factor of the weights, two yes or no, int.
    runs : tuple of GradientByDepth
    """

    scale: tuple[float, ...]
    batch_norm: tuple[bool, ...]
    shortcut: tuple[bool, ...]
    seed: tuple[int, ...]
    runs: tuple[GradientByDepth, ...]

    @property
    def growth(self) -> np.ndarray:
        """Of each run, shape [runs]."""
        return np.array([run.growth for run in self.runs])

    def table(self) -> dict[str, Sequence[Any]]:
        """Columns for a CSV: one row a run and place."""
        settings = list(zip(self.scale, self.batch_norm, self.shortcut, self.seed, self.runs, strict=True))
        columns = [
            (scale, int(norm), int(shortcut), seed, *place)
            for scale, norm, shortcut, seed, run in settings
            for place in zip(*run.table().values(), strict=True)
        ]
        names = ("scale", "batch norm", "shortcut", "seed", "layer", "depth", "norm", "rms")
        return dict(zip(names, map(list, zip(*columns, strict=True)), strict=True))


def gradient_by_depth(model: Module, x: Any, labels: Any, *, statistics: str = "training") -> GradientByDepth:
    """Measure the norm of the gradient along the stream of a net.

    Parameters
    ----------
    model : Module
        Any net; it is left as it was.
    x : ndarray, shape [N, ...]
    labels : ndarray
        Classes [N], or a cotangent of the output: see `trace.trace`.
    statistics : {"training", "batch", "running"}
        What batch norm does: see `state`.

    Returns
    -------
    GradientByDepth

    Raises
    ------
    GradientError
        A net that recomputes its blocks, which hides what is inside them.
    """
    with statistics_of(model, statistics, x):
        made = trace(model, x, labels).whole("gradients by depth")
        places = find_places(made)
        with np.errstate(all="ignore"):
            cotangent = made.target.cotangent(None)
            found = run_backward([made.target], [cotangent], sources=[made.result(order) for order in places])
    blocks = {block.merge: block.name for block in find_blocks(made)}
    values = [np.zeros(1) if g is None else g.numpy().astype(np.float64) for g in found]
    with np.errstate(all="ignore"):
        norm = np.array([np.sqrt((g * g).sum()) for g in values])
    if not np.isfinite(made.target.item()):
        norm[:] = np.nan
    sizes = np.array([g.size for g in values])
    names = tuple(blocks.get(order) or made.layer_of(order) for order in places)
    return GradientByDepth(names, np.array([made.depth_of(order) for order in places]), norm, norm / np.sqrt(sizes))


def initial_gradients(
    build: Callable[[bool, int], Module],
    x: Any,
    labels: Any,
    *,
    scales: Sequence[float] = (0.5, 0.75, 1.0, 1.25, 1.5),
    batch_norm: Sequence[bool] = (True, False),
    shortcut: Sequence[bool] = (True, False),
    seeds: Sequence[int] = (0,),
) -> InitialGradients:
    """Measure `gradient_by_depth` of fresh nets over scale, batch norm, shortcuts and seeds.

    Parameters
    ----------
    build : function (shortcut, seed) -> Module
        A fresh net with He's weights and with batch norm; scale and batch norm are changed here.
    x, labels
        As of `gradient_by_depth`.
    scales : sequence of float
        Factors of all matrices and filters but those of the last layer.
    batch_norm, shortcut : sequence of bool
    seeds : sequence of int

    Returns
    -------
    InitialGradients

    Raises
    ------
    ConfigError
        A setting without values, or a scale that is not positive and finite.
    """
    settings = list(itertools.product(scales, batch_norm, shortcut, seeds))
    if not settings or not all(0 < scale < np.inf for scale in scales):
        raise ConfigError(f"scales {list(scales)}: positive factors are wanted, and a value at least for each setting.")
    runs = []
    for scale, normalised, residual, seed in settings:
        model = build(residual, seed)
        if not normalised:
            without_batch_norm(model)
        scale_weights(model, scale)
        runs.append(gradient_by_depth(model, x, labels))
    factors, norms, residuals, numbers = (tuple(column) for column in zip(*settings, strict=True))
    return InitialGradients(factors, norms, residuals, numbers, tuple(runs))


class NoNorm(Module):
    """Stands where a batch norm was: x, and then what that one did beside normalising."""

    def forward(self, x: Any, *, relu: bool = False, shortcut: Any = None) -> Tensor:
        """relu(x + shortcut), of these what is wanted."""
        y = as_input(x) if shortcut is None else ops.add(x, shortcut)
        return ops.relu(y) if relu else y


def without_batch_norm(model: Module) -> Module:
    """Replace every batch norm inside a net by nothing, in place; the net loses its parameters and statistics."""
    for _, module in list(model.named_modules()):
        for name, child in list(module.children()):
            if isinstance(child, BatchNorm2d):
                setattr(module, name, NoNorm())
    return model.flatten()


def scale_weights(model: Module, factor: float) -> Module:
    """Multiply all matrices and filters but the last, the classifier's, in place."""
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    for parameter in weights[:-1]:
        parameter.data[...] *= factor
    return model
