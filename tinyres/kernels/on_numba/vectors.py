"""Explicit vector code: the two inner loops of a convolution, written as LLVM vectors that stay in registers.

A compiler's own vectorizer does not keep a block of results in registers across a loop; these intrinsics do. They are
templates over the type of the arrays (float32, float64) and, as literal integers, over the block: PIXELS or ROWS x
VECTORS, and they take the width of a vector from the processor (AVX-512, AVX, else 128 bits: SSE, NEON). LLVM turns a
vector that the processor does not have into those that it has.

    correlate_block   out[t] = sum over r, s, k of  x[r*row_step + (t + s)*pixel_step + k] * w[r, s, k]
    outer_block       acc[s, q] += sum over i, j of  x[i*x_row + j*pixel_step + q] * dy[i*dy_row + j - s]

t counts pixels, s the taps of a filter row that share a value of x while it is in a register (`taps` of them, all
unrolled), k and q values of one pixel, or of the whole run of a filter row where there is one tap. x is read one value
at a time, copied to all lanes; w, dy, acc and out a vector or two at a time, the last index of each.
"""

from __future__ import annotations

import platform
from typing import Any

import llvmlite.binding as llvm
import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as _intrinsic

I64, I32 = ir.IntType(64), ir.IntType(32)
intrinsic: Any = _intrinsic  # what it makes is called with other arguments than its function


def _vector_bytes() -> int:
    features = llvm.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx") else 16


VECTOR_BYTES = _vector_bytes()
REGISTERS = 32 if VECTOR_BYTES == 64 or platform.machine() in ("aarch64", "arm64") else 16


class Emitter:
    """The vector operations of one element type in one function; `b` builds its LLVM code."""

    def __init__(self, builder: Any, element: Any) -> None:
        self.b = builder
        self.element = ir.FloatType() if element == types.float32 else ir.DoubleType()
        self.itemsize = 4 if element == types.float32 else 8
        self.lanes = VECTOR_BYTES // self.itemsize
        self.vector = ir.VectorType(self.element, self.lanes)
        suffix = f"v{self.lanes}f{8 * self.itemsize}"
        self.fma = self.declare(f"llvm.fma.{suffix}", self.vector, [self.vector] * 3)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)

    def declare(self, name: str, result: Any, arguments: list[Any]) -> Any:
        """A function of LLVM's own, such as the fused multiply-add."""
        declare: Any = cgutils.get_or_insert_function
        return declare(self.b.module, ir.FunctionType(result, arguments), name)

    def at(self, pointer: Any, *offsets: Any) -> Any:
        """Address of an element."""
        for offset in offsets:
            pointer = self.b.gep(pointer, [offset if isinstance(offset, ir.Value) else I64(offset)])
        return pointer

    def load(self, pointer: Any) -> Any:
        """A vector from any address."""
        vector = self.b.load(self.b.bitcast(pointer, self.vector.as_pointer()))
        vector.align = self.itemsize
        return vector

    def store(self, vector: Any, pointer: Any) -> None:
        """A vector to any address."""
        self.b.store(vector, self.b.bitcast(pointer, self.vector.as_pointer())).align = self.itemsize

    def splat(self, pointer: Any) -> Any:
        """One element in all lanes."""
        one = self.b.insert_element(ir.Constant(self.vector, ir.Undefined), self.b.load(pointer), I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.b.shuffle_vector(one, ir.Constant(self.vector, ir.Undefined), zeros)

    def loop(self, count: Any, state: list[Any], body: Any) -> list[Any]:
        """`for k in range(count): state = body(k, state)` with the state in registers; count is at least 1."""
        b, before = self.b, self.b.block
        inside, after = b.append_basic_block("loop"), b.append_basic_block("after")
        b.branch(inside)
        b.position_at_end(inside)
        k = b.phi(I64)
        k.add_incoming(I64(0), before)
        phis = [b.phi(value.type) for value in state]
        for phi, value in zip(phis, state, strict=True):
            phi.add_incoming(value, before)
        new: list[Any] = body(k, phis)
        end, following = b.block, b.add(k, I64(1))
        k.add_incoming(following, end)
        for phi, value in zip(phis, new, strict=True):
            phi.add_incoming(value, end)
        b.cbranch(b.icmp_signed("<", following, count), inside, after)
        b.position_at_end(after)
        return new


def pointer(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Address of the first element of an array argument."""
    return context.make_array(kind)(context, builder, array).data


@intrinsic
def correlate_block(  # type: ignore[no-untyped-def]
    typing, x, x0, row_step, pixel_step, w, w0, rows, run, out, out0, out_step, count, lanes, pixels, vectors, taps
):
    """Write `count` output pixels of `lanes` filters; the literals `pixels` and `vectors` bound them."""
    if not isinstance(taps, types.IntegerLiteral):
        return None  # Numba asks once more with literals
    P, V, T = pixels.literal_value, vectors.literal_value, taps.literal_value
    i = types.int64
    signature = types.void(x, i, i, i, w, i, i, i, out, i, i, i, i, pixels, vectors, taps)

    def codegen(context, builder, _, arguments):  # type: ignore[no-untyped-def]
        ax, x0, row_step, pixel_step, aw, w0, rows, run, aout, out0, out_step, count, lanes = arguments[:13]
        e = Emitter(builder, x.dtype)
        px, pw, pout = (pointer(context, builder, k, a) for k, a in ((x, ax), (w, aw), (out, aout)))
        px, pw, pout = e.at(px, x0), e.at(pw, w0), e.at(pout, out0)
        width = V * e.lanes
        pixel_offsets = [builder.mul(pixel_step, I64(t)) for t in range(P + T - 1)]
        tap_step = builder.mul(run, I64(width))

        def over_rows(r, sums):  # type: ignore[no-untyped-def]
            x_row = e.at(px, builder.mul(r, row_step))
            x_pixels = [e.at(x_row, offset) for offset in pixel_offsets]
            w_row = e.at(pw, builder.mul(r, builder.mul(tap_step, I64(T))))
            w_taps = [e.at(w_row, builder.mul(tap_step, I64(s))) for s in range(T)]

            def over_run(k, sums):  # type: ignore[no-untyped-def]
                here = builder.mul(k, I64(width))
                weights = [[e.load(e.at(tap, here, v * e.lanes)) for v in range(V)] for tap in w_taps]
                new = list(sums)
                for p in range(P + T - 1):
                    value = e.splat(e.at(x_pixels[p], k))
                    for s in range(max(0, p - P + 1), min(T, p + 1)):
                        for v in range(V):
                            n = (p - s) * V + v
                            new[n] = builder.call(e.fma, [value, weights[s][v], new[n]])
                return new

            return e.loop(run, sums, over_run)

        sums = e.loop(rows, [e.zero] * (P * V), over_rows)
        whole = builder.and_(builder.icmp_signed("==", lanes, I64(width)), builder.icmp_signed("==", count, I64(P)))
        places = [e.at(pout, builder.mul(out_step, I64(t))) for t in range(P)]
        with builder.if_else(whole) as (straight, piecemeal):
            with straight:
                for n, total in enumerate(sums):
                    e.store(total, e.at(places[n // V], n % V * e.lanes))
            with piecemeal:
                for t in range(P):
                    with builder.if_then(builder.icmp_signed("<", I64(t), count)):
                        for lane in range(width):
                            with builder.if_then(builder.icmp_signed("<", I64(lane), lanes)):
                                one = builder.extract_element(sums[t * V + lane // e.lanes], I32(lane % e.lanes))
                                builder.store(one, e.at(places[t], lane))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def outer_block(  # type: ignore[no-untyped-def]
    typing,
    x,
    x0,
    x_row,
    pixel_step,
    dy,
    dy0,
    dy_row,
    dy_pixel,
    rows,
    columns,
    acc,
    acc0,
    tap_step,
    values,
    vectors,
    taps,
):
    """Add the outer products of all pixels to `taps` blocks of `values` x `vectors` sums (literals)."""
    if not isinstance(taps, types.IntegerLiteral):
        return None  # Numba asks once more with literals
    Q, V, T = values.literal_value, vectors.literal_value, taps.literal_value
    i = types.int64
    signature = types.void(x, i, i, i, dy, i, i, i, i, i, acc, i, i, values, vectors, taps)

    def codegen(context, builder, _, arguments):  # type: ignore[no-untyped-def]
        ax, x0, x_row, pixel_step, ady, dy0, dy_row, dy_pixel, rows, columns, aacc, acc0, tap_step = arguments[:13]
        e = Emitter(builder, x.dtype)
        px, pdy, pacc = (pointer(context, builder, k, a) for k, a in ((x, ax), (dy, ady), (acc, aacc)))
        px, pdy, pacc = e.at(px, x0), e.at(pdy, dy0), e.at(pacc, acc0)
        block = [
            e.at(pacc, builder.mul(tap_step, I64(s)), (q * V + v) * e.lanes)
            for s in range(T)
            for q in range(Q)
            for v in range(V)
        ]

        def over_rows(r, sums):  # type: ignore[no-untyped-def]
            x_r, dy_r = e.at(px, builder.mul(r, x_row)), e.at(pdy, builder.mul(r, dy_row))

            def step(sums: Any, j: Any, errors: Any) -> list[Any]:
                """`errors`: of each tap the vectors of dy that meet pixel j, or None where that is beyond the row."""
                new, x_j = list(sums), e.at(x_r, builder.mul(j, pixel_step))
                for q in range(Q):
                    value = e.splat(e.at(x_j, q))
                    for s, tap in enumerate(errors):
                        for v in range(V if tap else 0):
                            n = (s * Q + q) * V + v
                            new[n] = builder.call(e.fma, [value, tap[v], new[n]])
                return new

            def over_columns(j, state):  # type: ignore[no-untyped-def]
                dy_j = e.at(dy_r, builder.mul(j, dy_pixel))
                flat = [*(e.load(e.at(dy_j, v * e.lanes)) for v in range(V)), *state[len(block) :]]
                errors = [flat[s * V : (s + 1) * V] for s in range(T)]
                return [*step(state[: len(block)], j, errors), *flat[: (T - 1) * V]]

            state = e.loop(columns, [*sums, *[e.zero] * ((T - 1) * V)], over_columns)
            sums, flat = state[: len(block)], state[len(block) :]
            for beyond in range(T - 1):  # the last pixels of x meet only the later taps
                errors = [None] * (beyond + 1) + [flat[s * V : (s + 1) * V] for s in range(T - 1 - beyond)]
                sums = step(sums, builder.add(columns, I64(beyond)), errors)
            return sums

        for place, total in zip(block, e.loop(rows, [e.load(place) for place in block], over_rows), strict=True):
            e.store(total, place)
        return context.get_dummy_value()

    return signature, codegen
