"""launch: a call like an earlier one, whose checks are remembered."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import use
from tinyres.errors import DtypeError, ShapeError
from tinyres.kernels import launch

GEOMETRY = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}
X = np.array([[-1.0, 2.0], [3.0, -4.0]])


def test_a_call_seen_before_is_checked_as_the_first_one_was():
    x, w = np.ones((1, 4, 5, 2)), np.ones((3, 3, 2, 3))
    launch("conv2d", x, w, **GEOMETRY)
    for wrong in ({"stride": 1.0}, {"padding": (1.0, 1, 1, 1)}):
        with pytest.raises(ShapeError, match="one whole number is wanted"):
            launch("conv2d", x, w, **{**GEOMETRY, **wrong})
    with pytest.raises(ShapeError, match="has 3 channels"):
        launch("conv2d", np.ones((1, 4, 5, 3)), w, **GEOMETRY)
    with pytest.raises(DtypeError):
        launch("conv2d", x.astype(np.float32), w, **GEOMETRY)


def test_values_are_looked_at_every_time():
    logits, labels = np.zeros((2, 3)), np.array([0, 2])
    launch("softmax_cross_entropy", logits, labels)
    with pytest.raises(ShapeError, match="label 3 at position 1 is out of range"):
        launch("softmax_cross_entropy", logits, np.array([0, 3]))
    assert launch("getitem", logits, index=1).shape == (3,)
    assert launch("getitem", logits, index=True).shape == (1, 2, 3)


def test_bytes_in_another_order_are_turned_every_time():
    swapped = X.astype(X.dtype.newbyteorder("S"))
    for _ in range(2):
        np.testing.assert_array_equal(launch("relu", swapped), np.maximum(X, 0))


def test_a_kernel_registered_or_chosen_later_is_used(own_kernels):
    launch("relu", X)
    own_kernels.kernel("relu", "mine")(lambda x: x * 0 + 7)
    with use(relu="mine"):
        assert launch("relu", X).tolist() == [[7, 7], [7, 7]]
    assert launch("relu", X).tolist() == [[0, 2], [3, 0]]
