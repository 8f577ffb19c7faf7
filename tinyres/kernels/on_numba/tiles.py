"""The transforms of Winograd's convolution F(4x4, 3x3), on vectors of channels, without leaving the registers.

A tile of 4x4 outputs needs 6x6 inputs. With polynomials evaluated at six points, 0, +-a, +-b and infinity (Toom, Cook;
Winograd 1980; Lavin and Gray 2015),

    y = A' [ (G w G') * (B' x B) ] A

needs 36 products where the sum over the filter taps needs 144. The three linear maps, and the transposes of two, which
the weight gradient needs, are written out here with the fewest operations:

    DATA    B'  6 -> 6      RESULT  A'  6 -> 4, or STREAMED past the caches      FILTER  G   3 -> 6
                            ERROR   A   4 -> 6                                   SUM     G'  6 -> 3

The usual points +-1, +-2 cost more accuracy than +-5/8, +-3/2, whose squares are exact in binary as well (compare Alam
et al. 2022 on the choice of points).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import llvmlite.ir as ir
from numba import types

from tinyres.kernels.on_numba.stream import store_past_caches
from tinyres.kernels.on_numba.vectors import I64, Emitter, intrinsic, pointer

Values = list[Any]

TILE, PATCH, TAPS = 4, 6, 3  # outputs, inputs and filter taps of a tile in one dimension
POINTS = PATCH * PATCH
DATA, FILTER, RESULT, STREAMED, ERROR, SUM = range(6)

a, b = 5 / 8, 3 / 2
# A filter's value at a point is divided by the product of the distances to the other points.
AT_ZERO, AT_A, AT_B = (a * b) ** 2, 2 * a**2 * (a**2 - b**2), 2 * b**2 * (b**2 - a**2)


class _Arithmetic(Emitter):
    """Sums and products of vectors with constants."""

    def constant(self, value: float) -> Any:
        return ir.Constant(self.vector, [value] * self.lanes)

    def times(self, factor: float, v: Any) -> Any:
        return self.b.fmul(self.constant(factor), v)

    def plus(self, factor: float, v: Any, to: Any) -> Any:
        """Factor * v + to, rounded once."""
        return self.b.call(self.fma, [self.constant(factor), v, to])


def _data(e: _Arithmetic, d: Values) -> Values:
    """B' d, 6 -> 6: the coefficients of the polynomial with five of the six points as its roots."""
    near = e.plus(-(b**2), d[2], d[4]), e.plus(-(b**2), d[1], d[3])
    far = e.plus(-(a**2), d[2], d[4]), e.plus(-(a**2), d[1], d[3])
    middle = -(a**2 + b**2)
    return [
        e.plus((a * b) ** 2, d[0], e.plus(middle, d[2], d[4])),
        *(e.plus(sign * a, near[1], near[0]) for sign in (1, -1)),
        *(e.plus(sign * b, far[1], far[0]) for sign in (1, -1)),
        e.plus((a * b) ** 2, d[1], e.plus(middle, d[3], d[5])),
    ]


def _result(e: _Arithmetic, m: Values) -> Values:
    """A' m, 6 -> 4: y[k] is the sum of the points' k-th powers times m, infinity counting for the last."""
    near, far = (e.b.fadd(m[1], m[2]), e.b.fsub(m[1], m[2])), (e.b.fadd(m[3], m[4]), e.b.fsub(m[3], m[4]))
    return [
        e.b.fadd(m[0], e.b.fadd(near[0], far[0])),
        e.plus(a, near[1], e.times(b, far[1])),
        e.plus(a**2, near[0], e.times(b**2, far[0])),
        e.plus(a**3, near[1], e.plus(b**3, far[1], m[5])),
    ]


def _error(e: _Arithmetic, y: Values) -> Values:
    """A y, 4 -> 6: the polynomial with the coefficients y at the six points."""
    near = e.plus(a**2, y[2], y[0]), e.plus(a**2, y[3], y[1])
    far = e.plus(b**2, y[2], y[0]), e.plus(b**2, y[3], y[1])
    return [
        y[0],
        *(e.plus(sign * a, near[1], near[0]) for sign in (1, -1)),
        *(e.plus(sign * b, far[1], far[0]) for sign in (1, -1)),
        y[3],
    ]


def _filter(e: _Arithmetic, w: Values) -> Values:
    """G w, 3 -> 6: the polynomial with the coefficients w at the six points, over the distances."""
    near = e.times(1 / AT_A, e.plus(a**2, w[2], w[0]))
    far = e.times(1 / AT_B, e.plus(b**2, w[2], w[0]))
    return [
        e.times(1 / AT_ZERO, w[0]),
        *(e.plus(sign * a / AT_A, w[1], near) for sign in (1, -1)),
        *(e.plus(sign * b / AT_B, w[1], far) for sign in (1, -1)),
        w[2],
    ]


def _sum(e: _Arithmetic, u: Values) -> Values:
    """G' u, 6 -> 3."""
    near, far = (e.b.fadd(u[1], u[2]), e.b.fsub(u[1], u[2])), (e.b.fadd(u[3], u[4]), e.b.fsub(u[3], u[4]))
    return [
        e.plus(1 / AT_A, near[0], e.plus(1 / AT_B, far[0], e.times(1 / AT_ZERO, u[0]))),
        e.plus(a / AT_A, near[1], e.times(b / AT_B, far[1])),
        e.plus(a**2 / AT_A, near[0], e.plus(b**2 / AT_B, far[0], u[5])),
    ]


_MAPS = {
    DATA: (_data, PATCH, PATCH),
    FILTER: (_filter, TAPS, PATCH),
    RESULT: (_result, PATCH, TILE),
    STREAMED: (_result, PATCH, TILE),
    ERROR: (_error, TILE, PATCH),
    SUM: (_sum, PATCH, TAPS),
}


@intrinsic
def transform(typing, x, x0, x_row, x_pixel, out, out0, out_row, out_pixel, vectors, kind):  # type: ignore[no-untyped-def]
    """Apply a map along rows and columns of one tile, for `vectors` vectors of channels."""
    if not isinstance(kind, types.IntegerLiteral):
        return None  # Numba asks once more with literals
    one_way, size_in, size_out = _MAPS[kind.literal_value]
    i = types.int64
    signature = types.void(x, i, i, i, out, i, i, i, i, kind)

    def codegen(context, builder, _, arguments):  # type: ignore[no-untyped-def]
        ax, x0, x_row, x_pixel, aout, out0, out_row, out_pixel, vectors = arguments[:9]
        e = _Arithmetic(builder, x.dtype)
        store = partial(store_past_caches, e) if kind.literal_value == STREAMED else e.store
        px, pout = e.at(pointer(context, builder, x, ax), x0), e.at(pointer(context, builder, out, aout), out0)

        def places(base: Any, row: Any, pixel: Any, size: int) -> list[Values]:
            rows = [e.at(base, builder.mul(row, I64(i))) for i in range(size)]
            return [[e.at(place, builder.mul(pixel, I64(j))) for j in range(size)] for place in rows]

        def over_channels(k: Any, state: Values) -> Values:
            here = builder.mul(k, I64(e.lanes))
            source = [[e.load(p) for p in row] for row in places(e.at(px, here), x_row, x_pixel, size_in)]
            columns = [one_way(e, [row[j] for row in source]) for j in range(size_in)]
            rows = [one_way(e, [column[i] for column in columns]) for i in range(size_out)]
            for values, row in zip(rows, places(e.at(pout, here), out_row, out_pixel, size_out), strict=True):
                for value, place in zip(values, row, strict=True):
                    store(value, place)
            return state

        e.loop(vectors, [], over_channels)
        return context.get_dummy_value()

    return signature, codegen
