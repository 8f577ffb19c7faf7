"""A measure looks at a net and leaves no trace: parameters, buffers and modes are put back, also after an error.

Nor does a recorder of that net take the passes of a measure for those of training.

Batch norm has three readings, and a measure must say which one it takes:

    running     evaluation: running averages, constants                images are independent of each other
    batch       the statistics of the given batch, held constant       images are independent of each other
    training    the statistics of the given batch, as functions of it  every image acts on every other
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinyres.autograd import unheard
from tinyres.errors import ConfigError, nearest
from tinyres.function import no_grad, unwatched
from tinyres.kernels.launch import moved, on_host
from tinyres.nn.module import Module
from tinyres.tensor import Tensor

STATISTICS = ("running", "batch", "training")


@contextmanager
def unchanged(model: Module) -> Iterator[None]:
    """Put back every parameter, buffer and mode of a net when the `with` block ends, byte for byte, whatever happened.

    Parameters
    ----------
    model : Module
        Inside the block its arrays may be written to and its mode changed. Gradients in `.grad` are not looked after.
    """
    parameters = [(p, p.data, p.data.copy()) for p in model.parameters()]
    modules = [module for _, module in model.named_modules()]
    modes = [module.training for module in modules]
    buffers = [(m, name, getattr(m, name), getattr(m, name).copy()) for m in modules for name in m.buffers]
    try:
        yield
    finally:
        for parameter, array, values in parameters:
            array[...] = values
            parameter.data = array
        for module, name, array, values in buffers:
            array[...] = values
            setattr(module, name, array)
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def placed(model: Module, images: Any) -> Any:
    """Images on the device of a net, for measures that compute with them on the host too."""
    parameters = model.parameters()
    if not parameters or isinstance(images, Tensor):
        return images
    return moved(on_host(images), parameters[0].device)


def like(tensor: Tensor, values: np.ndarray) -> Tensor:
    """Values in the shape, the type and on the device of a tensor."""
    return Tensor(moved(values.reshape(tensor.shape).astype(tensor.dtype), tensor.device))


@contextmanager
def statistics_of(model: Module, statistics: str, images: Any) -> Iterator[None]:
    """Put a net into one of the three readings of batch norm for the `with` block; afterwards it is `unchanged`.

    Parameters
    ----------
    model : Module
    statistics : {"running", "batch", "training"}
    images : ndarray, shape [N, ...]
        The batch whose statistics "batch" takes; a Module that is used twice takes those of its last use.

    Raises
    ------
    ConfigError
        Another name.
    """
    if statistics not in STATISTICS:
        raise ConfigError(f"there are no {statistics!r} statistics of batch norm{nearest(statistics, STATISTICS)}.")
    with unchanged(model), unwatched(), unheard():
        if statistics == "batch":
            _store_batch_statistics(model, images)
        model.train(statistics == "training")
        yield


def _store_batch_statistics(model: Module, images: Any) -> None:
    """Let the running averages be the mean and the biased variance of this batch."""
    norms: dict[Module, float] = {}  # module -> its momentum
    counts: dict[Module, int] = {}
    for _, module in model.named_modules():
        if {"running_mean", "running_var"} <= set(module.buffers):
            norms[module] = vars(module)["momentum"]

    def count(module: Module, inputs: tuple[Any, ...], _: Any) -> None:
        counts[module] = inputs[0].size // inputs[0].shape[-1]

    removals = [module.register_forward_hook(count) for module in norms]
    try:
        for module in norms:
            vars(module)["momentum"] = 1.0  # running = batch
        model.train()
        with no_grad():
            model(placed(model, images))
    finally:
        for remove in removals:
            remove()
        for module, momentum in norms.items():
            vars(module)["momentum"] = momentum
    for module, values in counts.items():
        variance = vars(module)["running_var"]
        variance *= (values - 1) / values  # the running average holds the unbiased one
