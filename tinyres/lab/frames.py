"""What parent and worker say to each other: a header in JSON and raw arrays, over two pipes. Nothing is pickled.

    frame  = length of the header (8 bytes, little-endian) | header | array | array | ...
    header = JSON object; `arrays` lists [name, length in bytes] of what follows
    array  = a .npy file of version 1.0, numbers only

The worker runs a stranger's code, so the parent believes nothing: lengths are capped before anything is allocated, the
.npy header must have exactly the form that `pack` writes, and an array must be as long as its shape says. The worker
loads this file too; it needs NumPy only.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = Any
LENGTH = 8
HEADER_BYTES = 1 << 20  # of a header from the worker: texts in it are capped far below
_MAGIC = b"\x93NUMPY\x01\x00"
_FORM = re.compile(
    r"\{'descr': '([<>|][biufc]\d{1,2})', 'fortran_order': False, 'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n"
)


class BadFrame(ValueError):
    """What arrived is no frame."""


def pack(header: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> bytes:
    """One frame."""
    bodies = {name: _npy(array) for name, array in (arrays or {}).items()}
    said = {**header, "arrays": [[name, len(body)] for name, body in bodies.items()]}
    text = json.dumps(said).encode("ascii")
    return b"".join([len(text).to_bytes(LENGTH, "little"), text, *bodies.values()])


def _npy(array: Array) -> bytes:
    """The .npy file of an array. NumPy's own writer is not asked: whoever shares its process may have exchanged it."""
    array = np.ascontiguousarray(array).reshape(np.shape(array))  # the former makes a number into an array of one
    shape = ", ".join(str(n) for n in array.shape) + ("," if array.ndim == 1 else "")
    text = f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': ({shape}), }}".encode("ascii")
    text += b" " * (-(len(_MAGIC) + 2 + len(text) + 1) % 64) + b"\n"  # numbers begin at a multiple of 64
    return b"".join([_MAGIC, len(text).to_bytes(2, "little"), text, array.tobytes()])


def array_of(body: bytes | memoryview) -> Array:
    """The array of a .npy file, BadFrame if it is not exactly one of numbers."""
    start = len(_MAGIC) + 2
    end = start + int.from_bytes(body[len(_MAGIC) : start], "little")
    found = _FORM.fullmatch(bytes(body[start:end]).decode("ascii", "replace"))
    if bytes(body[: len(_MAGIC)]) != _MAGIC or not found or end > len(body):
        raise BadFrame("no array")
    try:
        dtype = np.dtype(found[1])
    except TypeError:
        raise BadFrame(f"no type of numbers: {found[1]}") from None
    shape = tuple(int(n) for n in found[2].replace(",", " ").split())
    if len(shape) > 32 or math.prod(shape) * dtype.itemsize != len(body) - end:
        raise BadFrame("an array that is not as long as its shape says")
    try:
        return np.frombuffer(bytes(body[end:]), dtype).reshape(shape).copy()
    except ValueError:  # empty, and yet with axes that no array can have
        raise BadFrame("an array of an impossible shape") from None


class Reader:
    """Puts a frame together from the pieces that arrive.

    Parameters
    ----------
    most : int
        Bytes that its arrays may have together; a frame that claims more is a BadFrame before any of them is read.
    header : int
        Bytes that its header may have.
    """

    def __init__(self, most: int, header: int = HEADER_BYTES) -> None:
        self._most, self._most_header = most, header
        self.header: dict[str, Any] | None = None
        self.arrays: dict[str, Array] = {}
        self._held = bytearray()
        self._sizes: list[tuple[str, int]] = []

    @property
    def whole(self) -> bool:
        """Header and arrays are there."""
        return self.header is not None and self.wants() == 0

    def wants(self) -> int:
        """How many bytes are missing of the length, then of the header, then of the arrays."""
        if self.header is not None:
            return sum(size for _, size in self._sizes) - len(self._held)
        if len(self._held) < LENGTH:
            return LENGTH - len(self._held)
        return LENGTH + self._header_length() - len(self._held)

    def feed(self, piece: bytes) -> None:
        """The next piece, at most as long as `wants` says."""
        self._held += piece
        if self.header is None and len(self._held) >= LENGTH and self.wants() == 0:
            self._open()
        if self.whole:
            start = 0
            for name, size in self._sizes:
                self.arrays[name] = array_of(memoryview(self._held)[start : start + size])
                start += size

    def _header_length(self) -> int:
        length = int.from_bytes(self._held[:LENGTH], "little")
        if not 0 < length <= self._most_header:
            raise BadFrame(f"a header of {length} bytes")
        return length

    def _open(self) -> None:
        try:
            header = json.loads(self._held[LENGTH:].decode("utf-8"))
            sizes = [(name, size) for name, size in header["arrays"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise BadFrame("a header that cannot be read") from None
        if not all(isinstance(name, str) and type(size) is int and size >= 0 for name, size in sizes):
            raise BadFrame("a header that names no arrays")
        if sum(size for _, size in sizes) > self._most:
            raise BadFrame(f"arrays of {sum(size for _, size in sizes)} bytes")
        self.header, self._sizes, self._held = header, sizes, bytearray()


def receive(read: Callable[[int], bytes], most: int = 1 << 40) -> tuple[dict[str, Any], dict[str, Array]] | None:
    """A whole frame from `read`, which waits, in a worker, which trusts its parent; None when the pipe was closed."""
    reader = Reader(most, header=1 << 30)
    while not reader.whole:
        piece = read(min(reader.wants(), 1 << 20))
        if not piece:
            return None
        reader.feed(piece)
    return reader.header or {}, reader.arrays
