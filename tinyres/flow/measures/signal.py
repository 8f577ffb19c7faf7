"""Signal propagation: how large the activations are along the stream of a net, block by block.

    mean square              mean over everything of h^2
    variance                 mean over everything of (h - mean h)^2
    channel squared mean     mean over channels c of (mean of h over examples and pixels of c)^2
    channel variance         mean over channels c of the variance of h over examples and pixels of c
    branch variance          channel variance at the end of the branch, before the sum; that of the shortcut likewise

The second, of a residual net at initialisation: Var h_{l+1} = Var h_l + Var F(h_l). Without normalisation F keeps the
variance of its input, so it doubles with each block, 2^l; with batch norm in the branch Var F is 1 and it grows as
l + 1: the branch of block l is 1 / sqrt(l) of the stream. Sources: De, Smith 2020, "Batch normalization biases residual
blocks towards the identity function", section 2; the plot over depth is Brock, De, Smith 2021, "Characterizing signal
propagation to close the performance gap in unnormalized ResNets", section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.flow.measures.branches import find_blocks, find_places
from tinyres.flow.measures.state import statistics_of
from tinyres.flow.measures.trace import trace
from tinyres.kernels import registry
from tinyres.nn.module import Module
from tinyres.tensor import Tensor

NAMES = ("mean square", "variance", "channel squared mean", "channel variance")


@dataclass(frozen=True, eq=False)
class Signal:
    """One row for the input of the first block and one for each block; for each layer in a plain net.

    Attributes
    ----------
    names : tuple of str
        Of the block, or of the layer.
    depth : ndarray of int, shape [rows]
    stream : ndarray, shape [rows, 4]
        Mean square, variance, channel squared mean and channel variance of the stream there.
    branch, shortcut : ndarray, shape [rows]
        Channel variance of the two parts of the block's sum; NaN where no block ends.
    ratio : ndarray, shape [rows]
        Standard deviation of the branch over that of the shortcut, each over everything; NaN likewise.
    """

    names: tuple[str, ...]
    depth: np.ndarray
    stream: np.ndarray
    branch: np.ndarray
    shortcut: np.ndarray
    ratio: np.ndarray

    def table(self) -> dict[str, Sequence[Any]]:
        """Columns for a CSV: one row a place."""
        columns = {name: self.stream[:, i].tolist() for i, name in enumerate(NAMES)}
        return {
            "block": list(self.names),
            "depth": self.depth.tolist(),
            **columns,
            "branch variance": self.branch.tolist(),
            "shortcut variance": self.shortcut.tolist(),
            "branch / shortcut": self.ratio.tolist(),
        }


def signal_propagation(model: Module, x: Any, *, statistics: str = "training") -> Signal:
    """Measure the stream of a net on a batch.

    Parameters
    ----------
    model : Module
        Any net; it is left as it was.
    x : ndarray, shape [N, ...]
    statistics : {"training", "batch", "running"}
        What batch norm does: see `state`.

    Returns
    -------
    Signal

    Raises
    ------
    GradientError
        A net that recomputes its blocks, which hides what is inside them.
    """
    with statistics_of(model, statistics, x), registry.use(bn_relu="composed", bn_add_relu="composed"):
        made = trace(model, x, None).whole("signal propagation")
    blocks = {block.merge: block for block in find_blocks(made)}
    places = find_places(made)
    stream = np.array([_moments(made.result(order)) for order in places]).reshape(-1, len(NAMES))
    parts = np.full((len(places), 3), np.nan)
    for row, order in enumerate(places):
        if order in blocks:
            inputs = made.steps[order].inputs
            branch, shortcut = (inputs[door] for door in (blocks[order].branch, blocks[order].shortcut))
            with np.errstate(all="ignore"):
                ratio = np.divide(*np.sqrt([_moments(branch)[1], _moments(shortcut)[1]]))
            parts[row] = _moments(branch)[3], _moments(shortcut)[3], ratio
    names = tuple(blocks[order].name if order in blocks else made.layer_of(order) for order in places)
    depth = np.array([made.depth_of(order) for order in places], np.int64)
    return Signal(names, depth, stream, *parts.T)


def _moments(tensor: Tensor) -> tuple[float, float, float, float]:
    """Mean square, variance, channel squared mean, channel variance of [..., C]."""
    h = tensor.numpy().astype(np.float64).reshape(-1, tensor.shape[-1])
    with np.errstate(all="ignore"):
        return float((h * h).mean()), float(h.var()), float((h.mean(0) ** 2).mean()), float(h.var(0).mean())
