"""The settings of a run: one dataclass is the Python config, the command line and the record in the run folder.

A field left at None takes the value of the data set's recipe, once the data are known (`resolve`):

    digits            20 epochs, batch 64, lr 0.1 divided by 10 at 75 %, no augmentation, no validation split
    cifar10, cifar100 64,000 iterations, batch 128, lr 0.1 divided by 10 at 32,000 and 48,000, pad-crop-flip,
                      45,000/5,000 split: section 4.2 of He et al. 2015
    a folder          60 epochs, batch 64, lr 0.1 divided by 10 at 50 % and 75 %, pad-crop-flip, no validation split

Momentum 0.9 and weight decay 1e-4 throughout.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from tinyres.errors import ConfigError, nearest
from tinyres.optim.schedules import Constant, Cosine, LinearWarmup, MultiStep, PaperWarmup, Plateau, Schedule
from tinyres.train.device import Precision, precision_of

T = TypeVar("T")


@dataclass(frozen=True)
class Config:
    """Train a residual network and write a run folder: config.json, metrics.jsonl, checkpoints, curves.png.

    Without arguments: ResNet-20 on the 1,797 handwritten digits that scikit-learn ships. A setting that is not given is
    the recipe of the data set.
    """

    model: str = "resnet20"
    """The network, such as resnet20, resnet56, plain56 (`tinyres models` lists them)."""
    shortcut: Literal["default", "A", "B", "C", "none"] = "default"
    """Where a block changes size: A appends zero channels, B projects by a 1x1 convolution, C projects everywhere."""
    data: str = "digits"
    """digits, cifar10, cifar100, or a folder of train/CLASS/*.png and test/CLASS/*.png."""
    root: str | None = None
    """The folder that holds the data set, or into which it is downloaded."""
    epochs: int | None = None
    """Length of the run in passes over the training images (or say --iterations)."""
    iterations: int | None = None
    """Length of the run in steps of one batch (or say --epochs)."""
    batch: int | None = None
    """Images in a batch."""
    lr: float | None = None
    """Learning rate before any division; the recipes say 0.1."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 1e-4
    """Weight decay, on all parameters."""
    nesterov: bool = False
    """Nesterov's form of the momentum."""
    schedule: Literal["multistep", "cosine", "plateau", "constant"] = "multistep"
    """How the learning rate falls: divided by 10 at milestones, half a cosine, divided by 10 when the validation error
    stands still (the training error where nothing is held out), or not at all."""
    milestones: tuple[float, ...] | None = None
    """Where multistep divides: iterations, or fractions of the run if below 1."""
    patience: int = 5
    """Evaluations without a better value before plateau divides."""
    warmup: Literal["none", "paper", "linear"] | None = None
    """paper: lr 0.01 until the training error is below 80 % (the default from 110 layers on); linear: a ramp."""
    warmup_iterations: int | None = None
    """Length of the linear ramp; five epochs by default, at most a tenth of the run."""
    augment: bool | None = None
    """Pad by 4, crop at random, flip at random."""
    validation: float | None = None
    """Fraction of the training images held out to select a checkpoint by; 0 holds out none."""
    seed: int = 0
    """Seed of the initial weights, the order of the images, the augmentation and the validation split."""
    dtype: Literal["float32", "float64"] = "float32"
    """Type of the numbers."""
    kernels: str = ""
    """Kernels for this run, such as conv2d=numpy,relu=naive (`tinyres kernels` lists them)."""
    device: Literal["cpu", "cuda"] | None = None
    """Where to train: cpu, unless a run is resumed that was on another; cuda is an NVIDIA GPU."""
    precision: Precision | None = None
    """Precision of the products in a GPU's convolutions, by default tf32 where the card has it; all else, parameters
    and sums among it, is float32."""
    recompute: bool = False
    """Keep of each block only its input and compute the rest again in the backward pass: less memory, more time, the
    same results."""
    evaluate_every: int | None = None
    """Iterations between evaluations, each a line in metrics.jsonl; one epoch by default."""
    checkpoint_every: int | None = None
    """Iterations between checkpoints; one epoch by default."""
    clean_train_error: bool = False
    """At every evaluation, also evaluate the training images, in evaluation mode and without augmentation."""
    runs: str = "runs"
    """The folder in which the run folder is made."""
    name: str | None = None
    """Name of the run folder; by default model, data and time."""
    resume: str | None = None
    """A run folder or a checkpoint to continue, bit for bit as if it had never stopped."""
    compare: tuple[str, ...] = ()
    """Train these networks instead, all with the same settings, and draw them in one figure."""
    seeds: tuple[int, ...] = ()
    """With --compare: train each network with each of these seeds, and draw median and band."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run folder."""
    flow: bool = False
    """Record the gradient flow of every layer into flow.npz; training goes on to the last bit as without."""
    flow_every: int = 10
    """Steps from one recorded step to the next."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if isinstance(getattr(self, field.name), list):  # JSON has no tuples
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))

    def check(self) -> None:
        """Refuse a value of the wrong type, and one that makes no sense whatever the data are.

        Not done on construction, where the command line would wrap the sentence into a page of its own.

        Raises
        ------
        ConfigError
            Naming the setting, its value and what it must be.
        """
        for name, hint in get_type_hints(type(self)).items():
            value = getattr(self, name)
            choices = get_args(hint) if get_origin(hint) is Literal else _choices(hint)
            if choices and isinstance(value, str) and value not in choices:
                raise ConfigError(f"{name} {value!r} is unknown{nearest(value, choices)}")
            if not _fits(value, hint):
                raise ConfigError(f"{name} is {value!r} and must be {_words(hint)}.")
        _check_values(self)

    def to_json(self) -> dict[str, Any]:
        """The settings in types that JSON can write; `Config(**it)` makes them again."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}


def _choices(hint: Any) -> tuple[str, ...]:
    """The names among which a `Literal[...] | None` chooses; none for another type."""
    return tuple(name for part in get_args(hint) if get_origin(part) is Literal for name in get_args(part))


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that a field declares; an int passes for a float, a bool for neither."""
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return value in parts
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(each, parts[0]) for each in value)
    if parts:  # X | None
        return any(_fits(value, part) for part in parts)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    return str(getattr(hint, "__name__", hint)) if not get_args(hint) else str(hint).replace(" | None", " or left out")


def _check_values(config: Config) -> None:
    """Refuse values that make no sense whatever the data are."""
    rules = {
        "epochs": (config.epochs is None or config.epochs >= 1, "at least 1"),
        "iterations": (config.iterations is None or config.iterations >= 1, "at least 1"),
        "batch": (config.batch is None or config.batch >= 1, "at least 1"),
        "lr": (config.lr is None or 0 < config.lr < math.inf, "a positive number"),
        "momentum": (0 <= config.momentum < 1, "at least 0 and below 1"),
        "weight_decay": (0 <= config.weight_decay < math.inf, "0 or a positive number"),
        "nesterov": (not config.nesterov or config.momentum > 0, "used with a momentum above 0"),
        "milestones": (all(0 < m < math.inf for m in config.milestones or ()), "positive numbers"),
        "patience": (config.patience >= 0, "0 or more"),
        "warmup_iterations": (config.warmup_iterations is None or config.warmup_iterations >= 1, "at least 1"),
        "validation": (config.validation is None or 0 <= config.validation < 1, "at least 0 and below 1"),
        "seed": (0 <= config.seed < 2**63, "at least 0 and below 2**63"),
        "evaluate_every": (config.evaluate_every is None or config.evaluate_every >= 1, "at least 1"),
        "checkpoint_every": (config.checkpoint_every is None or config.checkpoint_every >= 1, "at least 1"),
        "flow_every": (config.flow_every >= 1, "at least 1"),
        "seeds": (all(0 <= seed < 2**63 for seed in config.seeds), "at least 0 and below 2**63"),
        "name": (config.name is None or _is_folder_name(config.name), "a single folder name, without a slash"),
    }
    for name, (holds, rule) in rules.items():
        if not holds:
            raise ConfigError(f"{name} is {getattr(config, name)!r} and must be {rule}.")
    if config.seeds and not config.compare:
        raise ConfigError("seeds belong to --compare; a single run takes --seed.")


def _is_folder_name(name: str) -> bool:
    return re.fullmatch(r"[^/\\\0]+", name) is not None and name not in (".", "..")


@dataclass(frozen=True)
class Recipe:
    """What a data set asks for where the settings say nothing."""

    epochs: int | None
    iterations: int | None
    batch: int
    milestones: tuple[float, ...]
    augment: bool
    validation: float
    lr: float = 0.1


DIGITS = Recipe(epochs=20, iterations=None, batch=64, milestones=(0.75,), augment=False, validation=0.0)
CIFAR = Recipe(epochs=None, iterations=64_000, batch=128, milestones=(0.5, 0.75), augment=True, validation=0.1)
FOLDER = Recipe(epochs=60, iterations=None, batch=64, milestones=(0.5, 0.75), augment=True, validation=0.0)


def recipe_of(data: str) -> Recipe:
    """The recipe of a data set by its name; a folder's for every name that is not a data set's own."""
    return {"digits": DIGITS, "cifar10": CIFAR, "cifar100": CIFAR}.get(data, FOLDER)


def validation_fraction(config: Config) -> float:
    """The fraction to hold out: what the settings say, else the recipe."""
    return recipe_of(config.data).validation if config.validation is None else config.validation


def resolve(config: Config, images: int) -> Config:
    """Fill every None from the recipe, for `images` training images (those that are left after the validation split).

    Resolving twice changes nothing. Raises ConfigError where two settings contradict each other.
    """
    config.check()
    recipe = recipe_of(config.data)
    if config.batch is not None and config.batch > images:
        raise ConfigError(f"batch {config.batch} is larger than the {images} training images; use --batch {images}.")
    batch = config.batch or min(recipe.batch, images)
    per_epoch = math.ceil(images / batch)
    epochs, iterations = config.epochs, config.iterations
    if epochs is None and iterations is None:
        epochs, iterations = recipe.epochs, recipe.iterations
    if iterations is None:
        iterations = (epochs or 1) * per_epoch
    whole = math.ceil(iterations / per_epoch)
    if epochs is not None and epochs != whole:
        raise ConfigError(f"{epochs} epochs and {iterations} iterations contradict each other; give one of the two.")
    milestones = recipe.milestones if config.milestones is None else config.milestones
    deep = re.fullmatch(r"(resnet|plain|preresnet)(\d+)", config.model)
    needs_warmup = deep is not None and int(deep[2]) >= 110 and deep[0] != "resnet152"  # 152 layers: an ImageNet net
    ramp = max(1, min(5 * per_epoch, iterations // 10))
    return dataclasses.replace(
        config,
        epochs=whole,
        iterations=iterations,
        batch=batch,
        lr=recipe.lr if config.lr is None else config.lr,
        milestones=milestone_steps(milestones, iterations),
        warmup=("paper" if needs_warmup else "none") if config.warmup is None else config.warmup,
        warmup_iterations=ramp if config.warmup_iterations is None else config.warmup_iterations,
        augment=recipe.augment if config.augment is None else config.augment,
        validation=validation_fraction(config),
        evaluate_every=config.evaluate_every or per_epoch,
        checkpoint_every=config.checkpoint_every or per_epoch,
        device=config.device or "cpu",
        precision=precision_of(config),
    )


def filled(value: T | None) -> T:
    """A setting that `resolve` has filled."""
    assert value is not None, "the settings have not been resolved"
    return value


def milestone_steps(milestones: tuple[float, ...], iterations: int) -> tuple[float, ...]:
    """Milestones as whole iterations; those below 1 are fractions of a run."""
    return tuple(round(m * iterations) if m < 1 else round(m) for m in milestones)


def schedule_of(config: Config) -> Schedule:
    """The learning-rate schedule of resolved settings."""
    base, ramp = filled(config.lr), filled(config.warmup_iterations)
    start = ramp if config.warmup == "linear" else 0
    schedule: Schedule
    if config.schedule == "multistep":
        schedule = MultiStep(base, [int(m) for m in config.milestones or ()])
    elif config.schedule == "cosine":
        schedule = Cosine(base, filled(config.iterations), start)
    elif config.schedule == "plateau":
        schedule = Plateau(base, config.patience)
    else:
        schedule = Constant(base)
    if config.warmup == "linear":
        return LinearWarmup(schedule, start)
    return PaperWarmup(schedule) if config.warmup == "paper" else schedule
