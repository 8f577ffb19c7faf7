"""Networks as strangers write them, for the recorder's tests."""

from __future__ import annotations

import numpy as np

from tinyres import nn, ops


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
