"""Where a recorded run first left the finite numbers: which step, which layer, on the way forward or back.

Activations spoil what comes after them, gradients what comes before: so the layer to look at is the first in the order
of the forward pass whose output is not finite, or else the last whose gradient is not.
"""

from __future__ import annotations

import math

import numpy as np

from tinyres.flow.record import Record


def first_trouble(record: Record) -> str | None:
    """Name the first recorded step and the first layer there with a value that is infinite or NaN.

    Returns
    -------
    str or None
        One sentence; None for a record of finite values. The loss alone can be it, or a parameter.

    Examples
    --------
    >>> columns = {"step": [0, 9], "layer": ["a", "b"], "gradient_nonfinite": [[0, 0], [5, 0]]}
    >>> print(first_trouble(Record({}, columns)))
    step 9: the gradient of a is not finite (5 values), that of b, nearer to the loss, still is.
    """
    for row, step in enumerate(record.step):
        said = _forward(record, row) or _backward(record, row) or _parameter(record, row)
        if said is None and not math.isfinite(record.loss[row]) and not np.isnan(record.loss).all():
            said = f"the loss is {record.loss[row]:g}, with outputs of all layers finite"
        if said is not None:
            return f"step {step}: {said}."
    return None


def _forward(record: Record, row: int) -> str | None:
    measured = np.isfinite(record.activation_zeros[row])  # a fraction, even of values that are not finite
    broken = np.flatnonzero(measured & ~np.isfinite(record.activation_max[row]))
    return f"the output of {record.layer[broken[0]]} is the first that is not finite" if len(broken) else None


def _backward(record: Record, row: int) -> str | None:
    broken = np.flatnonzero(record.gradient_nonfinite[row] > 0)
    if not len(broken):
        return None
    last = int(broken[-1])
    said = f"the gradient of {record.layer[last]} is not finite ({record.gradient_nonfinite[row, last]:.0f} values)"
    if last + 1 == len(record.layer):
        return f"{said}, and it is the layer next to the loss"
    sound = last + 1 + np.flatnonzero(record.gradient_nonfinite[row, last + 1 :] == 0)  # else it was not measured
    if not len(sound):
        return f"{said}, and of no layer nearer to the loss is it known"
    return f"{said}, that of {record.layer[sound[0]]}, nearer to the loss, still is"


def _parameter(record: Record, row: int) -> str | None:
    for what, of in (("value", "weight"), ("gradient", "weight_gradient")):
        values, measured = record.columns[f"{of}_max"], np.isfinite(record.columns[f"{of}_zeros"][row])
        broken = np.flatnonzero(measured & ~np.isfinite(values[row]))
        if len(broken):
            return f"the {what} of parameter {record.parameter[broken[0]]} is not finite"
    return None
