"""Result arrays from memory that earlier results have given back."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres.kernels import memory

SHAPE, FLOAT = (300, 1001), np.dtype(np.float32)  # 1.2 MB


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture(autouse=True)
def _nothing_free():
    memory.release()


def test_a_block_is_used_again_when_its_array_is_gone():
    first = memory.empty(SHAPE, FLOAT)
    where = address(first)
    assert address(memory.empty(SHAPE, FLOAT)) != where
    memory.release()
    del first
    assert address(memory.empty(SHAPE, FLOAT)) == where


def test_a_view_keeps_the_block():
    first = memory.empty(SHAPE, FLOAT)
    first[:] = 7
    view = first[10:20].T.reshape(-1)[3:]
    del first
    others = [memory.empty(SHAPE, FLOAT) for _ in range(3)]
    for other in others:
        other[:] = 0
    assert (view == 7).all()


def test_arrays_are_writable_contiguous_and_aligned():
    for shape, dtype in (
        (SHAPE, FLOAT),
        ((7, 200_001), np.dtype(np.float64)),
        ((2, 3), FLOAT),
        ((0, 5), FLOAT),
        ((), FLOAT),
    ):
        array = memory.empty(shape, dtype)
        assert array.shape == shape
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert array.flags.writeable
        if array.nbytes >= memory.LARGE:
            assert address(array) % memory.ALIGNMENT == 0
            array[...] = 1
            assert array.sum() == array.size


def test_release_gives_back_what_is_free_and_no_more():
    kept, dropped = (memory.empty(SHAPE, FLOAT) for _ in range(2))
    kept[:] = 3
    assert memory.release() == 0
    del dropped
    assert memory.release() >= 300 * 1001 * 4
    assert memory.release() == 0
    assert (kept == 3).all()


def test_a_full_memory_is_tried_again_without_the_free_blocks(monkeypatch):
    del_me = memory.empty(SHAPE, FLOAT)
    del del_me
    tried = []

    def empty(size, dtype):
        tried.append(size)
        if len(tried) == 1:
            raise MemoryError
        return np.zeros(size, dtype)

    monkeypatch.setattr(memory.np, "empty", empty)
    assert memory.empty((2 * 300, 1001), FLOAT).shape == (600, 1001)
    assert len(tried) == 2
    monkeypatch.setattr(memory.np, "empty", lambda size, dtype: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        memory.empty((3 * 300, 1001), FLOAT)
