"""`tinyres train`: train a network, continue a run, or compare several networks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from tinyres.errors import ConfigError
from tinyres.flow.following import following
from tinyres.kernels import files, registry
from tinyres.train import Config, checkpoint, compare, fit
from tinyres.train.comparison import is_comparison
from tinyres.train.device import described, precisely
from tinyres.train.loop import Result
from tinyres.train.recipe import filled


@dataclass(frozen=True)
class Arguments(Config):
    """The settings of a run, one option each; `help` shows those of `Config`."""

    kernels: Annotated[str, tyro.conf.arg(aliases=["--use"])] = ""
    """Kernels for this run, by name or from a file of your own: conv2d=mine.cu,relu=numpy (`tinyres kernels` lists
    them). With a file, the time of a whole step is compared at the end."""


Arguments.__doc__ = Config.__doc__


def run(arguments: Config) -> int:
    """Train, and say in a line or two what came out and where it lies."""
    arguments = Config(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Config)})
    if is_comparison(arguments.resume):
        return _compare(arguments)
    if arguments.compare:
        if arguments.resume is not None:
            raise ConfigError(
                f"{arguments.resume} is no folder of a comparison; resume a single run without --compare."
            )
        return _compare(arguments)
    result = fit(arguments, follow=following)
    if result.interrupted:
        print(f"stopped after {result.step} of {result.iterations} iterations; continue with")
        print(f"  tinyres train --resume {result.folder}")
        return 130
    if not result.trained:
        print(f"{result.folder} was finished already, after {result.iterations} iterations: nothing to train.")
    print(_summary(result))
    if result.trained:
        _compare_steps(result)
    return 0


def _compare_steps(result: Result) -> None:
    """Say what kernels from a file do to the time of a step."""
    config, choices = result.config, registry.parse(result.config.kernels)
    if not any(Path(name).suffix in files.SUFFIXES for name in choices.values()):
        return
    from tinyres.bench.whole import against_default

    meta = checkpoint.find(result.folder).meta
    batch, device = filled(config.batch), filled(config.device)
    with precisely(config):
        print(
            against_default(
                files.chosen(choices), config.model, meta.image_shape, len(meta.classes), batch, config.dtype, device
            )
        )


def _summary(result: Result) -> str:
    last, config = result.last, result.config
    text = (
        f"{config.model} on {config.data}{described(config)}, {result.iterations} iterations in "
        f"{_duration(last['seconds'])}: "
        f"test error {last['test_error']:.2%}, training error {last['train_error']:.2%}"
    )
    best = result.selected
    if best is not None:
        text += f"; test error {best['test_error']:.2%} at the lowest validation error (step {best['step']})"
    return f"{text}\n{result.folder}"


def _compare(arguments: Config) -> int:
    comparison = compare(arguments, tell=partial(print, flush=True), follow=following)
    if comparison.interrupted:
        print(f"stopped; continue with\n  tinyres train --resume {comparison.folder}")
        return 130
    print(f"{comparison.table()}\n{comparison.folder / 'compare.png'}")
    return 0


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, whole = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole} s" if minutes else f"{seconds:.1f} s"
