"""A GPU that has no room for a run: what was asked for, what there is, and the batch that would fit.

The batch is measured: smaller ones go forward and back until one fits, and what it took says how many images would.

Not yet run on a GPU.
"""

from __future__ import annotations

import gc

import numpy as np

from tinyres.errors import DeviceError
from tinyres.kernels import cuda
from tinyres.ops import softmax_cross_entropy
from tinyres.tensor import Tensor
from tinyres.train.device import computing
from tinyres.train.recipe import filled
from tinyres.train.start import Run

COPIES = 2  # of a step's memory: graphs of two sizes of batch, or one and a step that somebody follows


def shortage(run: Run, wanted: int | None, free: int) -> DeviceError:
    """The error for a run whose step found no memory, once all that it held is given back.

    Parameters
    ----------
    run : Run
        What it was.
    wanted, free : int
        Bytes that were asked for, if known, and that were free then.
    """
    batch, memory = filled(run.config.batch), cuda.properties().memory
    asked = f"{_size(wanted)} were asked for, " if wanted is not None else ""
    text = f"the GPU has no room for batch {batch}: {asked}{_size(free)} of {_size(memory)} were free"
    trial, taken = batch, None
    gc.collect()  # a run under way and its graphs hold each other, and so the memory of the graphs
    with computing(run.config):
        while taken is None and trial > 2:
            trial //= 2
            taken = _bytes_of(run, trial)
        cuda.release()
        room = cuda.properties().free - 2 * run.optimizer.velocity.nbytes  # the copies that a burst begins with
    if taken is None:
        return DeviceError(f"{text}, and too little for {trial} images; take a smaller network, or --recompute.")
    fits = min(trial, int(room / COPIES / taken * trial))
    if fits < 2:
        return DeviceError(f"{text}, and too little for 2 images; take a smaller network, or --recompute.")
    return DeviceError(
        f"{text}; a step takes about {_size(taken // trial)} an image, so --batch {fits} would fit (--recompute needs "
        "less)."
    )


def _bytes_of(run: Run, images: int) -> int | None:
    """What a step with so many images takes of the GPU's memory; None if it does not fit."""
    cuda.release()
    before = cuda.properties().free
    x = cuda.module().zeros((images, *run.image_shape), run.config.dtype)
    labels = cuda.module().zeros(images, np.int64)
    try:
        softmax_cross_entropy(run.model(Tensor(x)), labels).backward()
    except MemoryError as error:
        if not cuda.is_out_of_memory(error):
            raise
        return None
    return before - cuda.properties().free


def _size(count: int) -> str:
    for unit, power in (("GB", 9), ("MB", 6)):
        if count >= 10**power:
            return f"{count / 10**power:.1f} {unit}"
    return f"{count / 1000:.1f} kB"
