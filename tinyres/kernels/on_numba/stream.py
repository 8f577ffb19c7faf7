"""Stores that go past the caches.

An ordinary store first reads the line of memory that it will overwrite. The result of a large layer does not fit in the
caches near a core anyway, so that read, and the useful lines that it drives out, are a waste. Before a thread ends its
part it waits with `fence` until what it sent can be seen by all.
"""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir
from numba import njit, types

from tinyres.kernels.memory import ALIGNMENT
from tinyres.kernels.on_numba.vectors import I32, Emitter, intrinsic

WORTH_BYPASSING = 1 << 20  # bytes: about a second-level cache


@njit(nogil=True, cache=True)
def bypasses(result: Any) -> bool:
    """Whether a result is large, and begins with a line of memory, as those of `memory.empty` do."""
    answer: bool = result.nbytes >= WORTH_BYPASSING and result.ctypes.data % ALIGNMENT == 0
    return answer


def store_past_caches(e: Emitter, vector: Any, place: Any) -> None:
    """Store a vector to a multiple of its own size."""
    store = e.b.store(vector, e.b.bitcast(place, e.vector.as_pointer()))
    store.align = e.lanes * e.itemsize
    store.set_metadata("nontemporal", e.b.module.add_metadata([I32(1)]))


@intrinsic
def fence(typing):  # type: ignore[no-untyped-def]
    """Wait until all that this thread streamed can be seen by the others."""

    def codegen(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen
