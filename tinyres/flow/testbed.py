"""Train a small net on arrays that fit into memory, and keep its curves: seconds for what a lesson wants to compare.

    digits in batches, SGD with momentum, the rate divided by 10 after three quarters of the steps

The runs of `tinyres.train` have folders, checkpoints and settings; these have none of it, and return what they saw.
Errors are fractions of 1. "Running" is what training itself sees: batches in training mode while the weights change;
"train" is measured afterwards, in evaluation mode, on the whole training part: the number to compare with test errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tinyres.data.digits import load_digits
from tinyres.data.order import permutation, split_indices
from tinyres.data.sets import pixel_mean
from tinyres.errors import ConfigError
from tinyres.flow.answers import wrong_answers
from tinyres.function import no_grad
from tinyres.nn.module import Module
from tinyres.ops import softmax_cross_entropy
from tinyres.optim.sgd import SGD
from tinyres.tensor import Tensor

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]
Augment = Callable[[Floats, int, NDArray[np.int64]], Floats]  # images, epoch, positions in the epoch -> images


@dataclass(frozen=True, eq=False)
class Arrays:
    """Inputs [N, ...] and labels [N] of the training and the test part, perhaps with a validation part.

    Attributes
    ----------
    x, y, x_test, y_test : ndarray
    x_validation, y_validation : ndarray or None
        What choices (a learning rate) are made on, so that the test part stays unseen until the end.
    """

    x: Floats
    y: Labels
    x_test: Floats
    y_test: Labels
    x_validation: Floats | None = None
    y_validation: Labels | None = None

    def hold_out(self, count: int, seed: int = 0) -> Arrays:
        """The same with `count` of the training images set aside for validation."""
        if not 0 < count < len(self.x):
            raise ConfigError(
                f"{count} of {len(self.x)} training images cannot be set aside; choose fewer, at least 1."
            )
        kept, held = split_indices(len(self.x), count, seed)
        return replace(self, x=self.x[kept], y=self.y[kept], x_validation=self.x[held], y_validation=self.y[held])


@dataclass(frozen=True, eq=False)
class History:
    """What a run saw; the first axis of the arrays is the epoch, in each case after it.

    Attributes
    ----------
    loss, running_error : ndarray, shape [epochs]
        Means over the images of the epoch as they were trained on, in training mode (augmented, if they were).
    train_error, test_error, validation_error : ndarray, shape [epochs]
        In evaluation mode on the whole part, never augmented; NaN where it was not measured or there is no such part.
    step_loss, step_error : ndarray, shape [steps]
        Of each batch, before the step.
    lr : float
    diverged : bool
        The loss became infinite or NaN; training stopped there, and from then on the loss is NaN and every error 1.
    """

    loss: Floats
    running_error: Floats
    train_error: Floats
    test_error: Floats
    validation_error: Floats
    step_loss: Floats
    step_error: Floats
    lr: float
    diverged: bool

    def steps_to(self, error: float, window: int = 23) -> int | None:
        """Steps until the mean running error over `window` batches is at most `error`; None if that never happens."""
        if len(self.step_error) < window:
            return None
        means = np.convolve(self.step_error, np.full(window, 1 / window), "valid")
        reached = np.flatnonzero(means <= error + 1e-12)
        return int(reached[0]) + window if reached.size else None


def digits_arrays(*, flat: bool = True, standardised: bool = False, dtype: DTypeLike = np.float32) -> Arrays:
    """Load the embedded digits as floating arrays, 1,437 for training and 360 for testing.

    Parameters
    ----------
    flat : bool
        Rows [N, 64] for dense nets, else images [N, 8, 8, 1].
    standardised : bool
        Divide each pixel by its deviation over the training images (those that are constant stay 0). Without it:
        pixel / 16 minus the pixel's mean, as everywhere in tinyres.
    dtype : dtype

    Returns
    -------
    Arrays
    """
    digits = load_digits()
    mean = pixel_mean(digits.train, digits.scale, np.float64)
    parts = [part.images * digits.scale - mean for part in (digits.train, digits.test)]
    if standardised:
        deviation = parts[0].std(axis=0)
        parts = [part / np.where(deviation > 0, deviation, 1.0) for part in parts]
    x, x_test = (np.ascontiguousarray(p.reshape(len(p), -1) if flat else p, dtype=dtype) for p in parts)
    return Arrays(x, digits.train.labels, x_test, digits.test.labels)


@np.errstate(over="ignore", invalid="ignore")
def error_of(model: Module, x: Floats, y: Labels, batch: int = 512) -> float:
    """Fraction of wrong answers in evaluation mode; 1 where a logit is not finite, for then there is no answer."""
    training = model.training
    model.eval()
    wrong = 0
    try:
        with no_grad():
            for start in range(0, len(x), batch):
                logits = model(Tensor(x[start : start + batch])).numpy()
                wrong += int(wrong_answers(logits, y[start : start + batch]).sum())
    finally:
        model.train(training)
    return wrong / len(x)


@np.errstate(over="ignore", invalid="ignore")  # a run that blows up is told from its loss, not by a warning
def train(
    model: Module,
    data: Arrays,
    *,
    epochs: int = 15,
    batch: int = 64,
    lr: float | Callable[[int], float] = 0.1,
    drop: float = 0.75,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    seed: int = 0,
    every: int = 1,
    augment: Augment | None = None,
    watch: Callable[[int], None] | None = None,
) -> History:
    """Train a net and return its curves.

    Parameters
    ----------
    model : Module
        Trained in place: [N, ...] -> logits [N, K].
    data : Arrays
        Of the model's dtype.
    epochs, batch : int
    lr : float or function of the step
        A number is divided by 10 after the part `drop` of all steps; a function says the rate of each step itself.
    momentum, weight_decay : float
    seed : int
        Of the order of the images.
    every : int
        Measure the errors of the whole parts every so many epochs, and after the last.
    augment : function, optional
        Changes the images of a batch: (images [N, ...], epoch, their places in it [N]) -> images.
    watch : function, optional
        Called with the number of the step, after backward and before the weights change.

    Returns
    -------
    History

    Raises
    ------
    ConfigError
        No epochs, or an empty batch.
    """
    if epochs < 1 or batch < 1 or every < 1:
        raise ConfigError(f"train: epochs {epochs}, batch {batch}, every {every}; each must be 1 or more.")
    count = len(data.x)
    per_epoch = math.ceil(count / batch)
    rate = lr if callable(lr) else lambda step: lr if step < drop * epochs * per_epoch else lr / 10
    optimizer = SGD(model.parameters(), rate(0), momentum=momentum, weight_decay=weight_decay)
    losses: list[float] = []
    wrongs: list[float] = []
    sizes: list[int] = []
    curves = np.full((5, epochs), np.nan)  # loss and the errors: running, train, test, validation
    diverged = False
    model.train()
    for epoch in range(epochs):
        order = permutation(seed, epoch, count)
        first = len(losses)
        for start in range(0, count, batch):
            index = order[start : start + batch]
            x = data.x[index]
            if augment is not None:
                x = augment(x, epoch, np.arange(start, start + len(index)))
            optimizer.lr = rate(len(losses))
            logits = model(Tensor(x))
            loss = softmax_cross_entropy(logits, data.y[index])
            losses.append(float(loss.numpy()))
            wrongs.append(float(wrong_answers(logits.numpy(), data.y[index]).mean()))
            sizes.append(len(index))
            if diverged := not math.isfinite(losses[-1]):
                break
            optimizer.zero_grad()
            loss.backward()
            if watch is not None:
                watch(len(losses) - 1)
            optimizer.step()
        if diverged:
            curves[1:4, epoch:] = 1.0
            break
        curves[:2, epoch] = [np.average(seen[first:], weights=sizes[first:]) for seen in (losses, wrongs)]
        if (epoch + 1) % every == 0 or epoch + 1 == epochs:
            curves[2, epoch] = error_of(model, data.x, data.y)
            curves[3, epoch] = error_of(model, data.x_test, data.y_test)
            if data.x_validation is not None and data.y_validation is not None:
                curves[4, epoch] = error_of(model, data.x_validation, data.y_validation)
    loss_curve, running, clean, test, validation = curves
    return History(loss_curve, running, clean, test, validation, np.array(losses), np.array(wrongs), rate(0), diverged)
