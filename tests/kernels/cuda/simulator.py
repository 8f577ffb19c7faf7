"""What is checked of the Numba-CUDA kernels in Numba's simulator, which must be switched on before Python starts.

A program: `python simulator.py quick` or `slow` prints one JSON object, check -> None or what went wrong. The quick
checks have every dimension different, odd sizes and edges on all sides of the tiles; the slow ones are the contracts'.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np

from tinyres.conformance import NonconformingError, check_call, check_kernel, oracle
from tinyres.kernels import cuda, launch, use
from tinyres.kernels.contracts import CONTRACTS, Case
from tinyres.kernels.launch import moved
from tinyres.kernels.on_numba_cuda import MODULES, batch_norm, conv_weight, device, sums, tiles
from tinyres.kernels.shapes import RULES

# N, H, W, C, R, S, F, stride, (top, bottom, left, right), groups; in the simulator a tile has 4 x 8 pixels
GEOMETRIES = {
    "two tiles each way": (1, 5, 9, 3, 3, 2, 5, 1, (1, 1, 1, 0), 1),
    "stride 2 with remainder": (2, 8, 7, 5, 3, 3, 4, 2, (1, 1, 1, 1), 1),
    "stride 3, padding beyond the window": (1, 3, 4, 2, 2, 2, 3, 3, (3, 2, 4, 1), 1),
    "1x1, stride 2": (2, 5, 7, 3, 1, 1, 9, 2, (0, 0, 0, 0), 1),
    "groups": (1, 4, 3, 4, 2, 3, 6, 1, (0, 1, 1, 1), 2),
}
RNG = np.random.default_rng(20151210)
LONG = 100_000  # operations
CONVOLUTIONS = ("conv2d", "conv2d_input", "conv2d_weight")
ELEMENTWISE = ("relu", "relu_gradient")
NORMS = tuple(op for op in MODULES if op not in CONVOLUTIONS + ELEMENTWISE)
CONV, WEIGHT, SUMS = (f"tinyres.kernels.on_numba_cuda.{name}" for name in ("conv", "conv_weight", "sums"))
# module, what is taken out, what is put in, the op that shows it
FAULTS = {
    "no barrier before the sums": (CONV, "cuda.syncthreads()  # all of it is there", "pass", "conv2d"),
    "one row further down": (CONV, "(row * stride + r) * WIDE", "(row * stride + r + 1) * WIDE", "conv2d"),
    "no edge below": (CONV, "if i < I and j < J:", "if j < J:", "conv2d"),
    "no edge of the filters": (CONV, "if d < outs:", "if True:", "conv2d_input"),
    "the first pixel left out": (WEIGHT, "0 <= v < W", "0 < v < W", "conv2d_weight"),
    "no barrier in the tree": (SUMS, "cuda.syncthreads()  # those above have written theirs", "pass", "batch_norm"),
    "the last row left out": (SUMS, "min((block + 1) * span, M)", "min((block + 1) * span, M - 1)", "batch_norm"),
}


def convolution(op, name):
    """The contract's kind of case for one of the geometries."""
    rng = np.random.default_rng(sorted(GEOMETRIES).index(name))
    n, h, w, c, r, s, f, stride, padding, groups = GEOMETRIES[name]
    params = {"stride": stride, "padding": padding, "groups": groups}
    x, filters = rng.standard_normal((n, h, w, c)), rng.standard_normal((r, s, c // groups, f))
    dy = rng.standard_normal(RULES["conv2d"](x, filters, **params)[0][0])
    return {
        "conv2d": Case(name, (x, filters), params, filters.size // f),
        "conv2d_input": Case(name, (dy, filters), params | {"shape": x.shape}, r * s * f // groups),
        "conv2d_weight": Case(name, (x, dy), params | {"shape": filters.shape}, dy.size // f),
    }[op]


def contract(op, at):
    """One of the cases of the contract."""
    return list(CONTRACTS[op].cases(np.random.default_rng(20151210)))[at]


def holds(op, case, kernel="numba_cuda", dtype="float32"):
    """Hold a kernel against the oracle; this also runs it twice and compares the bits."""
    hosts = tuple(array.astype(dtype) for array in case.arrays)
    arrays = tuple(moved(array, "cuda") for array in hosts)
    wanted = oracle(op, hosts, case.params)
    check_call(op, kernel, arrays, case.params, wanted, CONTRACTS[op].tolerance(case, dtype), f"{case.name}, {dtype}")


def captured():
    """A captured launch does nothing until it is replayed, and then what it would have done."""
    (x, w), params = (convolution("conv2d", "groups").arrays, convolution("conv2d", "groups").params)
    x, w = (moved(array.astype(np.float32), "cuda") for array in (x, w))
    with use(conv2d="numba_cuda"):
        graph = cuda.capture(lambda: launch("conv2d", x, w, **params))
        x[...] = 2 * x
        graph.launch()
        assert np.array_equal(graph.result.get(), launch("conv2d", x, w, **params).get())


def large_windows():
    """What does not fit into shared memory is computed nevertheless."""
    fits, tiles.SHARED = tiles.SHARED, 64
    assert tiles.tile_for(4, (3, 3), 1, 4) is None
    assert tiles.weight_tile_for((3, 3), 1, 4) is None
    for op in CONVOLUTIONS:
        holds(op, convolution(op, "groups"))
    tiles.SHARED = fits


def channels_beyond_a_block():
    """More channels and rows than a block of batch norm has, and none of them a multiple of it."""
    rng = np.random.default_rng(3)
    x = 100 + rng.standard_normal((67, 5))  # a mean far from zero: sums of squares would cancel
    case = Case("[67, 5]", (x, rng.standard_normal(5), rng.standard_normal(5)), {"eps": 1e-5}, 67)
    holds("batch_norm", case)


def cut_as_on_a_gpu(op, filters):
    """The very kernels of a GPU, with all their threads, on one tile and the beginning of others."""
    params = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}
    x, w, dy = (RNG.standard_normal(shape) for shape in ((1, 9, 9, 9), (3, 3, 9, filters), (1, 9, 9, filters)))
    cases = {
        "conv2d": Case(f"{filters} filters", (x, w), params, 81),
        "conv2d_input": Case(f"{filters} filters", (dy, w), params | {"shape": x.shape}, 9 * filters),
        "conv2d_weight": Case(f"{filters} filters", (x, dy), params | {"shape": w.shape}, 81),
        "bn_relu_gradient": contract("bn_relu_gradient", 3),
    }
    modules = tiles, conv_weight, sums
    for module in modules:
        module.simulated = lambda: False
    try:
        holds(op, cases[op])
    finally:
        for module in modules:
            module.simulated = device.simulated


def caught(fault):
    """A kernel with a fault in it must not pass."""
    module, what, instead, op = FAULTS[fault]
    text = Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")
    assert what in text, f"{module} no longer has {what!r}"
    planted = sys.modules["planted"] = ModuleType("planted")
    text = text.replace(what, instead).replace('"numba_cuda"', '"planted"')  # its own name in the table
    exec(compile(text, "planted", "exec"), vars(planted))
    kernel, sound = "planted" if op in CONVOLUTIONS else "numba_cuda", batch_norm.statistics
    if module == SUMS:
        batch_norm.statistics = planted.statistics
    case = convolution(op, "two tiles each way") if op in CONVOLUTIONS else contract(op, 2)
    try:
        holds(op, case, kernel)
    except (NonconformingError, IndexError):
        return
    finally:
        batch_norm.statistics = sound
    raise AssertionError("the fault was not noticed")


def quick():
    """Check -> function."""
    for op in CONVOLUTIONS:
        for name in GEOMETRIES:
            yield f"{op}, {name}", lambda op=op, name=name: holds(op, convolution(op, name))
        for name in ("stride 2 with remainder", "groups"):
            yield (
                f"{op}, {name}, naive",
                lambda op=op, name=name: holds(op, convolution(op, name), "numba_cuda.naive"),
            )
        yield f"{op}, float64", lambda op=op: holds(op, convolution(op, "groups"), dtype="float64")
    for op in ELEMENTWISE:
        yield op, lambda op=op: check_kernel(op, "numba_cuda")
    for op in NORMS:
        yield op, lambda op=op: holds(op, contract(op, 2), dtype="float64")
    yield "channels beyond a block", channels_beyond_a_block
    yield "captured", captured
    yield "large windows", large_windows
    for fault in FAULTS:
        yield f"caught: {fault}", lambda fault=fault: caught(fault)


def slow():
    """The same for the cases of the contracts, but for those where the simulator takes minutes."""
    for op, filters in (("conv2d", 3), ("conv2d", 17), ("conv2d_input", 3), ("conv2d_weight", 3)):
        yield f"{op}, {filters} filters, cut as on a GPU", lambda op=op, n=filters: cut_as_on_a_gpu(op, n)
    yield "batch norm, cut as on a GPU", lambda: cut_as_on_a_gpu("bn_relu_gradient", 3)
    for op in CONVOLUTIONS + NORMS:
        for at, case in enumerate(CONTRACTS[op].cases(np.random.default_rng(20151210))):
            if op != "conv2d_weight" or CONTRACTS[op].operations(case) < LONG:
                yield f"{op}, {case.name}", lambda op=op, at=at: holds(op, contract(op, at))


def main(which):
    said = {}
    for name, check in {"quick": quick, "slow": slow}[which]():
        began = time.perf_counter()
        try:
            check()
            said[name] = None
        except Exception as error:
            said[name] = f"{type(error).__name__}: {error}"
        print(f"{name}: {time.perf_counter() - began:.2f} s", file=sys.stderr, flush=True)
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1])
