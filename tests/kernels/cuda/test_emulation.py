"""The emulated GPU: threads, barriers and what lanes exchange; arrays that are no NumPy arrays; memory; captures."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from tinyres.errors import DeviceError, KernelError
from tinyres.kernels import cuda
from tinyres.kernels.cuda.emulation import build, memory

KERNELS = """
template <class T> __global__ void reverse(const T* x, T* y, int n) {  // each block its n values, last first
    T* line = reinterpret_cast<T*>(emulated::shared);
    const int i = threadIdx.x;
    line[i] = x[blockIdx.x * n + i];
    __syncthreads();
    y[blockIdx.x * n + i] = line[n - 1 - i];
}
__global__ void exchange(const int* x, int* y) {  // 40 threads: a whole warp and a part of one
    const int i = threadIdx.x;
    y[i] = __shfl_xor_sync(~0u, x[i], 1);
    y[40 + i] = __shfl_down_sync(~0u, x[i], 2);
    y[80 + i] = __shfl_sync(~0u, x[i], 3);
    y[120 + i] = (int)__ballot_sync(~0u, x[i] % 3 == 0);
    y[160 + i] = __any_sync(~0u, x[i] == 35);
    y[200 + i] = __all_sync(~0u, x[i] < 32);
}
__global__ void apart(int* y) {  // half of a warp at one barrier, half at another
    if (threadIdx.x < 16) __syncthreads(); else __syncwarp();
    y[threadIdx.x] = 1;
}
__global__ void leave(int* y) {  // some threads end before the barrier, which then waits for the others only
    if (threadIdx.x % 3 == 0) return;
    __syncthreads();
    y[threadIdx.x] = 1;
}
__global__ void place(int* y) {
    const int t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    const int b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    y[b * blockDim.x * blockDim.y * blockDim.z + t] = 1000 * b + t;
}
__global__ void order(int* at, int* y) { y[threadIdx.x] = atomicAdd(at, 1); }
__global__ void scale(const float* x, float* y, int n, double by, bool negative) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = (negative ? -by : by) * x[i];
}
__global__ void unread(float* y) { y[threadIdx.x] = reinterpret_cast<float*>(emulated::shared)[threadIdx.x]; }
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("kernels") / "kernels.cu"
    path.write_text(KERNELS)
    return path


@pytest.fixture(autouse=True)
def xp(monkeypatch):
    if build.compiler() is None:
        pytest.skip("needs a C++ compiler")
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    return cuda.module()


@pytest.mark.parametrize("order", ["", "reversed"])
def test_a_barrier_and_shared_memory(file, xp, rng, monkeypatch, order):
    monkeypatch.setenv("TINYRES_EMULATION_ORDER", order)
    for kind in ("float32", "float64"):
        x = rng.standard_normal((3, 70)).astype(kind)
        y = xp.empty((3, 70), kind)
        name = {"float32": "float", "float64": "double"}[kind]
        cuda.launch(file, f"reverse<{name}>", 3, 70, xp.asarray(x), y, np.int32(70), shared=70 * x.itemsize)
        np.testing.assert_array_equal(y.get(), x[:, ::-1])


def test_lanes_exchange_within_their_warp(file, xp):
    x, y = np.arange(40, dtype=np.int32), xp.empty((6, 40), np.int32)
    cuda.launch(file, "exchange", 1, 40, xp.asarray(x), y)
    got, warp = y.get(), x // 32 * 32
    np.testing.assert_array_equal(got[0], x ^ 1)
    beyond = (x % 32 > 29) | (x > 37)  # a lane that nobody answers keeps, or finds, what does not count
    np.testing.assert_array_equal(got[1][~beyond], x[~beyond] + 2)
    np.testing.assert_array_equal(got[2], warp + 3)
    votes = [sum(1 << i for i in range(32) if i % 3 == 0), sum(1 << i for i in range(8) if (32 + i) % 3 == 0)]
    np.testing.assert_array_equal(got[3].view(np.uint32), np.array(votes, np.uint32)[x // 32])
    np.testing.assert_array_equal(got[4], x >= 32)
    np.testing.assert_array_equal(got[5], x < 32)


def test_threads_that_wait_for_each_other_for_ever_are_found(file, xp):
    with pytest.raises(KernelError, match="apart: its threads wait at barriers that not all of them reach"):
        cuda.launch(file, "apart", 1, 32, xp.zeros(32, np.int32))
    y = xp.zeros(32, np.int32)  # and the next launch is none the worse
    cuda.launch(file, "leave", 1, 32, y)
    np.testing.assert_array_equal(y.get(), np.arange(32) % 3 != 0)


def test_blocks_and_threads_in_three_dimensions(file, xp):
    y = xp.zeros(2 * 3 * 2 * 4 * 3 * 5, np.int32)
    cuda.launch(file, "place", (2, 3, 2), (4, 3, 5), y)
    np.testing.assert_array_equal(y.get().reshape(12, 60), 1000 * np.arange(12)[:, None] + np.arange(60))


def test_threads_run_forward_or_backward(file, xp, monkeypatch):
    def run():
        y = xp.empty(64, np.int32)
        cuda.launch(file, "order", 1, 64, xp.zeros(1, np.int32), y)
        return y.get()

    np.testing.assert_array_equal(run(), np.arange(64))
    monkeypatch.setenv("TINYRES_EMULATION_ORDER", "reversed")
    assert run()[63] == 0


def test_shared_memory_begins_as_nan(file, xp):
    y = xp.zeros(8, np.float32)
    cuda.launch(file, "unread", 1, 8, y, shared=32)
    assert np.isnan(y.get()).all()


WRONG = {
    "no number of Python": (lambda x, y: (x, y, 4, np.float64(2), np.bool_(0)), "argument 2 is a int; numpy.int32"),
    "another scalar": (lambda x, y: (x, y, np.int32(4), np.float32(2), np.bool_(0)), "argument 3 is a float32"),
    "an array of the CPU": (lambda x, y: (x.get(), y, np.int32(4), np.float64(2), np.bool_(0)), "argument 0 is a nd"),
    "another type": (lambda x, y: (x.astype("float64"), y, np.int32(4), np.float64(2), np.bool_(0)), "of float64; flo"),
    "too few": (lambda x, y: (x, y), "takes 5 arguments and got 2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_arguments_are_those_of_the_kernel(file, xp, name):
    make, said = WRONG[name]
    x, y = xp.ones(4, np.float32), xp.zeros(4, np.float32)
    with pytest.raises(KernelError, match=said):
        cuda.launch(file, "scale", 1, 32, *make(x, y))
    cuda.launch(file, "scale", 1, 32, x, y, np.int32(4), np.float64(2), np.bool_(True))
    np.testing.assert_array_equal(y.get(), [-2] * 4)


def test_what_cannot_be_launched(file, xp):
    y = xp.zeros(8, np.float32)
    for block, shared, said in ((2000, 32, "more than 1024"), (8, 200_000, r"200,000 bytes of shared memory; 101,376")):
        with pytest.raises(KernelError, match=said):
            cuda.launch(file, "unread", 1, block, y, shared=shared)
    for grid in ((0, 1), (1, 70_000)):
        with pytest.raises(KernelError, match="1 to 65535 are wanted"):
            cuda.launch(file, "unread", grid, 8, y, shared=32)


def test_a_text_that_does_not_compile_is_told_with_its_line(xp, tmp_path):
    (tmp_path / "bad.cu").write_text("__global__ void bad(float* y) {\n    y[0] = nowhere;\n}\n")
    with pytest.raises(KernelError, match=r"kernel bad does not compile.*kernel:2:12: error: .nowhere"):
        cuda.launch(tmp_path / "bad.cu", "bad", 1, 1, xp.zeros(1, np.float32))
    with pytest.raises(KernelError, match=r"cannot read the CUDA file .*gone\.cu: No such file"):
        cuda.launch(tmp_path / "gone.cu", "bad", 1, 1)


def test_a_compiler_that_fails_without_a_word(xp, monkeypatch, tmp_path):
    (tmp_path / "new.cu").write_text("__global__ void never_compiled_before() {}\n")
    monkeypatch.setenv("TINYRES_CXX", "/bin/false")
    with pytest.raises(KernelError, match="/bin/false ended with exit code 1"):
        cuda.launch(tmp_path / "new.cu", "never_compiled_before", 1, 1)


def test_includes_are_put_in_once(tmp_path):
    (tmp_path / "a.cuh").write_text("#pragma once\nint a;\n")
    (tmp_path / "b.cuh").write_text('#include "a.cuh"\nint b;\n')
    (tmp_path / "main.cu").write_text('#include "a.cuh"\n#include "b.cuh"\nint c;\n')
    assert cuda.text(tmp_path / "main.cu").split() == ["int", "a;", "int", "b;", "int", "c;"]


def test_arrays_are_never_taken_for_those_of_numpy(xp):
    x = xp.asarray(np.arange(6.0).reshape(2, 3))
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(x)
    for mix in (lambda: x + np.ones(3), lambda: x.__setitem__(0, np.ones(3)), lambda: np.add(np.ones(3), x)):
        with pytest.raises(TypeError, match="was given to the GPU"):
            mix()
    assert isinstance(x.sum(), xp.ndarray)
    assert isinstance(x[1, 2], xp.ndarray)
    assert float(x[1, 2]) == 5
    assert bool((x > 4).any())
    np.testing.assert_array_equal((2 * x - x.T.reshape(2, 3)).get(), 2 * x.get() - x.get().T.reshape(2, 3))


def test_views_share_memory_and_know_their_base(xp):
    x = xp.zeros(12, np.float32)
    part = x[2:8].reshape(2, 3)
    assert part.base is x
    part[1] = 3
    np.testing.assert_array_equal(x.get()[5:8], 3)
    other = copy.deepcopy(part)
    other.fill(9)
    np.testing.assert_array_equal(part.get()[1], 3)


def test_memory_is_used_again_and_begins_as_nan(xp):
    x = xp.ones(1000, np.float32)
    address = x.data.ptr
    del x
    y = xp.empty(1000, np.float32)
    assert y.data.ptr == address
    assert np.isnan(y.get()).all()


def test_there_is_a_limit_to_memory(xp, monkeypatch):
    cuda.release()  # what earlier tests have left lying about
    monkeypatch.setenv("TINYRES_EMULATED_MEMORY", str(memory.limit() - memory.free() + 10_000))
    held = xp.empty(1000, np.float32)
    with pytest.raises(MemoryError, match=r"Out of memory allocating 40,192 bytes") as caught:
        xp.empty(10_000, np.float32)
    assert cuda.is_out_of_memory(caught.value)
    assert cuda.wanted_bytes(caught.value) == 40_192
    assert not cuda.is_out_of_memory(MemoryError())
    del held
    xp.empty(1500, np.float32)  # a block of another size is given back for it


def test_a_capture_does_nothing_until_it_is_launched(file, xp):
    x = xp.asarray(np.arange(4, dtype=np.float32))

    def step():
        twice = xp.empty(4, np.float32)
        cuda.launch(file, "scale", 1, 32, x, twice, np.int32(4), np.float64(2), np.bool_(False))
        y = twice + x
        del twice  # its memory may be used again within the graph
        total = np.add.reduce(y * y)
        x[...] = x + 1
        return y, total

    graph = cuda.capture(step, warmups=0)
    np.testing.assert_array_equal(x.get(), np.arange(4))
    for k in range(3):
        graph.launch()
        y, total = (part.get() for part in graph.result)
        np.testing.assert_array_equal(y, 3 * (np.arange(4) + k))
        assert total == (y * y).sum()
    np.testing.assert_array_equal(x.get(), np.arange(4) + 3)


@pytest.mark.parametrize("read", [lambda x: x.get(), lambda x: float(x[0]), lambda x: x.sum(), lambda x: bool(x[0])])
def test_what_waits_for_the_gpu_cannot_be_captured(xp, read):
    x = xp.ones(3, np.float32)
    with pytest.raises(cuda.NotCapturable, match="not permitted while a stream is captured"):
        cuda.capture(lambda: read(x), warmups=0)
    assert not cuda.capturing()


def test_errors_of_tinyres_pass_through_a_capture():
    def step():
        raise DeviceError("mine")

    with pytest.raises(DeviceError, match=r"^mine$"):
        cuda.capture(step, warmups=0)


def test_properties(monkeypatch):
    assert cuda.properties().capability == cuda.capability() == (9, 0)
    monkeypatch.setenv("TINYRES_EMULATED_CAPABILITY", "7.5")
    assert cuda.capability() == (7, 5)
    assert 0 < cuda.properties().free <= cuda.properties().memory


def test_emulating_for_a_while(monkeypatch):
    monkeypatch.delenv("TINYRES_GPU")
    assert not cuda.emulated()
    with cuda.emulating():
        assert cuda.emulated()
    assert not cuda.emulated()
    monkeypatch.setenv("TINYRES_GPU", "imagined")
    assert cuda.missing() == "TINYRES_GPU is 'imagined', and only 'emulated' is known"


def test_an_error_that_is_not_about_capturing_stays_what_it_is():
    def step():
        raise RuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        cuda.capture(step, warmups=0)
