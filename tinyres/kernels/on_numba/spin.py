"""Waiting without sleep: a thread that is wanted again within microseconds watches a number in memory instead.

To sleep and be woken costs some tens of microseconds each time, as much as a small kernel. The watching loop holds no
lock of the interpreter, rests the core between two looks, and gives up after a while.
"""

from __future__ import annotations

import platform
from typing import Any

import llvmlite.ir as ir
from numba import njit, types
from numba.core import cgutils

from tinyres.kernels.on_numba.vectors import intrinsic, pointer

LOOKS = 3000  # some tenth of a millisecond where a rest takes 100 cycles or more
RESTS = platform.machine().lower() in ("x86_64", "amd64")


@intrinsic
def _look(typing, board, place):  # type: ignore[no-untyped-def]
    """board[place], as another thread wrote it last; the core rests a moment first."""
    signature = types.int64(board, types.int64)

    def codegen(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        if RESTS:
            declare: Any = cgutils.get_or_insert_function
            rest = declare(builder.module, ir.FunctionType(ir.VoidType(), []), "llvm.x86.sse2.pause")
            builder.call(rest, [])
        address = builder.gep(pointer(context, builder, board, arguments[0]), [arguments[1]])
        return builder.load_atomic(address, "acquire", 8)

    return signature, codegen


@njit(nogil=True, cache=True)
def watch(board: Any, place: int, old: int, looks: int) -> None:
    """Return when board[place] is another number than `old`, or after so many looks."""
    for _ in range(looks):
        if _look(board, place) != old:
            return
