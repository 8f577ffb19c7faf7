"""Loss, update, input and log of the oracle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.kernels.naive import oracle
from tinyres.kernels.naive.elementwise import softmax
from tinyres.kernels.streams import crops_and_flips

Array = Any


@oracle
def softmax_cross_entropy(logits: Array, labels: Array) -> Array:
    losses = []
    for z, k in zip(logits, labels, strict=True):
        top = max(z)  # taken out first, so that neither exp nor log sees more than it can hold
        losses.append(top - z[k] + math.log(sum(math.exp(value - top) for value in z)))
    return np.mean(losses)


@oracle
def softmax_cross_entropy_gradient(dloss: Array, logits: Array, labels: Array) -> Array:
    return dloss * (softmax(logits, axis=1) - np.eye(logits.shape[1])[labels]) / len(labels)


@oracle
def sgd(
    w: Array, v: Array, g: Array, *, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> tuple[Array, Array]:
    g = g + weight_decay * w
    v = momentum * v + g
    return w - lr * (g + momentum * v if nesterov else v), v


@oracle
def augment(
    images: Array, index: Array, mean: Array, top: Array, left: Array, flip: Array, *, scale: float, padding: int
) -> Array:
    y = []
    for i, t, s, mirrored in zip(index, top, left, flip, strict=True):
        image = np.pad(images[i] * scale - mean, ((padding, padding), (padding, padding), (0, 0)))
        crop = image[t : t + mean.shape[0], s : s + mean.shape[1]]
        y.append(crop[:, ::-1] if mirrored else crop)
    return np.array(y).reshape(len(index), *mean.shape)


@oracle
def next_batch(
    images: Array,
    labels: Array,
    order: Array,
    mean: Array,
    at: Array,
    *,
    count: int,
    batch: int,
    per_epoch: int,
    seed: int,
    padding: int,
    flip: bool,
    scale: float,
) -> tuple[Array, Array]:
    epoch, number = divmod(int(at[0]), per_epoch)
    positions = np.array([min(number * batch + i, len(images) - 1) for i in range(count)])
    index = order[epoch % 2, positions]
    top, left, mirrored = crops_and_flips(seed, epoch, positions, padding)
    return augment(images, index, mean, top, left, mirrored & flip, scale=scale, padding=padding), labels[index]


@oracle
def log_step(loss: Array, logits: Array, labels: Array, at: Array, losses: Array, wrong: Array) -> tuple[Array, ...]:
    losses, wrong, place = losses.copy(), wrong.copy(), at[0] % len(losses)
    losses[place] = loss
    wrong[place] = sum(row.argmax() != label for row, label in zip(logits, labels, strict=True))
    return at + 1, losses, wrong
