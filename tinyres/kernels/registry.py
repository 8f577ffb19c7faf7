"""The table (op, kernel name) -> kernel, and the choice among its entries.

A kernel's name is its backend (`numpy`) or backend.variant (`numba.winograd`). `backends.py` names those that come with
tinyres; `@kernel(op, name)` is the door for everybody else. Which kernel runs is decided in this order:

1. `with use(conv2d="mine"):`, the innermost first
2. the environment, `TINYRES_KERNELS=conv2d=mine,relu=naive`
3. the device's defaults: the first of `DEFAULTS` that the op has and that can run here

An explicit request (1, 2) that cannot be met raises with the reason; it never falls back. A variant chosen for a group
of ops (`conv`, `all`) is a choice of its backend too: that runs those ops of the group which the variant does not have.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any, TypeVar

from tinyres.errors import DtypeError, KernelError, nearest
from tinyres.kernels.backends import BACKENDS as BACKENDS
from tinyres.kernels.backends import DEFAULTS as DEFAULTS
from tinyres.kernels.backends import backend as backend
from tinyres.kernels.backends import backend_of, modules, usual
from tinyres.kernels.backends import own_names as own_names
from tinyres.kernels.groups import COMPOSED as COMPOSED
from tinyres.kernels.groups import FUSED as FUSED
from tinyres.kernels.groups import GROUPS as GROUPS
from tinyres.machine import variable

Choices = Mapping[str, str]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kernel:
    """One implementation of an op: the function, and what it declares about itself."""

    op: str
    name: str
    function: Callable[..., Any]
    device: str = "cpu"
    dtypes: tuple[str, ...] = ("float32", "float64")
    precision: str = "full"  # "full": that of the arrays; else a reduced one by name, such as "tf32"
    strided: bool = False  # takes arrays of any strides; else launch hands it contiguous ones
    writes_out: bool = True  # has an `out` argument; else its result is copied into the array that launch allocated
    graphable: bool = True  # may be captured in a CUDA graph: it launches kernels only, and asks no library of NVIDIA's
    requires: Callable[[], str | None] = lambda: None  # why it cannot run on this machine, or None

    @property
    def backend(self) -> str:
        """The part of its name before the dot."""
        return backend_of(self.name)


_table: dict[tuple[str, str], Kernel] = {}
_resolved: dict[tuple[str, str | None, str, str, str], Kernel] = {}  # by what `resolve` asks
_preferred: ContextVar[str] = ContextVar("tinyres_preferred", default="")
_chosen: ContextVar[Choices] = ContextVar("tinyres_kernels", default={})  # noqa: B039 - never mutated


def kernel(op: str, name: str, **declared: Any) -> Callable[[F], F]:
    """Enter a function into the table as a kernel of `op`.

    Parameters
    ----------
    op : str
        An op of the table, such as ``"conv2d"``; `tinyres kernels` lists them.
    name : str
        The kernel's name, ``"backend"`` or ``"backend.variant"``.
    **declared
        Fields of `Kernel`: ``device``, ``dtypes``, ``precision``, ``strided``, ``graphable``, ``requires``.

    Notes
    -----
    The function takes the op's arrays by position and its parameters by keyword. With a keyword argument ``out`` it
    writes its result there (a tuple of arrays where the op has several results); without one it returns the result.

    Examples
    --------
    >>> import numpy as np
    >>> @kernel("neg", "mine")
    ... def neg(x):
    ...     return -1 * x
    >>> with use(neg="mine"):
    ...     pass
    """
    known = ops()
    if op not in known:
        raise KernelError(f"there is no op {op!r}{nearest(op, known)}.")

    def register(function: F) -> F:
        writes_out = "out" in inspect.signature(function).parameters
        _table[op, name] = Kernel(op, name, function, writes_out=writes_out, **declared)
        _resolved.clear()
        return function

    return register


@functools.cache
def ops() -> tuple[str, ...]:
    """Every op of the table: those for which the oracle has a kernel."""
    return tuple(backend("naive").MODULES)


def names(op: str) -> tuple[str, ...]:
    """The names of the kernels of an op, those of tinyres first."""
    own = [name for name in own_names() if op in modules(name)]
    return tuple(dict.fromkeys([*own, *(name for entry, name in _table if entry == op)]))


def find(op: str, name: str) -> Kernel:
    """The kernel of that name, its module imported if need be; KernelError with the reason where there is none."""
    if op not in ops():
        raise KernelError(f"there is no op {op!r}{nearest(op, ops())}.")
    own = op in modules(name)
    reason = backend(backend_of(name)).missing() if own else None  # each time: a GPU may be emulated for a while only
    if reason is None:
        if own and (op, name) not in _table:
            importlib.import_module(modules(name)[op])
        if (op, name) not in _table:
            raise KernelError(f"{op} has no kernel {name!r}{nearest(name, names(op))}.")
        reason = _table[op, name].requires()
    if reason:
        raise KernelError(f"kernel {name!r} of {op} is not available: {reason}.")
    return _table[op, name]


def parse(text: str) -> dict[str, str]:
    """Read ``"conv2d=numpy,relu=naive"``, the form of the environment variable and of `--kernels`."""
    choices = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        op, equals, name = (part.strip() for part in item.partition("="))
        if not (op and equals and name):
            raise KernelError(f"cannot read {item!r} as a choice of kernel: write op=kernel, as in conv2d=numpy.")
        choices[op] = name
    return choices


def expand(choices: Mapping[str, str]) -> dict[str, str]:
    """Check a choice and replace its groups (`conv`, `all`) by their ops; an op beats its group, a group `all`."""
    expanded: dict[str, str] = {}
    widest_first = sorted(choices, key=lambda key: 0 if key == "all" else 1 if key in GROUPS else 2)
    for key in widest_first:
        name = choices[key]
        chosen = dict.fromkeys(GROUPS.get(key, (key,)), name)
        if key == "all":
            chosen = _of_group(ops(), name)
            if not chosen:
                raise KernelError(f"there is no backend {name!r}{nearest(name, own_names())}.")
        elif key in GROUPS:
            chosen = {**chosen, **_of_group(GROUPS[key], name)}
        for op, own in chosen.items():
            if not (op in FUSED and own == COMPOSED):
                find(op, own)
        expanded |= chosen
    return expanded


def _of_group(group: tuple[str, ...], name: str) -> dict[str, str]:
    """The ops of a group that have a kernel of that name, and, once a variant has one, those that its backend has."""
    having = {op: name for op in group if name in names(op)}
    rest = {op: backend_of(name) for op in group if having and op not in having and backend_of(name) in names(op)}
    return having | rest


@functools.lru_cache(maxsize=8)
def _from_environment(text: str) -> Choices:
    return expand(parse(text))


def in_force() -> Choices:
    """The explicit choices now in force, op -> kernel name."""
    text = variable("TINYRES_KERNELS")
    return {**_from_environment(text), **_chosen.get()} if text else _chosen.get()


@contextmanager
def use(**kernel_by_op: str) -> Iterator[None]:
    """Choose kernels for the ops named, and for no other, inside a `with` block.

    Parameters
    ----------
    **kernel_by_op : str
        Op name = kernel name. ``conv=`` sets conv2d and its two gradients, ``all=`` every op that the backend has; a
        variant there (``conv="numba.winograd"``) brings its backend for the ops that it does not have itself. A fused
        op takes ``"composed"`` too: run the ops it is made of.

    Raises
    ------
    KernelError
        Where an op or a kernel is unknown, or the kernel cannot run here (with the reason).

    Examples
    --------
    >>> with use(conv="naive", relu="numpy"):
    ...     pass
    """
    with restored({**_chosen.get(), **expand(kernel_by_op)}):
        yield


@contextmanager
def preferring(name: str) -> Iterator[None]:
    """Let kernels of that name come before the device's defaults, inside a `with` block: so a precision is chosen.

    What is chosen with `use` runs all the same, an op without such a kernel runs its default, and fusions stay.
    """
    if name not in ("", *own_names()):
        raise KernelError(f"there is no kernel {name!r}{nearest(name, own_names())}.")
    token = _preferred.set(name)
    try:
        yield
    finally:
        _preferred.reset(token)


class restored:
    """Put a remembered choice (`in_force()`) back in force, inside a `with` block."""

    __slots__ = ("choices", "token")

    def __init__(self, choices: Choices) -> None:
        self.choices = choices

    def __enter__(self) -> None:
        self.token: Token[Choices] = _chosen.set(self.choices)

    def __exit__(self, *_: object) -> None:
        _chosen.reset(self.token)


@functools.cache
def name_of(dtype: Any) -> str:
    """The name of a dtype, which NumPy puts together anew each time."""
    return str(dtype.name)


def resolve(op: str, dtype: str, device: str) -> Kernel:
    """The kernel that runs `op` now on arrays of this type and device."""
    key = (op, in_force().get(op), dtype, device, _preferred.get())
    return _resolved.get(key) or _resolved.setdefault(key, _choose(*key))


def _choose(op: str, name: str | None, dtype: str, device: str, preferred: str) -> Kernel:
    if name is not None:
        found = find(op, name)
        if found.device != device:
            raise KernelError(f"kernel {name!r} of {op} runs on {found.device} arrays, and these are {device} arrays.")
        if dtype not in found.dtypes:
            raise DtypeError(f"kernel {name!r} of {op} takes {' or '.join(found.dtypes)}, not {dtype}.")
        return found
    for candidate in (preferred, *usual(op, device)):
        if candidate in names(op):
            found = find(op, candidate)
            if dtype in found.dtypes and found.device == device:
                return found
    raise KernelError(f"no kernel of {op} takes {dtype} arrays on {device}; `tinyres kernels` lists what there is.")


def fuses(op: str, dtype: str, device: str) -> bool:
    """Whether a fused op runs as one kernel, not as the ops it is made of.

    It does where it has a kernel, unless "composed" or a kernel of a part alone was chosen: what is chosen always runs.
    """
    choices = in_force()
    if op in choices:
        return choices[op] != COMPOSED
    if any(part in choices for part in FUSED[op]):
        return False
    return (op, None, dtype, device, _preferred.get()) in _resolved or bool(usual(op, device))


def table() -> list[dict[str, Any]]:
    """Op by op, each kernel with its device, whether it is the default, and why it is missing if it is.

    Returns
    -------
    list of dict
        One row a kernel: ``op``, ``kernel``, ``device``, ``dtypes``, ``precision``, ``default`` (bool), ``missing``
        (None, or the reason).
    """
    rows = []
    for op in ops():
        defaults = {device: next(iter(usual(op, device)), None) for device in DEFAULTS}
        for name in names(op):
            row: dict[str, Any] = {"op": op, "kernel": name, "default": name in defaults.values(), "missing": None}
            try:
                found = find(op, name)
                row |= {"device": found.device, "dtypes": found.dtypes, "precision": found.precision}
            except KernelError as error:
                row |= {"missing": str(error), "device": "", "dtypes": (), "precision": ""}
            rows.append(row)
    return rows
