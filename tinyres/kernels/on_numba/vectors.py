"""Explicit vector code: the two inner loops of a convolution, written as LLVM vectors that stay in registers.

A compiler's own vectorizer does not keep a block of results in registers across a loop; these intrinsics do. They are
templates over the type of the arrays (float32, float64) and, as literal integers, over the block: PIXELS or ROWS x
VECTORS, and they take the width of a vector from the processor (AVX-512, AVX, else 128 bits: SSE, NEON). LLVM turns a
vector that the processor does not have into those that it has.

    correlate_block   out[t, :] = sum over r, k of  x[r*row_step + t*pixel_step + k] * w[r, k, :]
    outer_block       acc[q, :] += sum over i, j of  x[i*x_row + j*x_pixel + q] * dy[i*dy_row + j*dy_pixel, :]

Both read x one value at a time, copied to all lanes, and w, dy and acc a vector at a time.
"""

from __future__ import annotations

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


class _Emitter:
    """The vector operations of one element type in one function."""

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
        declare: Any = cgutils.get_or_insert_function
        return declare(self.b.module, ir.FunctionType(result, arguments), name)

    def at(self, pointer: Any, *offsets: Any) -> Any:
        """Address of an element."""
        for offset in offsets:
            pointer = self.b.gep(pointer, [offset if isinstance(offset, ir.Value) else I64(offset)])
        return pointer

    def load(self, pointer: Any) -> Any:
        vector = self.b.load(self.b.bitcast(pointer, self.vector.as_pointer()))
        vector.align = self.itemsize
        return vector

    def store(self, vector: Any, pointer: Any) -> None:
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


def _pointer(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


@intrinsic
def correlate_block(  # type: ignore[no-untyped-def]
    typing, x, x0, row_step, pixel_step, w, w0, rows, run, out, out0, out_step, count, lanes, pixels, vectors
):
    """Write `count` output pixels of `lanes` channels; `pixels` and `vectors` are literal and bound them."""
    if not isinstance(pixels, types.IntegerLiteral):
        return None  # Numba asks once more with literals
    wanted_pixels, wanted_vectors = pixels.literal_value, vectors.literal_value
    i = types.int64
    signature = types.void(x, i, i, i, w, i, i, i, out, i, i, i, i, pixels, vectors)

    def codegen(context, builder, _, arguments):  # type: ignore[no-untyped-def]
        ax, x0, row_step, pixel_step, aw, w0, rows, run, aout, out0, out_step, count, lanes, _, _ = arguments
        e = _Emitter(builder, x.dtype)
        px, pw, pout = (_pointer(context, builder, k, a) for k, a in ((x, ax), (w, aw), (out, aout)))
        px, pw, pout = e.at(px, x0), e.at(pw, w0), e.at(pout, out0)
        width = wanted_vectors * e.lanes
        pixel_offsets = [builder.mul(pixel_step, I64(t)) for t in range(wanted_pixels)]

        def over_rows(r, sums):  # type: ignore[no-untyped-def]
            x_row = e.at(px, builder.mul(r, row_step))
            x_pixels = [e.at(x_row, offset) for offset in pixel_offsets]
            w_row = e.at(pw, builder.mul(builder.mul(r, run), I64(width)))

            def over_run(k, sums):  # type: ignore[no-untyped-def]
                w_k = e.at(w_row, builder.mul(k, I64(width)))
                weights = [e.load(e.at(w_k, v * e.lanes)) for v in range(wanted_vectors)]
                new = []
                for t in range(wanted_pixels):
                    value = e.splat(e.at(x_pixels[t], k))
                    for v in range(wanted_vectors):
                        new.append(builder.call(e.fma, [value, weights[v], sums[t * wanted_vectors + v]]))
                return new

            return e.loop(run, sums, over_run)

        sums = e.loop(rows, [e.zero] * (wanted_pixels * wanted_vectors), over_rows)
        whole = builder.and_(
            builder.icmp_signed("==", lanes, I64(width)), builder.icmp_signed("==", count, I64(wanted_pixels))
        )
        places = [e.at(pout, builder.mul(out_step, I64(t))) for t in range(wanted_pixels)]
        with builder.if_else(whole) as (straight, piecemeal):
            with straight:
                for n, total in enumerate(sums):
                    e.store(total, e.at(places[n // wanted_vectors], n % wanted_vectors * e.lanes))
            with piecemeal:
                for t in range(wanted_pixels):
                    with builder.if_then(builder.icmp_signed("<", I64(t), count)):
                        for lane in range(width):
                            with builder.if_then(builder.icmp_signed("<", I64(lane), lanes)):
                                vector = sums[t * wanted_vectors + lane // e.lanes]
                                builder.store(
                                    builder.extract_element(vector, I32(lane % e.lanes)), e.at(places[t], lane)
                                )
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def outer_block(  # type: ignore[no-untyped-def]
    typing, x, x0, x_row, x_pixel, dy, dy0, dy_row, dy_pixel, rows, columns, acc, acc0, values, vectors
):
    """Add to a block of `values` x `vectors` (literals) sums the outer products of all pixels."""
    if not isinstance(values, types.IntegerLiteral):
        return None  # Numba asks once more with literals
    wanted_values, wanted_vectors = values.literal_value, vectors.literal_value
    i = types.int64
    signature = types.void(x, i, i, i, dy, i, i, i, i, i, acc, i, values, vectors)

    def codegen(context, builder, _, arguments):  # type: ignore[no-untyped-def]
        ax, x0, x_row, x_pixel, ady, dy0, dy_row, dy_pixel, rows, columns, aacc, acc0, _, _ = arguments
        e = _Emitter(builder, x.dtype)
        px, pdy, pacc = (_pointer(context, builder, k, a) for k, a in ((x, ax), (dy, ady), (acc, aacc)))
        px, pdy, pacc = e.at(px, x0), e.at(pdy, dy0), e.at(pacc, acc0)
        block = [e.at(pacc, n * e.lanes) for n in range(wanted_values * wanted_vectors)]

        def over_rows(r, sums):  # type: ignore[no-untyped-def]
            x_r, dy_r = e.at(px, builder.mul(r, x_row)), e.at(pdy, builder.mul(r, dy_row))

            def over_columns(j, sums):  # type: ignore[no-untyped-def]
                x_j, dy_j = e.at(x_r, builder.mul(j, x_pixel)), e.at(dy_r, builder.mul(j, dy_pixel))
                errors = [e.load(e.at(dy_j, v * e.lanes)) for v in range(wanted_vectors)]
                new = []
                for q in range(wanted_values):
                    value = e.splat(e.at(x_j, q))
                    for v in range(wanted_vectors):
                        new.append(builder.call(e.fma, [value, errors[v], sums[q * wanted_vectors + v]]))
                return new

            return e.loop(columns, sums, over_columns)

        for place, total in zip(block, e.loop(rows, [e.load(place) for place in block], over_rows), strict=True):
            e.store(total, place)
        return context.get_dummy_value()

    return signature, codegen
