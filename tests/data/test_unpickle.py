"""The reader of pickles: what NumPy and Python 2 wrote is read, whatever names code is refused and not run."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres.data.unpickle import unpickle_dict
from tinyres.errors import DataError

PYTHON_2 = (  # {"labels": [3, 7], "data": a 2 by 3 array of uint8}, protocol 2, byte strings
    b"\x80\x02}(U\x06labels](K\x03K\x07eU\x04datacnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85"
    b"U\x01btR(K\x01K\x02K\x03\x86cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff"
    b"\xffK\x00tb\x89U\x06\x00\x01\xfe\xff\x80\x7ftbu."
)


class Hostile:
    """Pickles into a call that leaves a mark on the disk."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_plain_values_of_any_protocol(protocol: int) -> None:
    value = {"labels": [1, 2], "name": "batch", "number": 3.5}
    assert unpickle_dict(pickle.dumps(value, protocol), "file") == value


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "<i4", ">i8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_as_numpy_writes_them(protocol: int, dtype: str, order: Any) -> None:
    data = np.asarray(np.arange(12).reshape(3, 4).astype(dtype), order=order)
    read = unpickle_dict(pickle.dumps({"data": data}, protocol), "file")["data"]
    assert read.dtype == data.dtype
    assert np.array_equal(read, data)


def test_a_batch_as_python_2_wrote_it() -> None:
    found = unpickle_dict(PYTHON_2, "file")
    assert found["labels"] == [3, 7]
    assert np.array_equal(found["data"], np.array([[0, 1, 254], [255, 128, 127]], np.uint8))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    for hostile in (Hostile(os.mkdir, str(mark)), Hostile(eval, f"__import__('os').mkdir({str(mark)!r})")):
        content = pickle.dumps({"data": hostile}, protocol)
        with pytest.raises(DataError, match=r"data_batch_1 is not a batch.*(mkdir|eval), which this reader never runs"):
            unpickle_dict(content, "data_batch_1")
        assert not mark.exists()
        pickle.loads(content)  # the very same bytes do it under Python's own reader
        assert mark.exists()
        mark.rmdir()


def test_harmless_classes_are_refused_too() -> None:
    with pytest.raises(DataError, match="OrderedDict"):
        unpickle_dict(pickle.dumps(OrderedDict(a=1)), "file")


@pytest.mark.parametrize("data", [np.array([1, "a"], object), np.zeros(2, "S3"), np.zeros(2, "M8[s]"), np.zeros(2)])
def test_arrays_of_anything_but_integers_are_refused(data: Any) -> None:
    with pytest.raises(DataError, match="it holds an array of type"):
        unpickle_dict(pickle.dumps({"data": data}, 4), "file")


@pytest.mark.parametrize(
    ("good", "forged"),
    [
        (b"U\x02u1", b"U\x02O8"),
        (b"U\x02u1", b"U\x02V1"),
        (b"U\x02u1", b"U\x02u8"),
        (b"U\x01|", b"U\x01x"),
        (b"K\x02K\x03\x86", b"K\x02K\x04\x86"),
        (b"K\x02K\x03\x86", b"K\x02J\xff\xff\xff\xff\x86"),
        (b"U\x06\x00\x01\xfe\xff\x80\x7f", b"N"),
    ],
)
def test_a_forged_type_or_shape_is_refused(good: bytes, forged: bytes) -> None:
    assert good in PYTHON_2
    with pytest.raises(DataError, match=r"file is not a batch.*it holds an array"):
        unpickle_dict(PYTHON_2.replace(good, forged), "file")


def test_every_cut_of_a_pickle_is_refused() -> None:
    content = pickle.dumps({"data": np.zeros((2, 3), np.uint8), "labels": [0, 1]}, 4)
    for length in range(len(content)):
        with pytest.raises(DataError, match="is not a batch"):
            unpickle_dict(content[:length], "file")


def test_random_bytes_never_escape() -> None:
    content = bytearray(pickle.dumps({"data": np.zeros((2, 3), np.uint8), "labels": [0, 1]}, 2))
    random = np.random.default_rng(0)
    for _ in range(2000):
        damaged = bytearray(content)
        for position in random.integers(0, len(content), 3):
            damaged[position] = random.integers(0, 256)
        try:
            found = unpickle_dict(bytes(damaged), "file")
        except DataError:
            continue
        assert isinstance(found, dict)


def test_no_dictionary() -> None:
    with pytest.raises(DataError, match="a list where a dictionary is expected"):
        unpickle_dict(pickle.dumps([1]), "file")
