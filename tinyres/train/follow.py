"""Who follows a run without changing it, such as the recorder of gradient flow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from tinyres.train.start import Run


class Follower(Protocol):
    """Somebody who is told of every step, and watches some."""

    @property
    def idle(self) -> int:
        """How many steps from here on it will not watch, and may be told of once they are done."""

    def step(self, loss: float) -> None:
        """The weights have been updated; `run.step` counts the steps before. Gradients are there if it watches."""

    def save(self) -> None:
        """A checkpoint is about to be written."""


Follow = Callable[[Run], AbstractContextManager[Follower]]
