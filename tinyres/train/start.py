"""The start of a run: its data and settings, a new run folder or one that is continued, model, optimizer, schedule."""

from __future__ import annotations

import dataclasses
import importlib
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres import models
from tinyres.data import Dataset, Loader, Split, hold_out, load, pixel_mean
from tinyres.errors import CheckpointError, ConfigError, DeviceError
from tinyres.nn import Module
from tinyres.optim import SGD
from tinyres.optim.schedules import Schedule
from tinyres.train import checkpoint
from tinyres.train.checkpoint import Checkpoint, Meta
from tinyres.train.device import check_device, check_own, tell
from tinyres.train.folder import PARTIAL, checkpoints, new_folder, read_config, stamped, write_config
from tinyres.train.metrics import Line, Log, Running
from tinyres.train.recipe import Config, filled, milestone_steps, resolve, schedule_of, validation_fraction

PADDING = 4  # zeros around an image before a random crop: He et al. 2015, section 4.2
# Settings that change neither the numbers of a run nor its lines; a resumed run may have others. The device, and with
# it the precision, changes last digits: it is free so that a run can go on where no GPU is, and the person is told.
FREE = ("resume", "runs", "name", "root", "tensorboard", "checkpoint_every", "recompute", "flow", "device", "precision")


@dataclass
class Run:
    """All that a run is made of, at some step."""

    config: Config  # resolved
    folder: Path
    train: Loader
    evaluated: dict[str, Loader]  # prefix in metrics.jsonl -> split, in order
    classes: tuple[str, ...]
    model: Module
    optimizer: SGD
    schedule: Schedule
    log: Log
    step: int = 0
    running: Running = dataclasses.field(default_factory=Running)
    selected: Line | None = None
    seconds: float = 0.0

    @property
    def iterations(self) -> int:
        """Steps of the whole run."""
        return filled(self.config.iterations)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """H, W, C."""
        return self.train.split.images.shape[1:]

    def save(self) -> Path:
        """Write the checkpoint of this step and delete those that are no longer needed."""
        per_epoch = self.train.steps_per_epoch
        meta = Meta(
            config=self.config.to_json(),
            shortcut=self.config.shortcut,
            in_channels=self.image_shape[-1],
            image_shape=self.image_shape,
            classes=self.classes,
            images=len(self.train.split),
            step=self.step,
            epoch=self.step // per_epoch,
            position=self.step % per_epoch,
            schedule=self.schedule.state_dict(),
            running=self.running.state(),
            selected=self.selected,
            seconds=self.seconds,
            versions=versions(),
        )
        path = checkpoint.write(self.folder, meta, self._tensors())
        checkpoint.prune(self.folder, self.selected["step"] if self.selected else None)
        return path

    def _tensors(self) -> checkpoint.Tensors:
        parts = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "data": {"mean": self.train.mean},
        }
        return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    def restore(self, saved: Checkpoint) -> None:
        """Take the state of a checkpoint; the data must be those that it was trained on."""
        meta = saved.meta
        here = (len(self.train.split), self.image_shape, self.classes)
        if here != (meta.images, meta.image_shape, meta.classes) or not np.array_equal(
            self.train.mean, saved.tensors["data.mean"]
        ):
            raise CheckpointError(
                f"{saved.path} was trained on {meta.images} images {list(meta.image_shape)} of {len(meta.classes)} "
                f"classes, and these are others: {len(self.train.split)} images {list(self.image_shape)} of "
                f"{len(self.classes)} classes; resume with the same data."
            )
        self.model.load_state_dict(saved.part("model"))
        self.optimizer.load_state_dict(saved.part("optimizer"))
        self.schedule.load_state_dict(meta.schedule)
        self.step, self.selected, self.seconds = meta.step, meta.selected, meta.seconds
        self.running = Running(**meta.running)


def begin(config: Config, dataset: Dataset | None = None) -> Run:
    """A new run, or the one that `config.resume` names, at the step from which to go on."""
    config.check()
    if config.resume is not None:
        return _continue(config, Path(config.resume), dataset)
    check_device(config)
    check_own(config)
    stage = _Stage(config, dataset)
    name = stage.config.name or stamped(f"{stage.config.model}-{stage.dataset.name}")
    model = stage.model()
    folder = new_folder(Path(config.runs), name)
    write_config(folder, stage.config)
    return stage.run(folder, model)


def build(config: Config, classes: int, channels: int) -> Module:
    """The network of a run, in its dtype, with the initial weights of its seed."""
    model = models.create(
        config.model,
        shortcut=config.shortcut,
        num_classes=classes,
        in_channels=channels,
        seed=config.seed,
        recompute=config.recompute,
    )
    model.astype(config.dtype)
    return model


def restored_model(saved: Checkpoint, device: str = "cpu") -> Module:
    """The network of a checkpoint, from the file alone, on the device that is wanted now."""
    model = build(saved.config, len(saved.meta.classes), saved.meta.in_channels)
    model.load_state_dict(saved.part("model"))
    model.eval()
    return model.to(device)


def train_loader(config: Config, dataset: Dataset | None = None) -> Loader:
    """The training batches of a run with these settings, from its data set or from data of one's own."""
    return _Stage(config, dataset).train


def versions() -> dict[str, str]:
    """What wrote a file."""
    own = importlib.import_module("tinyres").__version__
    return {"tinyres": own, "numpy": np.__version__, "python": platform.python_version()}


class _Stage:
    """The data of a run with its settings filled in, before there is a folder or a model."""

    def __init__(self, config: Config, dataset: Dataset | None) -> None:
        if dataset is None:
            dataset = load(config.data, config.root)
        else:
            config = dataclasses.replace(config, data=dataset.name)
        self.dataset = dataset
        fraction = validation_fraction(config)
        train, held_out = hold_out(dataset.train, fraction, config.seed) if fraction else (dataset.train, None)
        self.config = config = resolve(config, len(train))
        mean: NDArray[Any] = pixel_mean(train, self.dataset.scale, config.dtype)
        self.train = self._loader(train, mean, PADDING if config.augment else 0)
        clean = train if config.clean_train_error else None
        splits = {"clean_train": clean, "validation": held_out, "test": dataset.test}
        self.evaluated = {name: self._loader(split, mean) for name, split in splits.items() if split is not None}

    def _loader(self, split: Split, mean: NDArray[Any], padding: int = 0) -> Loader:
        return Loader(
            split,
            mean=mean,
            scale=self.dataset.scale,
            batch=filled(self.config.batch),
            seed=self.config.seed,
            padding=padding,
            flip=padding > 0,
            dtype=self.config.dtype,
            device=filled(self.config.device),
        )

    def model(self) -> Module:
        config = self.config
        model = build(config, len(self.dataset.classes), self.train.split.images.shape[-1])
        return model.to(filled(config.device))

    def run(self, folder: Path, model: Module) -> Run:
        config = self.config
        optimizer = SGD(
            model.parameters(),
            filled(config.lr),
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            nesterov=config.nesterov,
        )
        return Run(
            config=config,
            folder=folder,
            train=self.train,
            evaluated=self.evaluated,
            classes=self.dataset.classes,
            model=model,
            optimizer=optimizer,
            schedule=schedule_of(config),
            log=Log(folder),
        )


def _continue(given: Config, path: Path, dataset: Dataset | None) -> Run:
    """The run in a folder, at its newest checkpoint or the one named, or at its start if it has none yet."""
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; name a run folder or a checkpoint-*.safetensors file.")
    folder = path if path.is_dir() else path.parent
    config = read_config(folder)
    saved = checkpoint.find(path) if path.is_file() or checkpoints(folder) else None
    if saved is not None and _differing(config, saved.config):
        name = _differing(config, saved.config)[0]
        raise CheckpointError(
            f"{saved.path} is of another run: it has {name} {getattr(saved.config, name)!r}, "
            f"and {folder / 'config.json'} has {getattr(config, name)!r}; put it back into its own run folder."
        )
    _refuse_changes(given, config)
    config = dataclasses.replace(
        _on_a_device(config, given, saved),
        root=given.root or config.root,
        tensorboard=given.tensorboard or config.tensorboard,
        checkpoint_every=given.checkpoint_every or config.checkpoint_every,
        recompute=given.recompute or config.recompute,
        flow=given.flow or config.flow,
    )
    stage = _Stage(config, dataset)
    run = stage.run(folder, stage.model())
    if saved is not None:
        run.restore(saved)
    for step, later in checkpoints(folder).items():
        if step > run.step:  # a future that is about to be computed again
            later.unlink()
    for partial in folder.glob(f".*{PARTIAL}"):
        partial.unlink()
    run.log.cut(run.step)
    return run


def _on_a_device(config: Config, given: Config, saved: Checkpoint | None) -> Config:
    """The settings of a run that is continued with device and precision: its own, or the device that was given."""
    before = saved.config if saved is not None else config
    device = given.device or before.device or "cpu"
    own = next((each.precision for each in (before, config) if (each.device or "cpu") == device), None)
    if own is not None and given.precision not in (None, own):
        raise ConfigError(
            f"the run has precision {own!r} there, not {given.precision!r}, and a resumed run keeps its settings; "
            "leave that one away, or start a new run without --resume."
        )
    config = dataclasses.replace(config, device=device, precision=own or given.precision)
    try:
        check_device(config)
    except DeviceError as error:
        if given.device is not None:
            raise
        raise DeviceError(
            f"{str(error).rstrip('.')}; the run was on one, and goes on without by --device cpu."
        ) from None
    if saved is not None and device != (before.device or "cpu"):
        tell(
            f"this run was on {before.device} and goes on on {device}, from the same state; from here on its numbers "
            f"differ in their last digits from what {before.device} would have given."
        )
    return config


def _differing(one: Config, other: Config) -> list[str]:
    names = [field.name for field in dataclasses.fields(Config) if field.name not in FREE]
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def _refuse_changes(given: Config, saved: Config) -> None:
    """Refuse a setting that was given (that is not at its default) and is not what the run has."""
    if given.milestones is not None:
        given = dataclasses.replace(given, milestones=milestone_steps(given.milestones, filled(saved.iterations)))
    changed = set(_differing(given, Config())) & set(_differing(given, saved))
    for name in sorted(changed):
        raise ConfigError(
            f"the run has {name} {getattr(saved, name)!r}, not {getattr(given, name)!r}, and a resumed run keeps its "
            "settings; leave that one away, or start a new run without --resume."
        )
