"""Shortcut and branch parts of a gradient against passes in which the other side is cut."""

from __future__ import annotations

import numpy as np
import pytest

from tests.flow.measures.nets import Chosen, Odd, Plain, bytes_of
from tinyres import models
from tinyres.errors import GradientError
from tinyres.flow.measures.split import gradient_split
from tinyres.tensor import Tensor


def test_each_part_by_itself(rng):
    net = Chosen(3, rng).astype(np.float64)
    x, cotangent = rng.standard_normal((6, 5)), rng.standard_normal((6, 3))
    found = gradient_split(net, x, cotangent)
    for row in range(3):
        sides = []
        for choice in (0, 1):
            net.choices = [None] * 3
            net.choices[row] = choice
            h = Tensor(x, requires_grad=True)
            inputs = []
            branch = net.blocks[row]
            remove = branch.register_forward_hook(lambda module, given, out, inputs=inputs: inputs.append(given[0]))
            y = net(h)
            remove()
            gradients = []
            inputs[0].register_hook(gradients.append)
            y.backward(Tensor(cotangent))
            sides.append(gradients[0].numpy())
        shortcut, branch_part = sides
        assert found.shortcut[row] == pytest.approx(np.linalg.norm(shortcut))
        assert found.branch[row] == pytest.approx(np.linalg.norm(branch_part))
        assert found.total[row] == pytest.approx(np.linalg.norm(shortcut + branch_part))
        cosine = (shortcut * branch_part).sum() / np.linalg.norm(shortcut) / np.linalg.norm(branch_part)
        assert found.cosine[row] == pytest.approx(cosine)
    assert found.error.max() < 1e-14
    assert not found.elsewhere.any()


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize(("dtype", "within"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_parts_sum_to_the_gradient(rng, shortcut, dtype, within):
    net = models.create("resnet20", in_channels=1, shortcut=shortcut).astype(dtype)
    before = bytes_of(net)
    found = gradient_split(net, rng.standard_normal((8, 8, 8, 1)).astype(dtype), rng.integers(0, 10, 8))
    assert bytes_of(net) == before
    assert found.names[0] == "layer1.0"
    assert len(found.names) == 9
    assert found.error.max() < within
    both = found.shortcut**2 + found.branch**2 + 2 * found.cosine * found.shortcut * found.branch
    np.testing.assert_allclose(both, found.total**2, rtol=1e-4)
    if shortcut == "A":  # the identity hands on the gradient of the block's sum: within a stage that of the next input
        assert (found.shortcut[[0, 1]] <= found.total[[1, 2]]).all()
    assert {len(column) for column in found.table().values()} == {9}


def test_a_net_that_somebody_else_wrote(rng):
    found = gradient_split(Odd(rng).astype(np.float64), rng.standard_normal((6, 4)), rng.standard_normal((6, 5)))
    assert found.error.max() < 1e-13
    assert len(found.names) == 4


def test_two_shortcuts_from_one_place(rng):
    class Long(Chosen):
        def forward(self, x):
            return super().forward(x) + x[:, :3]

    net = Long(1, rng).astype(np.float64)
    found = gradient_split(net, rng.standard_normal((6, 5)), rng.standard_normal((6, 3)))
    assert found.error.max() < 1e-13
    assert found.elsewhere[0] > 0  # of the block inside: what came by the long way
    assert found.elsewhere[1] == 0


def test_plain_net_says_so(rng):
    with pytest.raises(GradientError, match="the split of a gradient: this Plain is plain"):
        gradient_split(Plain(rng), rng.standard_normal((4, 4)).astype(np.float32), rng.integers(0, 3, 4))
