"""Checkpoints: one safetensors file from which training continues bit for bit, and which eval and predict need alone.

    tensors    model.NAME           parameters and running statistics, as `Module.state_dict` names them
               optimizer.velocity   the momentum of SGD, one flat array
               data.mean            [H,W,C], the mean image that was subtracted
    metadata   tinyres: JSON (`Meta`): settings, network, class names, step, state of schedule and running metrics
               sha256: of that JSON and of every tensor with its name, type and shape

Random numbers need no state of their own: a batch is a function of (seed, epoch, position), and both follow from step.
The format of the container: huggingface.co/docs/safetensors. The file is not a pickle: reading it runs nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import CheckpointError
from tinyres.train.folder import checkpoints, reason, write_atomically
from tinyres.train.recipe import Config

FORMAT = 1
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Meta:
    """What a checkpoint says beside its tensors."""

    config: dict[str, Any]  # resolved settings
    shortcut: str
    in_channels: int
    image_shape: tuple[int, ...]  # H, W, C
    classes: tuple[str, ...]
    images: int  # training images
    step: int  # steps done
    epoch: int  # step // steps of an epoch
    position: int  # steps done within the epoch
    schedule: dict[str, Any]
    running: dict[str, Any]  # sums since the last line of metrics.jsonl
    selected: dict[str, Any] | None  # the metrics line with the lowest validation error so far
    seconds: float  # training time so far
    versions: dict[str, str]  # of tinyres, NumPy and Python that wrote it
    format: int = FORMAT


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found sound."""

    path: Path
    meta: Meta
    tensors: Tensors

    @property
    def config(self) -> Config:
        """The settings of the run."""
        return Config(**self.meta.config)

    def part(self, prefix: str) -> Tensors:
        """The tensors whose names begin with `prefix.`, without it."""
        return {name.removeprefix(prefix + "."): t for name, t in self.tensors.items() if name.startswith(prefix + ".")}


def name_of(step: int) -> str:
    """File name of the checkpoint after `step` steps."""
    return f"checkpoint-{step:08d}.safetensors"


def write(folder: Path, meta: Meta, tensors: Tensors) -> Path:
    """Write the checkpoint of a step, atomically.

    Raises CheckpointError when it cannot be written, a full disk for instance; earlier checkpoints are untouched then.
    """
    from safetensors.numpy import save

    path = folder / name_of(meta.step)
    tensors = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    text = json.dumps(dataclasses.asdict(meta), allow_nan=False)
    try:
        write_atomically(path, save(tensors, {"tinyres": text, "sha256": _digest(text, tensors)}))
    except OSError as error:
        kept = list(checkpoints(folder).values())
        last = f"the last good checkpoint is {kept[-1]}" if kept else "there is no earlier checkpoint"
        raise CheckpointError(f"cannot write {path}: {reason(error)}; {last}") from None
    return path


def read(path: Path) -> Checkpoint:
    """Read a checkpoint file and verify it: container, metadata, every byte, every number.

    Raises CheckpointError with one sentence for a damaged or foreign file, and names the one before it that is good.
    """
    try:
        return _read(path)
    except CheckpointError as error:
        raise CheckpointError(f"{error}{_previous(path)}") from None


def find(path: str | Path, selected: bool = False) -> Checkpoint:
    """The checkpoint of a run folder (the newest, or the `selected` one) or that of a file."""
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; name a run folder or a checkpoint-*.safetensors file")
    if path.is_file():
        return read(path)
    found = checkpoints(path)
    if not found:
        raise CheckpointError(f"{path} holds no checkpoint; name a run folder or a checkpoint-*.safetensors file")
    newest = read(found[max(found)])
    best = newest.meta.selected
    if selected and best is not None and best["step"] != newest.meta.step and best["step"] in found:
        return read(found[best["step"]])
    return newest


def prune(folder: Path, selected: int | None) -> None:
    """Delete all checkpoints but the last two and the one of step `selected`."""
    found = checkpoints(folder)
    keep = {*list(found)[-2:], selected}
    for step, path in found.items():
        if step not in keep:
            path.unlink(missing_ok=True)


def _digest(text: str, tensors: Tensors) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def _read(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or not a checkpoint: {reason(error)}") from None
    if not {"tinyres", "sha256"} <= header.keys():
        raise CheckpointError(f"{path} is a safetensors file of another program, not a checkpoint of tinyres")
    if _digest(header["tinyres"], tensors) != header["sha256"]:
        raise CheckpointError(f"{path} is damaged: its contents do not match the checksum that was written with them")
    values = json.loads(header["tinyres"])
    if values.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {values.get('format')!r} where this tinyres reads {FORMAT}; "
            f"use tinyres {values.get('versions', {}).get('tinyres', 'of that format')}"
        )
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"{path} holds values in {name} that are not finite numbers")
    values["image_shape"], values["classes"] = tuple(values["image_shape"]), tuple(values["classes"])
    return Checkpoint(path, Meta(**values), tensors)


def _previous(path: Path) -> str:
    """`; the one before it is good: ...`, if there is one."""
    if not path.parent.is_dir():
        return ""
    for other in reversed([other for other in checkpoints(path.parent).values() if other.name < path.name]):
        try:
            return f"; the one before it is good: {_read(other).path}"
        except CheckpointError:
            continue
    return ""
