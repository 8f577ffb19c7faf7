"""The gradient by the length of the paths that it came on, exactly.

A net of n residual blocks is the sum of 2^n paths: at each block the gradient comes back along the shortcut and along
the branch. With the derivatives A_i of the shortcuts (the identity, as a rule) and B_i of the branches

    g = prod_i (A_i + B_i)^T g_out = sum_k g_k,   g_k = sum over the C(n, k) ways to take B at k blocks and A elsewhere

The 2^n paths are never listed: g_k is the coefficient of z^k in prod_i (A_i + z B_i)^T g_out, and this polynomial is
carried back block by block (`walk`), as many vectors as there are lengths. (A ReLU after the sum is a linear map here,
that of the signs it had, and belongs to both.)

Two readings of "how much comes from length k", which differ when parts cancel:

    norm           |g_k|                        the norms add up to more than |g|, perhaps much more
    contribution   <g_k, g> / <g, g>            adds up to 1, can be negative

Source: Veit, Wilber, Belongie 2016, "Residual networks behave like ensembles of relatively shallow networks", section
5; they sample paths at random, one length at a time. Length is counted in blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.errors import ConfigError, GradientError
from tinyres.flow.measures.branches import some_blocks
from tinyres.flow.measures.state import statistics_of
from tinyres.flow.measures.trace import trace
from tinyres.flow.measures.walk import gradients_of, number_of_paths, parts_by_choice
from tinyres.nn.module import Module


@dataclass(frozen=True, eq=False)
class PathLengths:
    """A gradient in its parts by length of path, k = 0 ... n.

    Attributes
    ----------
    paths : tuple of int, length n + 1
        How many paths have k branches; exact, whatever its size.
    norm : ndarray, shape [n + 1]
        |g_k|, 2-norm over all examples of the batch.
    contribution : ndarray, shape [n + 1]
        <g_k, g> / <g, g>; sums to 1.
    gradient_norm : float
        |g|
    error : float
        |sum_k g_k - g| / |g|, with g from an ordinary backward pass.
    blocks : int
        n, the blocks between the loss and the place of the gradient.
    at : str
        The block at whose input the gradient is taken.
    """

    paths: tuple[int, ...]
    norm: np.ndarray
    contribution: np.ndarray
    gradient_norm: float
    error: float
    blocks: int
    at: str

    @property
    def per_path(self) -> np.ndarray:
        """|g_k| / number of paths, shape [n + 1]: how fast the gradient of one path falls with its length."""
        return np.array([norm / paths if paths else 0.0 for norm, paths in zip(self.norm, self.paths, strict=True)])

    @property
    def cancellation(self) -> float:
        """sum_k |g_k| / |g|, 1 or more: how much of the norms is not in the sum."""
        return float(self.norm.sum() / self.gradient_norm)

    def span(self, share: float = 0.9) -> tuple[int, int]:
        """Shortest and longest path between which this share of the summed norms lies, half of the rest on either side.

        Raises
        ------
        ConfigError
            A share that is not between 0 and 1.
        """
        if not 0 < share < 1:
            raise ConfigError(f"a share of the gradient lies between 0 and 1, got {share}.")
        mass = np.cumsum(self.norm) / self.norm.sum()
        low, high = np.searchsorted(mass, [(1 - share) / 2, (1 + share) / 2])
        return int(low), min(int(high), self.blocks)

    def table(self) -> dict[str, Sequence[Any]]:
        """Columns for a CSV: one row a length."""
        return {
            "length": list(range(self.blocks + 1)),
            "paths": list(self.paths),
            "norm": self.norm.tolist(),
            "norm per path": self.per_path.tolist(),
            "contribution": self.contribution.tolist(),
        }


def path_lengths(model: Module, x: Any, labels: Any, *, block: int = 0, statistics: str = "training") -> PathLengths:
    """Decompose the gradient with respect to the input of a block by the length of the paths to the loss.

    Parameters
    ----------
    model : Module
        Any net with residual blocks; it is left as it was.
    x : ndarray, shape [N, ...]
    labels : ndarray
        Classes [N], or a cotangent of the output: see `trace.trace`.
    block : int
        Number of the block, from 0 at the input; negative counts from the end.
    statistics : {"training", "batch", "running"}
        What batch norm does: see `state`.

    Returns
    -------
    PathLengths

    Raises
    ------
    GradientError
        A plain net, whose only path has nothing to be compared with; a gradient that is zero, or not finite, with the
        place where that begins.
    ConfigError
        No such block.
    """
    with statistics_of(model, statistics, x):
        made = trace(model, x, labels)
        blocks = some_blocks(made, "path lengths")
        if not -len(blocks) <= block < len(blocks):
            raise ConfigError(f"there is no block {block}: this net has {len(blocks)}, numbered from 0.")
        chosen = blocks[block]
        gradient = gradients_of(made, [made.result(chosen.start)])[0].numpy().astype(np.float64)
        if not gradient.any():
            raise GradientError(f"path lengths: the gradient at {chosen.name} is zero, there is nothing to decompose.")
        counts = number_of_paths(made, blocks, chosen.start)
        parts = parts_by_choice(made, blocks, chosen.start)
    longest = max(*counts, *parts)
    square = float((gradient * gradient).sum())
    norm, contribution, total = np.zeros(longest + 1), np.zeros(longest + 1), np.zeros_like(gradient)
    for length, part in parts.items():
        values = part.numpy().astype(np.float64)
        norm[length] = np.sqrt((values * values).sum())
        contribution[length] = (values * gradient).sum() / square
        total += values
    size = np.sqrt(square)
    return PathLengths(
        paths=tuple(counts.get(length, 0) for length in range(longest + 1)),
        norm=norm,
        contribution=contribution,
        gradient_norm=float(size),
        error=float(np.linalg.norm(total - gradient) / size),
        blocks=longest,
        at=chosen.name,
    )
