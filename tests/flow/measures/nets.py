"""Small nets for the tests of the measures, among them some that no catalogue has."""

from __future__ import annotations

import numpy as np

from tinyres import nn, ops
from tinyres.tensor import Tensor

WIDTH = 5


class Branch(nn.Module):
    """relu(BN h) W, or relu(h) W."""

    def __init__(self, rng, norm=True):
        if norm:
            self.bn = nn.BatchNorm2d(WIDTH)
        self.w = nn.Parameter(rng.standard_normal((WIDTH, WIDTH)).astype(np.float32))

    def forward(self, h):
        return ops.matmul(self.bn(h, relu=True) if "bn" in vars(self) else ops.relu(h), self.w)


class Chosen(nn.Module):
    """Residual blocks h + F(h) that let gradients pass on the sides in `choices` only: values are always the same.

    A choice is 0 for the shortcut, 1 for the branch, None for both.
    """

    def __init__(self, blocks, rng, norm=True):
        self.blocks = nn.Sequential(*(Branch(rng, norm) for _ in range(blocks)))
        self.head = nn.Linear(WIDTH, 3, rng=rng)
        self.choices = [None] * blocks

    def forward(self, x):
        h = x
        for (_, branch), choice in zip(self.blocks.children(), self.choices, strict=True):
            change = branch(h)
            h = ops.add(h if choice != 1 else h.detach(), change if choice != 0 else change.detach())
        return self.head(h)


class Odd(nn.Module):
    """Nobody's idea of a ResNet: no batch norm, two inputs to a sum, one inside another, a gate, a shared layer."""

    def __init__(self, rng):
        self.stem = nn.Linear(4, WIDTH, rng=rng)
        self.inner = Branch(rng, norm=False)
        self.outer = Branch(rng, norm=False)
        self.gate = nn.Linear(WIDTH, WIDTH, rng=rng)
        self.shared = nn.Linear(WIDTH, WIDTH, rng=rng)
        self.both = nn.Linear(WIDTH, WIDTH, rng=rng)
        self.sides = nn.Linear(WIDTH, WIDTH, rng=rng)

    def forward(self, x):
        h = self.stem(x)
        inside = self.outer(h)
        inside = inside + self.inner(inside)  # a block inside the branch
        h = ops.add(inside, h)  # the branch comes first here
        h = ops.mul(h, 0.5) + ops.mul(ops.sigmoid(self.gate(h)), self.shared(h))
        h = self.both(ops.relu(h)) + self.sides(ops.tanh(h))  # two alike: no shortcut
        return h + self.shared(h)


class Plain(nn.Module):
    """Three layers, nothing beside them."""

    def __init__(self, rng):
        self.layers = nn.Sequential(
            nn.Linear(4, WIDTH, rng=rng), nn.ReLU(), nn.Linear(WIDTH, WIDTH, rng=rng), nn.ReLU(),
            nn.Linear(WIDTH, 3, rng=rng),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x)


def bytes_of(model):
    """Everything that training could change, and the modes."""
    modes = [module.training for _, module in model.named_modules()]
    return {name: array.tobytes() for name, array in model.state_dict().items()}, modes


def gradient_at_input(model, x, cotangent):
    x = Tensor(x, requires_grad=True)
    model(x).backward(Tensor(cotangent))
    return x.grad.numpy()
