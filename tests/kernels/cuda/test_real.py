"""What a real GPU is told through CuPy: something that needs no GPU stands in CuPy's place and notes what it hears."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from tinyres.kernels import cuda
from tinyres.kernels.cuda import real


class Trouble(RuntimeError):
    """CUDARuntimeError."""

    def __init__(self, status):
        self.status = status
        super().__init__(f"status {status}")


class NoRoom(MemoryError):
    """OutOfMemoryError."""

    def __init__(self, size, total):
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")


NoRoom.__name__ = "OutOfMemoryError"


class Pool:
    """A memory pool that does as CuPy's (`SingleDeviceMemoryPool._try_malloc`): its free blocks may go back to CUDA."""

    def __init__(self, allocator):
        self.allocator, self.free = allocator, []

    def malloc(self, size):
        for _ in range(3):
            try:
                return self.allocator(size)
            except Trouble as error:
                if error.status != 2:
                    raise
                self.free.clear()
        raise NoRoom(size, 0)


class Stream:
    """A stream that is captured, and can be used in a `with` block."""

    def __init__(self, said):
        self.said = said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.said.append("left")

    def __getattr__(self, name):
        def call(*_):
            self.said.append(name)
            return Stream(self.said)

        return call


@pytest.fixture
def said():
    """What was heard, in order."""
    return []


@pytest.fixture
def cupy(monkeypatch, said):
    """As much of CuPy as `real` asks for, on a GPU of 100 bytes, 50 of which the common pool holds."""
    module = SimpleNamespace(pools=[], allocator=None, held=50)

    def memory(size):
        if size > 100 - module.held:
            raise Trouble(2)
        if size < 0:
            raise Trouble(700)
        return size

    def pool(allocator):
        module.pools.append(Pool(allocator))
        return module.pools[-1]

    @contextmanager
    def using(allocator):
        module.allocator = allocator
        yield
        module.allocator = None

    common = SimpleNamespace(free_all_blocks=lambda: setattr(module, "held", 0))
    module.get_default_memory_pool = lambda: common
    runtime = SimpleNamespace(CUDARuntimeError=Trouble, memGetInfo=lambda: (100, 150))
    module.cuda = SimpleNamespace(
        runtime=runtime,
        memory=SimpleNamespace(OutOfMemoryError=NoRoom),
        Memory=memory,
        MemoryPointer=lambda made, offset: made,
        MemoryPool=pool,
        Device=lambda: SimpleNamespace(id=0, synchronize=lambda: said.append("all done")),
        using_allocator=using,
    )
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setattr(real, "stream", lambda: Stream(said))
    return module


def test_a_capture_is_ordered_after_all_that_went_before(cupy, said):
    graph = real.Graph(lambda: said.append("step"), warmups=2)
    steps = ["all done", "step", "step", "synchronize", "begin_capture", "step", "end_capture"]
    assert said == [*steps, "upload", "left"]
    graph.launch()
    assert said[-1] == "launch"


def test_a_capture_that_fails_is_ended(cupy, said):
    def step():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        real.Graph(step, warmups=0)
    assert said == ["all done", "synchronize", "begin_capture", "end_capture", "left"]


def test_a_graph_keeps_the_blocks_that_it_knows_when_memory_runs_out(cupy):
    """CuPy's pool would give them back to CUDA, and the graph would write to what is somebody else's by then."""

    def step():
        cupy.pools[0].free.append(cupy.allocator(60))  # an array of the step that is gone again
        assert cupy.held == 0, "the common pool has given what nobody used"
        return cupy.allocator(101)

    with pytest.raises(MemoryError) as error:
        real.Graph(step, warmups=0)
    assert cupy.pools[0].free == [60]
    assert cuda.is_out_of_memory(error.value)
    assert cuda.wanted_bytes(error.value) == 101
    with pytest.raises(Trouble, match="700"):  # an error of another kind stays what it is
        real.Graph(lambda: cupy.allocator(-1), warmups=0)


def test_a_launch(cupy, monkeypatch):
    """Null pointers as a zero of eight bytes, and more shared memory than usual only where it is asked for."""
    heard = []

    class Function:
        max_dynamic_shared_size_bytes = 48 * 1024

        def __call__(self, grid, block, arguments, shared_mem):
            heard.append((grid, block, arguments, shared_mem, self.max_dynamic_shared_size_bytes))

    function = Function()
    monkeypatch.setattr(real, "_compiled", lambda source, expression, device: function)
    one = np.int32(1)
    real.launch("elementwise.cuh", "elementwise<float>", (2, 1, 1), (32, 1, 1), (None, one), 48 * 1024)
    real.launch("elementwise.cuh", "elementwise<float>", (2, 1, 1), (32, 1, 1), (one,), 64 * 1024)
    assert heard[0] == ((2, 1, 1), (32, 1, 1), (0, one), 48 * 1024, 48 * 1024)
    assert isinstance(heard[0][2][0], int)
    assert heard[1][3:] == (64 * 1024, 64 * 1024)
