"""What stands between a submission of this lab and the GPU, or Numba's simulator of one; it runs in the worker.

The arrays that a student's function gets are a GPU's: their values can be read by kernels only. In the simulator,
which switches between threads as it likes, a missing barrier shows by luck; so here each value knows who touched it
since when, and what would be wrong on a GPU is an error each time, in the student's line: a place outside the array, a
value that two threads want at once, shared memory that nobody has written, a barrier that some threads never reach.

With TINYRES_LAB_GPU=1 the kernels run on a real GPU, without these watches. Not yet run on a GPU.
"""

from __future__ import annotations

import operator
import os
import sys
import threading
from typing import Any

ON_GPU = os.environ.get("TINYRES_LAB_GPU") == "1"
os.environ["NUMBA_ENABLE_CUDASIM"] = "0" if ON_GPU else "1"  # Numba reads it once, when it is imported

import numpy as np  # noqa: E402
from numba import config as settings  # noqa: E402
from numba import cuda  # noqa: E402

Array = Any
THREADS = 128 if ON_GPU else 16  # of a block: few in the simulator, where each is a thread of the processor
MOST = 1024  # threads of a block on any GPU
STACK = 256 * 1024  # bytes, of a simulated thread
vars(settings)["CUDA_LOW_OCCUPANCY_WARNINGS"] = 0
ELSEWHERE = (
    "this array lies in the memory of the GPU, where the CPU cannot read or write: launch a kernel that does it, "
    "by launch(kernel, blocks, threads, its arguments ...)"
)
launches = 0  # since the call of a task began


class OnGPU:
    """An array in the memory of the GPU, as the CPU sees it: its shape and type, not its values."""

    def __init__(self, held: Any) -> None:
        self._held = held
        self.shape, self.dtype, self.size = tuple(held.shape), held.dtype, int(held.size)
        self.ndim, self.itemsize = len(self.shape), held.dtype.itemsize

    def reshape(self, *shape: Any) -> OnGPU:
        """The same values in another shape."""
        return OnGPU(self._held.reshape(*shape))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{ELSEWHERE} (it has a shape, dtype, size and reshape, and no {name})")

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError(ELSEWHERE)

    __getitem__ = __setitem__ = __iter__ = __array__ = __array_ufunc__ = __array_function__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __neg__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __rtruediv__ = __matmul__ = __rmatmul__ = __pow__ = __abs__ = _refuse


class Watched:
    """An array as a kernel sees it in the simulator: one value at a time, and each knows who touched it."""

    lock = threading.Lock()

    def __init__(self, array: Array, shared: bool = False) -> None:
        self._array, self._shared = array, shared
        self.shape, self.dtype, self.size, self.ndim = array.shape, array.dtype, array.size, array.ndim
        self._writer: dict[tuple[int, ...], Any] = {}
        self._readers: dict[tuple[int, ...], Any] = {}  # since it was written: the last one, and another if there is

    def __len__(self) -> int:
        return int(self.shape[0])

    def _place(self, index: Any) -> tuple[int, ...]:
        place = index if isinstance(index, tuple) else (index,)
        if len(place) != self.ndim:
            raise TypeError(f"a thread takes one value at a time, and {self.ndim} indices lead to it, not {len(place)}")
        try:
            place = tuple(operator.index(i) for i in place)
        except TypeError:
            raise TypeError(f"a thread takes one value at a time, by whole numbers, not by {index!r}") from None
        if not all(0 <= i < n for i, n in zip(place, self.shape, strict=True)):
            raise IndexError(f"index {list(place)} is outside of an array of shape {list(self.shape)}")
        return place

    def _conflict(self, one: Any, other: Any) -> bool:
        """Whether two touches may happen in either order: other threads, no barrier between them."""
        return one is not None and one[:2] != other[:2] and (one[0] != other[0] or one[2] == other[2])

    def __getitem__(self, index: Any) -> Any:
        place, me = self._place(index), _who()
        with self.lock:
            writer, readers = self._writer.get(place), self._readers.get(place, (None, None))
            if self._shared and writer is None:
                raise RuntimeError(
                    f"place {list(place)} of shared memory is read before any thread has written it: either none does, "
                    "or cuda.syncthreads() is missing before the read"
                )
            if self._conflict(writer, me):
                raise RuntimeError(_race(place, writer, me, "written", "read"))
            self._readers[place] = (me, readers[0] if readers[0] and readers[0][:2] != me[:2] else readers[1])
            return self._array[place]

    def __setitem__(self, index: Any, value: Any) -> None:
        place, me = self._place(index), _who()
        with self.lock:
            before = [(self._writer.get(place), "written"), *((r, "read") for r in self._readers.pop(place, ()))]
            for other, said in before:
                if self._conflict(other, me):
                    raise RuntimeError(_race(place, other, me, said, "written"))
            self._writer[place] = me
            self._array[place] = value


def _who() -> tuple[Any, Any, int]:
    """The block and the thread that run, and how many barriers it has passed."""
    me: Any = threading.current_thread()
    return tuple(me.blockIdx), tuple(me.threadIdx), getattr(me, "passed", 0)


def _race(place: tuple[int, ...], one: Any, other: Any, did: str, does: str) -> str:
    """The sentence about a value that two threads touch at once."""
    names = [f"thread {list(each[1])} of block {list(each[0])}" for each in (one, other)]
    mend = (
        "between the two belongs cuda.syncthreads()"
        if one[0] == other[0]
        else "blocks cannot wait for each other: let each value be written by one thread alone"
    )
    return f"value {list(place)} is {did} by {names[0]} and {does} by {names[1]}, in no fixed order: {mend}"


def _watch() -> None:
    """Let Numba's simulator count the barriers of a thread, and hand out shared memory that is watched."""
    from numba.cuda.simulator import kernel, kernelapi

    thread: Any = kernel.BlockThread
    wait, run = thread.syncthreads, thread.run

    def syncthreads(self: Any) -> None:
        wait(self)
        self.passed = getattr(self, "passed", 0) + 1

    def ran(self: Any) -> None:
        run(self)
        if self.exception is None:
            barriers.setdefault(tuple(self.blockIdx), set()).add(getattr(self, "passed", 0))

    class Shared(kernelapi.FakeCUDAShared):  # type: ignore[misc]
        def array(self, shape: Any, dtype: Any, **_: Any) -> Any:
            me, where = _who()[0], sys._getframe(1)
            key = me, where.f_code, where.f_lineno
            with Watched.lock:
                if key not in self._allocations:
                    self._allocations[key] = Watched(np.full(shape, np.nan, dtype), shared=True)
                return self._allocations[key]

    thread.syncthreads, thread.run, kernelapi.FakeCUDAShared = syncthreads, ran, Shared


barriers: dict[tuple[int, ...], set[int]] = {}  # of the launch that runs: block -> how many its threads passed


def launch(kernel: Any, grid: Any, block: Any, *arguments: Any) -> None:
    """Launch a kernel: so many blocks, so many threads in each, and what it works on."""
    global launches
    if not (hasattr(kernel, "py_func") and "cuda" in type(kernel).__module__):
        raise TypeError("launch takes a kernel, and this is none: put @cuda.jit above the function")
    counts = [tuple(map(int, each)) if isinstance(each, tuple) else (int(each),) for each in (grid, block)]
    if np.prod(counts[1]) > MOST:
        raise ValueError(f"a block of {np.prod(counts[1])} threads is too large: a GPU takes {MOST} at most")
    launches += 1
    if not all(counts[0]):
        return
    if ON_GPU:
        kernel[counts[0], counts[1]](*[getattr(argument, "_held", argument) for argument in arguments])
        cuda.synchronize()  # an error belongs to the launch that made it
        return
    barriers.clear()
    usual, stack = sys.getswitchinterval(), threading.stack_size(STACK)
    sys.setswitchinterval(1e-4)  # the simulator asks all the time who waits, and holds up those it asks about
    try:
        kernel[counts[0], counts[1]](*[Watched(a._held) if isinstance(a, OnGPU) else a for a in arguments])
    finally:
        sys.setswitchinterval(usual)
        threading.stack_size(stack)
    for number, passed in barriers.items():
        if len(passed) > 1:
            raise RuntimeError(
                f"the threads of block {list(number)} came to {min(passed)} to {max(passed)} barriers: every thread of "
                "a block has to come to each cuda.syncthreads(), also one that has nothing to do"
            )


def _placed(array: Array) -> OnGPU:
    """A copy in the memory of the GPU."""
    copied = np.array(array, order="C")
    return OnGPU(cuda.to_device(copied) if ON_GPU else copied)


def _fetched(array: OnGPU) -> Array:
    return array._held.copy_to_host() if ON_GPU else array._held


def _call(file: str, function: str) -> Any:
    """How a task is called: its arrays go to the GPU, its results come back; without a launch there are none."""

    def call(modules: Any, arrays: Any, params: Any, outs: Any) -> Any:
        global launches
        launches = 0
        given = {name: _placed(array) for name, array in arrays.items()}
        placed = {name: _placed(array) for name, array in outs.items()}
        (out,) = placed.values()
        getattr(modules[file], function)(*given.values(), **params, out=out)
        if not launches:
            raise RuntimeError(
                "it returned without a launch: what a GPU computes is computed by a kernel (@cuda.jit), and "
                "launch(kernel, blocks, threads, ...) starts it"
            )
        for name, array in given.items():
            if not np.array_equal(_fetched(array), arrays[name]):
                arrays[name][...] = _fetched(array)  # it changed what it was given, and that has to show
        return {name: _fetched(array) for name, array in placed.items()}

    return call


def _empty(shape: Any, dtype: Any) -> OnGPU:
    """Memory of the GPU for what one kernel leaves to the next."""
    return _placed(np.full(shape, np.nan, dtype))


if not ON_GPU:
    _watch()

MODULES: dict[str, dict[str, Any]] = {
    "tinyres.kernels.on_numba_cuda": {"missing": lambda: None},
    "tinyres.kernels.on_numba_cuda.device": {
        "THREADS": THREADS,
        "blocks_for": lambda count, each=THREADS: -(-count // each),
        "empty": _empty,
        "launch": launch,
        "simulated": lambda: not ON_GPU,
    },
}
CALLS = {
    "gpu.relu": _call("elementwise.py", "relu"),
    "gpu.relu_gradient": _call("elementwise.py", "relu_gradient"),
    "gpu.forward": _call("naive.py", "conv2d"),
    "gpu.input": _call("naive.py", "conv2d_input"),
    "gpu.weight": _call("naive.py", "conv2d_weight"),
    "gpu.total": _call("total.py", "total"),
    "gpu.tile": _call("tile.py", "filtered"),
    "gpu.dilated": _call("variants.py", "dilated"),
}
