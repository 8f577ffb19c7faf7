"""One call of a student's function: its arrays as the case wants them, its results as arrays, its errors as text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy import asarray, ascontiguousarray, full, iinfo, nan, ndarray

Array = Any
Arrays = dict[str, Array]
TEXT = 2000  # characters of an exception's text that are kept
NUMBERS = "biufc"
UNWRITTEN = {"<f4": 0x7FC0DEAD, "<f8": 0x7FF80000DEADBEEF}  # quiet NaNs, as bits
ROOM = 16 << 20  # bytes that a result of a wrong shape may have; beyond that, only its shape is told


class Contract(Exception):
    """What came back is not what the task asks for. Its text goes on after the function's name: "returned nothing"."""


def laid_out(array: Array, layout: str) -> Array:
    """A fresh copy of an array; "strided": a view of every second value of every axis, with NaN between them."""
    if layout != "strided" or not array.ndim:
        return array.copy()
    wide = filled(tuple(2 * n for n in array.shape), array.dtype)
    view = wide[(slice(None, None, 2),) * array.ndim]
    view[...] = array
    return view


def filled(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array that nobody has written yet: the smallest integer, or a NaN that no arithmetic makes."""
    dtype = np.dtype(dtype)
    array = full(shape, iinfo(dtype).min if dtype.kind in "iu" else True if dtype.kind == "b" else nan, dtype)
    if dtype.str in UNWRITTEN:
        array.view(f"u{dtype.itemsize}")[...] = UNWRITTEN[dtype.str]
    return array


def untouched(array: Array) -> bool:
    """Still as `filled` made it."""
    return bool(array.tobytes() == filled(array.shape, array.dtype).tobytes())


def invoke(
    function: Callable[..., Any], inputs: list[Array], params: Mapping[str, Any], outs: Arrays, takes_out: bool
) -> Arrays:
    """A kernel: it writes into `out`, or it returns its results."""
    if not takes_out:
        return returned(function(*inputs, **params), outs)
    value = function(*inputs, **params, out=tuple(outs.values()) if len(outs) > 1 else next(iter(outs.values())))
    if all(array.size and untouched(array) for array in outs.values()):
        if value is None:
            blank = "NaN" if any(array.dtype.kind == "f" for array in outs.values()) else "without values"
            raise Contract(
                f"returned nothing and left `out` {blank}: either nothing was written into it, or it was added to "
                "(`+=`) as if it came with zeros"
            )
        raise Contract("returned its result but left `out` as it was: write into it, `out[...] = ...`")
    zeros = [array for array in outs.values() if not array.any()]
    if isinstance(value, ndarray) and len(zeros) == len(outs) and value.shape == zeros[0].shape and value.any():
        raise Contract("returned its result, and `out` holds zeros only: write into it, `out[...] = ...`")
    return outs


def returned(value: Any, outs: Arrays) -> Arrays:
    """The results of a function without `out`."""
    if len(outs) == 1:
        return {name: result(value, name, out) for name, out in outs.items()}
    names = ", ".join(outs)
    if not isinstance(value, tuple | list):
        raise Contract(f"returned {_kind(value)}, not the {len(outs)} arrays {names}")
    if len(value) != len(outs):
        raise Contract(f"returned {len(value)} results, not the {len(outs)} arrays {names}")
    return {name: result(each, name, outs[name]) for each, name in zip(value, outs, strict=True)}


def checked(results: Any, outs: Arrays) -> Arrays:
    """What an adapter yields, or what is in `out` after the call."""
    if not isinstance(results, dict) or results.keys() != outs.keys():
        raise Contract(f"yielded no results of the names {', '.join(outs)}")
    return {name: result(results[name], name, out) for name, out in outs.items()}


def result(value: Any, name: str, out: Array) -> Array:
    """One result as a plain array of numbers; Contract if it is none, or so large that it is not worth sending."""
    if isinstance(value, int | float) and not out.shape:
        return asarray(value, out.dtype)
    if isinstance(value, np.generic):
        value = asarray(value)
    if not isinstance(value, ndarray):
        raise Contract(f"returned {_kind(value)} for {name}, not an array")
    value = ndarray.view(value, ndarray)
    if value.dtype.kind not in NUMBERS:
        raise Contract(f"returned an array of {value.dtype} for {name}, not of numbers")
    if value.nbytes > max(ROOM, 2 * out.nbytes):
        raise Contract(f"returned an array of shape {value.shape} for {name}; expected {out.shape}")
    return ascontiguousarray(value).reshape(value.shape)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    kind = str(type(value).__name__)[:80]
    return f"{'an' if kind[:1].lower() in tuple('aeiou') else 'a'} {kind}"


def takes_out(function: Callable[..., Any]) -> bool:
    """Whether it has a parameter `out`, by name or among any others."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(each.name == "out" or each.kind is each.VAR_KEYWORD for each in parameters)


def text_of(error: BaseException) -> str:
    """`ValueError: its text`, whatever its `__str__` does."""
    try:
        said = str(error.msg if isinstance(error, SyntaxError) else error)[:TEXT]  # its place is told apart
    except BaseException:  # a student's own class
        said = ""
    name = type(error).__name__[:80]
    return f"{name}: {said}" if said else name


def line_of(error: BaseException, own: Mapping[str, str]) -> tuple[str, int]:
    """The student's own line nearest to an error: (file, line), or ("", 0)."""
    if isinstance(error, SyntaxError) and error.filename in own:
        return own[error.filename or ""], error.lineno or 1
    found, trace = ("", 0), error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if path in own:
            found = own[path], trace.tb_lineno
        trace = trace.tb_next
    return found
