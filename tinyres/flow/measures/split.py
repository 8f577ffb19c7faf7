"""The gradient that arrives at the input of a block, split into what came along the shortcut and what along the branch.

    g = A^T g_out + B^T g_out,      h_out = A h + F(h),   B = dF/dh

("large number plus small number".) For each block |A^T g_out|, |B^T g_out|, |g| and the cosine between the two parts;
and |shortcut + branch - g| / |g|, where g is what an ordinary backward pass leaves there. A tensor that is also used
outside the block, by a longer shortcut for instance, gets a third part from elsewhere, which counts in that sum. With
A = I the shortcut's part is the gradient of the block's sum. Source of the formula: He et al. 2016, "Identity mappings
in deep residual networks", equation 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.flow.measures.branches import some_blocks
from tinyres.flow.measures.state import statistics_of
from tinyres.flow.measures.trace import trace
from tinyres.flow.measures.walk import gradients_of
from tinyres.function import Edge, Function, order_of
from tinyres.nn.module import Module
from tinyres.tensor import Tensor

SIDES = ("shortcut", "branch", "elsewhere")


@dataclass(frozen=True, eq=False)
class Split:
    """One row a block, from the input on.

    Attributes
    ----------
    names : tuple of str
    depth : ndarray of int, shape [rows]
    shortcut, branch, elsewhere, total : ndarray, shape [rows]
        2-norms of the parts and of the whole gradient at the block's input, over all examples of the batch.
    cosine : ndarray, shape [rows]
        Between the two parts; NaN where one of them is zero.
    error : ndarray, shape [rows]
        |shortcut + branch + elsewhere - whole| / |whole|.
    """

    names: tuple[str, ...]
    depth: np.ndarray
    shortcut: np.ndarray
    branch: np.ndarray
    elsewhere: np.ndarray
    total: np.ndarray
    cosine: np.ndarray
    error: np.ndarray

    def table(self) -> dict[str, Sequence[Any]]:
        """Columns for a CSV: one row a block."""
        return {
            "block": list(self.names),
            "depth": self.depth.tolist(),
            "shortcut norm": self.shortcut.tolist(),
            "branch norm": self.branch.tolist(),
            "elsewhere norm": self.elsewhere.tolist(),
            "gradient norm": self.total.tolist(),
            "cosine": self.cosine.tolist(),
            "error": self.error.tolist(),
        }


def gradient_split(model: Module, x: Any, labels: Any, *, statistics: str = "training") -> Split:
    """Split the gradient at the input of every block of a net.

    Parameters
    ----------
    model : Module
        Any net with residual blocks; it is left as it was.
    x : ndarray, shape [N, ...]
    labels : ndarray
        Classes [N], or a cotangent of the output: see `trace.trace`.
    statistics : {"training", "batch", "running"}
        What batch norm does: see `state`.

    Returns
    -------
    Split

    Raises
    ------
    GradientError
        A plain net; or a gradient that is not finite, with its place.
    """
    with statistics_of(model, statistics, x):
        made = trace(model, x, labels)
        blocks = some_blocks(made, "the split of a gradient")
        parts = [dict.fromkeys(SIDES, np.zeros(())) for _ in blocks]

        def hear(source: Function, edge: Edge, gradient: Tensor) -> None:
            for block, part in zip(blocks, parts, strict=True):
                if order_of(edge) == block.start:
                    side = block.side_of(source.order)
                    part[side] = part[side] + _values(gradient)

        totals = gradients_of(made, [made.result(block.start) for block in blocks], hear)
    rows = np.array([_row(part, _values(total)) for part, total in zip(parts, totals, strict=True)])
    names, depth = tuple(block.name for block in blocks), np.array([block.depth for block in blocks], np.int64)
    return Split(names, depth, *rows.T)


def _values(tensor: Tensor) -> np.ndarray:
    values: np.ndarray = tensor.numpy().astype(np.float64)
    return values


def _row(part: dict[str, np.ndarray], total: np.ndarray) -> tuple[float, ...]:
    """Norms of the parts and of the whole, cosine, error."""
    norms = [float(np.linalg.norm(part[side])) for side in SIDES]
    whole, both = float(np.linalg.norm(total)), norms[0] * norms[1]
    cosine = float((part["shortcut"] * part["branch"]).sum()) / both if both else np.nan
    gap = float(np.linalg.norm(sum(part.values()) - total))
    return *norms, whole, cosine, gap / whole if whole else gap
