"""The nets that measures look at: a trained one from its run folder or checkpoint, or a fresh one by its name.

Each comes with images as it sees them in training, without augmentation, and with what a figure says about it.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.data import Dataset, Loader, Split, load, pixel_mean
from tinyres.errors import ConfigError, FlowError
from tinyres.flow.following import shortcut_of
from tinyres.flow.measures.state import unchanged
from tinyres.flow.record import Record
from tinyres.flow.recorder import Recorder
from tinyres.models import create
from tinyres.models.dense import DenseNet
from tinyres.nn.module import Module
from tinyres.ops import softmax_cross_entropy
from tinyres.tensor import Tensor
from tinyres.train import checkpoint
from tinyres.train.start import build, versions


@dataclass(frozen=True, eq=False)
class Net:
    """A model with data.

    Attributes
    ----------
    model : Module
    meta : dict
        As of a record: model, shortcut, data, seed, weights, dtype, versions.
    x, labels : ndarray, shapes [N, H, W, C] (a dense net: [N, C]) and [N]
        The first training images.
    test_x, test_labels : ndarray
        All test images, or the first of them.
    dataset : Dataset
        Where they are from.
    """

    model: Module
    meta: dict[str, Any]
    x: NDArray[Any]
    labels: NDArray[np.int64]
    test_x: NDArray[Any]
    test_labels: NDArray[np.int64]
    dataset: Dataset


def is_path(target: str) -> bool:
    """Whether a target is a run folder or a file, there or not, rather than the name of a model."""
    path = Path(target)
    return path.exists() or bool(path.suffix) or len(path.parts) > 1


def net_of(
    target: str,
    *,
    images: int = 64,
    tested: int = 2000,
    data: str | None = None,
    root: str | None = None,
    seed: int = 0,
    shortcut: str = "default",
    dtype: str = "float32",
) -> Net:
    """The net of a run folder, of a checkpoint, or a fresh one.

    Parameters
    ----------
    target : str
        A path to a run folder (its selected checkpoint) or to a checkpoint; or the name of a model: resnet20, plain20
        ..., or dense54 and dense-plain54, the dense nets of 54 units of the lessons.
    images, tested : int
        Training and test images that come with it, at most.
    data, root : str, optional
        By default those that the net was trained on; digits for a fresh one.
    seed, shortcut, dtype
        Of a fresh net.

    Returns
    -------
    Net

    Raises
    ------
    ConfigError
        No images wanted, a target that is neither a path nor a model, or a shortcut that such a net does not have.
    CheckpointError
        A folder without checkpoint, a damaged file, data of another shape than the net's.
    """
    if images < 1:
        raise ConfigError(f"images is {images}; 1 or more are wanted.")
    path = Path(target)
    if path.suffix == ".npz":
        raise FlowError(f"{target} is a record; this measure needs the net itself: name a run folder or a checkpoint.")
    if is_path(target):
        saved = checkpoint.find(path, selected=True)
        config = saved.config
        dataset = load(data or config.data, root or (config.root if data in (None, config.data) else None))
        _check(path, dataset, saved.meta.image_shape, len(saved.meta.classes))
        model = build(dataclasses.replace(config, recompute=False), len(saved.meta.classes), saved.meta.in_channels)
        model.load_state_dict(saved.part("model"))  # without recomputation, which hides what is inside a block
        model.eval()
        mean = saved.tensors["data.mean"]
        said = {"model": config.model, "shortcut": shortcut_of(config.model, saved.meta.shortcut), "seed": config.seed}
        said |= {"weights": f"after step {saved.meta.step}", "dtype": config.dtype}
    else:
        dataset = load(data or "digits", root)
        model = fresh(target, dataset, seed=seed, shortcut=shortcut).astype(dtype)
        mean = pixel_mean(dataset.train, dataset.scale, dtype)
        said = {
            "model": target,
            "shortcut": shortcut_of(target, shortcut),
            "seed": seed,
            "weights": "initial",
            "dtype": dtype,
        }
    meta = {**said, "data": dataset.name, "source": "tinyres", "versions": versions()}
    x, labels = _arrays(dataset.train, images, dataset.scale, mean, str(said["dtype"]))
    test_x, test_labels = _arrays(dataset.test, tested, dataset.scale, mean, str(said["dtype"]))
    if isinstance(model, DenseNet):
        x, test_x = x.reshape(len(x), -1), test_x.reshape(len(test_x), -1)
        meta["shortcut"] = "1" if meta["shortcut"] == "A" else meta["shortcut"]
    return Net(model, meta, x, labels, test_x, test_labels, dataset)


def record_net(net: Net) -> Record:
    """The gradient flow of a net on its images, in training mode, as a record of one step; it is left as it was."""
    with unchanged(net.model), Recorder(net.model, every=1, meta={**net.meta, "batch": len(net.x)}) as recorder:
        loss = softmax_cross_entropy(net.model.train()(Tensor(net.x)), net.labels)
        loss.backward()
        recorder.step(loss, updated=False)
    for parameter in net.model.parameters():
        parameter.grad = None
    return recorder.record


def fresh(name: str, dataset: Dataset, *, seed: int = 0, shortcut: str = "default") -> Module:
    """A model by its name for some data, with initial weights; ConfigError for an unknown name or another shortcut."""
    shape, classes = dataset.train.images.shape[1:], len(dataset.classes)
    if match := re.fullmatch(r"dense(-plain)?(\d+)", name):
        if shortcut != "default":
            raise ConfigError(
                f"{name} takes no shortcut {shortcut}: the name says it, dense{match[2]} or dense-plain{match[2]}."
            )
        inputs = math.prod(shape)
        return DenseNet(int(match[2]), inputs=inputs, num_classes=classes, shortcut=0.0 if match[1] else 1.0, seed=seed)
    return create(name, shortcut=shortcut, num_classes=classes, in_channels=shape[-1], seed=seed)


def _check(path: Path, dataset: Dataset, shape: tuple[int, ...], classes: int) -> None:
    own = dataset.train.images.shape[1:]
    if own != shape or len(dataset.classes) != classes:
        raise FlowError(
            f"{path} was trained on images {list(shape)} of {classes} classes and {dataset.name} has {list(own)} of "
            f"{len(dataset.classes)}; name its own data with --data."
        )


def _arrays(
    split: Split, count: int, scale: float, mean: NDArray[Any], dtype: str
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    part = split.take(np.arange(min(count, len(split))))
    return next(Loader(part, mean=mean, scale=scale, batch=len(part), seed=0, dtype=dtype).in_order())
