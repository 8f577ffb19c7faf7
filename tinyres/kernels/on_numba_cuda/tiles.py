"""How the work of a tiled convolution is cut: what is computed by a block, what by a thread, what all threads share.

A block of the convolution computes `rows` x `columns` pixels of one image by `filters`, and each thread `pixels`
neighbours by `each` filters. For every channel and row of a window a thread reads (pixels - 1) * stride + S values and
S * each filters from shared memory and makes S * pixels * each products of them: with 3x3 windows 10 + 12 reads for 96.
The sizes are constants of the compiled kernel, which is how the sums stay in registers.

Not yet run on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinyres.kernels.on_numba_cuda.device import simulated

SHARED = 48 * 1024  # bytes of shared memory that a block may declare on every GPU
LARGEST = 1024  # threads of a block


def plane(rows: int, columns: int, window: tuple[int, ...], stride: int) -> int:
    """Values from one channel to the next of the input of a tile: odd, so that channels fall into different banks."""
    return ((rows - 1) * stride + window[0]) * ((columns - 1) * stride + window[1]) | 1


@dataclass(frozen=True)
class Tile:
    """The cut of the convolution and of its gradient for the input."""

    rows: int
    columns: int
    filters: int
    pixels: int  # of a thread, side by side; divides columns
    each: int  # filters of a thread; divides filters
    depth: int  # channels in shared memory at a time; it and `filters` divide the number of threads

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.rows * (self.columns // self.pixels) * (self.filters // self.each)

    def shared(self, window: tuple[int, ...], stride: int, itemsize: int) -> int:
        """Bytes of shared memory: the input of the tile, and the filters."""
        values = plane(self.rows, self.columns, window, stride) + window[0] * window[1] * self.filters
        return self.depth * values * itemsize


@dataclass(frozen=True)
class WeightTile:
    """The cut of the gradient for the filters: the pixels in shared memory at a time, and which sums are a block's."""

    rows: int
    columns: int
    channels: int
    filters: int
    each_channel: int  # channels of a thread
    each_filter: int  # filters of a thread; it has one row of taps of each
    pixels: int  # that a thread takes at a time, side by side; divides columns

    def threads(self, window: tuple[int, ...]) -> int:
        """Threads of a block."""
        return window[0] * (self.channels // self.each_channel) * (self.filters // self.each_filter)

    def shared(self, window: tuple[int, ...], stride: int, itemsize: int) -> int:
        """Bytes of shared memory: the input and the gradient of the tile."""
        gradients = self.rows * self.columns * self.filters
        return (self.channels * plane(self.rows, self.columns, window, stride) + gradients) * itemsize


NARROW, WIDE = Tile(16, 8, 16, 8, 4, 8), Tile(8, 8, 32, 8, 4, 8)  # up to 16 filters in a group, and more
WEIGHTS = WeightTile(16, 8, 16, 16, 2, 4, 4)
# Numba's simulator takes a thread of the processor for each of these: the same kernels, cut as small as can be.
SIMULATED, SIMULATED_WEIGHTS = Tile(4, 8, 8, 4, 4, 4), WeightTile(4, 8, 4, 4, 2, 2, 4)


def tile_for(filters: int, window: tuple[int, ...], stride: int, itemsize: int) -> Tile | None:
    """The cut for so many filters in a group; None where the windows are too large for shared memory."""
    tile = SIMULATED if simulated() else WIDE if filters > NARROW.filters else NARROW
    while tile.shared(window, stride, itemsize) > SHARED:
        if tile.depth == 1:
            return None
        tile = replace(tile, depth=tile.depth // 2)
    return tile


def weight_tile_for(window: tuple[int, ...], stride: int, itemsize: int) -> WeightTile | None:
    """The cut for the gradient of the filters; None where the windows are too large."""
    tile = SIMULATED_WEIGHTS if simulated() else WEIGHTS
    if tile.threads(window) > LARGEST:
        return None
    while tile.shared(window, stride, itemsize) > SHARED:
        if tile.rows == tile.columns == 1:
            return None
        columns = tile.columns if tile.rows > 1 else tile.columns // 2
        tile = replace(tile, rows=max(1, tile.rows // 2), columns=columns, pixels=min(tile.pixels, columns))
    return tile
