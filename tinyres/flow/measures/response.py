"""Strength of the layers' responses: figure 7 of the paper.

    response of a layer = its output after batch norm, before the ReLU or the sum;   std over examples, pixels, channels

"ResNets have generally smaller responses than their plain counterparts [...] the deeper ResNet has smaller magnitudes
of responses [...] an individual layer of ResNets tends to modify the signal less." Source: He et al. 2015, section 4.2,
"Analysis of layer responses", figure 7: by number of the layer above, sorted by magnitude below. Projections on
shortcuts and the classifier do not count there, nor here.

In nets that normalise before they weigh (relu(BN h) W) no batch norm follows inside the layer, and the one that comes
next belongs to the next: there the response is that of the weights, to which a sum adds. Such a net is told by a batch
norm after a layer that sits in another module than the layer, or by weights that go into a block's sum as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.errors import ConfigError, GradientError, nearest
from tinyres.flow.measures.branches import find_blocks
from tinyres.flow.measures.state import statistics_of
from tinyres.flow.measures.trace import Trace, trace
from tinyres.kernels import registry
from tinyres.nn.module import Module

AFTER = ("norm", "weights")


@dataclass(frozen=True, eq=False)
class Responses:
    """One row a weighted layer, in the order of depth.

    Attributes
    ----------
    names : tuple of str
    depth : ndarray of int, shape [rows]
    std : ndarray, shape [rows]
        Standard deviation of the response.
    block : tuple of str
        The residual block that the layer is in the branch of; empty where there is none.
    after : {"norm", "weights"}
        What was measured: "weights" also where "norm" was asked for and no batch norm belongs to the layers before it.
    """

    names: tuple[str, ...]
    depth: np.ndarray
    std: np.ndarray
    block: tuple[str, ...]
    after: str

    @property
    def sorted(self) -> np.ndarray:
        """Largest first, shape [rows]: the lower panel of figure 7."""
        return np.sort(self.std)[::-1]

    def table(self) -> dict[str, Sequence[Any]]:
        """Columns for a CSV: one row a layer; the column "sorted" is a curve of its own."""
        return {
            "layer": list(self.names),
            "depth": self.depth.tolist(),
            "block": list(self.block),
            "std": self.std.tolist(),
            "sorted": self.sorted.tolist(),
        }


def responses(model: Module, x: Any, *, after: str = "norm", statistics: str = "running") -> Responses:
    """Measure the standard deviation of each layer's response on a batch.

    Parameters
    ----------
    model : Module
        Any net; it is left as it was.
    x : ndarray, shape [N, ...]
    after : {"norm", "weights"}
        After the batch norm that directly follows a layer, if one does; or always right after the weights, as it is
        done in any case in a net that normalises before it weighs.
    statistics : {"running", "batch", "training"}
        What batch norm does: see `state`.

    Returns
    -------
    Responses

    Raises
    ------
    ConfigError
        Another word for `after`.
    GradientError
        A net without weighted layers before its last, or one that recomputes its blocks, which hides their layers.
    """
    if after not in AFTER:
        raise ConfigError(
            f"a response is taken after {' or '.join(map(repr, AFTER))}, not {after!r}{nearest(after, AFTER)}."
        )
    with statistics_of(model, statistics, x), registry.use(bn_relu="composed", bn_add_relu="composed"):
        made = trace(model, x, None).whole("responses")
    blocks = find_blocks(made)
    beside = frozenset[int]().union(*(block.beside for block in blocks))
    inside = {order: block.name for block in blocks for order in block.inside}
    ends = {order: _end(made, order) for order, step in made.steps.items() if step.weights and order not in beside}
    assert made.output.node is not None  # it depends on the input
    layers = sorted((o for o in ends if ends[o] != made.output.node.order), key=lambda o: (made.depth_of(o), o))
    if not layers:
        raise GradientError(f"responses: {type(model).__name__} has no layer with weights but its last.")
    norms = {order: norm for order in layers if (norm := _norm_after(made, ends[order])) is not None}
    raw = any(made.steps[block.merge].sources[block.branch] in ends.values() for block in blocks)
    if raw or not norms or not all(_belongs(made, norm, order) for order, norm in norms.items()):
        after = "weights"
    places = [norms.get(order, ends[order]) if after == "norm" else ends[order] for order in layers]
    return Responses(
        tuple(made.steps[order].name for order in layers),
        np.array([made.depth_of(order) for order in layers], np.int64),
        np.array([made.result(place).numpy().astype(np.float64).std() for place in places]),
        tuple(inside.get(order, "") for order in layers),
        after,
    )


def _only_use(made: Trace, order: int) -> int | None:
    """The node that uses a result, if it is the only one."""
    uses = [each for each, step in made.steps.items() if order in step.sources.values()]
    return uses[0] if len(uses) == 1 else None


def _end(made: Trace, order: int) -> int:
    """A layer's result with its bias added, where a bias is added by an op of its own."""
    use = _only_use(made, order)
    bias = use is not None and made.steps[use].node.name == "add" and len(made.steps[use].sources) == 1
    return use if use is not None and bias else order


def _norm_after(made: Trace, order: int) -> int | None:
    """The batch norm that a result goes into and nowhere else."""
    use = _only_use(made, order)
    return use if use is not None and made.steps[use].node.name in ("batch_norm", "batch_norm_eval") else None


def _belongs(made: Trace, norm: int, layer: int) -> bool:
    """Whether a batch norm sits in the module that holds the layer or its weights; yes where that is not known."""
    names = {id(parameter): name for name, parameter in made.model.named_parameters()}
    owners = [
        next((names[id(t)].rpartition(".")[0] for t in made.steps[order].inputs if id(t) in names), None)
        for order in (norm, layer)
    ]
    if owners[0] is None or owners[1] is None:
        return True
    return owners[0].rpartition(".")[0] in (owners[1], owners[1].rpartition(".")[0])
