"""Frames: what is sent arrives, and nothing else is believed."""

from __future__ import annotations

import json
import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyres.lab import frames

ARRAYS = st.one_of(
    hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    for dtype in ("float32", "float64", "int64", "uint8", "bool", "complex64", "float16", ">f4")
)


def read(data: bytes, most: int = 1 << 20, pieces: int = 7) -> frames.Reader:
    """Feed it as it would arrive, a few bytes at a time, never more than is wanted."""
    reader, start = frames.Reader(most), 0
    while not reader.whole and start < len(data):
        piece = data[start : start + min(pieces, reader.wants())]
        reader.feed(piece)
        start += len(piece)
    return reader


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=3), ARRAYS, max_size=3), st.text(max_size=5), st.integers(1, 500))
def test_what_is_sent_arrives(arrays, text, pieces):
    data = frames.pack({"op": text}, arrays)
    reader = read(data, pieces=pieces)
    assert reader.whole
    assert reader.header["op"] == text
    assert reader.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert reader.arrays[name].dtype == array.dtype
        assert reader.arrays[name].tobytes() == array.tobytes()
        assert reader.arrays[name].shape == array.shape
        assert reader.arrays[name].flags.writeable


def test_an_array_is_an_npy_file(tmp_path, rng):
    array = rng.normal(size=(3, 5)).astype(np.float32)[:, ::2]
    data = frames.pack({}, {"a": array})
    body = data[-json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["arrays"][0][1] :]
    (tmp_path / "a.npy").write_bytes(body)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)
    assert body.index(b"\n") % 64 == 63


def test_over_a_pipe():
    """`receive` waits for the rest, and says None when there is none to come."""
    there, here = os.pipe()
    data = frames.pack({"op": "call"}, {"a": np.arange(100_000.0)})

    def send():
        os.write(here, data[:5])
        for start in range(5, len(data), 1 << 16):
            os.write(here, data[start : start + (1 << 16)])
        os.close(here)

    thread = threading.Thread(target=send)
    thread.start()
    header, arrays = frames.receive(lambda n: os.read(there, n))
    assert header["op"] == "call"
    np.testing.assert_array_equal(arrays["a"], np.arange(100_000.0))
    assert frames.receive(lambda n: os.read(there, n)) is None
    thread.join()
    os.close(there)


def framed(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


LIES = {
    "no length": b"garbage!" * 9,
    "a header of nothing": bytes(8),
    "a long header": (1 << 40).to_bytes(8, "little"),
    "no JSON": framed(b"{arrays}"),
    "no text": framed(b"\xff\xfe"),
    "nested": framed(b"[" * 100_000),
    "no object": framed([1]),
    "no arrays": framed({"op": 1}),
    "arrays of numbers": framed({"arrays": [1]}),
    "a negative length": framed({"arrays": [["a", -1], ["b", 1]]}),
    "a long array": framed({"arrays": [["a", 1 << 40]]}),
    "many arrays": framed({"arrays": [["a", 1 << 19]] * 4}),
    "a true length": framed({"arrays": [["a", True]]}),
    "no name": framed({"arrays": [[1, 1]]}),
    "no array": framed({"arrays": [["a", 3]]}, b"abc"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_about_frames(name):
    with pytest.raises(frames.BadFrame):
        read(LIES[name])


def npy(header: str, data: bytes = bytes(24), magic: bytes = b"\x93NUMPY\x01\x00") -> bytes:
    text = header.encode()
    return magic + len(text).to_bytes(2, "little") + text + data


FORM = "{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n"
BODIES = {
    "other magic": npy(FORM.format("<f4", "False", "(2, 3)"), magic=b"\x93NUMPY\x02\x00"),
    "objects": npy(FORM.format("|O8", "False", "(3,)")),
    "text": npy(FORM.format("<U2", "False", "(3,)")),
    "records": npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }\n"),
    "fortran": npy(FORM.format("<f4", "True", "(2, 3)")),
    "too long": npy(FORM.format("<f4", "False", "(2, 2)")),
    "too short": npy(FORM.format("<f4", "False", "(1000000, 1000000, 1000000)")),
    "negative": npy(FORM.format("<f4", "False", "(-2, -3)")),
    "code": npy("__import__('os').abort()\n"),
    "many dimensions": npy(FORM.format("<f4", "False", "(" + "1, " * 40 + "6)")),
    "empty, and too large": npy(FORM.format("<f4", "False", "(0, " + "100000000000000000, " * 3 + "1)"), b""),
    "a float of no size": npy(FORM.format("<f7", "False", "(6,)")),
    "a header past the end": npy(FORM.format("<f4", "False", "(6,)"))[:30],
    "nothing": b"",
}


def test_a_body_by_hand():
    assert frames.array_of(npy(FORM.format("<f4", "False", "(2, 3)"))).shape == (2, 3)


@pytest.mark.parametrize("name", BODIES)
def test_lies_about_arrays(name):
    with pytest.raises(frames.BadFrame):
        frames.array_of(BODIES[name])
    whole = framed({"arrays": [["a", len(BODIES[name])]]}, BODIES[name])
    if BODIES[name]:
        with pytest.raises(frames.BadFrame):
            read(whole)


@given(st.binary(max_size=200))
def test_noise_is_never_more_than_a_bad_frame(data):
    try:
        frames.array_of(data)
    except frames.BadFrame:
        pass
    else:
        raise AssertionError("noise was taken for an array")
