"""Order and augmentation: pure functions of seed, epoch and position."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyres.data.order import permutation, split_indices
from tinyres.errors import ConfigError
from tinyres.kernels.philox import philox4x32
from tinyres.kernels.streams import AUGMENT, PERMUTATION, crops_and_flips


def test_the_definition() -> None:
    """Written out again, one position at a time, as a GPU thread would compute it."""
    seed, epoch, n, padding = 0xDEADBEEF_12345678, 7, 50, 4

    def words(position: int, stream: int) -> list[int]:
        return philox4x32(np.array([position, epoch, stream, 0], np.uint32), (0x12345678, 0xDEADBEEF)).tolist()

    keys = [words(p, PERMUTATION)[0] + (words(p, PERMUTATION)[1] << 32) for p in range(n)]
    assert permutation(seed, epoch, n).tolist() == sorted(range(n), key=keys.__getitem__)
    top, left, flip = crops_and_flips(seed, epoch, np.arange(n), padding)
    for p in range(n):
        a, b, c, _ = words(p, AUGMENT)
        assert (top[p], left[p], flip[p]) == (a * 9 >> 32, b * 9 >> 32, bool(c >> 31))


def test_known_values() -> None:
    """Results published with seeds rest on these."""
    assert permutation(0, 0, 10).tolist() == [5, 7, 9, 2, 1, 3, 8, 4, 6, 0]
    top, left, flip = crops_and_flips(1, 2, np.arange(6), 4)
    assert top.tolist() == [1, 5, 5, 3, 3, 0]
    assert left.tolist() == [4, 0, 3, 3, 6, 0]
    assert flip.tolist() == [True, False, False, True, True, False]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_a_permutation_holds_everything_once(seed: int, epoch: int, n: int) -> None:
    order = permutation(seed, epoch, n)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))


def test_seeds_and_epochs_differ() -> None:
    orders = [permutation(seed, epoch, 100).tolist() for seed in (0, 1, 1 << 32) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 6


def test_first_places_are_uniform() -> None:
    counts = np.bincount([permutation(3, epoch, 5)[0] for epoch in range(2000)], minlength=5)
    assert np.abs(counts - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)


@given(st.permutations(range(40)), st.integers(1, 40))
def test_augmentation_does_not_depend_on_company(order: list[int], count: int) -> None:
    everyone = crops_and_flips(1, 2, np.arange(40), 4)
    some = np.array(order[:count])
    for whole, part in zip(everyone, crops_and_flips(1, 2, some, 4), strict=True):
        assert np.array_equal(whole[some], part)


def test_offsets_and_flips_are_uniform() -> None:
    n = 90_000
    top, left, flip = crops_and_flips(5, 0, np.arange(n), 4)
    for offset in (top, left):
        counts = np.bincount(offset, minlength=9)
        assert len(counts) == 9
        assert np.abs(counts - n / 9).max() < 5 * np.sqrt(n / 9)
    assert abs(flip.mean() - 0.5) < 5 * 0.5 / np.sqrt(n)
    assert abs(np.corrcoef(top, left)[0, 1]) < 5 / np.sqrt(n)
    assert abs(np.corrcoef(top, flip)[0, 1]) < 5 / np.sqrt(n)


def test_without_padding_nothing_moves() -> None:
    top, left, _ = crops_and_flips(0, 0, np.arange(100), 0)
    assert not top.any()
    assert not left.any()


def test_split_indices() -> None:
    kept, held = split_indices(50, 5, 0)
    assert len(kept) == 45
    assert sorted([*kept, *held]) == list(range(50))
    assert held.tolist() == sorted(held)
    assert held.tolist() != list(range(45, 50))
    assert split_indices(50, 5, 0)[1].tolist() == held.tolist() != split_indices(50, 5, 1)[1].tolist()


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range(seed: int) -> None:
    with pytest.raises(ConfigError, match=rf"seed must be from 0 to 2\*\*64 - 1, got {seed}"):
        permutation(seed, 0, 3)


def test_an_epoch_out_of_range() -> None:
    with pytest.raises(ConfigError, match=r"epoch must be from 0 to 2\*\*32 - 1, got -1"):
        permutation(0, -1, 3)
