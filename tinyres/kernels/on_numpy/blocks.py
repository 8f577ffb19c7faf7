"""Cache-sized blocks: how many rows of an array one pass should touch at a time."""

from __future__ import annotations

from collections.abc import Iterator

# Two or three arrays of this size fit together in a second-level cache of 1 to 2 MB.
BLOCK_BYTES = 1 << 19


def blocks(rows: int, bytes_per_row: int, block_bytes: int = BLOCK_BYTES) -> Iterator[slice]:
    """Slices that cover `rows` rows, each of at most `block_bytes` (but of one row at least)."""
    step = max(1, block_bytes // max(1, bytes_per_row))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))
