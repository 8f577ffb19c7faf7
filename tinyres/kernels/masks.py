"""Which values dropout keeps: a pure function of (seed, step, place), so that a GPU repeats it and a resumed run too.

    counter = (place, step, 3, 0)      key = the seed's two halves      keep where word 0 >= floor(p * 2^32)

3 is the stream of dropout; whose the others are stands in `streams.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinyres.kernels.philox import philox4x32
from tinyres.kernels.streams import DROPOUT


def dropout_keeps(shape: tuple[int, ...], p: float, seed: int, step: int) -> NDArray[np.bool_]:
    """True where a value stays; each is dropped with probability p.

    Parameters
    ----------
    shape : tuple of int
        The array's; places are counted in its row-major order.
    p : float
        From 0 up to, not including, 1.
    seed, step : int
        What the mask is a function of; a new step gives a new mask.

    Returns
    -------
    ndarray of bool, of that shape
    """
    counter = np.zeros((int(np.prod(shape)), 4), np.uint32)
    counter[:, 0] = np.arange(len(counter))
    counter[:, 1], counter[:, 2] = step, DROPOUT
    words = philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF))
    return (words[:, 0] >= np.uint32(int(p * 2**32))).reshape(shape)
