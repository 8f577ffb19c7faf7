"""What a step on a GPU does besides layers: the batch it draws for itself, and the log it keeps.

The GPU's batches must be those of the CPU, bit for bit; here the NumPy twin is held against `Loader`.
"""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import use
from tinyres.data import Loader, Split, permutation
from tinyres.errors import DtypeError, ShapeError
from tinyres.kernels import launch

N, BATCH = 23, 5  # the last batch of an epoch holds 3
SEED = 0xC0FFEE_DEADBEEF


def loader_of(rng, **settings):
    split = Split(rng.integers(0, 256, (N, 7, 6, 3), dtype=np.uint8), rng.integers(0, 10, N))
    settings = {"scale": 1 / 255, "batch": BATCH, "seed": SEED, "padding": 2, "flip": True} | settings
    return Loader(split, mean=rng.uniform(0, 1, (7, 6, 3)), **settings)


def drawn(loader, step, order):
    """The batch of a step, by the op."""
    count = min(BATCH, N - step % loader.steps_per_epoch * BATCH)
    settings = {"count": count, "batch": BATCH, "per_epoch": loader.steps_per_epoch, "scale": loader.scale}
    settings |= {name: getattr(loader, name) for name in ("seed", "padding", "flip")}
    return launch(
        "next_batch", loader.split.images, loader.split.labels, order, loader.mean, np.array([step]), **settings
    )


@pytest.mark.parametrize("settings", [{}, {"padding": 0}, {"flip": False}, {"dtype": np.float64}], ids=str)
@pytest.mark.parametrize("kernel", ["numpy", "numba"])  # of the Loader
def test_batches_are_those_of_the_loader(settings, kernel, rng):
    loader, step = loader_of(rng, **settings), 0
    order = np.stack([permutation(SEED, epoch, N) for epoch in (0, 1)])
    with use(augment=kernel):
        for epoch in range(4):
            order[epoch % 2] = permutation(SEED, epoch, N)
            for x, labels in loader.batches(epoch):
                got, got_labels = drawn(loader, step, order)
                assert got.dtype == x.dtype
                assert got.tobytes() == x.tobytes()
                np.testing.assert_array_equal(got_labels, labels)
                step += 1
    assert step == 4 * loader.steps_per_epoch


def test_places_past_the_end_show_the_last_image(rng):
    loader = loader_of(rng, padding=0, flip=False)
    order = np.stack([permutation(SEED, epoch, N) for epoch in (0, 1)])
    settings = {"count": 5, "batch": 5, "per_epoch": 5, "seed": 1, "padding": 0, "flip": False, "scale": 1.0}
    arrays = loader.split.images, loader.split.labels, order, loader.mean, np.array([4])
    x, labels = launch("next_batch", *arrays, **settings)
    assert labels.tolist() == loader.split.labels[order[0, [20, 21, 22, 22, 22]]].tolist()
    np.testing.assert_array_equal(x[4], x[2])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"images": np.zeros((4, 3, 2, 1))}, DtypeError, r"images are float64 \[4, 3, 2, 1\] and mean \[3, 2, 1\]"),
        ({"labels": np.zeros(4, np.int32)}, DtypeError, r"labels is int32; int64 is wanted"),
        (
            {"labels": np.zeros(5, int)},
            ShapeError,
            r"labels has shape \[5\]; \[4\] is wanted, one value for each image",
        ),
        ({"order": np.zeros((2, 3), int)}, ShapeError, r"order is \[2, 3\] and at \[1\]; \[2, 4\], two permutations"),
        ({"at": np.zeros((), int)}, ShapeError, r"order is \[2, 4\] and at \[\]; \[2, 4\], two permutations"),
        ({"count": 4}, ShapeError, r"count 4, batch 3, per_epoch 2, .* 1 to `batch` images"),
        ({"seed": -1}, ShapeError, r"count 2, batch 3, .* seed -1; .* a seed of 64 bits are wanted"),
        ({"padding": 1.5}, ShapeError, r"padding is 1.5; one whole number is wanted"),
    ],
)
def test_calls_that_make_no_batch(change, error, message):
    arrays = {"images": np.zeros((4, 3, 2, 1), np.uint8), "labels": np.zeros(4, int), "order": np.zeros((2, 4), int)}
    arrays |= {"mean": np.zeros((3, 2, 1)), "at": np.zeros(1, int)}
    params = {"count": 2, "batch": 3, "per_epoch": 2, "seed": 0, "padding": 1, "flip": True, "scale": 1.0}
    for name, value in change.items():
        (arrays if name in arrays else params)[name] = value
    with pytest.raises(error, match=f"^next_batch: {message}"):
        launch("next_batch", *arrays.values(), **params)


def test_the_log_is_a_ring_written_in_place(rng):
    """Six steps into four places; equal logits count the first, a NaN counts as the largest."""
    at, losses, wrong = np.zeros(1, int), np.full(4, -1, np.float32), np.full(4, -1)
    labels = np.array([0, 1, 2, 1])
    rows = np.array([[1, 1, 0], [1, 1, 0], [0, np.nan, 5], [0, np.nan, 5]], np.float32)  # 0, 0, 1, 1
    for step in range(6):
        loss = np.asarray(10 + step, np.float32)
        launch("log_step", loss, rows[: step + 1], labels[: step + 1], at, losses, wrong, out=(at, losses, wrong))
    assert at.tolist() == [6]
    assert losses.tolist() == [14, 15, 12, 13]
    assert wrong.tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"loss": np.zeros(1)}, ShapeError, r"loss is \[1\], at \[1\], losses \[4\], logits \[2, 3\]; one loss \[\]"),
        ({"losses": np.zeros(4, "f4")}, DtypeError, "loss is float64 and losses is float32"),
        ({"wrong": np.zeros(3, int)}, ShapeError, r"wrong has shape \[3\] and losses \[4\]"),
        ({"wrong": np.zeros(4)}, DtypeError, "wrong is float64; int64 is wanted"),
        ({"labels": np.zeros(3, int)}, ShapeError, r"labels has shape \[3\]; \[2\] is wanted, one value for each row"),
    ],
)
def test_calls_that_log_nothing(change, error, message):
    arrays = {"loss": np.zeros(()), "logits": np.zeros((2, 3)), "labels": np.zeros(2, int), "at": np.zeros(1, int)}
    arrays |= {"losses": np.zeros(4), "wrong": np.zeros(4, int)} | change
    with pytest.raises(error, match=f"^log_step: {message}"):
        launch("log_step", *arrays.values())
