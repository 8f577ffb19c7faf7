"""Arrays of the emulated GPU: NumPy arrays that cannot be taken for NumPy arrays.

They do what tinyres asks of CuPy's arrays and refuse what CuPy's refuse: to become a NumPy array unasked, and to be
mixed with one. A result of a single value is an array of no dimensions, not a number.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinyres.kernels.cuda.emulation import memory, recording

MIXED = "Unsupported type <class 'numpy.ndarray'>: an array of the CPU was given to the GPU; move it there first"


class ndarray(NDArrayOperatorsMixin):
    """An array on the emulated GPU.

    Attributes
    ----------
    host : numpy.ndarray
        The memory, for the emulation itself.
    base : ndarray or None
        The array of which this is a view.
    """

    __slots__ = ("__weakref__", "base", "host")
    host: np.ndarray
    base: ndarray | None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: np.ndarray, base: ndarray | None = None) -> None:
        self.host, self.base = host, base
        if base is not None and base.base is not None:
            self.base = base.base

    shape = property(lambda self: self.host.shape)
    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    size = property(lambda self: self.host.size)
    itemsize = property(lambda self: self.host.itemsize)
    nbytes = property(lambda self: self.host.nbytes)
    strides = property(lambda self: self.host.strides)
    flags = property(lambda self: self.host.flags)
    T = property(lambda self: self._view(self.host.T))

    @property
    def data(self) -> SimpleNamespace:
        """Its address, as `data.ptr`."""
        return SimpleNamespace(ptr=self.host.__array_interface__["data"][0])

    def _view(self, host: np.ndarray) -> ndarray:
        return ndarray(host, self)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to do it.")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **settings: Any) -> Any:
        hosts = [_host(value) for value in inputs]
        call = functools.partial(getattr(ufunc, method), **_hosts(settings))
        if out is None:
            with np.errstate(all="ignore"):  # a GPU does not warn
                likely = call(*hosts)
            if not recording.capturing():
                return _wrapped(likely)
            # only their shapes and types count: the values come with a replay
            parts = likely if isinstance(likely, tuple) else (likely,)
            out = tuple(ndarray(memory.empty(np.shape(part), part.dtype)) for part in parts)
        _into(call, hosts, tuple(_host(target) for target in out))
        return out[0] if len(out) == 1 else tuple(out)

    def __array_function__(self, function: Any, _: Any, args: Any, kwargs: Any) -> Any:
        if function in (np.ndim, np.shape, np.size):
            return function(_host(args[0]), *args[1:])  # a number
        recording.refuse(f"numpy.{function.__name__}")
        return _wrapped(function(*_hosts(args), **_hosts(kwargs)))

    def __getitem__(self, index: Any) -> ndarray:
        parts = index if isinstance(index, tuple) else (index,)
        if all(part is None or part is Ellipsis or isinstance(part, int | np.integer | slice) for part in parts):
            return self._view(self.host[index if Ellipsis in parts else (*parts, ...)])
        recording.refuse("indexing with an array")
        made: ndarray = _wrapped(self.host[_hosts(index)])
        return made

    def __setitem__(self, index: Any, value: Any) -> None:
        given = _host(value)
        if recording.capturing():
            target = recording.place(self[index].host)
            source = recording.place(given) if isinstance(given, np.ndarray) else given
            recording.do(lambda: np.copyto(target, source, casting="unsafe"))
        else:
            self.host[_hosts(index)] = given

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    __index__ = __int__

    def __repr__(self) -> str:
        return repr(self.get())

    def __deepcopy__(self, _: Any) -> ndarray:
        return self.copy()

    def get(self) -> np.ndarray:
        """A copy as a NumPy array."""
        recording.refuse("a copy to the host")
        return self.host.copy()

    def set(self, values: np.ndarray) -> None:
        """Take the values of a NumPy array of the same shape and type."""
        recording.refuse("a copy from the host")
        if values.shape != self.shape or values.dtype != self.dtype:
            raise ValueError(f"{values.dtype} {values.shape} does not fit {self.dtype} {self.shape}")
        self.host[...] = values

    def item(self, *index: Any) -> Any:
        """One value as a Python number."""
        return self.get().item(*index)

    def reshape(self, *shape: Any) -> ndarray:
        """A view of another shape; a copy where the memory does not allow one."""
        sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        made = self.host.reshape(sizes)
        return self._view(made) if np.shares_memory(made, self.host) or not made.size else self.copy().reshape(sizes)

    def ravel(self) -> ndarray:
        """A view of one dimension, or a copy."""
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> ndarray:
        """A view with its axes in another order."""
        return self._view(self.host.transpose(*axes))

    def swapaxes(self, a: int, b: int) -> ndarray:
        """A view with two axes exchanged."""
        return self._view(self.host.swapaxes(a, b))

    def copy(self, order: str = "C") -> ndarray:
        """The same values in memory of their own."""
        return self.astype(self.dtype)

    def astype(self, dtype: Any, copy: bool = True, **_: Any) -> ndarray:
        """The values in another type."""
        if not copy and self.dtype == dtype:
            return self
        made = ndarray(memory.empty(self.shape, np.dtype(dtype)))
        made[...] = self
        return made

    def fill(self, value: Any) -> None:
        """Set every value."""
        self[...] = value


def _method(name: str) -> Callable[..., Any]:
    """A method of NumPy's arrays that makes a new array."""

    def method(self: ndarray, *args: Any, **settings: Any) -> Any:
        recording.refuse(name)
        return _wrapped(getattr(self.host, name)(*_hosts(args), **_hosts(settings)))

    method.__name__ = name
    return method


for _name in [
    "sum",
    "mean",
    "max",
    "min",
    "prod",
    "std",
    "var",
    "any",
    "all",
    "argmax",
    "argmin",
    "argsort",
    "clip",
    "round",
    "repeat",
    "nonzero",
    "squeeze",
    "dot",
    "cumsum",
    "take",
]:
    setattr(ndarray, _name, _method(_name))


def _host(value: Any) -> Any:
    """What NumPy computes with; a NumPy array is refused."""
    if isinstance(value, ndarray):
        return value.host
    if isinstance(value, np.ndarray):
        raise TypeError(MIXED)
    return value


def _hosts(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_hosts(each) for each in value)
    if isinstance(value, dict):
        return {key: _hosts(each) for key, each in value.items()}
    return _host(value)


def _wrapped(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_wrapped(each) for each in value)
    return ndarray(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else value


def _into(call: Callable[..., Any], hosts: list[Any], targets: tuple[np.ndarray, ...]) -> None:
    """Compute into the targets, now or at each replay."""
    if recording.capturing():
        hosts = [recording.place(host) if isinstance(host, np.ndarray) else host for host in hosts]
        targets = tuple(recording.place(target) for target in targets)

    def work() -> None:
        with np.errstate(all="ignore"):
            call(*hosts, out=targets)

    recording.do(work)
