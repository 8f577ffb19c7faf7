"""Learning-rate schedules: the learning rate of a step as a function of the step and of what training has shown so far.

    constant    lr(t) = base
    multi-step  lr(t) = base / 10^k,  k = number of milestones m with m <= t              (He et al. 2015, section 4.2)
    cosine      lr(t) = base/2 * (1 + cos(pi * (t - start) / (total - start)))            (Loshchilov & Hutter 2016)
    plateau     lr is divided by 10 when an evaluated value has not improved for a while  (He et al. 2015, section 3.4)
    warm-ups    linear: inner lr(t) * (t + 1) / steps at first                            (Goyal et al. 2017)
                paper:  0.01 until the training error is below 80 %, then the inner lr    (He et al. 2015, section 4.2)

Steps count from 0. The loop asks `lr(step)` before a step, calls `after_step` after it and `after_evaluation` after an
evaluation. A schedule never multiplies a rate that it stored before: each rate follows from the base, so composed
schedules cannot leave one another's factor behind (the public ResNet-110 code whose warm-up never ends did just that).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from tinyres.errors import ConfigError
from tinyres.optim.rates import cosine, multi_step, warm_up


class Schedule:
    """A learning-rate schedule; one without memory need only say `lr`."""

    def lr(self, step: int) -> float:
        """Learning rate of step number `step`, counted from 0."""
        raise ConfigError(f"{type(self).__name__} has no lr; write one.")

    def after_step(self, step: int, train_error: float) -> None:
        """Tell the schedule that `step` is done and which fraction of its batch was wrong."""

    @property
    def listens(self) -> bool:
        """Whether the next rate may depend on what `after_step` is told: then steps cannot be launched in advance."""
        return type(self).after_step is not Schedule.after_step

    def after_evaluation(self, value: float) -> None:
        """Tell the schedule a freshly evaluated value (an error or a loss: lower is better)."""

    def state_dict(self) -> dict[str, Any]:
        """What the schedule remembers, in types that JSON can write."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""


class Constant(Schedule):
    """The same rate at every step."""

    def __init__(self, base: float) -> None:
        self.base = base

    def lr(self, step: int) -> float:
        return self.base


class MultiStep(Schedule):
    """`base`, divided by `divisor` at every milestone; the paper's for CIFAR: `MultiStep(0.1, [32000, 48000])`."""

    def __init__(self, base: float, milestones: Sequence[int], divisor: float = 10.0) -> None:
        self.base, self.milestones, self.divisor = base, sorted(milestones), divisor

    def lr(self, step: int) -> float:
        return multi_step(step, self.base, self.milestones, self.divisor)


class Cosine(Schedule):
    """Half a cosine wave from `base` at step `start` down to 0 at step `total`; `base` before `start`."""

    def __init__(self, base: float, total: int, start: int = 0) -> None:
        if total <= start:
            raise ConfigError(f"a cosine that starts at step {start} cannot end at step {total}; make the run longer.")
        self.base, self.total, self.start = base, total, start

    def lr(self, step: int) -> float:
        return cosine(step, self.base, self.total, self.start)


class Plateau(Schedule):
    """`base`, divided by `divisor` whenever more than `patience` evaluations in a row bring no new best value.

    A value is a new best when it is below `best * (1 - threshold)`.
    """

    def __init__(self, base: float, patience: int = 5, divisor: float = 10.0, threshold: float = 1e-4) -> None:
        self.base, self.patience, self.divisor, self.threshold = base, patience, divisor, threshold
        self.best: float | None = None
        self.waited = 0
        self.divisions = 0

    def lr(self, step: int) -> float:
        return self.base / self.divisor**self.divisions

    def after_evaluation(self, value: float) -> None:
        if self.best is None or value < self.best * (1.0 - self.threshold):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.waited, self.divisions = 0, self.divisions + 1

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "divisions": self.divisions}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited, self.divisions = state["best"], state["waited"], state["divisions"]


class _Around(Schedule):
    """A schedule around another one, which it keeps informed and saves with itself."""

    def __init__(self, inner: Schedule) -> None:
        self.inner = inner

    def after_step(self, step: int, train_error: float) -> None:
        self.inner.after_step(step, train_error)

    @property
    def listens(self) -> bool:
        return self.inner.listens

    def after_evaluation(self, value: float) -> None:
        self.inner.after_evaluation(value)

    def state_dict(self) -> dict[str, Any]:
        return {"inner": self.inner.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner.load_state_dict(state["inner"])


class LinearWarmup(_Around):
    """The inner rate times `(step + 1) / steps` for the first `steps` steps, the inner rate afterwards."""

    def __init__(self, inner: Schedule, steps: int) -> None:
        super().__init__(inner)
        self.steps = steps

    def lr(self, step: int) -> float:
        return warm_up(step, self.inner.lr(step), self.steps)


class PaperWarmup(_Around):
    """`warm_lr` until the training error of the last `window` steps falls below `until`, then the inner rate for good.

    The warm-up of the paper's ResNet-110 (0.01 until 80 %, about 400 iterations). Before `window` steps are done the
    mean goes over all of them. The rate is never above the inner one, so a warm-up that lasts beyond a milestone of a
    multi-step schedule does not undo the milestone.
    """

    def __init__(self, inner: Schedule, warm_lr: float = 0.01, until: float = 0.8, window: int = 100) -> None:
        super().__init__(inner)
        self.warm_lr, self.until = warm_lr, until
        self.recent: deque[float] = deque(maxlen=window)
        self.done = False

    def lr(self, step: int) -> float:
        rate = self.inner.lr(step)
        return rate if self.done else min(self.warm_lr, rate)

    @property
    def listens(self) -> bool:
        return not self.done or super().listens

    def after_step(self, step: int, train_error: float) -> None:
        super().after_step(step, train_error)
        if not self.done:
            self.recent.append(float(train_error))
            self.done = math.fsum(self.recent) / len(self.recent) < self.until
            if self.done:
                self.recent.clear()

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"done": self.done, "recent": list(self.recent)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.done = state["done"]
        self.recent.clear()
        self.recent.extend(state["recent"])
