"""What a choice of kernels does to a whole training step: said at the end of `tinyres train --use conv2d=mine.cu`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinyres.bench.clock import interleaved, ratio
from tinyres.bench.steps import contender
from tinyres.kernels import cuda

ROUNDS, SECONDS = 9, 20.0


def against_default(
    choices: Mapping[str, str],
    model: str,
    image_shape: tuple[int, ...],
    classes: int,
    batch: int,
    dtype: str = "float32",
    device: str = "cpu",
) -> str:
    """Time steps with some kernels chosen, and with the default ones, in turns.

    Parameters
    ----------
    choices : mapping
        Op -> kernel; the other ops run their defaults in both.
    model : str
        A name of `models.create`.
    image_shape : tuple of int
        H, W, C.
    classes, batch : int
    dtype : {"float32", "float64"}
    device : {"cpu", "cuda"}
        On a GPU steps are replayed as a graph.

    Returns
    -------
    str
        A sentence for a person. An emulated GPU has no times, and the sentence says so.
    """
    said = ", ".join(f"{op}={name}" for op, name in choices.items())
    if device == "cuda" and cuda.emulated():
        return f"a step with {said} is not compared with the default kernels: an emulated GPU has no clock."
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, *image_shape), dtype=np.dtype(dtype))
    labels = rng.integers(classes, size=batch)
    mode = "graph" if device == "cuda" else ""
    steps = {"default": {}, "chosen": dict(choices)}
    contenders = [contender(name, model, images, labels, kernels, mode, classes) for name, kernels in steps.items()]
    times = interleaved(contenders, ROUNDS, SECONDS, lambda: None)
    own, usual = (1000 * float(np.median(times[name])) for name in ("chosen", "default"))
    return (
        f"a step with {said} takes {ratio(times['chosen'], times['default']):.2f} times as long as with the default "
        f"kernels: {own:.3g} ms and {usual:.3g} ms, batch {batch}, the median of {len(times['default'])} rounds "
        "in turns."
    )
