"""The roof of this machine, measured: how fast it can compute and how fast it can read and write memory.

    attainable GFLOP/s = min(peak arithmetic, arithmetic intensity x bandwidth)      (Williams et al. 2009)

Peak arithmetic: fused multiply-adds on vectors that stay in registers, in `CHAINS` independent sums so that the latency
of one hides behind the others, on as many threads as the kernels use. Bandwidth: the triad a[i] = b[i] + s * c[i] of
McCalpin's STREAM on arrays well beyond the last cache, counted as STREAM and the contracts of our ops count: two reads
and one write a value, not the read of the line that a write replaces. The best sample is the roof: whatever else runs
on the machine can only lower one. Since a shared machine may be several times slower for minutes, samples are taken
between the rounds of every measurement, and its share is of the best of those.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic as _intrinsic

from tinyres.kernels.on_numba.threads import share, thread_count
from tinyres.kernels.on_numba.vectors import VECTOR_BYTES

intrinsic: Any = _intrinsic  # what it makes is called with other arguments than its function
CHAINS, UNROLLED = 12, 4  # 12 sums fit into the 16 registers of AVX2 with two constants
SAMPLES = 12
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
SMALLEST, LARGEST = 64 << 20, 320 << 20  # bytes of each array of the triad
PAGE = 1 << 16  # values of the triad that one thread takes at a time


@dataclass
class Roof:
    """Samples of both; GFLOP/s and GB/s."""

    dtype: str
    threads: int
    array_bytes: int
    peaks: list[float] = field(default_factory=list)
    bandwidths: list[float] = field(default_factory=list)
    _arrays: tuple[Any, ...] = ()

    @property
    def peak(self) -> float:
        """GFLOP/s."""
        return max(self.peaks)

    @property
    def bandwidth(self) -> float:
        """GB/s (10^9 bytes)."""
        return max(self.bandwidths)

    def attainable(self, operations: float, traffic: float) -> float:
        """GFLOP/s that work of this many operations and bytes can reach."""
        return min(self.peak, operations / traffic * self.bandwidth) if traffic else self.peak

    def sample(self, count: int = 1) -> None:
        """Measure `count` times more; the roof may rise."""
        for _ in range(count):
            self.peaks.append(_peak(self.dtype, self.threads))
            self.bandwidths.append(_triad(self._arrays))

    def mark(self) -> int:
        """Where the samples stand, for `since`."""
        return len(self.peaks)

    def sentence(self) -> str:
        """For a person, before the table."""
        return (
            f"roof: {self.peak:,.0f} GFLOP/s, {self.bandwidth:.1f} GB/s in {self.dtype}, threads: {self.threads}; "
            "measured again between the rounds"
        )

    def since(self, first: int) -> Roof:
        """The roof of the samples from a mark on."""
        later = self.peaks[first:], self.bandwidths[first:]
        return Roof(
            self.dtype, self.threads, self.array_bytes, *(later if all(later) else (self.peaks, self.bandwidths))
        )

    def record(self) -> dict[str, Any]:
        """For the file."""
        return {
            "peak_gflops": self.peak,
            "bandwidth_gbs": self.bandwidth,
            "dtype": self.dtype,
            "threads": self.threads,
            "triad_array_bytes": self.array_bytes,
            "peak_samples": self.peaks,
            "bandwidth_samples": self.bandwidths,
            "counted": "two reads and one write a value of the triad; a fused multiply-add is two operations",
        }


def measure(dtype: str, samples: int = SAMPLES) -> Roof:
    """Measure the roof, in some three seconds.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    samples : int

    Returns
    -------
    Roof
        Keeps its arrays, for more samples later.
    """
    size = min(max(last_cache(), SMALLEST), LARGEST)
    arrays = tuple(np.full(size // np.dtype(dtype).itemsize, value, dtype) for value in (0, 1, 2))
    roof = Roof(dtype, thread_count(), size, _arrays=arrays)
    _peak(dtype, roof.threads)  # compiles
    _triad(arrays)
    roof.sample(samples)
    return roof


def last_cache() -> int:
    """Bytes of the largest cache, 0 where the system does not say."""
    sizes = [0]
    for file in CACHES.glob("index*/size"):
        text = file.read_text().strip()
        number, unit = text.rstrip("KMG"), text[-1:]
        if number.isdigit():
            sizes.append(int(number) << {"K": 10, "M": 20, "G": 30}.get(unit, 0))
    return max(sizes)


def _timed(function: Callable[..., None], *arguments: Any) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def _peak(dtype: str, threads: int, rounds: int = 60_000) -> float:
    """GFLOP/s of one sample, some 10 ms of it."""
    lanes, parts = VECTOR_BYTES // np.dtype(dtype).itemsize, 8 * threads
    out = np.zeros((parts, CHAINS * lanes), dtype)
    operations = 2 * parts * rounds * UNROLLED * CHAINS * lanes
    seconds = _timed(share, _multiply_add, parts, operations, out, rounds)
    return float(operations / seconds / 1e9)


def _triad(arrays: tuple[Any, ...]) -> float:
    """GB/s of one sample."""
    a, b, c = arrays
    pages = -(-a.size // PAGE)
    return float(3 * a.nbytes / _timed(share, _triad_pages, pages, a.size, a, b, c, a.dtype.type(3)) / 1e9)


@intrinsic
def _fused(typing, out, row, rounds):  # type: ignore[no-untyped-def]
    """`rounds` times UNROLLED x CHAINS multiply-adds of whole vectors, then their sums to a row of `out`."""
    signature = types.void(out, types.int64, types.int64)
    itemsize = 4 if out.dtype == types.float32 else 8
    element, lanes = (ir.FloatType() if itemsize == 4 else ir.DoubleType()), VECTOR_BYTES // itemsize

    def codegen(context, builder, _, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(out)(context, builder, arguments[0])
        vector, i64 = ir.VectorType(element, lanes), ir.IntType(64)
        insert: Any = cgutils.get_or_insert_function
        kind = ir.FunctionType(vector, [vector] * 3)
        fma = insert(builder.module, kind, f"llvm.fma.v{lanes}f{8 * itemsize}")
        shrink, add = (ir.Constant(vector, [value] * lanes) for value in (0.5, 1.0))  # sums stay near 2: all normal
        before, inside, after = builder.block, builder.append_basic_block("fma"), builder.append_basic_block("end")
        builder.branch(inside)
        builder.position_at_end(inside)
        count, sums = builder.phi(i64), [builder.phi(vector) for _ in range(CHAINS)]
        count.add_incoming(i64(0), before)
        new = list(sums)
        for _ in range(UNROLLED):
            new = [builder.call(fma, [value, shrink, add]) for value in new]
        following = builder.add(count, i64(1))
        count.add_incoming(following, inside)
        for number, (total, value) in enumerate(zip(sums, new, strict=True)):
            total.add_incoming(ir.Constant(vector, [3.0 + number] * lanes), before)  # 2 would stay 2, and be folded
            total.add_incoming(value, inside)
        builder.cbranch(builder.icmp_signed("<", following, arguments[2]), inside, after)
        builder.position_at_end(after)
        first = builder.mul(arguments[1], i64(CHAINS * lanes))
        for number, value in enumerate(new):
            place = builder.gep(array.data, [builder.add(first, i64(number * lanes))])
            builder.store(value, builder.bitcast(place, vector.as_pointer())).align = itemsize
        return context.get_dummy_value()

    return signature, codegen


@njit(nogil=True, cache=True)
def _multiply_add(start, stop, out, rounds):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        _fused(out, row, rounds)


@njit(nogil=True, cache=True)
def _triad_pages(start, stop, a, b, c, s):  # type: ignore[no-untyped-def]
    for i in range(start * PAGE, min(stop * PAGE, len(a))):
        a[i] = b[i] + s * c[i]
