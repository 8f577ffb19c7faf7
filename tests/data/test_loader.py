"""Batches: pure functions of seed, epoch and number, whatever came before and however images are grouped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinyres.data import Loader, Split, crops_and_flips, permutation, pixel_mean
from tinyres.errors import ConfigError, ShapeError

N, H, W, C = 23, 6, 5, 3
SCALE = 1 / 255


def split() -> Split:
    random = np.random.default_rng(0)
    return Split(random.integers(1, 256, (N, H, W, C), np.uint8), np.arange(N) % 4)


def loader(**settings: Any) -> Loader:
    data = split()
    mean = pixel_mean(data, SCALE, np.float64)
    return Loader(data, **{"mean": mean, "scale": SCALE, "batch": 5, "seed": 9, "dtype": np.float64} | settings)


def test_an_epoch_shows_every_image_once_in_the_order_of_its_permutation() -> None:
    plain = loader()
    assert plain.steps_per_epoch == 5
    batches = list(plain.batches(epoch=3))
    assert [len(x) for x, _ in batches] == [5, 5, 5, 5, 3]
    order = permutation(9, 3, N)
    expected = split().images[order] * SCALE - plain.mean
    assert np.allclose(np.concatenate([x for x, _ in batches]), expected, rtol=0, atol=1e-15)
    assert np.array_equal(np.concatenate([labels for _, labels in batches]), split().labels[order])


def test_the_augmentation_written_out() -> None:
    padding = 2
    augmented = loader(padding=padding, flip=True)
    x = np.concatenate([x for x, _ in augmented.batches(epoch=1)])
    order = permutation(9, 1, N)
    top, left, flip = crops_and_flips(9, 1, np.arange(N), padding)
    assert flip.any()
    assert not flip.all()
    for n in range(N):
        padded = np.zeros((H + 2 * padding, W + 2 * padding, C))
        padded[padding:-padding, padding:-padding] = split().images[order[n]] * SCALE - augmented.mean
        crop = padded[top[n] : top[n] + H, left[n] : left[n] + W]
        assert np.allclose(x[n], crop[:, ::-1] if flip[n] else crop, rtol=0, atol=1e-15)


@pytest.mark.parametrize("start", range(6))
def test_starting_anywhere_gives_the_same_tail(start: int) -> None:
    augmented = loader(padding=2, flip=True)
    tail = list(augmented.batches(epoch=2))[start:]
    resumed = list(loader(padding=2, flip=True).batches(epoch=2, start=start))
    assert len(resumed) == len(tail) == 5 - start
    for (x, labels), (again, same) in zip(tail, resumed, strict=True):
        assert x.tobytes() == again.tobytes()
        assert np.array_equal(labels, same)


def test_how_images_are_grouped_changes_none_of_them() -> None:
    epochs = [
        np.concatenate([x for x, _ in loader(padding=2, flip=True, batch=batch).batches(epoch=0)])
        for batch in (1, 4, 23, 100)
    ]
    assert all(np.array_equal(epochs[0], other) for other in epochs)


def test_epochs_and_seeds_differ() -> None:
    def first(epoch: int, **settings: Any) -> np.ndarray:
        return next(loader(padding=2, **settings).batches(epoch))[0]

    assert not np.array_equal(first(0), first(1))
    assert not np.array_equal(first(0), first(0, seed=10))


def test_in_order_shows_the_images_as_they_are() -> None:
    augmented = loader(padding=2, flip=True)
    batches = list(augmented.in_order())
    assert [len(x) for x, _ in batches] == [5, 5, 5, 5, 3]
    assert np.allclose(
        np.concatenate([x for x, _ in batches]), split().images * SCALE - augmented.mean, rtol=0, atol=1e-15
    )
    assert np.array_equal(np.concatenate([labels for _, labels in batches]), split().labels)


def test_dtype_and_layout() -> None:
    x, labels = next(loader(dtype=np.float32).batches(0))
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    assert labels.dtype == np.int64


def test_wrong_settings() -> None:
    with pytest.raises(ShapeError, match=r"the mean is \[3\], the images are \[6, 5, 3\]"):
        loader(mean=np.zeros(3))
    with pytest.raises(ConfigError, match="got batch 0, padding 0"):
        loader(batch=0)
    with pytest.raises(ConfigError, match="got batch 5, padding -1"):
        loader(padding=-1)
    with pytest.raises(ConfigError, match="batches 0 to 4, cannot start at 6"):
        next(loader().batches(0, start=6))
