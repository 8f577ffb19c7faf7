"""The one place between an op and its kernel: it checks shapes and types, makes arrays contiguous, allocates the
results and calls. A kernel may therefore assume contiguous inputs of the right shapes and an `out` to write to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.errors import DeviceError, DtypeError, KernelError, ShapeError, nearest
from tinyres.kernels import cuda, memory, registry
from tinyres.kernels.shapes import LOOK_AT_VALUES, RULES, VIEWS
from tinyres.kernels.shapes.rules import Spec

Array = Any  # numpy.ndarray or an array of a GPU: the type of the array fixes the device


DEVICES = ("cpu", "cuda")


def device_of(array: object) -> str:
    """`cpu` for a NumPy array, `cuda` for one of CuPy or of the emulated GPU."""
    if isinstance(array, np.ndarray):
        return "cpu"
    if cuda.is_array(array):
        return "cuda"
    raise DeviceError(f"expected a numpy or cupy array, got {type(array).__name__}; wrap it with numpy.asarray.")


def array_module(array: Array) -> Any:
    """The library that an array belongs to: NumPy, CuPy, or the emulated GPU."""
    if isinstance(array, np.ndarray):
        return np
    device_of(array)
    return cuda.module()


def moved(array: Array, device: str) -> Array:
    """The array on a device: itself if it is there already, else a copy of its bits.

    Parameters
    ----------
    array : ndarray
        Of either device.
    device : {"cpu", "cuda"}

    Raises
    ------
    DeviceError
        An unknown device, or no GPU to use; or this is part of a CUDA graph, which cannot read the host's memory.
    """
    if device not in DEVICES:
        raise DeviceError(f"there is no device {device!r}; known: {', '.join(DEVICES)}.")  # the nearest to gpu is cpu
    if device == "cpu":
        return on_host(array)
    if cuda.is_array(array):
        return array
    xp = cuda.module()
    if cuda.capturing():  # CuPy would not say so: it captures the address of memory that is somebody else's by then
        raise cuda.NotCapturable("a copy from the host cannot be part of a CUDA graph; move the array before.")
    return xp.asarray(array)


def on_host(array: Any) -> np.ndarray:
    """The values as a NumPy array: those of a GPU as a copy, anything else as `numpy.asarray` takes it."""
    values: np.ndarray = array.get() if cuda.is_array(array) else np.asarray(array)
    return values


# What the checks of a call said, by the types, shapes and parameters of the call: a net makes the same ones every step.
Known = tuple[str, Spec, str]  # device, the results, the kernel's dtype
_known: dict[Any, Known] = {}
MANY = 4096  # then it begins anew: a parameter may be another one each time, such as a learning rate


def launch(op: str, *arrays: Array, out: Array | tuple[Array | None, ...] | None = None, **params: Any) -> Any:
    """Run an op on plain arrays with the kernel now chosen for it.

    Parameters
    ----------
    op : str
        The op, such as ``"conv2d"``.
    *arrays : ndarray
        Its arrays, all of one device; floating ones of one dtype.
    out : ndarray or tuple of ndarray, optional
        Where to write; may be the inputs themselves for ops that update in place (`sgd`). What is missing, or None in
        the tuple, is allocated.
    **params
        The op's parameters (stride, padding, eps ...).

    Returns
    -------
    ndarray or tuple of ndarray
        The op's result, or results.

    Raises
    ------
    ShapeError, DtypeError, DeviceError, KernelError
        With op, argument and shapes, and the remedy.
    """
    try:
        call = (op, *[(type(a), a.shape, a.dtype) for a in arrays], *params.items(), *map(_kind, params.values()))
        known = _known.get(call)
    except (AttributeError, TypeError):  # something that is no array, or a parameter that cannot be looked up
        call, known = None, None
    if known is None:
        given = arrays
        arrays, known = _checked(op, given, params)
        if call is not None and op not in LOOK_AT_VALUES and arrays is given:
            if len(_known) >= MANY:
                _known.clear()
            _known[call] = known
    device, specs, dtype = known
    chosen = registry.resolve(op, dtype, device)
    if device == "cpu":
        xp = np
    else:
        xp = cuda.module()
        if not chosen.graphable and cuda.capturing():
            raise cuda.NotCapturable(f"kernel {chosen.name!r} of {op} cannot be part of a CUDA graph.")
    if not chosen.strided:
        arrays = tuple([a if a.flags.c_contiguous or not a.ndim else xp.ascontiguousarray(a) for a in arrays])
    if chosen.writes_out:
        results = _outputs(op, out, specs, xp)
        scratch = results
        if out is not None:
            scratch = tuple(r if r.flags.c_contiguous else xp.empty(r.shape, r.dtype) for r in results)
        target = scratch[0] if len(scratch) == 1 else scratch
        returned = chosen.function(*arrays, out=target, **params)
        if returned is not None and returned is not target:
            raise KernelError(
                f"kernel {chosen.name!r} of {op} takes `out` and returned something else; write to `out`."
            )
        if scratch is not results:
            for result, written in zip(results, scratch, strict=True):
                if result is not written:
                    result[...] = written
    else:
        returned = chosen.function(*arrays, **params)
        if op in VIEWS and out is None and (np.shape(returned), getattr(returned, "dtype", None)) == specs[0]:
            return returned  # as it is, without a copy
        results = _outputs(op, out, specs, xp)
        _copy_into(results, returned, chosen)
    return results[0] if len(results) == 1 else results


def _kind(value: Any) -> Any:
    """What tells 1 from 1.0 and True, which are equal."""
    return tuple(map(type, value)) if isinstance(value, tuple) else type(value)


def _checked(op: str, arrays: tuple[Array, ...], params: dict[str, Any]) -> tuple[tuple[Array, ...], Known]:
    """The arrays, in this processor's order of bytes, and what there is to know of every call with such arrays."""
    if op not in RULES:
        raise KernelError(f"there is no op {op!r}{nearest(op, RULES)}.")
    device = device_of(arrays[0])
    for position, array in enumerate(arrays[1:], 1):
        if (other := device_of(array)) != device:
            raise DeviceError(
                f"{op}: array 0 is on {device} and array {position} on {other}; move one of them, "
                "nothing is copied silently."
            )
    if not all(array.dtype.isnative for array in arrays):
        arrays = tuple(array.astype(array.dtype.newbyteorder("="), copy=False) for array in arrays)
    specs = RULES[op](*arrays, **params)
    dtype = next((dtype for _, dtype in specs if dtype.kind == "f"), specs[0][1])  # of its numbers, not of a counter
    return arrays, (device, specs, registry.name_of(np.dtype(dtype)))


def _outputs(op: str, out: Array | tuple[Array | None, ...] | None, specs: Spec, xp: Any) -> tuple[Array, ...]:
    """The arrays to write to: those given, if they fit, or new ones."""
    allocate = memory.empty if xp is np else xp.empty
    if out is None:
        return tuple(allocate(shape, dtype) for shape, dtype in specs)
    given = out if isinstance(out, tuple) else (out,)
    if len(given) != len(specs):
        raise ShapeError(f"{op}: out has {len(given)} arrays and the op {len(specs)} results; give one for each.")
    results = tuple([
        allocate(*spec) if array is None else array
        for array, spec in zip(given, specs, strict=True)
    ])  # fmt: skip
    for result, (shape, dtype) in zip(results, specs, strict=True):
        if result.shape != shape or result.dtype != dtype:
            raise ShapeError(f"{op}: out is {result.dtype} {list(result.shape)}, the result is {dtype} {list(shape)}.")
        if xp is np and not result.flags.writeable:
            raise ShapeError(f"{op}: out {list(shape)} is read-only; give an array that may be written to.")
    return results


def _copy_into(results: tuple[Array, ...], returned: Any, chosen: registry.Kernel) -> None:
    """Take what a kernel without `out` returned, and say so plainly if it is not what the op promises."""
    returned = returned if isinstance(returned, tuple) else (returned,)
    if len(returned) != len(results):
        raise ShapeError(
            f"kernel {chosen.name!r} of {chosen.op} returned {len(returned)} arrays, the op has {len(results)} results."
        )
    for result, value in zip(results, returned, strict=True):
        said = f"kernel {chosen.name!r} of {chosen.op} returned"
        got = value if cuda.is_array(value) else np.asarray(value)
        if device_of(got) != device_of(result):
            raise DeviceError(f"{said} an array on {device_of(got)}, the result is on {device_of(result)}.")
        if got.dtype.kind not in ("fiub" if result.dtype.kind == "f" else "iub"):
            raise DtypeError(f"{said} {'None' if value is None else got.dtype}, the result is {result.dtype}.")
        if got.shape != result.shape:
            raise ShapeError(f"{said} shape {list(got.shape)}, the result has shape {list(result.shape)}.")
        result[...] = got
