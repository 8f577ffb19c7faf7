"""Peers out of a person's own Python file, `--peer FILE`, and what is asked of a kernel (`kernels/files.py`).

A peer has `prepare(op, arrays, params)`, which returns None for an op that it lacks, else two functions: `call()`,
which is timed, and `read(value)`, which makes of what `call` returned the op's results as NumPy arrays in our layout,
in the order of the op's results; and it may have a name, `NAME`. One that works on a GPU is given the GPU's arrays,
and has `graph(calls)` too, which makes of calls something whose `launch()` makes them on the current stream; and it may
declare a `PRECISION`, as kernels do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyres.errors import ConfigError, KernelError
from tinyres.kernels import registry
from tinyres.kernels.files import run_module

Array = Any


@dataclass(frozen=True)
class Peer:
    """Somebody else's implementation of our ops."""

    name: str
    prepare: Callable[..., tuple[Callable[[], Any], Callable[[Any], Any]] | None]
    graph: Callable[[Sequence[Callable[[], Any]]], Any] | None = None  # calls -> an object whose launch() makes them
    precision: str = "full"


def load_peer(path: Path) -> Peer:
    """Run a file and return the peer that it describes; OutsideError or ConfigError says what is wrong with it."""
    module = run_module(path)
    prepare = getattr(module, "prepare", None)
    if not callable(prepare):
        raise ConfigError(
            f"{path} has no function prepare(op, arrays, params), which a peer must have; "
            "benchmarks/torch_peer.py is an example."
        )
    name, graph = str(getattr(module, "NAME", path.stem)), getattr(module, "graph", None)
    return Peer(name, prepare, graph, getattr(module, "PRECISION", "full"))


def returned_types(op: str, name: str, arrays: tuple[Array, ...], params: dict[str, Any], right: list[str]) -> None:
    """That a kernel which returns its results returns them in the type of the op: `launch` would convert in silence."""
    found = registry.find(op, name)
    if found.writes_out:
        return
    got = found.function(*arrays, **params)
    types = [
        str(getattr(value, "dtype", None) or np.asarray(value).dtype)
        for value in (got if isinstance(got, tuple) else (got,))
    ]
    if len(types) == len(right) and types != right:
        raise KernelError(
            f"kernel {name!r} of {op} returns {', '.join(types)} for {arrays[0].dtype} arrays, and the op's result is "
            f"{', '.join(right)}; make it with dtype=x.dtype."
        )
