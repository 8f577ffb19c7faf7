"""Whole networks against PyTorch, in float64: the same weights and batches, step by step the same losses.

By default on handwritten digits, enlarged to 16x16 and tinted, 32 a batch. `TINYRES_CIFAR10=FOLDER` takes the first
images of CIFAR-10, 128 a batch: FOLDER is one that `tinyres train --data cifar10 --root FOLDER` takes.

The weights are PyTorch's own first ones. With He-normal weights the plain net amplifies a last digit so fast that
PyTorch differs from itself, channels first against channels last, by 1e-2 after 20 steps at lr 0.01: nothing can be
compared there.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import tinyres
from tinyres import interop, models, ops, optim

torch = pytest.importorskip("torch")
torch_resnet = pytest.importorskip("torch_resnet")  # benchmarks/torch_resnet.py
pytestmark = [pytest.mark.torch, pytest.mark.slow]

NETS = [("resnet20", "A"), ("resnet20", "B"), ("plain20", "none")]


@pytest.fixture(scope="module")
def batches():
    """20 batches of images [N, H, W, 3], pixels / 255 less their mean, and labels."""
    if folder := os.environ.get("TINYRES_CIFAR10"):
        size, train = 128, tinyres.data.load("cifar10", folder).train
        images, labels = train.images[: 20 * size], train.labels[: 20 * size]
    else:
        size, train = 16, tinyres.data.load("digits").train
        enlarged = train.images[: 20 * size].repeat(2, 1).repeat(2, 2)
        tints = np.random.default_rng(1).integers(4, 16, (len(enlarged), 1, 1, 3))
        images, labels = enlarged * tints, train.labels[: 20 * size]
    images = images / 255.0
    images -= images.mean(0)
    return [(images[i : i + size], labels[i : i + size].astype(np.int64)) for i in range(0, len(images), size)]


def tinyres_steps(model, batches, lr):
    """Train, and give the loss of every step."""
    optimizer = optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    losses = []
    for images, labels in batches:
        loss = ops.softmax_cross_entropy(model(tinyres.Tensor(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def torch_steps(model, batches, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    losses = []
    for images, labels in batches:
        x = torch.tensor(images).permute(0, 3, 1, 2)
        loss = torch.nn.functional.cross_entropy(model(x), torch.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def twins(name, shortcut):
    """The same network twice, with the same weights: tinyres' and PyTorch's."""
    torch.manual_seed(0)
    theirs = torch_resnet.create(name, shortcut).double()
    ours = models.create(name, shortcut=shortcut).astype(np.float64)
    ours.load_state_dict(interop.from_torch(theirs.state_dict()))
    return ours, theirs


@pytest.mark.parametrize(
    ("lr", "steps", "tolerance"), [pytest.param(0.01, 20, 1e-9, marks=pytest.mark.slow), (0.1, 5, 1e-10)]
)
@pytest.mark.parametrize(("name", "shortcut"), NETS)
def test_training(name, shortcut, lr, steps, tolerance, batches):
    """Loss by loss; afterwards every weight and running statistic, and the logits of the evaluation mode."""
    ours, theirs = twins(name, shortcut)
    mine, expected = tinyres_steps(ours, batches[:steps], lr), torch_steps(theirs, batches[:steps], lr)
    gaps = np.abs(np.subtract(mine, expected))
    print(f"{name}-{shortcut}, lr {lr}: losses {expected[0]:.4f} ... {expected[-1]:.4f}, largest gap {gaps.max():.1e}")
    assert expected[-1] != expected[0]
    assert gaps.max() <= tolerance

    state, reference = ours.state_dict(), interop.from_torch(theirs.state_dict())
    assert state.keys() == reference.keys()
    worst = max((np.abs(state[key] - reference[key]).max(), key) for key in state)
    print(f"  largest gap of weights and running statistics {worst[0]:.1e} in {worst[1]}")
    assert worst[0] <= tolerance

    images = batches[0][0]
    ours.eval()
    theirs.eval()
    with tinyres.no_grad(), torch.no_grad():
        logits = ours(tinyres.Tensor(images)).numpy()
        wanted = theirs(torch.tensor(images).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(logits, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


@pytest.mark.parametrize(("name", "shortcut"), NETS)
def test_weights_of_tinyres_in_pytorch(name, shortcut, batches):
    ours = models.create(name, shortcut=shortcut, seed=3).astype(np.float64)
    theirs = torch_resnet.create(name, shortcut).double()
    state = {key: torch.from_numpy(value) for key, value in interop.to_torch(ours.state_dict()).items()}
    keys = theirs.load_state_dict(state, strict=False)
    assert keys.unexpected_keys == []
    assert all(key.endswith("num_batches_tracked") for key in keys.missing_keys)
    mine, expected = tinyres_steps(ours, batches[:1], 0.1), torch_steps(theirs, batches[:1], 0.1)
    np.testing.assert_allclose(mine, expected, rtol=1e-12)
