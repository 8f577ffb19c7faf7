"""The digits of the training task, and the judge: how many held-out images do these weights get wrong?

The training images go to the submission; the held-out ones stay here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tinyres.data.digits import load_digits
from tinyres.errors import LabError
from tinyres.lab.labs.lab07_training.training import SIZE, initial, predict
from tinyres.lab.task import Array, Case, Results

CLASSES = 10


class Run(NamedTuple):
    """One training: so many epochs in such batches, and the largest test error in per cent."""

    epochs: int
    batch: int
    target: float
    order: str = ""  # "sorted": the images come class by class
    every: int = 1  # every second, third, ... image


PUBLIC = (Run(4, 32, 5), Run(12, 50, 4), Run(12, 32, 4, "sorted"), Run(16, 32, 4))
HIDDEN = (Run(5, 32, 5), Run(12, 40, 4, "sorted"), Run(16, 48, 4), Run(24, 20, 10, every=4))


@functools.cache
def sets() -> tuple[Array, Array, Array, Array]:
    """Training images [1437, 64], their labels, test images [360, 64], theirs; grey values less the mean image.

    LabError if scikit-learn, from which the digits come, is not there.
    """
    try:
        digits = load_digits()
    except ImportError as error:
        raise LabError(f"lab 7 takes its digits from scikit-learn ({error}): pip install scikit-learn.") from None
    images = [split.images.reshape(-1, 64) * digits.scale for split in (digits.train, digits.test)]
    train, test = ((x - images[0].mean(0)).astype(np.float32) for x in images)
    return train, digits.train.labels, test, digits.test.labels


def cases(runs: Sequence[Run]) -> Callable[[np.random.Generator], Iterator[Case]]:
    """One case a run, each from another start."""

    def drawn(rng: np.random.Generator) -> Iterator[Case]:
        images, labels, *_ = sets()
        for run in runs:
            chosen = rng.permutation(len(images))[:: run.every]
            if run.order == "sorted":
                chosen = chosen[np.argsort(labels[chosen], kind="stable")]
            special = [run.order] * bool(run.order) + [f"{len(chosen)}-images"] * (run.every > 1)
            name = "-".join([f"epochs{run.epochs}", f"batch{run.batch}", *special, f"error{run.target:g}%"])
            arrays = {"images": images[chosen], "labels": labels[chosen]}
            seed = int(rng.integers(1 << 31))
            params = {"epochs": run.epochs, "batch": run.batch, "seed": seed, "target": run.target}
            yield Case(name, arrays, params)

    return drawn


def blank(case: Case) -> Results:
    """What shape and type weights have."""
    return {"w": np.zeros(SIZE)}


def judge(case: Case, results: Results) -> str:
    """The errors and what they look like, in a sentence; "" if the test error is at most the target."""
    w, target = results["w"].astype(np.float32), case.params["target"]
    _, _, images, labels = sets()
    with np.errstate(all="ignore"):
        guessed = predict(w, images)[0].argmax(1)
        trained = predict(w, case.arrays["images"].astype(np.float32))[0].argmax(1)
    wrong = int((guessed != labels).sum())
    error, own = 100 * wrong / len(labels), 100 * float((trained != case.arrays["labels"]).mean())
    if error <= target:
        return ""
    said = f"test error {error:.1f} % ({wrong} of {len(labels)} images), asked for is {target:g} % at most"
    return f"{said}; training error {own:.1f} %: {_looks_like(case, w, guessed, own)}"


def _looks_like(case: Case, w: Array, guessed: Array, own: float) -> str:
    counts = np.bincount(guessed, minlength=CLASSES)
    if np.array_equal(w, initial(case.params["seed"])):
        return "the weights are those of the start, nothing was learned"
    if own > 75:
        kind = (
            f"nearly every image is taken for a {counts.argmax()}" if counts.max() > 0.9 * len(guessed) else "guessing"
        )
        return f"{kind}; do the steps go against the gradient, and are they small enough?"
    if own > case.params["target"]:
        return "not even its own images are learned; a new order every epoch, momentum, a larger rate (or a smaller)?"
    return "its own images are learned, the others less so; let the rate fall towards the end"
