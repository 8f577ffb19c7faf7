"""A small network for the digits, and the loop that trains it.

    hidden = max(x @ w1 + b1, 0)        [N, 64] @ [64, 32] + [32]
    logits = hidden @ w2 + b2           [N, 32] @ [32, 10] + [10]

All 2,410 parameters lie in one flat array w, as do their gradients, so that one call of `sgd` updates everything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.loss import softmax_cross_entropy_gradient
from tinyres.kernels.on_numpy.update import sgd
from tinyres.optim.rates import cosine, multi_step, warm_up  # noqa: F401 - the loop takes what it wants

Array = Any
SHAPES = ((64, 32), (32,), (32, 10), (10,))  # w1, b1, w2, b2
SIZE = sum(int(np.prod(shape)) for shape in SHAPES)


def views(w: Array) -> list[Array]:
    """The four parameters as views of the flat array: [2410] -> [64, 32], [32], [32, 10], [10]."""
    parts = np.split(w, np.cumsum([int(np.prod(shape)) for shape in SHAPES])[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, SHAPES, strict=True)]


def initial(seed: int) -> Array:
    """A network at its start: weights by He's rule, biases 0; [2410], float32."""
    rng, w = np.random.default_rng(seed), np.zeros(SIZE, np.float32)
    for weight in views(w)[::2]:
        weight[...] = rng.standard_normal(weight.shape) * np.sqrt(2 / len(weight))
    return w


def predict(w: Array, images: Array) -> tuple[Array, Array]:
    """Logits and hidden values of images: [2410], [N, 64] -> [N, 10], [N, 32]."""
    w1, b1, w2, b2 = views(w)
    hidden = np.maximum(images @ w1 + b1, 0)
    return hidden @ w2 + b2, hidden


def gradient(w: Array, images: Array, labels: Array) -> Array:
    """The gradient of the mean loss of some images by all parameters: [2410], [N, 64], [N] -> [2410]."""
    logits, hidden = predict(w, images)
    dlogits = np.empty_like(logits)
    softmax_cross_entropy_gradient(np.ones((), w.dtype), logits, labels, out=dlogits)
    g = np.empty_like(w)
    dw1, db1, dw2, db2 = views(g)
    dw2[...], db2[...] = hidden.T @ dlogits, dlogits.sum(0)
    dhidden = dlogits @ views(w)[2].T * (hidden > 0)
    dw1[...], db1[...] = images.T @ dhidden, dhidden.sum(0)
    return g


def train(images: Array, labels: Array, *, epochs: int, batch: int, seed: int) -> Array:
    """Train from `initial(seed)` and return the weights, [2410]; the same seed gives the same weights.

    Images are [N, 64], grey values from 0 to 1 less the mean image; labels are [N], 0 to 9. In each epoch every image
    is used once, in a new random order, in batches of `batch` images, the last of which may be smaller. How the
    learning rate goes is for the loop to choose.
    """
    # BEGIN SOLUTION train.digits
    # STEP the weights at their start, a velocity of zeros, a generator of random numbers from the seed
    # STEP for each epoch a new order of the images; for each batch its gradient, the rate of the step, the update
    w, rng = initial(seed), np.random.default_rng(seed)
    v = np.zeros_like(w)
    total, step = epochs * -(-len(images) // batch), 0
    for _ in range(epochs):
        order = rng.permutation(len(images))
        for begin in range(0, len(order), batch):
            chosen = order[begin : begin + batch]
            rate = warm_up(step, cosine(step, 0.2, total), total // 20)
            g = gradient(w, images[chosen], labels[chosen])
            sgd(w, v, g, lr=rate, momentum=0.9, weight_decay=1e-4, nesterov=False, out=(w, v))
            step += 1
    return w
    # END SOLUTION
