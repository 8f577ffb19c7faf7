"""What a run measures: running sums over training batches, evaluation of a split, and the file metrics.jsonl.

A line holds step, epoch, lr, train_loss and train_error (means over the augmented batches since the line before),
clean_train_loss and clean_train_error when asked, validation_loss and validation_error when images are held out,
test_loss, test_error, images_per_second and seconds. Errors are fractions of 1.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.data import Loader
from tinyres.errors import CheckpointError
from tinyres.function import no_grad
from tinyres.kernels import registry
from tinyres.nn import Module
from tinyres.ops import softmax_cross_entropy
from tinyres.tensor import Tensor
from tinyres.train.folder import reason, write_atomically

Line = dict[str, Any]
TIMES = ("images_per_second", "seconds")  # the fields in which two runs of the same settings may differ


@dataclass
class Running:
    """Sums over the training batches since the last line; part of every checkpoint."""

    loss: float = 0.0  # sum over images
    wrong: int = 0
    images: int = 0
    seconds: float = 0.0

    def add(self, loss: float, wrong: int, images: int) -> None:
        """Count a batch with its mean loss."""
        self.loss += loss * images
        self.wrong += wrong
        self.images += images

    def line(self) -> Line:
        """The training part of a line."""
        return {"train_loss": self.loss / self.images, "train_error": self.wrong / self.images}

    def state(self) -> dict[str, Any]:
        """The sums, in types that JSON can write."""
        return dataclasses.asdict(self)


Forward = Callable[[Tensor], Tensor]


def logits_of(model: Module, loader: Loader, forward: Forward | None = None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Logits [N, K] and labels [N] of every image of a split, in evaluation mode; the mode of the model is kept.

    `forward` stands for the model where there is a faster way to the same values, such as a captured graph.
    """
    training = model.training
    model.eval()
    try:
        with no_grad():
            parts = [(forward or model)(Tensor(x)).numpy() for x, _ in loader.in_order()]
    finally:
        model.train(training)
    return np.concatenate(parts), loader.split.labels


def mean_loss(logits: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """Mean cross-entropy, in float64 on the host."""
    with no_grad(), registry.restored(_of_the_host()):
        return float(softmax_cross_entropy(Tensor(logits.astype(np.float64)), labels).item())


def _of_the_host() -> registry.Choices:
    """The choices of kernels in force without those of a GPU."""
    chosen = registry.in_force()
    return {op: name for op, name in chosen.items() if name == registry.COMPOSED or _runs_here(op, name)}


def _runs_here(op: str, name: str) -> bool:
    return registry.find(op, name).device == "cpu"


def top_k_error(logits: NDArray[Any], labels: NDArray[np.int64], k: int = 1) -> float:
    """Fraction of the images whose class is not among the k largest logits; a tie counts as wrong."""
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    better_or_equal = (logits >= own).sum(axis=1)  # the class itself included
    return float((better_or_equal > k).mean())


def evaluate(model: Module, loader: Loader, prefix: str, forward: Forward | None = None) -> Line:
    """Loss and error of a split, as `prefix_loss` and `prefix_error`."""
    logits, labels = logits_of(model, loader, forward)
    return {f"{prefix}_loss": mean_loss(logits, labels), f"{prefix}_error": top_k_error(logits, labels)}


class Log:
    """The file metrics.jsonl: lines are appended and reach the disk before the checkpoint that covers them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"
        self.lines: list[Line] = []

    def append(self, line: Line) -> None:
        """Write one line to the end of the file."""
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CheckpointError(
                f"cannot write {self.path}: {reason(error)}; make room and continue with "
                f"`tinyres train --resume {self.path.parent}`."
            ) from None
        self.lines.append(line)

    def cut(self, step: int) -> None:
        """Drop the lines beyond a step, and one that was cut off by a crash: what a resumed run will write anew."""
        self.lines = [line for line in read_lines(self.path) if line["step"] <= step]
        if self.path.exists():
            write_atomically(self.path, "".join(json.dumps(line) + "\n" for line in self.lines).encode())


def read_lines(path: Path) -> list[Line]:
    """The lines of a metrics.jsonl up to the first that is incomplete; none if there is no such file."""
    if not path.exists():
        return []
    return list(_whole(path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)))


def _whole(lines: Iterable[str]) -> Iterable[Line]:
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            return
        if not text.endswith("\n") or not isinstance(line, dict) or "step" not in line:
            return
        yield line
