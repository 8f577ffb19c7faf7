"""Direct convolution with blocks of results in registers.

    forward          each image is laid once on a zero canvas that stays in the cache; then, for some output pixels
                     and 2 or 1 vectors of filters at a time, all R*S*C products are summed in registers
    input gradient   the same loop over dy. With stride t it falls into t*t phases: the pixels (p, q) of x with the same
                     remainders p mod t, q mod t meet the same filter taps, so each phase is a small convolution of
                     its own and no zero is ever multiplied
    weight gradient  sums of outer products over pixels, a block of (s, c) x filters in registers, per chunk of images;
                     the chunks' sums are added in a fixed order

Channels last makes the S*C inputs of one filter row one run of memory. Filters are packed [F/width, R, S*C, width];
where F does not fill the last vector it is padded with zeros. Cost: 2*N*I*J*R*S*C*F operations each; a canvas is one
image, so the traffic is that of x, w and y. Sums of one output run in one fixed order: the result depends neither on
the number of threads nor on the batch around an image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.on_numba.vectors import REGISTERS, VECTOR_BYTES, correlate_block, outer_block
from tinyres.kernels.registry import kernel

Array = Any
Padding = tuple[int, int, int, int]

# Literals of the blocks. A block's sums fill most of the vector registers: 16 or 24 of 32, half as many of 16.
ONE, TWO = 1, 2  # vectors of filters in a block
WIDE, NARROW = (16, 8) if REGISTERS == 32 else (8, 4)  # pixels, or values of x, in a block of one or two vectors
THREE = 3  # taps of a filter row that share the x they read
TAP_WIDE, TAP_NARROW = (8, 4) if REGISTERS == 32 else (4, 2)  # values of x in a block of three taps
C16, C32, C64 = 16, 32, 64  # channels of the paper's stages: as constants they fold into the addresses of the pixels
BAND_BYTES = 32 << 10  # rows of x and dy that the weight gradient goes over at a time, to stay in the first-level cache
CHUNKS = 16  # of images, each with its own sums of the weight gradient


@kernel("conv2d", "numba")
def conv2d(x: Array, w: Array, *, stride: int, padding: Padding, groups: int, out: Array) -> None:
    """[N,H,W,C], [R,S,C/groups,F] -> [N,I,J,F]."""
    c, f = x.shape[3] // groups, w.shape[3] // groups
    for g in range(groups):
        whole = w[..., g * f : (g + 1) * f], (padding[0], padding[2]), (0, 0)
        _correlate(x, g * c, [whole], stride, out, g * f, 1)


@kernel("conv2d_input", "numba")
def conv2d_input(
    dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array
) -> None:
    """[N,I,J,F], [R,S,C/groups,F] -> [N,H,W,C]."""
    c, f = shape[3] // groups, w.shape[3] // groups
    for g in range(groups):
        phases = []
        for first in np.ndindex(min(stride, shape[1]), min(stride, shape[2])):
            (tap_i, row), (tap_j, column) = (_phase(*pair, stride) for pair in zip(first, padding[::2], strict=True))
            part = w[tap_i::stride, tap_j::stride, :, g * f : (g + 1) * f]
            if part.size:
                offset = part.shape[0] - 1 - row, part.shape[1] - 1 - column
                phases.append((part[::-1, ::-1].swapaxes(2, 3), offset, first))
            else:
                out[:, first[0] :: stride, first[1] :: stride, g * c : (g + 1) * c] = 0
        _correlate(dy, g * f, phases, 1, out, g * c, stride)


@kernel("conv2d_weight", "numba")
def conv2d_weight(
    x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array
) -> None:
    """[N,H,W,C], [N,I,J,F] -> [R,S,C/groups,F]."""
    r, s, c, f = *shape[:3], shape[3] // groups
    vectors, width = block_of(f, x.itemsize)
    values = TAP_WIDE if vectors == 1 else TAP_NARROW
    taps = THREE if stride == 1 and s == THREE and c % values == 0 else 1
    if taps == 1:
        values = WIDE if vectors == 1 else NARROW
    run = -(-s * c // values) * values  # S*C, filled up to whole blocks
    chunks = min(len(x), CHUNKS)
    flat = x.reshape(-1), dy.reshape(-1)
    for g in range(groups):
        sums = np.zeros((chunks, -(-f // width), r, run, width), x.dtype)
        channels, filters = (*x.shape, g * c, c), (*dy.shape[1:], g * f, f)
        geometry = (*channels, *filters, r, s, run, stride, padding[0], padding[2], vectors, width, taps, values)
        operations = dy.size // groups * r * s * c * x.itemsize // VECTOR_BYTES
        share(_weight_sums, chunks, operations, *flat, sums.reshape(-1), chunks, *geometry)
        total = sums.sum(0)[:, :, : s * c]  # [F/width, R, S*C, width]
        out[..., g * f : (g + 1) * f] = total.transpose(1, 2, 0, 3).reshape(r, s, c, -1)[..., :f]


def block_of(filters: int, itemsize: int) -> tuple[int, int]:
    """Vectors in a block, and the number of filters that they hold."""
    lanes = VECTOR_BYTES // itemsize
    vectors = 1 if filters <= lanes else 2
    return vectors, vectors * lanes


def _phase(first: int, before: int, stride: int) -> tuple[int, int]:
    """For pixels first, first + stride, ...: the first filter tap that meets them, and the row of dy that it meets."""
    tap = (first + before) % stride
    return tap, (first + before - tap) // stride


def _correlate(
    x: Array,
    channel: int,
    phases: list[tuple[Array, tuple[int, int], tuple[int, int]]],
    stride: int,
    out: Array,
    filter_: int,
    step: int,
) -> None:
    """Correlate x[..., channel:] with the filters w of each phase (w, offset, first), where an image's corner lies at
    `offset` of the first patch, and write out[:, first[0]::step, first[1]::step, filter_:].
    """
    geometries: list[tuple[int, ...]] = []
    filters: list[Array] = []
    operations = 0
    for w, offset, first in phases:
        r, s, c, f = w.shape
        vectors, width = block_of(f, x.itemsize)
        packed = np.zeros((-(-f // width), r, s * c, width), x.dtype)
        columns = w.reshape(r, s * c, f)
        for block in range(len(packed)):
            part = columns[..., block * width : (block + 1) * width]
            packed[block, ..., : part.shape[2]] = part
        positions = -(-(out.shape[1] - first[0]) // step), -(-(out.shape[2] - first[1]) // step)
        operations += len(x) * positions[0] * positions[1] * w.size * x.itemsize // VECTOR_BYTES  # of whole vectors
        begins = sum(part.size for part in filters)
        geometries.append((begins, vectors, width, channel, c, r, s, *offset, *positions, filter_, f, *first))
        filters.append(packed.reshape(-1))
    if phases:
        flat = x.reshape(-1), np.concatenate(filters), out.reshape(-1)
        table = np.array(geometries, np.int64)
        share(_correlate_images, len(x), operations, *flat, table, x.shape[1:], stride, out.shape[1:], step)


@njit(nogil=True, cache=True)
def lay(
    x: Array, start: int, h: int, w: int, all_channels: int, channel: int, c: int,
    canvas: Array, begin: int, end: int, wide: int, pitch: int, top: int, left: int,
) -> None:  # fmt: skip
    """Copy what falls on rows begin to end of the canvas [., wide, pitch] when an image's corner is at (top, left)."""
    first, last = max(0, -left), min(w, wide - left)
    for row in range(max(begin, top), min(end, top + h)):
        to = (row * wide + first + left) * pitch
        source = start + ((row - top) * w + first) * all_channels + channel
        if c == all_channels and c == pitch:
            run = (last - first) * c
            pixels, place = x[source : source + run], canvas[to : to + run]
            for k in range(run):
                place[k] = pixels[k]
        else:
            for j in range(last - first):
                pixel = x[source + j * all_channels : source + j * all_channels + c]
                place = canvas[to + j * pitch : to + j * pitch + c]
                for k in range(c):
                    place[k] = pixel[k]


@njit(nogil=True, cache=True)
def _correlate_images(  # type: ignore[no-untyped-def]
    start, stop, x, packed_phases, out, table, x_shape, stride, out_shape, step
):
    """The images from start to stop; where there are several phases, all of an image while it is in the cache."""
    (h, w, all_channels), (out_h, out_w, all_filters) = x_shape, out_shape
    images = stop - start if len(table) == 1 else 1
    for first in range(start, stop, images):
        for phase in range(len(table)):
            begins, vectors, width, channel, c, r, s, top, left, i_count, j_count, filter_, f, first_i, first_j = table[
                phase
            ]
            packed = packed_phases[begins:]
            high, wide = (i_count - 1) * stride + r, (j_count - 1) * stride + s
            canvas = np.zeros((high * wide + stride * WIDE) * c, x.dtype)  # a last block may read beyond the last pixel
            pixels = WIDE if vectors == 1 and j_count > NARROW else NARROW
            row_step, pixel_step, run, out_step = wide * c, stride * c, s * c, step * all_filters
            three = stride == 1 and s == THREE
            for n in range(first, first + images):
                image = n * h * w * all_channels
                for i in range(i_count):
                    begin = (
                        0 if i == 0 else (i - 1) * stride + r
                    )  # only the rows that this output row sees first: they stay
                    end = i * stride + r  # in the first-level cache until they have been used
                    lay(x, image, h, w, all_channels, channel, c, canvas, begin, end, wide, c, top, left)
                    for j in range(0, j_count, pixels):
                        x0 = (i * stride * wide + j * stride) * c
                        pixel = (n * out_h + first_i + i * step) * out_w + first_j + j * step
                        count = min(pixels, j_count - j)
                        for b in range(0, f, width):
                            out0, w0, lanes = pixel * all_filters + filter_ + b, b * r * run, min(width, f - b)
                            if three and pixels == WIDE and c == C16:
                                correlate_block(
                                    canvas, x0, row_step, C16, packed, w0, r, C16,
                                    out, out0, out_step, count, lanes, WIDE, ONE, THREE,
                                )  # fmt: skip
                            elif three and vectors == 1 and c == C16:
                                correlate_block(
                                    canvas, x0, row_step, C16, packed, w0, r, C16,
                                    out, out0, out_step, count, lanes, NARROW, ONE, THREE,
                                )  # fmt: skip
                            elif three and vectors == 2 and c == C32:
                                correlate_block(
                                    canvas, x0, row_step, C32, packed, w0, r, C32,
                                    out, out0, out_step, count, lanes, NARROW, TWO, THREE,
                                )  # fmt: skip
                            elif three and vectors == 2 and c == C64:
                                correlate_block(
                                    canvas, x0, row_step, C64, packed, w0, r, C64,
                                    out, out0, out_step, count, lanes, NARROW, TWO, THREE,
                                )  # fmt: skip
                            elif vectors == 2:
                                correlate_block(
                                    canvas, x0, row_step, pixel_step, packed, w0, r, run,
                                    out, out0, out_step, count, lanes, NARROW, TWO, ONE,
                                )  # fmt: skip
                            elif pixels == WIDE:
                                correlate_block(
                                    canvas, x0, row_step, pixel_step, packed, w0, r, run,
                                    out, out0, out_step, count, lanes, WIDE, ONE, ONE,
                                )  # fmt: skip
                            else:
                                correlate_block(
                                    canvas, x0, row_step, pixel_step, packed, w0, r, run,
                                    out, out0, out_step, count, lanes, NARROW, ONE, ONE,
                                )  # fmt: skip


@njit(nogil=True, cache=True)
def _weight_sums(  # type: ignore[no-untyped-def]
    start, stop, x, dy, sums, chunks,
    n_count, h, w, all_channels, channel, c, i_count, j_count, all_filters, filter_, f, r, s, run, stride, top,
    left, vectors, width, taps, values,
):  # fmt: skip
    """Sums of the chunks from start to stop, each over its images; layout [chunk, F/width, R, run, width]."""
    high, wide = (i_count - 1) * stride + r, (j_count - 1) * stride + s
    canvas = np.zeros(high * wide * c + run, x.dtype)
    blocks = (f + width - 1) // width
    padded = blocks * width
    straight = f == padded == all_filters  # one group of whole blocks: dy can be read as it is
    errors = dy if straight else np.zeros(i_count * j_count * padded, x.dtype)
    band = max(1, BAND_BYTES // ((wide * c * stride + j_count * padded) * x.itemsize))
    x_row, x_pixel, dy_row = stride * wide * c, stride * c, j_count * padded
    for chunk in range(start, stop):
        base = chunk * blocks * r * run * width
        for n in range(chunk * n_count // chunks, (chunk + 1) * n_count // chunks):
            image, cotangent = n * h * w * all_channels, n * i_count * j_count * all_filters
            for i in range(0, i_count, band):
                rows = min(band, i_count - i)
                begin = 0 if i == 0 else (i - 1) * stride + r
                end = (i + rows - 1) * stride + r
                lay(x, image, h, w, all_channels, channel, c, canvas, begin, end, wide, c, top, left)
                if not straight:
                    lay(
                        dy, cotangent, i_count, j_count, all_filters, filter_, f, errors, i, i + rows, j_count, padded,
                        0, 0,
                    )  # fmt: skip
                for b in range(blocks):
                    dy0 = (cotangent if straight else 0) + i * dy_row + b * width
                    for tap in range(r):
                        for q in range(0, c if taps == THREE else run, values):
                            x0 = (i * stride + tap) * wide * c + q
                            acc0 = base + ((b * r + tap) * run + q) * width
                            if taps == THREE and vectors == 2:
                                outer_block(
                                    canvas, x0, x_row, x_pixel, errors, dy0, dy_row, padded,
                                    rows, j_count, sums, acc0, c * width, TAP_NARROW, TWO, THREE,
                                )  # fmt: skip
                            elif taps == THREE:
                                outer_block(
                                    canvas, x0, x_row, x_pixel, errors, dy0, dy_row, padded,
                                    rows, j_count, sums, acc0, c * width, TAP_WIDE, ONE, THREE,
                                )  # fmt: skip
                            elif vectors == 2:
                                outer_block(
                                    canvas, x0, x_row, x_pixel, errors, dy0, dy_row, padded,
                                    rows, j_count, sums, acc0, 0, NARROW, TWO, ONE,
                                )  # fmt: skip
                            else:
                                outer_block(
                                    canvas, x0, x_row, x_pixel, errors, dy0, dy_row, padded,
                                    rows, j_count, sums, acc0, 0, WIDE, ONE, ONE,
                                )  # fmt: skip
