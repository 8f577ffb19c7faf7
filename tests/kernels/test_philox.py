"""Philox against the known answers of Random123 (kat_vectors), and the properties that batches rest on."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres.errors import DtypeError, ShapeError
from tinyres.kernels.philox import philox4x32

KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN, ids=["zeros", "ones", "pi"])
def test_known_answers(counter: str, key: str, answer: str) -> None:
    low, high = words(key)
    assert philox4x32(np.array(words(counter), np.uint32), (low, high)).tolist() == words(answer)


def test_each_row_depends_on_its_own_counter_only() -> None:
    counters = np.arange(3 * 5 * 4, dtype=np.uint32).reshape(3, 5, 4)
    together = philox4x32(counters, (7, 8))
    assert together.shape == (3, 5, 4)
    for index in np.ndindex(3, 5):
        assert np.array_equal(together[index], philox4x32(counters[index], (7, 8)))
    assert np.array_equal(philox4x32(counters[::-1, ::2], (7, 8)), together[::-1, ::2])


def test_all_words_are_distinct_and_uniform() -> None:
    counters = np.zeros((20_000, 4), np.uint32)
    counters[:, 0] = np.arange(20_000)
    out = philox4x32(counters, (1, 0))
    assert len(np.unique(out.view([("", np.uint32)] * 4))) == 20_000  # a bijection for a given key
    set_bits = np.unpackbits(out.view(np.uint8), axis=1).mean(axis=0)
    assert np.abs(set_bits - 0.5).max() < 5 * 0.5 / np.sqrt(20_000)  # 5 standard deviations, 128 bits


def test_one_key_bit_changes_half_of_the_output() -> None:
    counters = np.zeros((1000, 4), np.uint32)
    counters[:, 0] = np.arange(1000)
    flipped = philox4x32(counters, (1, 0)) ^ philox4x32(counters, (1, 1 << 31))
    assert 0.49 < np.unpackbits(flipped.view(np.uint8)).mean() < 0.51


def test_empty() -> None:
    assert philox4x32(np.zeros((0, 4), np.uint32), (0, 0)).shape == (0, 4)


def test_wrong_counters_are_refused() -> None:
    with pytest.raises(DtypeError, match="uint32, got int64"):
        philox4x32(np.zeros(4, np.int64), (0, 0))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"\[\.\.\., 4\], got \[3\]"):
        philox4x32(np.zeros(3, np.uint32), (0, 0))
