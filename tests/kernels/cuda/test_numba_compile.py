"""The Numba-CUDA kernels compiled to machine code without a GPU: nothing spills, and shared memory suffices everywhere.

Numba's front end and NVVM make PTX, NVIDIA's linker makes machine code of it and says what that uses.
"""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from tinyres.kernels.on_numba_cuda import batch_norm, conv, conv_weight, elementwise, naive, sums
from tinyres.kernels.on_numba_cuda.tiles import NARROW, WEIGHTS, WIDE, tile_for, weight_tile_for
from tinyres.lab.labs.lab06_gpu import tile, total, variants

SHARED = 48 * 1024
REGISTERS = 65536  # of a multiprocessor, shared by the threads on it
ARCHITECTURES = [(7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (12, 0)]
CONVOLUTIONS = {
    "16 filters, 3x3": (16, (3, 3), 1, 1, False),
    "64 filters, 3x3, stride 2": (64, (3, 3), 2, 1, False),
    "gradient of that for the input": (32, (3, 3), 1, 2, True),
    "1x1, stride 2": (64, (1, 1), 2, 1, False),
}
WEIGHT_GRADIENTS = {
    "weights, 3x3": ((3, 3), 1),
    "weights, 3x3, stride 2": ((3, 3), 2),
    "weights, 7x7, stride 2": ((7, 7), 2),
}


@pytest.fixture(scope="module")
def compiler():
    pytest.importorskip("numba_cuda", reason="needs numba-cuda and its compiler", exc_type=ImportError)
    core = pytest.importorskip("cuda.core", reason="needs numba-cuda and its compiler", exc_type=ImportError)
    from numba import cuda, types

    def build(kernel, signature, architecture):
        kinds = {"f": types.float32, "d": types.float64, "n": types.int64}
        given = [
            types.Array(kinds[code[0]], int(code[1]), "C") if code[1:] else kinds[code] for code in signature.split()
        ]
        ptx, _ = cuda.compile(
            kernel.py_func, tuple(given), cc=architecture, output="ptx", device=False, abi="numba"
        )  # fmt: skip
        major, minor = architecture
        options = core.LinkerOptions(arch=f"sm_{major}{minor}", verbose=True)
        linker = core.Linker(core.ObjectCode.from_ptx(ptx.encode()), options=options)
        linker.link("cubin")
        said = linker.get_info_log()
        used = re.search(r"used (\d+) registers.* (\d+) stack, (\d+) bytes smem.* (\d+) bytes lmem", said)
        return SimpleNamespace(
            **dict(zip(("registers", "stack", "shared", "local"), map(int, used.groups()), strict=True)),
            spills=sum(map(int, re.findall(r"(\d+) bytes spill", said))),
        )

    return build


def scalars(count):
    return " n" * count


def kernels(real):
    """Name -> kernel, signature (f and d are the real types, with the axes of an array), threads of a block."""
    code = {"float32": "f", "float64": "d"}[real]
    kind, itemsize = np.dtype(real).type, np.dtype(real).itemsize
    flat = f"{code}1 "
    for name, (filters, window, stride, spread, turned) in CONVOLUTIONS.items():
        cut = tile_for(filters, window, stride, itemsize)
        yield name, conv.tiled(cut, window, stride, spread, turned, kind), flat * 3 + scalars(9), cut.threads
    for name, (window, stride) in WEIGHT_GRADIENTS.items():
        cut = weight_tile_for(window, stride, itemsize)
        yield name, conv_weight.tiled(cut, window, stride, kind), flat * 3 + scalars(11), cut.threads(window)
    yield "relu", elementwise.positive, flat * 2, 128
    yield "gradient of relu", elementwise.passed, flat * 3, 128
    yield "rows", sums._add_rows(32, 8), flat + scalars(2) + f" {flat}", 256
    yield "moments", sums._moments(16, 16, kind), flat + scalars(3) + f" {flat * 2}", 256
    yield "together", sums._together(128), flat * 2 + scalars(4) + f" {flat * 2}", 128
    for then in (sums.ALONE, sums.RELU, sums.ADD_RELU):
        yield f"sums, {then}", sums._gradient_sums(16, 16, then, kind), f"{flat * 7}{code}{scalars(3)} {flat * 2}", 256
        yield f"apply, {then}", batch_norm._apply(16, 16, then, kind), f"{flat * 6}{code}{scalars(3)} {flat}", 256
    for then in (sums.ALONE, sums.RELU):
        signature = f"{flat * 6}{code}2 {code}{scalars(3)} {flat * 3}"
        yield f"gradient, {then}", batch_norm._gradient(16, 16, then, kind), signature, 256
    for one in (naive.one_output, naive.one_input, naive.one_weight):
        yield one.py_func.__name__, one, f"{code}4 {code}4{scalars(3)} {code}4", 128
    yield "lab, sum in a tree", total.block_sums, f"{code}1 d1", total.LANES
    yield "lab, tile", tile.tiled(3, 3, kind), f"{code}2 {code}2{scalars(2)} {code}2", tile.ROWS * tile.COLUMNS
    yield "lab, dilated", variants.one_dilated, f"{code}4 {code}4{scalars(4)} {code}4", 128


def check(build, chosen, real, architecture):
    seen = {}
    for name, kernel, signature, threads in kernels(real):
        if name in chosen or not chosen:
            used = seen[name] = build(kernel, signature, architecture)
            assert used.spills == used.local == 0, (name, used)
            # NVVM of Blackwell leaves the loop over the taps of a large window as it is, and its numbers in memory
            assert used.stack == 0 or ("7x7" in name and architecture >= (10, 0)), (name, used)
            assert used.shared <= SHARED, (name, used)
            assert used.registers * threads <= REGISTERS, (name, used)
    return seen


def test_what_the_kernels_use(compiler):
    seen = check(compiler, ("16 filters, 3x3", "weights, 3x3", "sums, 1"), "float32", (9, 0))
    assert len(seen) == 3
    assert seen["16 filters, 3x3"].registers <= 128  # 32 sums, 10 inputs, and what finds them; 8 blocks side by side
    assert seen["weights, 3x3"].registers <= 128


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "real"),
    [*((each, "float32") for each in ARCHITECTURES), ((9, 0), "float64"), ((12, 0), "float64")],
)
def test_every_kernel_on_every_architecture(compiler, architecture, real):
    assert len(check(compiler, (), real, architecture)) > 15


def test_what_spills_is_noticed(compiler):
    from numba import cuda

    @cuda.jit
    def greedy(x):
        many = cuda.local.array(4096, np.float32)
        for i in range(4096):
            many[i] = x[i]
        for i in range(4096):
            x[i] = many[(i * 7) % 4096]

    assert compiler(greedy, "f1", (9, 0)).stack >= 16384


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize(("window", "stride"), [((3, 3), 1), ((3, 3), 2), ((7, 7), 2), ((11, 11), 4), ((1, 1), 1)])
def test_the_windows_of_the_nets_fit_into_shared_memory(window, stride, itemsize):
    for filters in (3, 64):
        cut = tile_for(filters, window, stride, itemsize)
        assert cut.shared(window, stride, itemsize) <= SHARED
        assert (cut.rows, cut.filters) == ((16, 16) if filters == 3 else (8, 32))
        assert cut.threads % cut.depth == cut.threads % cut.filters == 0
    weights = weight_tile_for(window, stride, itemsize)
    assert weights.shared(window, stride, itemsize) <= SHARED
    assert weights.threads(window) % weights.channels == weights.threads(window) % weights.filters == 0


def test_windows_as_large_as_an_image_do_not_fit():
    assert tile_for(16, (224, 224), 1, 4) is None
    assert weight_tile_for((224, 224), 1, 4) is None
    assert weight_tile_for((40, 3), 1, 4) is None  # more threads than a block may have
    assert NARROW.threads == WIDE.threads == 64
    assert WEIGHTS.threads((3, 3)) == 96
