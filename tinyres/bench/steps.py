"""Whole training steps: forward, backward, SGD on one batch of random images, on one backend after the other.

On a GPU each choice of kernels is timed twice: `graph`, its steps replayed, and `eager`, launched by Python.

Before anything is timed, each backend takes the same first step of a net of eight layers of the same family, from the
same weights, and its gradient is held against that of the first backend, on a GPU of
the CPU: |g - g'| / |g| at most `ALLOWED`. Eight layers
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
from tinyres.bench.device_clock import DeviceContender, whole
from tinyres.bench.layers import NETS, layers_of
from tinyres.bench.problems import make_case
from tinyres.bench.results import STEP, Refusal, Row
from tinyres.bench.settings import Settings
from tinyres.errors import ConfigError, KernelError
from tinyres.kernels import registry
from tinyres.kernels.contracts import CONTRACTS
from tinyres.kernels.launch import moved
from tinyres.nn import Module
from tinyres.optim import SGD
from tinyres.tensor import Tensor

if TYPE_CHECKING:
    from tinyres.bench.device_roof import DeviceRoof
    from tinyres.bench.roof import Roof

    AnyRoof = Roof | DeviceRoof

# By the precision of the products. On an emulated GPU, 8 layers and 16 images: TF32 up to 3e-2, bfloat16 up to 1e-1,
# most of it from values that a rounding takes across the kink of a ReLU.
ALLOWED = {"full": 1e-2, "3xtf32": 1e-2, "tf32": 1e-1, "bf16": 3e-1}
LAUNCHES = 5  # of a step between two events
SIZE, CLASSES, BATCH = 32, 10, 128
EMULATED_BATCH = 8  # images: fewer, and a rounding of TF32 may show more than is allowed


def time_steps(
    settings: Settings, mine: Mapping[str, str], roof: AnyRoof, refuse: Callable[[Refusal], None], device: str = "cpu"
) -> Iterator[list[Row]]:
    """Rows of each net that the settings name.

    Parameters
    ----------
    settings : Settings
    mine : mapping
        Op -> the person's kernel of it, which one contender uses beside the default kernels.
    roof : Roof or DeviceRoof
        Sampled between the rounds.
    refuse : callable
        Is given a contender whose gradient is not that of the first.
    device : {"cpu", "cuda"}
    """
    images, labels = _batch(settings, BATCH)
    for model in settings.steps:
        choices = _choices(settings, mine, device)
        errors, against = check_steps(settings, model, choices, images, labels, refuse, device)
        for mode in ("graph", "eager") if device == "cuda" and errors else [""] if errors else []:
            contenders = [contender(name, model, images, labels, choices[name], mode) for name in errors]
            times = interleaved(contenders, settings.repeats, settings.seconds, roof.sample)
            usual = registry.DEFAULTS[device][0]
            reference = usual if usual in times else contenders[0].name
            yield [
                Row(
                    op=STEP, layer=model, batch=len(labels), dtype=settings.dtype, kernel=name, seconds=times[name],
                    operations=_operations(model, len(labels), settings.dtype), traffic=0, attainable=None,
                    error=errors[name], allowed=ALLOWED[_precision(choices[name])],
                    checked=f"gradient of a first step of 8 layers, with that of {against}", reference=reference,
                    ratio=ratio(times[name], times[reference]), nets=[model],
                    mode=mode, eager=getattr(each, "eager", False), precision=_precision(choices[name]),
                )
                for each in contenders for name in [each.name]
            ]  # fmt: skip


def right_steps(
    settings: Settings, mine: Mapping[str, str], refuse: Callable[[Refusal], None], tell: Callable[[str], None]
) -> None:
    """Hold the gradients of steps on an emulated GPU against the CPU's, and time nothing."""
    images, labels = _batch(settings, EMULATED_BATCH)
    for model in settings.steps:
        choices = _choices(settings, mine, "cuda")
        errors, against = check_steps(settings, model, choices, images, labels, refuse, "cuda")
        for name, error in errors.items():
            tell(f"right  {STEP}  {model}, 8 layers of it, {name}: gradient {error:.0e} from that of {against}")


def check_steps(
    settings: Settings, model: str, choices: Mapping[str, Mapping[str, str]], images: Any, labels: Any,
    refuse: Callable[[Refusal], None], device: str,
) -> tuple[dict[str, float], str]:  # fmt: skip
    """The distance of each contender's gradient that is right, and whose gradient it was held against."""
    small = re.sub(r"\d+", "8", model)
    right = _gradient(small, images, labels, {"all": "numpy"}, "cpu") if device == "cuda" else None
    errors: dict[str, float] = {}
    against = "the CPU" if device == "cuda" else ""
    for name, chosen in choices.items():
        got, allowed = _gradient(small, images, labels, chosen, device), ALLOWED[_precision(chosen)]
        if not np.isfinite(got).all():
            refuse(Refusal(STEP, model, name, f"the gradient of a step with {name!r} is not a number everywhere."))
            continue
        right, against = (got, name) if right is None else (right, against)
        error = float(np.linalg.norm(got - right) / np.linalg.norm(right))
        if error <= allowed:
            errors[name] = error
        else:
            reason = (
                f"a step with {name!r} has another gradient than with {against!r}: they differ by "
                f"{error:.1e} of its norm, {allowed:.0e} allowed."
            )
            refuse(Refusal(STEP, model, name, reason))
    return errors, against


def _batch(settings: Settings, usual: int) -> tuple[Any, Any]:
    batch, rng = settings.batch or usual, np.random.default_rng(0)
    images = rng.standard_normal((batch, SIZE, SIZE, 3), dtype=np.dtype(settings.dtype))
    return images, rng.integers(CLASSES, size=batch)


def contender(
    name: str, model: str, images: Any, labels: Any, choices: Mapping[str, str], mode: str, classes: int = CLASSES
) -> Contender:
    """Somebody's training steps: on the CPU, or on a GPU as `graph` or `eager`."""
    step, _ = training_step(model, images, labels, "cuda" if mode else "cpu", classes)
    if not mode:
        return Contender(name, step, choices)
    eager = mode == "eager"
    return DeviceContender(name, step, choices, calls=[step], make=whole(step), eager=eager, fewest=LAUNCHES)


def _gradient(model: str, images: Any, labels: Any, choices: Mapping[str, str], device: str) -> Any:
    """The gradient of a first step."""
    step, net = training_step(model, images, labels, device)
    with registry.use(**choices):
        step()
    return np.concatenate([p.grad.numpy().ravel() for p in net.parameters() if p.grad is not None])


def _precision(choices: Mapping[str, str]) -> str:
    """Of the products of the convolutions, under a choice of kernels."""
    with registry.use(**choices):
        chosen = registry.in_force().get("conv2d")
    return registry.find("conv2d", chosen).precision if chosen else "full"


def _choices(settings: Settings, mine: Mapping[str, str], device: str) -> dict[str, Mapping[str, str]]:
    """Contender -> the kernels in force during its steps: each name that has a convolution, and the person's own."""
    found: dict[str, Mapping[str, str]] = {}
    for name in registry.names("conv2d"):
        if name in mine.values() or (name not in settings.kernels if settings.kernels else name == "naive"):
            continue
        try:
            kernel = registry.find("conv2d", name)
        except KernelError:  # not on this machine
            continue
        if kernel.device == device and settings.dtype in kernel.dtypes:
            found[name] = {"all": name}
    if mine:
        found["default + mine"] = dict(mine)
    if not found:
        raise ConfigError(f"none of {', '.join(settings.kernels)} runs here; leave --kernels away for all that do.")
    return found


def training_step(
    model: str, images: Any, labels: Any, device: str = "cpu", classes: int = CLASSES
) -> tuple[Callable[[], object], Module]:
    """A step on one batch, which can be captured where the device is a GPU, and the net that it trains."""
    net = models.create(model, num_classes=classes, in_channels=images.shape[-1]).astype(images.dtype).to(device)
    x, wanted = moved(images, device), moved(labels, device)
    optimizer = SGD(net.parameters(), 1e-3)

    def step() -> float:
        loss = ops.softmax_cross_entropy(net(Tensor(x)), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item() if device == "cpu" else 0.0  # to look at it would be to wait for the GPU

    return step, net


def _operations(model: str, batch: int, dtype: str) -> int:
    """Of the convolutions, forward and both gradients; 0 for a net that is not in the table."""
    if model not in NETS:
        return 0
    forward = 0
    for layer in layers_of(NETS[model]):
        if layer.kind == "conv":
            forward += CONTRACTS["conv2d"].operations(make_case("conv2d", layer, 1, dtype)) * batch
    return 3 * forward
