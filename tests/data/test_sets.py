"""Splits and data sets validate themselves; validation part and mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinyres.data import Dataset, Split, from_arrays, hold_out, pixel_mean
from tinyres.errors import ConfigError, DataError


def split(n: int = 20, classes: int = 3, seed: int = 0) -> Split:
    random = np.random.default_rng(seed)
    return Split(random.integers(0, 256, (n, 6, 5, 3), np.uint8), random.integers(0, classes, n))


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((4, 3, 32, 32), "u1", r"\[4, 3, 32, 32\] are channels first.*channels last.*numpy.moveaxis\(images, 1, -1\)"),
        ((4, 1, 28, 28), "u1", "channels first"),
        ((4, 32, 32), "u1", r"must be \[N, H, W, C\], got \[4, 32, 32\].*images\[\.\.\., None\]"),
        ((4, 3072), "u1", r"must be \[N, H, W, C\], got \[4, 3072\]"),
        ((0, 32, 32, 3), "u1", "hold no pixel"),
        ((4, 32, 32, 3), "f4", r"must be uint8 from 0 to 255, got float32.*astype"),
        ((4, 32, 32, 3), "i8", "must be uint8 from 0 to 255, got int64"),
    ],
)
def test_wrong_images(shape: tuple[int, ...], dtype: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Split(np.zeros(shape, dtype), np.zeros(shape[0], np.int64))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((20, 3), np.int64), r"must be int64 \[N\].*got int64 \[20, 3\].*argmax"),
        (np.zeros(20, np.float32), "got float32"),
        (np.zeros(19, np.int64), r"20 images \[20, 6, 5, 3\] but 19 labels"),
        (np.array([0] * 7 + [-2] + [0] * 12), "label -2 at index 7 is out of range, labels are 0 or more"),
    ],
)
def test_wrong_labels(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Split(split().images, labels)


def test_a_label_beyond_the_classes() -> None:
    test = split()
    test.labels[[4, 9]] = 3, 5
    with pytest.raises(DataError, match="mine, test: label 3 at index 4 is out of range, labels are from 0 to 2"):
        Dataset("mine", split(), test, ("a", "b", "c"), 1 / 255)


def test_parts_of_two_sizes() -> None:
    small = Split(split().images[:, :4], split().labels)
    with pytest.raises(DataError, match=r"training images are \[6, 5, 3\] and test images \[4, 5, 3\]"):
        Dataset("mine", split(), small, ("a", "b", "c"), 1 / 255)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_that_is_none(scale: float) -> None:
    with pytest.raises(DataError, match="scale must be a positive number"):
        Dataset("mine", split(), split(), ("a", "b", "c"), scale)


def test_hold_out() -> None:
    whole = split(50)
    train, validation = hold_out(whole, 0.1, seed=3)
    assert (len(train), len(validation)) == (45, 5)
    rows = np.concatenate([train.images, validation.images]).reshape(50, -1)
    assert np.array_equal(np.unique(rows, axis=0), np.unique(whole.images.reshape(50, -1), axis=0))
    lookup = {image.tobytes(): label for image, label in zip(whole.images, whole.labels, strict=True)}
    for image, label in zip(validation.images, validation.labels, strict=True):
        assert lookup[image.tobytes()] == label
    again, other = hold_out(whole, 0.1, seed=3)[1], hold_out(whole, 0.1, seed=4)[1]
    assert np.array_equal(validation.images, again.images)
    assert not np.array_equal(validation.images, other.images)


def test_hold_out_copies() -> None:
    whole = split()
    train, _ = hold_out(whole)
    train.images[:] = 0
    assert whole.images.any()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, 0.01, 0.99])
def test_a_fraction_that_leaves_nothing(fraction: float) -> None:
    with pytest.raises(ConfigError, match=rf"validation fraction of {fraction} of 20 images leaves a part empty"):
        hold_out(split(20), fraction)


def test_pixel_mean() -> None:
    whole = split(1000)
    mean = pixel_mean(whole, 1 / 255, np.float64)
    assert mean.shape == (6, 5, 3)
    assert np.allclose(mean, (whole.images / 255).mean(axis=0), rtol=1e-14)
    shuffled = whole.take(np.random.default_rng(1).permutation(1000))
    assert np.array_equal(pixel_mean(shuffled, 1 / 255), pixel_mean(whole, 1 / 255))  # exact in any order
    assert pixel_mean(whole, 1 / 255).dtype == np.float32


def test_from_arrays() -> None:
    images = split().images
    data = from_arrays(images, [0, 1] * 10, images[:3], np.array([2, 0, 1], np.uint8))
    assert data.classes == ("0", "1", "2")
    assert data.train.labels.dtype == data.test.labels.dtype == np.int64
    named = from_arrays(images, [0, 1] * 10, images[:2], [0, 1], classes=("cat", "dog"), name="pets")
    assert (named.name, named.classes, named.scale) == ("pets", ("cat", "dog"), 1 / 255)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 3, 32, 32), np.uint8), [0] * 4, "channels first"),
        (np.zeros((4, 8, 8, 3)), [0] * 4, "float64"),
        (np.zeros((4, 8, 8, 3), np.uint8), [0, 1, 2, 2], "label 2 at index 2 is out of range, labels are from 0 to 1"),
        (np.zeros((4, 8, 8, 3), np.uint8), [0.5] * 4, r"got float64 \[4\]"),
        (np.zeros((4, 8, 8, 3), np.uint8), ["cat"] * 4, r"must be int64 \[N\]"),
        (np.zeros((4, 8, 8, 3), np.uint8), np.eye(4, dtype=int), "argmax"),
    ],
)
def test_from_wrong_arrays(images: Any, labels: Any, message: str) -> None:
    good = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(DataError, match=message):
        from_arrays(images, labels, good, [0, 1], classes=("a", "b"))
