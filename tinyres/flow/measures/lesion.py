"""Lesion studies: what a trained net can do without some of its blocks, or with blocks in another order.

    delete_each      error without block i, for each i
    delete_random    error without k blocks drawn at random
    truncate         error with the first k blocks only
    shuffle          error after blocks of equal shape changed places; how much by Kendall's tau

        tau = 1 - 2 (pairs out of order) / (pairs),   1 for the order of training

Error (fraction of wrong answers) and loss (mean cross-entropy) in evaluation mode, without any further training. An
answer that is not finite is wrong. The model is as before afterwards, byte for byte, also after an error.

Source: Veit, Wilber, Belongie 2016, sections 4.1 to 4.3, figures 3 to 5. Truncation asks for the notes' claim that the
late blocks of very deep nets do little. A caution from Wu, Zhong, Liu 2019: a small effect of one deletion need not
mean many short nets; a branch may simply be small against its shortcut (see `response`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.errors import ConfigError, ShapeError
from tinyres.flow.answers import wrong_answers
from tinyres.flow.measures.state import unchanged
from tinyres.flow.measures.trace import trace
from tinyres.flow.measures.units import Unit, find_units
from tinyres.function import no_grad
from tinyres.kernels.launch import on_host
from tinyres.nn.module import Module
from tinyres.tensor import Tensor

BATCH = 500  # examples at a time


@dataclass(frozen=True, eq=False)
class Lesions:
    """A net with some of its blocks removed or moved, once a row.

    Attributes
    ----------
    kind : {"delete each", "delete random", "truncate", "shuffle"}
    blocks : tuple of str
        Names of all blocks, first to last; n of them.
    depth : tuple of int
        Weighted layers up to the end of each block.
    changes_shape : tuple of bool
        Whether a block halves the image or adds channels.
    amount : ndarray of int, shape [rows]
        Number of the block (delete each), blocks removed (delete random), kept (truncate), exchanges made (shuffle).
    repeat : ndarray of int, shape [rows]
        Number of the draw with this amount.
    order : tuple of tuple of int
        For each row the blocks that remained, in the order in which they ran.
    loss, error : ndarray, shape [rows]
    whole_loss, whole_error : float
        Of the net as it is.
    examples : int
    """

    kind: str
    blocks: tuple[str, ...]
    depth: tuple[int, ...]
    changes_shape: tuple[bool, ...]
    amount: np.ndarray
    repeat: np.ndarray
    order: tuple[tuple[int, ...], ...]
    loss: np.ndarray
    error: np.ndarray
    whole_loss: float
    whole_error: float
    examples: int

    @property
    def change(self) -> np.ndarray:
        """Error minus that of the whole net, shape [rows]."""
        return self.error - self.whole_error

    @property
    def tau(self) -> np.ndarray:
        """Kendall's tau of each row's order with that of training, shape [rows]; 1 where blocks were only removed."""
        return np.array([kendall(order) for order in self.order])

    def table(self) -> dict[str, Sequence[Any]]:
        """Columns for a CSV: one row a lesion."""
        columns: dict[str, Sequence[Any]] = {
            "amount": self.amount.tolist(),
            "repeat": self.repeat.tolist(),
            "loss": self.loss.tolist(),
            "error": self.error.tolist(),
            "change of error": self.change.tolist(),
        }
        if self.kind == "delete each":
            block: dict[str, Sequence[Any]] = {"block": list(self.blocks), "depth": list(self.depth)}
            return block | {"changes shape": [int(c) for c in self.changes_shape]} | columns
        return columns | {"tau": self.tau.tolist()} if self.kind == "shuffle" else columns


def delete_each(model: Module, x: Any, labels: Any) -> Lesions:
    """Remove each block alone.

    Parameters
    ----------
    model : Module
    x : ndarray, shape [N, ...]
    labels : ndarray of int, shape [N]

    Returns
    -------
    Lesions
        One row a block.

    Raises
    ------
    ConfigError
        A net without blocks or stacked units, or one whose blocks cannot be taken out.
    ShapeError
        No example, or as many labels as there are not examples.
    """
    with _operating("delete each", model, x, labels) as theatre:
        for number in range(len(theatre.units)):
            theatre.without([number], number)
    return theatre.result()


def delete_random(
    model: Module, x: Any, labels: Any, *, counts: Sequence[int] = (1, 2, 5, 10, 20), repeats: int = 5, seed: int = 0
) -> Lesions:
    """Remove k blocks at random, for each k of `counts` that the net has, `repeats` times; else as `delete_each`."""
    rng = np.random.default_rng(seed)
    with _operating("delete random", model, x, labels) as theatre:
        total = len(theatre.units)
        chosen = [count for count in counts if 0 <= count <= total]
        if not chosen or repeats < 1:
            raise ConfigError(f"delete {list(counts)} of {total} blocks, {repeats} times: nothing is left to measure.")
        for count in chosen:
            for repeat in range(repeats):
                theatre.without(rng.permutation(total)[:count].tolist(), count, repeat)
    return theatre.result()


def truncate(model: Module, x: Any, labels: Any, *, keep: Sequence[int] | None = None) -> Lesions:
    """Keep the first k blocks and remove all after them, for each k (all of them by default); else as `delete_each`.

    Removed blocks that change the shape leave their shortcut, so the classifier sees what it expects.
    """
    with _operating("truncate", model, x, labels) as theatre:
        total = len(theatre.units)
        kept = range(total + 1) if keep is None else [k for k in keep if 0 <= k <= total]
        if not len(kept):
            raise ConfigError(f"keep {list(keep or ())}: this net has {total} blocks; give numbers from 0 to {total}.")
        for k in kept:
            theatre.without(list(range(k, total)), k)
    return theatre.result()


def shuffle(
    model: Module, x: Any, labels: Any, *, exchanges: Sequence[int] = (1, 2, 5, 10, 20), repeats: int = 5, seed: int = 0
) -> Lesions:
    """Exchange two blocks of equal shape, so many times, `repeats` times anew; else as `delete_each`."""
    rng = np.random.default_rng(seed)
    with _operating("shuffle", model, x, labels) as theatre:
        units = theatre.units
        pairs = [(i, j) for i in range(len(units)) for j in range(i) if units[i].stage == units[j].stage]
        if not pairs or not len(exchanges) or repeats < 1:
            raise ConfigError("shuffle: there are no two blocks of equal shape, or no exchange was asked for.")
        if min(exchanges) < 0:
            raise ConfigError(f"shuffle: {min(exchanges)} exchanges cannot be made; give numbers from 0 on.")
        for count in exchanges:
            for repeat in range(repeats):
                order = list(range(len(units)))
                for i, j in rng.choice(pairs, count):
                    order[i], order[j] = order[j], order[i]
                theatre.reordered(order, count, repeat)
    return theatre.result()


def kendall(order: Sequence[int]) -> float:
    """Kendall's rank correlation of an order with the increasing one; 1 for a single number."""
    pairs = len(order) * (len(order) - 1) // 2
    swapped = sum(order[i] > order[j] for i in range(len(order)) for j in range(i + 1, len(order)))
    return 1 - 2 * swapped / pairs if pairs else 1.0


class _Theatre:
    """A net in evaluation mode on which lesions are made, and their rows."""

    def __init__(self, kind: str, model: Module, x: Any, labels: Any) -> None:
        self.kind, self.units = kind, find_units(trace(model, x[:2], labels[:2]))
        self.score: Callable[[], tuple[float, float]] = lambda: score(model, x, labels)
        self.examples, self.whole = len(x), self.score()
        self.rows: list[tuple[int, int, tuple[int, ...], float, float]] = []

    def without(self, removed: list[int], amount: int, repeat: int = 0) -> None:
        with ExitStack() as stack:
            for number in removed:
                stack.enter_context(self.units[number].removed())
            kept = tuple(number for number in range(len(self.units)) if number not in removed)
            self.rows.append((amount, repeat, kept, *self.score()))

    def reordered(self, order: list[int], amount: int, repeat: int) -> None:
        before = [[array.copy() for array in unit.arrays] for unit in self.units]
        self._write([before[number] for number in order])
        self.rows.append((amount, repeat, tuple(order), *self.score()))
        self._write(before)

    def _write(self, values: list[list[Any]]) -> None:
        for unit, arrays in zip(self.units, values, strict=True):
            for array, new in zip(unit.arrays, arrays, strict=True):
                array[...] = new

    def result(self) -> Lesions:
        units: list[Unit] = self.units
        amount, repeat, order, loss, error = zip(*self.rows, strict=True)
        return Lesions(
            self.kind,
            tuple(unit.name for unit in units), tuple(unit.depth for unit in units),
            tuple(unit.changes_shape for unit in units),
            np.array(amount), np.array(repeat), order, np.array(loss), np.array(error),
            *self.whole, self.examples,
        )  # fmt: skip


@contextmanager
def _operating(kind: str, model: Module, x: Any, labels: Any) -> Iterator[_Theatre]:
    if not len(x) or len(x) != len(labels):
        raise ShapeError(f"{kind}: {len(x)} examples and {len(labels)} labels; one for each is wanted, at least one.")
    with unchanged(model):
        model.eval()
        yield _Theatre(kind, model, x, labels)


def score(model: Module, x: Any, labels: Any) -> tuple[float, float]:
    """Mean cross-entropy and fraction of wrong answers of a model, in the mode in which it is."""
    loss, wrong = 0.0, 0
    with no_grad(), np.errstate(all="ignore"):
        for start in range(0, len(x), BATCH):
            logits = model(Tensor(x[start : start + BATCH])).numpy().astype(np.float64)
            own = on_host(labels[start : start + BATCH])
            shifted = logits - logits.max(axis=1, keepdims=True)
            log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            loss -= float(log_p[np.arange(len(own)), own].sum())
            wrong += int(wrong_answers(logits, own).sum())
    return loss / len(x), wrong / len(x)
