"""Where a run first went wrong: the batch whose loss is not finite goes forward once more, watched layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.errors import TrainingError
from tinyres.function import no_grad
from tinyres.kernels.launch import Array
from tinyres.nn import Module
from tinyres.tensor import Tensor
from tinyres.train.folder import checkpoints
from tinyres.train.recipe import filled
from tinyres.train.start import Run


def lost(run: Run, what: str, x: Array) -> TrainingError:
    """The error that ends a run which has left the finite numbers, as the batch `x` [N,H,W,C] shows."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        where = first_non_finite(run.model, x)
    kept = list(checkpoints(run.folder).values())
    good = f"the last good checkpoint is {kept[-1]}" if kept else "there was no checkpoint yet"
    return TrainingError(
        f"{what}: the first value that is not finite appears in {where}; {good}; try a learning rate below "
        f"{run.schedule.lr(run.step):g}, such as --lr {filled(run.config.lr) / 10:g}."
    )


def first_non_finite(model: Module, x: Array) -> str:
    """Name the first layer, in the order of the forward pass, whose output on batch `x` [N,H,W,C] is not finite.

    The model is in the state that made the loss: parameters change only after a finite loss.

    Returns
    -------
    str
        Such as ``"layer1.0.conv1 (its parameter weight)"``: the parameter is named when it is the one to blame.
    """
    if not np.isfinite(x).all():
        return "the images of the batch"
    found: list[str] = []

    def watch(name: str) -> Callable[[Module, Any, Any], None]:
        def look(_module: Module, _inputs: Any, output: Any) -> None:
            if not found and isinstance(output, Tensor) and not np.isfinite(output.numpy()).all():
                found.append(name)

        return look

    remove = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        with no_grad():
            model(Tensor(x))  # inner modules return before those around them, so the first to report is the innermost
    finally:
        for hook_away in remove:
            hook_away()
    if not found:
        return "the loss, whose logits are finite"
    layer = found[0]
    inside = {name: p for name, p in model.named_parameters() if name.startswith(layer + ".")}
    broken = [name.removeprefix(layer + ".") for name, p in inside.items() if not np.isfinite(p.numpy()).all()]
    return f"{layer} (its parameter {broken[0]})" if broken else f"the output of {layer}"
