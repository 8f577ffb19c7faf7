"""Whole training steps: forward, backward, SGD on one batch of random images, on one backend after the other.

Before anything is timed, each backend takes the same first step of a net of eight layers of the same family, from the
same weights, and its gradient is held against that of the first backend: |g - g'| / |g| at most `ALLOWED`. Eight layers
have every op and shape of the deeper net (shortcuts included); through more, a plain net makes of float32 rounding
whatever it likes, since its gradients grow from layer to layer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyres import models, ops
from tinyres.bench.clock import Contender, interleaved, ratio
from tinyres.bench.layers import NETS, layers_of
from tinyres.bench.problems import make_case
from tinyres.bench.results import STEP, Refusal, Row
from tinyres.bench.settings import Settings
from tinyres.errors import ConfigError
from tinyres.kernels import registry
from tinyres.kernels.contracts import CONTRACTS
from tinyres.optim import SGD
from tinyres.tensor import Tensor

if TYPE_CHECKING:
    from tinyres.bench.roof import Roof

ALLOWED = 1e-2
SIZE, CLASSES, BATCH = 32, 10, 128


def time_steps(
    settings: Settings, mine: Mapping[str, str], roof: Roof, refuse: Callable[[Refusal], None]
) -> Iterator[list[Row]]:
    """Rows of each net that the settings name.

    Parameters
    ----------
    settings : Settings
    mine : mapping
        Op -> the person's kernel of it, which one contender uses beside the default kernels.
    roof : Roof
        Sampled between the rounds.
    refuse : callable
        Is given a contender whose gradient is not that of the first.
    """
    batch = settings.batch or BATCH
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, SIZE, SIZE, 3), dtype=np.dtype(settings.dtype))
    labels = rng.integers(CLASSES, size=batch)
    for model in settings.steps:
        contenders, errors, right = [], {}, None
        for name, choices in _choices(settings, mine).items():
            step, gradient = _step(re.sub(r"\d+", "8", model), images, labels)
            with registry.use(**choices):
                step()
            got = gradient()
            if right is None and not np.isfinite(got).all():
                refuse(Refusal(STEP, model, name, f"the gradient of a step with {name!r} is not a number everywhere."))
                continue
            right = got if right is None else right
            errors[name] = float(np.linalg.norm(got - right) / np.linalg.norm(right))
            if errors[name] <= ALLOWED:
                contenders.append(Contender(name, _step(model, images, labels)[0], choices))
            else:
                reason = (
                    f"a step with {name!r} has another gradient than with {contenders[0].name!r}: they differ by "
                    f"{errors[name]:.1e} of its norm, {ALLOWED:.0e} allowed."
                )
                refuse(Refusal(STEP, model, name, reason))
        if not contenders:
            continue
        times = interleaved(contenders, settings.repeats, settings.seconds, roof.sample)
        operations, usual = _operations(model, batch, settings.dtype), registry.DEFAULTS["cpu"][0]
        reference = usual if usual in times else contenders[0].name
        yield [
            Row(
                op=STEP, layer=model, batch=batch, dtype=settings.dtype, kernel=name, seconds=seconds,
                operations=operations, traffic=0, attainable=None, error=errors[name], allowed=ALLOWED,
                checked=f"gradient of a first step of 8 layers, with that of {contenders[0].name}", reference=reference,
                ratio=ratio(seconds, times[reference]), nets=[model],
            )
            for name, seconds in times.items()
        ]  # fmt: skip


def _choices(settings: Settings, mine: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """Contender -> the kernels in force during its steps: each name that has a convolution, and the person's own."""
    found: dict[str, Mapping[str, str]] = {}
    for name in registry.names("conv2d"):
        if name in mine.values() or (name not in settings.kernels if settings.kernels else name == "naive"):
            continue
        kernel = registry.find("conv2d", name)
        if kernel.device == "cpu" and settings.dtype in kernel.dtypes:
            found[name] = {"all": name}
    if mine:
        found["default + mine"] = dict(mine)
    if not found:
        raise ConfigError(f"none of {', '.join(settings.kernels)} runs here; leave --kernels away for all that do.")
    return found


def _step(model: str, images: Any, labels: Any) -> tuple[Callable[[], object], Callable[[], Any]]:
    """A step from the first weights on, and the gradient that it left."""
    net = models.create(model, num_classes=CLASSES).astype(images.dtype)
    optimizer = SGD(net.parameters(), 1e-3)

    def step() -> float:
        loss = ops.softmax_cross_entropy(net(Tensor(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def gradient() -> Any:
        return np.concatenate([p.grad.numpy().ravel() for p in net.parameters() if p.grad is not None])

    return step, gradient


def _operations(model: str, batch: int, dtype: str) -> int:
    """Of the convolutions, forward and both gradients; 0 for a net that is not in the table."""
    if model not in NETS:
        return 0
    forward = 0
    for layer in layers_of(NETS[model]):
        if layer.kind == "conv":
            forward += CONTRACTS["conv2d"].operations(make_case("conv2d", layer, 1, dtype)) * batch
    return 3 * forward
