"""A GPU emulated on the CPU: the same kernels, the same launches, the same captured graphs, without a card.

TINYRES_GPU=emulated makes it the device "cuda". It stands where CuPy stands, with as much of CuPy's surface as tinyres
uses, so that all that is written for a GPU runs in the tests of a machine without one. It shows whether results are
right, never how fast a GPU would be.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.cuda.emulation import memory
from tinyres.kernels.cuda.emulation.array import ndarray as ndarray
from tinyres.kernels.cuda.emulation.memory import OutOfMemoryError as OutOfMemoryError

Shape = Any


def empty(shape: Shape, dtype: Any = np.float64) -> ndarray:
    """An array whose floats are NaN until somebody writes them."""
    return ndarray(memory.empty((shape,) if isinstance(shape, int) else tuple(shape), np.dtype(dtype)))


def full(shape: Shape, value: Any, dtype: Any = np.float64) -> ndarray:
    """An array of one value."""
    made = empty(shape, dtype)
    made.fill(value)
    return made


def zeros(shape: Shape, dtype: Any = np.float64) -> ndarray:
    """An array of zeros."""
    return full(shape, 0, dtype)


def ones(shape: Shape, dtype: Any = np.float64) -> ndarray:
    """An array of ones."""
    return full(shape, 1, dtype)


def asarray(values: Any, dtype: Any = None) -> ndarray:
    """Copy values of the host to the device; an array that is there already comes back as it is."""
    if isinstance(values, ndarray):
        return values.astype(values.dtype if dtype is None else dtype, copy=False)
    host = np.asarray(values, dtype)
    made = empty(host.shape, host.dtype)
    made.set(host)
    return made


def array(values: Any, dtype: Any = None) -> ndarray:
    """`asarray`, always with memory of its own."""
    return values.astype(dtype or values.dtype) if isinstance(values, ndarray) else asarray(values, dtype)


def ascontiguousarray(values: ndarray) -> ndarray:
    """The array, or a copy whose values lie in row-major order."""
    return values if values.flags.c_contiguous else values.copy()


def asnumpy(values: Any) -> np.ndarray:
    """A copy on the host."""
    return values.get() if isinstance(values, ndarray) else np.asarray(values)


def arange(*bounds: Any, dtype: Any = None) -> ndarray:
    """Numbers one apart."""
    return asarray(np.arange(*bounds, dtype=dtype))


def __getattr__(name: str) -> Any:
    """NumPy's functions and types, which find these arrays by NumPy's protocols."""
    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(np, name)
