"""How an implicit matrix product is divided: which tile of pixels a block takes, and how much of the filters at a time.

A tile is `images x rows x columns` pixels. Larger ones read less halo and fewer filters a pixel; smaller ones make more
blocks, of which each multiprocessor wants at least one, better several to hide each other's loads. Everything is
decided from the shapes and the number of multiprocessors, so one type of GPU always adds in the same order.

The numbers below are estimates that were not yet measured on a GPU.

Not yet run on a GPU.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

SHARED_MEMORY = 64 * 1024  # bytes a block may have on every card: 64 KiB on Turing, 99 and more later
GOOD_SHARED = 48 * 1024  # with less than this two blocks fit on a GeForce, and four on a large card
WAVE = 1.5  # blocks a multiprocessor below which smaller tiles are taken
PARTS = 2  # blocks a multiprocessor over which the pixels of a weight gradient are split
PITCH = 24  # words of shared memory a pixel in the weight gradient: 16 channels and 8 to keep banks apart
TAPS, WARPS = 3, 8  # taps a warp, and the most warps a block, of the weight gradient
WARP = 32


@dataclass(frozen=True)
class Tile:
    """Pixels of a block: images, rows, columns; with how many taps of the filter it reads them at a time."""

    images: int
    rows: int
    columns: int
    tap_h: int
    tap_w: int
    shared: int  # bytes
    count: int  # how many such tiles there are


@dataclass(frozen=True)
class Problem:
    """A convolution as a kernel sees it: what is covered by tiles, the step between windows, the filter's taps."""

    images: int
    high: int
    wide: int
    step: int
    tap_h: int
    tap_w: int


def best_tile(problem: Problem, pixels: int, bytes_of: BytesOf) -> Tile:
    """The tile of at most `pixels` pixels with the least work and loading, and with shared memory that fits."""
    best: tuple[float, Tile] | None = None
    for tap_h, tap_w in _rectangles(problem.tap_h, problem.tap_w):
        for images, rows, columns in _tiles(problem, pixels):
            positions = images * _reach(rows, problem.step, tap_h) * _reach(columns, problem.step, tap_w)
            shared = bytes_of(positions, tap_h * tap_w)
            if shared > SHARED_MEMORY:
                continue
            count = -(-problem.images // images) * -(-problem.high // rows) * -(-problem.wide // columns)
            passes = -(-problem.tap_h // tap_h) * -(-problem.tap_w // tap_w)
            cost = count * (pixels + passes * positions) * max(1.0, shared / GOOD_SHARED)
            if best is None or cost < best[0]:
                best = cost, Tile(images, rows, columns, tap_h, tap_w, shared, count)
    assert best is not None  # one tap at a time of any tile takes less than 50 KB
    return best[1]


def _rectangles(high: int, wide: int) -> Iterator[tuple[int, int]]:
    """Taps to take at a time: all, fewer rows, one row, parts of a row."""
    yield from ((-(-high // parts), wide) for parts in range(1, high + 1))
    yield from ((1, -(-wide // parts)) for parts in range(2, wide + 1))


def _tiles(problem: Problem, pixels: int) -> Iterator[tuple[int, int, int]]:
    """Tiles that divide the image evenly, or nearly so; several images only if they are whole."""
    for across in range(1, min(problem.wide, 16) + 1):
        columns = min(-(-problem.wide // across), pixels)
        for down in range(1, min(problem.high, 16) + 1):
            rows = -(-problem.high // down)
            if rows * columns > pixels:
                rows = max(1, pixels // columns)
            whole = rows >= problem.high and columns >= problem.wide
            yield (min(problem.images, max(1, pixels // (rows * columns))) if whole else 1), rows, columns


def _reach(pixels: int, step: int, taps: int) -> int:
    """Input positions that a tile keeps along an axis; those between windows that do not touch are left out."""
    return (pixels - 1) * min(step, taps) + taps


@dataclass(frozen=True)
class BytesOf:
    """Shared memory of a block of the kernel `conv`, or, with `weight`, of `conv_weight`."""

    pixels: int
    block: int  # filters a block computes
    chunk: int  # channels at a time
    pack: int  # channels in a word
    size: int  # bytes of a word
    weight: bool = False

    def __call__(self, positions: int, taps: int) -> int:
        if self.weight:
            words = max(positions * PITCH + self.pixels * (self.block + 8), taps * 16 * self.block)
        else:
            words = self.chunk // self.pack
            words = positions * (words + 4) + taps * words * (self.block + 8)
            words = max(words, self.pixels * (self.block + 4) + 128)
        return 8 * self.pixels + words * self.size


@dataclass(frozen=True)
class ConvPlan:
    """A launch of `conv`: 64 * `tiles` pixels by `block` filters."""

    block: int
    tiles: int
    chunk: int
    tile: Tile
    grid: tuple[int, int, int]


@functools.lru_cache(maxsize=1024)
def plan_conv(
    problem: Problem, depth: int, width: int, groups: int, phases: int, pack: int, size: int, processors: int
) -> ConvPlan:
    """Divide a convolution with `depth` channels in and `width` filters a group."""
    block, tiles = (16, (4, 1)) if width <= 16 else (32, (2, 1))
    chunk = 8 * pack if depth <= 8 * pack else 16 * pack
    y = groups * -(-width // block)
    for each in tiles:
        pixels = 64 * each
        tile = best_tile(problem, pixels, BytesOf(pixels, block, chunk, pack, size))
        if tile.count * y * phases >= WAVE * processors:
            break
    return ConvPlan(block, each, chunk, tile, (tile.count, y, phases))


@dataclass(frozen=True)
class WeightPlan:
    """A launch of `conv_weight`: warps along the taps and along the pixels, and room for the pixels of a tile."""

    block: int
    tap_warps: int
    pixel_warps: int
    pixels: int
    tile: Tile
    grid: tuple[int, int, int]


@functools.lru_cache(maxsize=1024)
def plan_weight(
    problem: Problem, depth: int, width: int, groups: int, step: int, size: int, processors: int
) -> WeightPlan:
    """Divide a weight gradient; the sum over pixels is split into `grid[0]` parts. `step` pixels go at a time."""
    block, pixels = 16 if width <= 16 else 32, 512 // size
    tap_w = min(problem.tap_w, TAPS * WARPS)
    tap_h = min(problem.tap_h, max(1, TAPS * WARPS // tap_w))
    fewer = Problem(problem.images, problem.high, problem.wide, problem.step, tap_h, tap_w)
    tile = best_tile(fewer, pixels, BytesOf(pixels, block, 16, 1, size, weight=True))
    tap_warps = -(-tile.tap_h * tile.tap_w // TAPS)
    pixel_warps = min(4, WARPS // tap_warps)
    y = groups * -(-depth // 16) * -(-width // block)
    z = -(-problem.tap_h // tile.tap_h) * -(-problem.tap_w // tile.tap_w)
    parts = min(tile.count, max(1, PARTS * processors // (y * z)))
    used = -(-tile.images * tile.rows * tile.columns // step) * step
    return WeightPlan(block, tap_warps, pixel_warps, used, tile, (parts, y, z))
