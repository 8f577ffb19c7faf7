"""The roof of a GPU, measured by kernels of our own (`kernels/cuda/roof.cuh`): arithmetic, copies, launches.

    attainable GFLOP/s = min(peak of the kernel's precision, arithmetic intensity x bandwidth)

A kernel whose products are TF32 or bfloat16 is held against the tensor cores' peak in that precision, as `mma.sync`
reaches it from registers (which is below what NVIDIA's tables say of newer instructions); 3xTF32 makes three products
of one, so against a third. Cold times are held against the bandwidth of memory, hot ones against that of the L2. Copies
count what is read and what is written. The best sample is the roof.

Not yet run on a GPU.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tinyres.bench.device_clock import captured, difference, l2_bytes, need_clock
from tinyres.kernels import cuda

FILE = "roof.cuh"
SAMPLES = 8
THREADS = 256
BLOCKS_EACH = 8  # blocks a multiprocessor: 2,048 threads, all that it holds
# Of a round in roof.cuh: operations a thread of ffma, operations a warp of the tensor cores.
FFMA = 2 * 8 * 16
TENSOR = {"tf32": 2 * 16 * 8 * 8 * 4, "bf16": 2 * 16 * 8 * 16 * 4}
ROUNDS = {"full": 2_000, "tf32": 8_000, "bf16": 8_000}
TENSOR_CORES = (8, 0)  # the least capability that has both
LARGE, SMALL = 256 << 20, 1 << 20  # bytes of each array: of memory, and at least of the L2
CHAIN = 200  # launches of nothing in a graph
HOST_LAUNCHES = 500


@dataclass
class DeviceRoof:
    """Samples of each peak (GFLOP/s), each bandwidth (GB/s), and the seconds of a launch of nothing."""

    dtype: str
    device: str
    peaks: dict[str, list[float]] = field(default_factory=dict)  # full, tf32, bf16
    bandwidths: dict[str, list[float]] = field(default_factory=dict)  # cold: memory; hot: L2
    node: list[float] = field(default_factory=list)  # in a graph, behind another
    host: list[float] = field(default_factory=list)  # of Python, eagerly
    _probes: dict[str, _Probe] = field(default_factory=dict, repr=False)

    def peak(self, precision: str = "full") -> float:
        """GFLOP/s of products of a precision."""
        if precision == "3xtf32":
            return self.peak("tf32") / 3
        return max(self.peaks.get(precision) or self.peaks["full"])

    def bandwidth(self, mode: str = "cold") -> float:
        """GB/s that a kernel can copy: `cold` from memory, `hot` from the L2."""
        return max(self.bandwidths["hot" if mode.startswith("hot") else "cold"])

    def attainable(self, operations: float, traffic: float, precision: str = "full", mode: str = "cold") -> float:
        """GFLOP/s that work of this many operations and bytes can reach."""
        peak = self.peak(precision)
        return min(peak, operations / traffic * self.bandwidth(mode)) if traffic else peak

    def sample(self, count: int = 1) -> None:
        """Measure the peaks and bandwidths `count` times more; the roof may rise."""
        for _ in range(count):
            for name, probe in self._probes.items():
                where = self.bandwidths if name in ("cold", "hot") else self.peaks
                where.setdefault(name, []).append(probe())

    def mark(self) -> int:
        """Where the samples stand, for `since`."""
        return len(self.peaks["full"])

    def since(self, mark: int) -> DeviceRoof:
        """The roof of the samples from a mark on; a GPU's clock moves, so that of the same moments is the fair one."""
        peaks, bandwidths = (
            {name: samples[mark:] or samples for name, samples in of.items()} for of in (self.peaks, self.bandwidths)
        )
        return DeviceRoof(self.dtype, self.device, peaks, bandwidths)

    def record(self) -> dict[str, Any]:
        """For the file."""
        return {
            "dtype": self.dtype,
            "device": self.device,
            "threads": 0,
            "peak_gflops": self.peak(),
            "bandwidth_gbs": self.bandwidth(),
            "peaks_gflops": {name: max(s) for name, s in self.peaks.items()},
            "bandwidths_gbs": {name: max(s) for name, s in self.bandwidths.items()},
            "graph_node_seconds": statistics.median(self.node) if self.node else None,
            "host_launch_seconds": statistics.median(self.host) if self.host else None,
            "peak_samples": self.peaks,
            "bandwidth_samples": self.bandwidths,
            "counted": "a read and a write a value of a copy; a fused multiply-add is two operations",
        }

    def sentence(self) -> str:
        """For a person, before the table."""
        peaks = ", ".join(f"{name} {self.peak(name):,.0f}" for name in self.peaks)
        text = f"roof: {peaks} GFLOP/s; memory {self.bandwidth('cold'):,.0f}, L2 {self.bandwidth('hot'):,.0f} GB/s"
        return (
            f"{text}; a launch of nothing {1e6 * statistics.median(self.node):.2f} µs in a graph" if self.node else text
        )


def measure(dtype: str, samples: int = SAMPLES) -> DeviceRoof:
    """Measure the roof, in a few seconds.

    Raises
    ------
    DeviceError
        There is no GPU, or it is emulated.
    """
    need_clock()
    found = cuda.properties()
    roof = DeviceRoof(dtype, found.name, _probes=_probes(dtype, found))
    roof.sample(samples)
    graphs = [captured([partial(cuda.launch, FILE, "nothing", 1, 32)] * count) for count in (CHAIN, 2 * CHAIN)]
    roof.node = [difference(graphs[0], graphs[1], CHAIN) for _ in range(samples)]
    roof.host = [_host() for _ in range(samples)]
    return roof


@dataclass
class _Probe:
    """A launch whose work is known; each call takes a sample: 10^9 operations, or bytes, a second."""

    work: float
    launches: int
    call: Callable[[], None]
    _graphs: tuple[Any, Any] | None = field(default=None, repr=False)

    def __call__(self) -> float:
        if self._graphs is None:
            self._graphs = captured([self.call] * self.launches), captured([self.call] * (2 * self.launches))
        short, long = self._graphs
        return self.work / difference(short, long, self.launches) / 1e9


def _probes(dtype: str, found: cuda.Properties) -> dict[str, _Probe]:
    """What is sampled, by name."""
    xp, blocks = cuda.module(), BLOCKS_EACH * found.multiprocessors
    threads = blocks * THREADS
    real = "float" if dtype == "float32" else "double"
    kernels = {"full": (f"ffma<{real}>", FFMA * threads, xp.empty(threads, np.dtype(dtype)))}
    if found.capability >= TENSOR_CORES:
        for name, operations in TENSOR.items():
            kernels[name] = f"tensor_{name}", operations * threads // 32, xp.empty(threads, np.float32)
    probes = {}
    for name, (kernel, operations, out) in kernels.items():
        rounds = np.int32(ROUNDS[name])
        call = partial(cuda.launch, FILE, kernel, blocks, THREADS, out, rounds)
        probes[name] = _Probe(float(operations) * ROUNDS[name], 1, call)
    inside = max(SMALL, l2_bytes() // 8)  # both arrays a quarter of the cache
    for mode, size in (("cold", LARGE), ("hot", inside)):
        source, target = xp.zeros(size // 4, np.float32), xp.zeros(size // 4, np.float32)
        call = partial(cuda.launch, FILE, "copy", blocks, THREADS, source, target, np.int32(size // 16))
        probes[mode] = _Probe(2.0 * size, max(2, min(64, LARGE // size)), call)
    return probes


def _host() -> float:
    """Seconds of Python for a launch that it does not wait for."""
    with cuda.stream():
        cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(HOST_LAUNCHES):
            cuda.launch(FILE, "nothing", 1, 32)
        seconds = (time.perf_counter() - begin) / HOST_LAUNCHES
        cuda.synchronize()
    return seconds
