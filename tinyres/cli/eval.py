"""`tinyres eval`: what a trained network gets right and wrong on the test images."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from tinyres.data import Dataset, Loader, load
from tinyres.errors import CheckpointError
from tinyres.train import checkpoint
from tinyres.train.checkpoint import Checkpoint
from tinyres.train.device import Precision, computing, described, on_device
from tinyres.train.figures import confusion, save
from tinyres.train.folder import new_folder, newest_run, write_atomically
from tinyres.train.metrics import logits_of, mean_loss, top_k_error
from tinyres.train.start import restored_model

LISTED = 20  # classes that the terminal lists; of more, the worst ones


@dataclass(frozen=True)
class Arguments:
    """Test a saved network: top-1 and top-5 error, loss, error of each class, confusion matrix.

    The figure, the matrix as CSV and all numbers as JSON are written to a new folder beside the checkpoint.
    """

    run: tyro.conf.Positional[str | None] = None
    """A run folder (its selected checkpoint) or a checkpoint; by default the newest run in --runs."""
    data: str | None = None
    """Data to test on: a name or a folder; by default those that the network was trained on."""
    root: str | None = None
    """The folder that holds the data set."""
    batch: int = 128
    """Images in a batch."""
    kernels: str = ""
    """Kernels to use, such as conv2d=numpy."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to compute, wherever the network was trained."""
    precision: Precision | None = None
    """Precision of the products in a GPU's convolutions: that of a training there, else tf32 where the card has it."""
    runs: str = "runs"
    """Where the newest run is looked for."""


def run(arguments: Arguments) -> int:
    """Evaluate, print the outcome and write figure, CSV and JSON."""
    saved = checkpoint.find(arguments.run or newest_run(Path(arguments.runs)), selected=True)
    config = dataclasses.replace(
        on_device(saved.config, arguments.device, arguments.precision), kernels=arguments.kernels
    )
    data = arguments.data or config.data
    dataset = load(data, arguments.root or (config.root if data == config.data else None))
    _check(saved, dataset)
    with computing(config):
        loader = Loader(
            dataset.test,
            mean=saved.tensors["data.mean"],
            scale=dataset.scale,
            batch=arguments.batch,
            seed=0,
            dtype=config.dtype,
            device=arguments.device,
        )
        logits, labels = logits_of(restored_model(saved, arguments.device), loader)
    matrix = confusion_matrix(logits, labels, len(dataset.classes))
    outcome = _outcome(saved, dataset, logits, labels, matrix)
    folder = new_folder(saved.path.parent, f"eval-{saved.meta.step:08d}-{dataset.name}")
    title = f"{config.model} on {dataset.name}: {outcome['top1_error']:.2%} wrong of {len(labels):,}"
    write_atomically(folder / "eval.json", (json.dumps(outcome, indent=2) + "\n").encode())
    write_atomically(folder / "confusion.csv", _csv(matrix, dataset.classes))
    save(confusion(matrix, dataset.classes, title), folder / "confusion.png")
    print(_report(outcome, folder, described(config)))
    return 0


def confusion_matrix(logits: NDArray[Any], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count answers: entry [t, a] is the number of images of class t that were taken for class a."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, logits.argmax(axis=1)), 1)
    return matrix


def _check(saved: Checkpoint, dataset: Dataset) -> None:
    meta, shape = saved.meta, dataset.test.images.shape[1:]
    if shape != meta.image_shape:
        raise CheckpointError(
            f"{saved.path} was trained on images {list(meta.image_shape)} and those of {dataset.name} are "
            f"{list(shape)}; name other data with --data."
        )
    if dataset.classes != meta.classes:
        raise CheckpointError(
            f"{saved.path} knows the {len(meta.classes)} classes {_some(meta.classes)} and {dataset.name} has the "
            f"{len(dataset.classes)} classes {_some(dataset.classes)}; name data of the same classes with --data."
        )


def _outcome(
    saved: Checkpoint, dataset: Dataset, logits: NDArray[Any], labels: NDArray[np.int64], matrix: NDArray[np.int64]
) -> dict[str, Any]:
    counts = matrix.sum(axis=1)
    of_class = {
        name: 1 - int(matrix[k, k]) / int(counts[k]) if counts[k] else None for k, name in enumerate(dataset.classes)
    }
    return {
        "checkpoint": saved.path.name,
        "model": saved.config.model,
        "data": dataset.name,
        "images": len(labels),
        "top1_error": top_k_error(logits, labels),
        "top5_error": top_k_error(logits, labels, 5) if len(dataset.classes) > 5 else None,
        "loss": mean_loss(logits, labels),
        "class_error": of_class,
    }


def _report(outcome: dict[str, Any], folder: Path, device: str) -> str:
    top5 = outcome["top5_error"]
    rows = [
        f"{outcome['model']} ({outcome['checkpoint']}) on the {outcome['images']:,} test images of {outcome['data']}"
        f"{device}",
        f"  top-1 error {outcome['top1_error']:8.2%}",
        f"  top-5 error {top5:8.2%}" if top5 is not None else "  top-5 error   none: there are five classes or fewer",
        f"  loss        {outcome['loss']:8.4f}",
    ]
    known = {name: error for name, error in outcome["class_error"].items() if error is not None}
    worst = sorted(known.items(), key=lambda item: -item[1])[:LISTED]
    rows.append("error by class" if len(known) <= LISTED else f"error by class, the worst {LISTED} of {len(known)}")
    width = max(len(name) for name, _ in worst)
    rows += [f"  {name:<{width}} {error:8.2%}" for name, error in worst]
    return "\n".join([*rows, f"written to {folder}: confusion.png, confusion.csv, eval.json"])


def _csv(matrix: NDArray[np.int64], classes: tuple[str, ...]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true class", *classes])
    writer.writerows([name, *row] for name, row in zip(classes, matrix.tolist(), strict=True))
    return text.getvalue().encode()


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
