"""One pass over whole activations, in explicit vectors: a block of columns at a time, down all rows of an item.

An array [..., C] is seen as rows of `span` values, span a multiple of C and of a block, so that a column belongs to one
channel. A block is BLOCK vectors of neighbouring columns: its per-channel numbers and its sums stay in registers while
the loop goes down the rows; where span is one block, the rows are one run of memory. `sweep` is a template over what
happens to a block of values, each of these one vector:

    arrays    [rows, span] read                 numbers  [n, span] per-channel numbers, repeated along the row
    results   [rows, span] written              sums     [n, span] added to
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import types

from tinyres.kernels.on_numba.stream import store_past_caches
from tinyres.kernels.on_numba.vectors import I64, VECTOR_BYTES, Emitter, intrinsic, pointer

Array = Any
Values = list[Any]
# e, arrays, numbers, sums -> new sums, results
Body = Callable[[Emitter, Values, Values, Values], tuple[Values, Values]]

ALONE, WITH_RELU, WITH_ADD_RELU = range(3)  # what follows a normalisation

ITEM_BYTES = 32 << 10
BLOCK = 4  # vectors: enough to hide the latency of a sum, few enough for four numbers and two sums of each in registers


@functools.cache
def span_of(channels: int, itemsize: int) -> int:
    """Values in a row: the least common multiple of a pixel and a block."""
    return math.lcm(channels, BLOCK * VECTOR_BYTES // itemsize)


class Part(NamedTuple):
    """Flat arrays of whole rows: the first `values` of them, which stand at `begin` in the arrays they come from."""

    arrays: tuple[Array, ...]
    begin: int
    values: int
    span: int
    rows: int  # in an item
    items: int  # the last one may be short

    def take_back(self, result: Array, number: int) -> None:
        """Copy array `number` to where it comes from, if it had to be filled up."""
        if self.values < len(self.arrays[number]):
            result.reshape(-1)[self.begin :] = self.arrays[number][: self.values]


def parts_of(channels: int, *arrays: Array) -> list[Part]:
    """The arrays as whole rows and, where there is more, the rest filled up with zeros to one row."""
    span = span_of(channels, arrays[0].itemsize)
    rows = max(1, ITEM_BYTES // (span * arrays[0].itemsize))
    flat = tuple([a.reshape(-1) for a in arrays])
    size = len(flat[0])
    rest = size % span
    whole = size - rest
    parts = []
    if whole:
        some = flat if not rest else tuple(a[:whole] for a in flat)
        parts.append(Part(some, 0, whole, span, rows, -(-whole // (rows * span))))
    if rest:
        filled = np.zeros((len(flat), span), flat[0].dtype)
        for line, a in zip(filled, flat, strict=True):
            line[:rest] = a[whole:]
        parts.append(Part(tuple(filled), whole, rest, span, rows, 1))
    return parts


def _rectified(e: Emitter, z: Any) -> Any:
    """max(z, 0); a NaN stays one."""
    return e.b.select(e.b.fcmp_ordered("<", z, e.zero), e.zero, z)


def _passed(e: Emitter, dy: Any, y: Any) -> Any:
    """Dy where y > 0, else 0."""
    return e.b.select(e.b.fcmp_ordered(">", y, e.zero), dy, e.zero)


def _scaled(e: Emitter, deviation: Any, factor: Any, beta: Any) -> Any:
    """(x - mean) * factor + beta, rounded alike forward and backward: there its sign is all that is wanted."""
    return e.b.call(e.fma, [deviation, factor, beta])


def _total(e: Emitter, arrays: Values, numbers: Values, sums: Values) -> tuple[Values, Values]:
    return [e.b.fadd(sums[0], arrays[0])], []


def _squares(e: Emitter, arrays: Values, numbers: Values, sums: Values) -> tuple[Values, Values]:
    deviation = e.b.fsub(arrays[0], numbers[0])
    return [e.b.call(e.fma, [deviation, deviation, sums[0]])], []


def _normalised(
    e: Emitter, arrays: Values, numbers: Values, sums: Values, *, add: bool = False, relu: bool = False
) -> tuple[Values, Values]:
    """(x - mean) * factor + beta, then + shortcut, then max(., 0)."""
    mean, factor, beta = numbers
    y = _scaled(e, e.b.fsub(arrays[0], mean), factor, beta)
    y = e.b.fadd(y, arrays[1]) if add else y
    return [], [_rectified(e, y) if relu else y]


def _error(e: Emitter, arrays: Values, deviation: Any, numbers: Values, then: int) -> Any:
    """Dz: dy where what the normalisation is followed by lets it pass."""
    if then == WITH_RELU:
        return _passed(e, arrays[0], _scaled(e, deviation, numbers[1], numbers[2]))
    return _passed(e, arrays[0], arrays[2]) if then == WITH_ADD_RELU else arrays[0]


def _gradient_sums(
    e: Emitter, arrays: Values, numbers: Values, sums: Values, *, then: int = ALONE
) -> tuple[Values, Values]:
    """Sum of dz and of dz * (x - mean); after an addition dz itself too, the gradient of the shortcut."""
    deviation = e.b.fsub(arrays[1], numbers[0])
    dz = _error(e, arrays, deviation, numbers, then)
    added = [e.b.fadd(sums[0], dz), e.b.call(e.fma, [dz, deviation, sums[1]])]
    return added, [dz] if then == WITH_ADD_RELU else []


def _gradient(e: Emitter, arrays: Values, numbers: Values, sums: Values, *, then: int = ALONE) -> tuple[Values, Values]:
    """(dz - shift - (x - mean) * slope) * factor."""
    mean, factor, _, slope, shift = numbers
    deviation = e.b.fsub(arrays[1], mean)
    dz = _error(e, arrays, deviation, numbers, then)
    inner = e.b.fsub(e.b.fsub(dz, shift), e.b.fmul(deviation, slope))
    return [], [e.b.fmul(inner, factor)]


def _added(e: Emitter, arrays: Values, numbers: Values, sums: Values, *, relu: bool = False) -> tuple[Values, Values]:
    total = e.b.fadd(arrays[0], arrays[1])
    return [], [_rectified(e, total) if relu else total]


(
    TOTAL, SQUARES, NORMALISE, NORMALISE_RELU, NORMALISE_ADD_RELU,
    GRADIENT_SUMS, GRADIENT_SUMS_RELU, GRADIENT_SUMS_ADD_RELU, GRADIENT, GRADIENT_RELU,
    ADD, ADD_RELU, RELU, RELU_GRADIENT,
) = range(14)  # fmt: skip
_PASSES: dict[int, tuple[Body, int, int, int, int]] = {  # body, and how many arrays, numbers, sums, results
    TOTAL: (_total, 1, 0, 1, 0),
    SQUARES: (_squares, 1, 1, 1, 0),
    NORMALISE: (_normalised, 1, 3, 0, 1),
    NORMALISE_RELU: (partial(_normalised, relu=True), 1, 3, 0, 1),
    NORMALISE_ADD_RELU: (partial(_normalised, add=True, relu=True), 2, 3, 0, 1),
    GRADIENT_SUMS: (_gradient_sums, 2, 1, 2, 0),
    GRADIENT_SUMS_RELU: (partial(_gradient_sums, then=WITH_RELU), 2, 3, 2, 0),
    GRADIENT_SUMS_ADD_RELU: (partial(_gradient_sums, then=WITH_ADD_RELU), 3, 1, 2, 1),
    GRADIENT: (_gradient, 2, 5, 0, 1),
    GRADIENT_RELU: (partial(_gradient, then=WITH_RELU), 2, 5, 0, 1),
    ADD: (_added, 2, 0, 0, 1),
    ADD_RELU: (partial(_added, relu=True), 2, 0, 0, 1),
    RELU: (lambda e, arrays, numbers, sums: ([], [_rectified(e, arrays[0])]), 1, 0, 0, 1),
    RELU_GRADIENT: (lambda e, arrays, numbers, sums: ([], [_passed(e, *arrays)]), 2, 0, 0, 1),
}


@intrinsic
def sweep(typing, arrays, results, numbers, sums, start, rows, span, kind, bypass):  # type: ignore[no-untyped-def]
    """Take `rows` rows, the first at value `start`, through a pass.

    `arrays` and `results` are tuples of flat arrays, of which the pass takes as many as it wants; `kind`, the pass, is
    a literal; with `bypass` the results go past the caches. `rows` is at least 1.
    """
    if not isinstance(kind, types.IntegerLiteral):
        return None  # Numba asks once more with literals
    body, *counts = _PASSES[kind.literal_value]
    i = types.int64
    signature = types.void(arrays, results, numbers, sums, i, i, i, kind, types.boolean)

    def codegen(context: Any, b: Any, _: Any, arguments: Any) -> Any:
        e = Emitter(b, numbers.dtype)
        start, rows, span = arguments[4:7]
        n_arrays, n_numbers, n_sums, n_results = counts

        def flat(kinds: Any, values: Any, count: int) -> Values:
            members = [b.extract_value(values, n) for n in range(count)]
            return [e.at(pointer(context, b, kinds[n], member), start) for n, member in enumerate(members)]

        sources, targets = flat(arrays, arguments[0], n_arrays), flat(results, arguments[1], n_results)
        table, totals = pointer(context, b, numbers, arguments[2]), pointer(context, b, sums, arguments[3])

        def over_blocks(store: Any, block: Any, state: Values) -> Values:
            column = b.mul(block, I64(BLOCK * e.lanes))

            def of_block(base: Any, n: int) -> Values:  # places of line n of numbers or sums
                line = e.at(base, b.mul(span, I64(n)), column)
                return [e.at(line, v * e.lanes) for v in range(BLOCK)]

            held = [[e.load(place) for place in of_block(table, n)] for n in range(n_numbers)]
            places = [of_block(totals, n) for n in range(n_sums)]

            def over_rows(row: Any, sums: Values) -> Values:
                here = b.add(b.mul(row, span), column)
                new = list(sums)
                for v in range(BLOCK):
                    place = b.add(here, I64(v * e.lanes))
                    values = [e.load(e.at(source, place)) for source in sources]
                    own = slice(v, n_sums * BLOCK, BLOCK)
                    new[own], written = body(e, values, [line[v] for line in held], sums[own])
                    for target, vector in zip(targets, written, strict=True):
                        store(vector, e.at(target, place))
                return new

            before = [e.load(place) for line in places for place in line]
            after = e.loop(rows, before, over_rows)
            for place, total in zip((p for line in places for p in line), after, strict=True):
                e.store(total, place)
            return state

        blocks = b.sdiv(span, I64(BLOCK * e.lanes))
        if n_results:
            with b.if_else(arguments[8]) as (past, cached):
                with past:
                    e.loop(blocks, [], partial(over_blocks, partial(store_past_caches, e)))
                    b.fence("seq_cst")
                with cached:
                    e.loop(blocks, [], partial(over_blocks, e.store))
        else:
            e.loop(blocks, [], partial(over_blocks, e.store))
        return context.get_dummy_value()

    return signature, codegen
