"""Small nets, some as strangers write them, and a loop that trains them, recorded or not."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import Tensor, flow, models, nn, ops, optim


def batch(size=12, shape=(4,), classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((size, *shape)).astype(np.float32), rng.integers(0, classes, size)


def train(model, x, labels, steps=3, every=0, lr=0.1, **options):
    """Some steps of SGD, recorded or not; returns the record."""
    sgd = optim.SGD(model.parameters(), lr)
    recorder = flow.Recorder(model, every=every, **options) if every else None
    if recorder:
        recorder.attach()
    for _ in range(steps):
        loss = ops.softmax_cross_entropy(model(Tensor(x)), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        if recorder:
            recorder.step(loss, lr=sgd.lr)
    if recorder:
        recorder.detach()
        return recorder.record
    return None


class Small(nn.Module):
    """h = x W1;  y = h + relu(h) W2;  logits = y W3 + b."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.first, self.inner, self.last = nn.Linear(4, 5, rng=rng), nn.Linear(5, 5, rng=rng), nn.Linear(5, 3, rng=rng)
        self.relu = nn.ReLU()

    def forward(self, x):
        h = self.first(x)
        return self.last(h + self.inner(self.relu(h)))


class Odd(nn.Module):
    """Two inputs to a sum, a Module called twice, no batch norm, two outputs, weights without a Module, a plain end."""

    def __init__(self, width: int = 6, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.mix = nn.Parameter(rng.standard_normal((4, width)).astype(np.float32))
        self.left, self.right = nn.Linear(width, width, rng=rng), nn.Linear(width, width, rng=rng)
        self.shared = nn.Linear(width, width, rng=rng)
        self.pair = Pair(width, rng)
        self.fc = nn.Linear(width, 3, rng=rng)
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        h = ops.tanh(ops.matmul(x, self.mix))
        h = self.left(h) + ops.relu(self.right(ops.relu(self.right.forward(h))))
        h = h + self.shared(ops.relu(self.shared(h)))
        a, b = self.pair(h)
        return self.fc(a * b)


class Pair(nn.Module):
    """One input, two outputs."""

    def __init__(self, width: int, rng: np.random.Generator) -> None:
        self.one = nn.Parameter(rng.standard_normal((width, width)).astype(np.float32))
        self.two = nn.Parameter(rng.standard_normal((width, width)).astype(np.float32))

    def forward(self, x):
        return ops.matmul(x, self.one), ops.sigmoid(ops.matmul(x, self.two))


NETS = {
    "odd": (Odd, (4,), 3),
    "small": (Small, (4,), 3),
    "residual": (lambda: models.create("resnet14", in_channels=1), (8, 8, 1), 10),
    "projection": (lambda: models.create("resnet8", in_channels=1, shortcut="C"), (8, 8, 1), 10),
    "plain": (lambda: models.create("plain8", in_channels=1), (8, 8, 1), 10),
    "recomputed": (lambda: models.create("resnet14", in_channels=1, recompute=True), (8, 8, 1), 10),
}


@pytest.fixture(name="batch")
def _batch():
    return batch


@pytest.fixture(name="train")
def _train():
    return train


@pytest.fixture(name="nets")
def _nets():
    return NETS
