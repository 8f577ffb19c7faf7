"""What a record holds, as figures name it: label of the axis, definition, and where the numbers lie.

Most layers share a depth with others (a convolution, its batch norm, its ReLU). One stands for each depth: of outputs
the last one before the next weighted layer, which is what that layer sees (not what a shortcut makes of it later); of
weights the first, which is the filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import ConfigError, FlowError, nearest
from tinyres.flow.record import AXES, Record

OUTPUT = "y: the output of the last layer of a depth (after batch norm, ReLU and the addition, if there are any)"


@dataclass(frozen=True)
class Quantity:
    """One thing that is recorded for each layer, parameter or block."""

    name: str  # on the command line
    title: str
    array: str  # in the record
    label: str  # on the axis
    definition: str
    log: bool = True


QUANTITIES = {
    each.name: each
    for each in (
        Quantity("gradient", "Gradient norm", "gradient_norm", "‖∂loss/∂y‖",
                 f"Euclidean norm of the gradient over a whole batch; {OUTPUT}."),
        Quantity("gradient-rms", "Gradient rms", "gradient_rms", "rms of ∂loss/∂y",
                 f"Root mean square of the gradient; {OUTPUT}."),
        Quantity("gradient-max", "Largest gradient", "gradient_max", "max |∂loss/∂y|",
                 f"Largest entry of the gradient; {OUTPUT}."),
        Quantity("activation", "Activation norm", "activation_norm", "‖y‖",
                 f"Euclidean norm over a whole batch; {OUTPUT}."),
        Quantity("activation-rms", "Activation rms", "activation_rms", "rms of y", f"Root mean square; {OUTPUT}."),
        Quantity("activation-std", "Activation spread", "activation_std", "std of y",
                 f"Standard deviation over all entries; {OUTPUT}."),
        Quantity("zeros", "Zeros among the activations", "activation_zeros", "zeros in y",
                 f"Share of entries that are exactly 0; {OUTPUT}.", log=False),
        Quantity("weight", "Weight norm", "weight_norm", "‖w‖", "Euclidean norm of a layer's weights w."),
        Quantity("weight-gradient", "Weight gradient norm", "weight_gradient_norm", "‖∂loss/∂w‖",
                 "Euclidean norm of the gradient of a layer's weights w, before weight decay."),
        Quantity("update", "Update to weight ratio", "update_ratio", "‖Δw‖ / ‖w‖",
                 "Size of one step of the optimiser, Δw, relative to the layer's weights w."),
    )
}  # fmt: skip


def quantity_of(name: str) -> Quantity:
    """The quantity of a name; ConfigError for an unknown one."""
    if name not in QUANTITIES:
        raise ConfigError(f"there is no quantity {name!r}{nearest(name, QUANTITIES)}.")
    return QUANTITIES[name]


def profile(
    record: Record, quantity: Quantity, kinds: Sequence[str] = ()
) -> tuple[NDArray[np.int64], list[str], NDArray[np.float64]]:
    """A quantity along the net, one value for each depth and step.

    Parameters
    ----------
    record : Record
    quantity : Quantity
    kinds : sequence of str
        Only layers of these kinds, such as Conv2d; all of them then, not one for each depth.

    Returns
    -------
    depth [K], names of layers or parameters [K], values [T, K]

    Raises
    ------
    ConfigError
        No layer is of such a kind.
    FlowError
        Nothing of it was recorded.
    """
    if not len(record.layer):
        raise FlowError(f"the record of {record.title} holds no layers: nothing to draw.")
    values: NDArray[Any] = getattr(record, quantity.array)
    there = ~np.isnan(values).all(axis=0)
    if AXES[quantity.array] == "TP":
        owner, names = record.parameter_layer, record.parameter
        depth, kind = record.depth[owner], record.kind[owner]
        there &= (owner >= 0) & (depth > 0)
        order = list(range(len(names)))
    else:
        depth, kind, names = record.depth, record.kind, record.layer
        order = _before_the_next(depth)[::-1]
        if quantity.array.startswith("gradient"):
            there |= np.nan_to_num(record.gradient_nonfinite).any(axis=0)  # broken, which is not missing
    if kinds:
        known = sorted({str(each) for each in record.kind})
        for wanted in kinds:
            if wanted not in known:
                raise ConfigError(f"the record has no layer of kind {wanted!r}{nearest(wanted, known)}.")
        chosen = [number for number in range(len(names)) if there[number] and str(kind[number]) in kinds]
    else:
        first: dict[int, int] = {}
        for number in order:
            if there[number]:
                first.setdefault(int(depth[number]), int(number))
        chosen = [first[level] for level in sorted(first)]
    if not chosen:
        raise FlowError(f"the record of {record.title} holds no {quantity.name}: nothing to draw.")
    pick = np.array(chosen)
    return depth[pick].astype(np.int64), [str(names[number]) for number in pick], values[:, pick]


def _before_the_next(depth: NDArray[np.int64]) -> list[int]:
    """Indices of the layers of each depth up to where the forward pass first leaves that depth."""
    left: set[int] = set()
    kept = []
    for number, level in enumerate(depth.tolist()):
        if number and level != depth[number - 1]:
            left.add(int(depth[number - 1]))
        if level not in left:
            kept.append(number)
    return kept
