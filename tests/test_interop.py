"""State dicts to PyTorch's layout and back, without PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import interop, models, nn


def test_layouts():
    filters, matrix = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5), np.arange(6.0).reshape(2, 3)
    there = interop.to_torch({"conv.weight": filters, "fc.weight": matrix, "fc.bias": np.arange(3.0)})
    assert there["conv.weight"].shape == (5, 4, 2, 3)
    assert there["conv.weight"][4, 3, 1, 2] == filters[1, 2, 3, 4]
    assert there["fc.weight"].shape == (3, 2)
    assert there["fc.weight"][2, 1] == matrix[1, 2]
    assert there["fc.bias"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "shortcut"), [("resnet8", "A"), ("resnet8", "B"), ("resnet8", "C"), ("plain8", "none")]
)
def test_round_trip_of_a_net(name, shortcut, rng):
    images = rng.standard_normal((2, 8, 8, 3)).astype(np.float32)
    model, other = (models.create(name, shortcut=shortcut, seed=seed).eval() for seed in (1, 2))
    model.train()(images)  # running averages that are not those of a new net
    model.eval()
    there = interop.to_torch(model.state_dict())
    there["bn1.num_batches_tracked"] = np.array(7)  # PyTorch's own
    back = interop.from_torch(there)
    assert list(back) == list(model.state_dict())
    other.load_state_dict(back)
    np.testing.assert_array_equal(other(images).numpy(), model(images).numpy())


def test_results_are_contiguous_copies_of_the_same_type():
    state = {"w": np.ones((3, 3, 2, 4), np.float32), "b": np.ones(4), "step": np.array(3)}
    for convert in (interop.to_torch, interop.from_torch):
        converted = convert(state)
        for name, array in converted.items():
            assert array.flags.c_contiguous
            assert array.flags.writeable
            assert array.dtype == state[name].dtype
            array[...] = 0
        assert all((a != 0).all() for a in state.values())


def test_every_layer_can_travel():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, groups=1, bias=True), nn.BatchNorm2d(4), nn.Dropout(), nn.Linear(4, 2))
    state = net.state_dict()
    back = interop.from_torch(interop.to_torch(state))
    assert state.keys() == back.keys()
    for name in state:
        np.testing.assert_array_equal(state[name], back[name])
