"""Read a pickle that holds plain values and NumPy arrays, without running anything that it names.

A pickle is a program: it may name any function of any module and call it. The official CIFAR batches, Python 2 pickles,
name three things: `numpy.core.multiarray._reconstruct`, `numpy.ndarray` and `numpy.dtype`. Here those three names lead
to the stand-ins below, which only take down what they are given; every other name is refused before it is imported.
Arrays are then made from the bytes taken down, if these are unsigned bytes or integers of the right number.

Source: Python's documentation, "Restricting Globals"; numpy/core/src/multiarray/methods.c, array_reduce.
"""

from __future__ import annotations

import io
import math
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import DataError

INTEGERS = frozenset(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8))
DAMAGE = (  # what pickle raises on a stream that ends early or makes no sense
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OverflowError,
    RecursionError,
)


class _Dtype:
    """Stand-in for `numpy.dtype`: code and byte order of an integer type."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else code
        self.order = "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        self.order = order.decode("ascii") if isinstance(order, bytes) else order

    def numpy(self) -> np.dtype[Any]:
        if self.code not in INTEGERS or self.order not in ("|", "<", ">", "="):
            raise _refused(f"an array of type {self.code!r}")
        return np.dtype(self.order + self.code)


class _Array:
    """Stand-in for `numpy.ndarray` and the function that makes an empty one for its state to fill."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.fortran, self.data = state

    def numpy(self) -> NDArray[Any]:
        dtype, data = self.dtype.numpy(), self.data
        if not isinstance(data, bytes) or len(data) != math.prod(self.shape) * dtype.itemsize:
            raise _refused(f"an array {self.shape} of {self.dtype.code} whose bytes do not fit")
        return np.frombuffer(data, dtype).reshape(self.shape, order="F" if self.fortran else "C")


STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,  # the module's name since NumPy 2
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
}


def _refused(what: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(f"it holds {what}")


class _Unpickler(pickle.Unpickler):
    """Knows the stand-ins and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return STAND_INS[module, name]
        except KeyError:
            raise _refused(f"{module}.{name}, which this reader never runs") from None

    def persistent_load(self, pid: Any) -> Any:
        raise _refused("a persistent reference")


def unpickle_dict(content: bytes, source: str) -> dict[str, Any]:
    """Read a pickled dictionary of plain values, lists of them and integer arrays.

    Parameters
    ----------
    content : bytes
        The pickle, of any protocol, by Python 2 or 3; Python 2 strings come out as bytes.
    source : str
        Name of the file, for messages.

    Returns
    -------
    dict
        With str keys.

    Raises
    ------
    DataError
        A pickle that names any code, that is damaged, or that is no dictionary. None of its code was run.
    """
    try:
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        if not isinstance(found, dict):
            raise _refused(f"a {type(found).__name__} where a dictionary is expected")
        return {_text(key): value.numpy() if isinstance(value, _Array) else value for key, value in found.items()}
    except DAMAGE as error:
        raise DataError(
            f"{source} is not a batch as the CIFAR site distributes it ({error}); nothing in it was run: "
            "replace it by the official file."
        ) from None


def _text(key: Any) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)
