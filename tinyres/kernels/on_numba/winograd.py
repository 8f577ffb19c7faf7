"""Winograd's convolution F(4x4, 3x3): 36 products a tile and channel instead of 144.

It serves 3x3 filters at stride 1 without groups where channels and filters fill whole vectors, that is, all of a
CIFAR net's but the stem and the two strided layers; any other convolution goes to the direct kernel.

    forward          patches [6, 6, tiles, C] and filters [6, 6, C, F] are transformed, multiplied as 36 matrix
                     products, and the products [6, 6, tiles, F] are transformed to tiles of 4x4 outputs
    input gradient   the same with the filters turned
    weight gradient  its transpose: patches' [C, tiles] errors [tiles, F] summed over all tiles, for each of 36 points;
                     the sums are transformed to [3, 3, C, F] once for each chunk of images

A group of tiles is taken through all steps while it is in the second-level cache. Every tile is computed alone and in
one order, and the chunks' sums are added in order: the result depends neither on the number of threads nor, forward, on
the batch. In float32 the results of the paper's layers are off by up to 2e-6 of the largest value, typically by two to
six times as much as the direct kernel's (`tests/kernels/test_winograd.py` measures it); `tiles.py` has the transforms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tinyres.kernels.on_numba import conv
from tinyres.kernels.on_numba.conv import C16, C32, C64, NARROW, ONE, TWO, WIDE, Padding, block_of, lay
from tinyres.kernels.on_numba.stream import bypasses, fence
from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.on_numba.tiles import (
    DATA,
    ERROR,
    FILTER,
    PATCH,
    POINTS,
    RESULT,
    STREAMED,
    SUM,
    TAPS,
    TILE,
    transform,
)  # fmt: skip
from tinyres.kernels.on_numba.vectors import VECTOR_BYTES, correlate_block, outer_block
from tinyres.kernels.registry import kernel

Array = Any

GROUP = 32  # tiles that go through the steps together
CHUNKS, CHUNK = 16, 64  # of images, each with its own sums of the weight gradient; tiles that make one worth its sums


@kernel("conv2d", "numba.winograd")
def conv2d(x: Array, w: Array, *, stride: int, padding: Padding, groups: int, out: Array) -> None:
    """[N,H,W,C], [3,3,C,F] -> [N,I,J,F]."""
    if _suits(w.shape, stride, groups, x.itemsize):
        _correlate(x, w, padding[0], padding[2], out, turned=False)
    else:
        conv.conv2d(x, w, stride=stride, padding=padding, groups=groups, out=out)


@kernel("conv2d_input", "numba.winograd")
def conv2d_input(
    dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array
) -> None:
    """[N,I,J,F], [3,3,C,F] -> [N,H,W,C]."""
    if _suits((*w.shape[:2], w.shape[3], w.shape[2]), stride, groups, dy.itemsize):
        _correlate(dy, w, TAPS - 1 - padding[0], TAPS - 1 - padding[2], out, turned=True)
    else:
        conv.conv2d_input(dy, w, shape=shape, stride=stride, padding=padding, groups=groups, out=out)


@kernel("conv2d_weight", "numba.winograd")
def conv2d_weight(
    x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array
) -> None:
    """[N,H,W,C], [N,I,J,F] -> [3,3,C,F]."""
    if not _suits(shape, stride, groups, x.itemsize):
        conv.conv2d_weight(x, dy, shape=shape, stride=stride, padding=padding, groups=groups, out=out)
        return
    c, f = shape[2:]
    vectors, width = block_of(f, x.itemsize)
    tiles = len(x) * -(-dy.shape[1] // TILE) * -(-dy.shape[2] // TILE)
    chunks = min(len(x), CHUNKS, -(-tiles // CHUNK))
    sums = np.empty((chunks, TAPS**2, c * f), x.dtype)
    operations = dy.size * c * POINTS * x.itemsize // TILE**2 // VECTOR_BYTES
    flat, geometry = (x.reshape(-1), dy.reshape(-1)), _geometry(x, padding[0], padding[2], dy)
    share(_sum_chunks, len(sums), operations, *flat, sums, geometry, vectors, width, GROUP)
    _add_up(sums, c, f, width, out.reshape(-1))


def _suits(shape: tuple[int, ...], stride: int, groups: int, itemsize: int) -> bool:
    """Whether filters [R,S,C,F] are 3x3 and fill whole blocks."""
    whole = shape[2] % WIDE == 0 and shape[3] % block_of(shape[3], itemsize)[1] == 0
    return shape[:2] == (TAPS, TAPS) and stride == groups == 1 and whole


def _geometry(x: Array, top: int, left: int, y: Array) -> tuple[int, ...]:
    """N, H, W, C, top, left, I, J, F."""
    return (*x.shape, top, left, *y.shape[1:])


def _correlate(x: Array, w: Array, top: int, left: int, y: Array, *, turned: bool) -> None:
    """Correlate images whose corner is at (top, left) of the first patch with 3x3 filters, or with them turned."""
    c, f = x.shape[3], y.shape[3]
    vectors, width = block_of(f, x.itemsize)
    u = np.empty((POINTS, c * f), x.dtype)
    _transform_filters(w.reshape(-1), turned, c, f, width, u, width // vectors)
    operations = y.size * c * POINTS * x.itemsize // TILE**2 // VECTOR_BYTES
    flat = x.reshape(-1), u.reshape(-1), y.reshape(-1)
    share(_correlate_images, len(x), operations, *flat, _geometry(x, top, left, y), vectors, width, GROUP)


@njit(nogil=True, cache=True)
def _transform_filters(w, turned, c, f, width, u, lanes):  # type: ignore[no-untyped-def]
    """G w G': filters [3*3, C, F], or turned ones [3*3, F, C] from last tap to first, to [6*6, F/width, C, width]."""
    run = c * f
    packed = np.empty((TAPS**2, f // width, c, width), w.dtype)
    for tap in range(TAPS**2):
        for block in range(f // width):
            for k in range(c):
                for j in range(width):
                    g = block * width + j
                    packed[tap, block, k, j] = (
                        w[((TAPS**2 - 1 - tap) * f + g) * c + k] if turned else w[(tap * c + k) * f + g]
                    )
    transform(packed.reshape(-1), 0, TAPS * run, run, u, 0, PATCH * run, run, run // lanes, FILTER)


@njit(nogil=True, cache=True)
def _transform_patches(first, count, x, canvas, v, step, lanes, geometry):  # type: ignore[no-untyped-def]
    """B' x B of tiles first, first + 1, ...: [6,6] x `step` values, of which [tiles, C] are used."""
    _, h, w, c, top, left, i_count, j_count, _ = geometry
    high, wide = (i_count + TILE - 1) // TILE, (j_count + TILE - 1) // TILE
    pitch = wide * TILE + TAPS - 1
    for t in range(count):
        n, tile = divmod(first + t, high * wide)
        i, j = divmod(tile, wide)
        if j == 0:  # the rows that this row of tiles sees first
            begin = 0 if i == 0 else i * TILE + TAPS - 1
            lay(x, n * h * w * c, h, w, c, 0, c, canvas, begin, i * TILE + PATCH, pitch, c, top, left)
        corner = (i * pitch + j) * TILE * c
        transform(canvas, corner, pitch * c, c, v, t * c, PATCH * step, step, c // lanes, DATA)


@njit(nogil=True, cache=True)
def _multiply(count, v, v_step, u, m, m_step, c, f, vectors, width):  # type: ignore[no-untyped-def]
    """36 matrix products [tiles, C] x [C, F]."""
    pixels = WIDE if vectors == 1 else NARROW
    for p in range(POINTS):
        for b in range(0, f, width):
            u0 = (p * f + b) * c
            for t in range(0, count, pixels):
                x0, m0, some = p * v_step + t * c, p * m_step + t * f + b, min(pixels, count - t)
                if vectors == 1 and c == C16:
                    correlate_block(v, x0, 0, C16, u, u0, 1, C16, m, m0, f, some, width, WIDE, ONE, ONE)
                elif vectors == 1:
                    correlate_block(v, x0, 0, c, u, u0, 1, c, m, m0, f, some, width, WIDE, ONE, ONE)
                elif c == C32:
                    correlate_block(v, x0, 0, C32, u, u0, 1, C32, m, m0, f, some, width, NARROW, TWO, ONE)
                elif c == C64:
                    correlate_block(v, x0, 0, C64, u, u0, 1, C64, m, m0, f, some, width, NARROW, TWO, ONE)
                else:
                    correlate_block(v, x0, 0, c, u, u0, 1, c, m, m0, f, some, width, NARROW, TWO, ONE)


@njit(nogil=True, cache=True)
def _correlate_images(start, stop, x, u, y, geometry, vectors, width, group):  # type: ignore[no-untyped-def]
    """The images from start to stop, a group of tiles at a time."""
    _, _, _, c, _, _, i_count, j_count, f = geometry
    high, wide = (i_count + TILE - 1) // TILE, (j_count + TILE - 1) // TILE
    tiles, lanes = high * wide, width // vectors
    # a line of the cache more than the tiles need: a power of two would lead all 36 points to the same few lines
    v_step, m_step = group * c + lanes, group * f + lanes
    v, m = np.zeros(POINTS * v_step + WIDE * c, x.dtype), np.zeros(POINTS * m_step, x.dtype)
    canvas = np.zeros((high * TILE + TAPS - 1) * (wide * TILE + TAPS - 1) * c, x.dtype)
    scratch, bypass = np.zeros(TILE * TILE * f, x.dtype), bypasses(y)
    for first in range(start * tiles, stop * tiles, group):
        count = min(group, stop * tiles - first)
        _transform_patches(first, count, x, canvas, v, v_step, lanes, geometry)
        _multiply(count, v, v_step, u, m, m_step, c, f, vectors, width)
        for t in range(count):
            n, tile = divmod(first + t, tiles)
            i, j = divmod(tile, wide)
            rows, columns = min(TILE, i_count - i * TILE), min(TILE, j_count - j * TILE)
            corner = ((n * i_count + i * TILE) * j_count + j * TILE) * f
            if rows == columns == TILE and bypass:
                transform(m, t * f, PATCH * m_step, m_step, y, corner, j_count * f, f, f // lanes, STREAMED)
            elif rows == columns == TILE:
                transform(m, t * f, PATCH * m_step, m_step, y, corner, j_count * f, f, f // lanes, RESULT)
            else:
                transform(m, t * f, PATCH * m_step, m_step, scratch, 0, TILE * f, f, f // lanes, RESULT)
                for row in range(rows):
                    to = corner + row * j_count * f
                    for k in range(columns * f):
                        y[to + k] = scratch[row * TILE * f + k]
    fence()


@njit(nogil=True, cache=True)
def _add_up(sums, c, f, width, dw):  # type: ignore[no-untyped-def]
    """The chunks' sums [chunks, 3*3, F/width, C, width], one after the other, to [3*3, C, F]."""
    total = np.empty(width, sums.dtype)
    for tap in range(TAPS**2):
        for block in range(f // width):
            for k in range(c):
                first = (block * c + k) * width
                for j in range(width):
                    total[j] = sums[0, tap, first + j]
                for chunk in range(1, len(sums)):
                    for j in range(width):
                        total[j] += sums[chunk, tap, first + j]
                for j in range(width):
                    dw[(tap * c + k) * f + block * width + j] = total[j]


@njit(nogil=True, cache=True)
def _sum_chunks(start, stop, x, dy, sums, geometry, vectors, width, group):  # type: ignore[no-untyped-def]
    """The chunks from start to stop, each over its images: [chunk, 3, 3, C, F]."""
    n_count, _, _, c, _, _, i_count, j_count, f = geometry
    high, wide = (i_count + TILE - 1) // TILE, (j_count + TILE - 1) // TILE
    tiles, lanes = high * wide, width // vectors
    v_step, m_step = group * c + lanes, group * f + lanes
    v, m = np.zeros(POINTS * v_step, x.dtype), np.zeros(POINTS * m_step, x.dtype)
    canvas = np.zeros((high * TILE + TAPS - 1) * (wide * TILE + TAPS - 1) * c, x.dtype)
    scratch = np.zeros(TILE * TILE * f, x.dtype)
    u = np.empty((POINTS, c * f), x.dtype)
    flat = u.reshape(-1)
    values = WIDE if vectors == 1 else NARROW
    for chunk in range(start, stop):
        flat[:] = 0
        begin, end = chunk * n_count // len(sums) * tiles, (chunk + 1) * n_count // len(sums) * tiles
        for first in range(begin, end, group):
            count = min(group, end - first)
            _transform_patches(first, count, x, canvas, v, v_step, lanes, geometry)
            for t in range(count):
                n, tile = divmod(first + t, tiles)
                i, j = divmod(tile, wide)
                rows, columns = min(TILE, i_count - i * TILE), min(TILE, j_count - j * TILE)
                corner = ((n * i_count + i * TILE) * j_count + j * TILE) * f
                if rows == columns == TILE:
                    transform(dy, corner, j_count * f, f, m, t * f, PATCH * m_step, m_step, f // lanes, ERROR)
                else:
                    scratch[:] = 0
                    for row in range(rows):
                        at = corner + row * j_count * f
                        for k in range(columns * f):
                            scratch[row * TILE * f + k] = dy[at + k]
                    transform(scratch, 0, TILE * f, f, m, t * f, PATCH * m_step, m_step, f // lanes, ERROR)
            for p in range(POINTS):
                for b in range(0, f, width):
                    for q in range(0, c, values):
                        x0, dy0, u0 = p * v_step + q, p * m_step + b, (p * f + b) * c + q * width
                        if vectors == 1:
                            outer_block(v, x0, 0, c, m, dy0, 0, f, 1, count, flat, u0, 0, WIDE, ONE, ONE)
                        else:
                            outer_block(v, x0, 0, c, m, dy0, 0, f, 1, count, flat, u0, 0, NARROW, TWO, ONE)
        transform(u, 0, PATCH * c * f, c * f, sums, chunk * TAPS**2 * c * f, TAPS * c * f, c * f, c * f // lanes, SUM)
