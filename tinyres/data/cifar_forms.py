"""The forms in which CIFAR-10 and CIFAR-100 are distributed: names, checksums, and how one file of each is read.

    python   five pickled batches and a test batch (CIFAR-100: train, test): a dictionary with
             data [N, 3072] uint8 and labels (fine_labels), a list of N integers
    binary   the same as records of 3,073 bytes: label, then 3,072 pixels (CIFAR-100: coarse and fine label before)

Source: https://www.cs.toronto.edu/~kriz/cifar.html; the checksums are those of the archives there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.data.unpickle import unpickle_dict
from tinyres.errors import DataError

PIXELS = 3 * 32 * 32
Rows = tuple[NDArray[np.uint8], NDArray[np.int64]]  # [N, 3072] and [N]


@dataclass(frozen=True)
class Form:
    """One form in which a set is distributed: its names, its checksum, and how one file of it is read."""

    folder: str
    archive: str
    sha256: str
    train: tuple[str, ...]
    test: str
    meta: str
    read: Callable[[bytes, str], Rows]
    names: Callable[[bytes, str], list[str]]

    @property
    def files(self) -> tuple[str, ...]:
        """What must be there; the file of class names may be missing."""
        return (*self.train, self.test)


def _python_batch(content: bytes, source: str, key: str) -> Rows:
    batch = unpickle_dict(content, source)
    for needed in ("data", key):
        if needed not in batch:
            raise DataError(f"{source} has no entry {needed!r}, only {', '.join(map(repr, batch)) or 'none at all'}.")
    data, labels = batch["data"], _integer_list(batch[key])
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != PIXELS:
        found = f"{data.dtype} {list(data.shape)}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"{source}: 'data' must be uint8 [N, {PIXELS}], it is {found}.")
    if labels is None:
        raise DataError(f"{source}: {key!r} must be a list of integers.")
    return data, labels


def _integer_list(values: Any) -> NDArray[np.int64] | None:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal length
        return None
    return array.astype(np.int64) if array.ndim == 1 and array.dtype.kind in "iu" else None


def _binary_batch(content: bytes, source: str, labels: int) -> Rows:
    length = labels + PIXELS
    if len(content) % length:
        raise DataError(f"{source} has {len(content)} bytes, no whole number of records of {length}: it is cut off.")
    records = np.frombuffer(content, np.uint8).reshape(-1, length)
    return records[:, labels:], records[:, labels - 1].astype(np.int64)


def _python_names(content: bytes, source: str, key: str) -> list[str]:
    names = unpickle_dict(content, source).get(key)
    if not isinstance(names, list):
        raise DataError(f"{source} has no list {key!r}: leave the file away or take the official one.")
    return [name.decode("latin-1") if isinstance(name, bytes) else str(name) for name in names]


def _text_names(content: bytes, source: str) -> list[str]:
    return content.decode("latin-1").split()


BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
CLASSES = {
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "cifar100": tuple(map(str, range(100))),  # without its file of names, numbers
}
FORMS = {
    "cifar10": (
        Form(
            "cifar-10-batches-py",
            "cifar-10-python.tar.gz",
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            BATCHES,
            "test_batch",
            "batches.meta",
            partial(_python_batch, key="labels"),
            partial(_python_names, key="label_names"),
        ),
        Form(
            "cifar-10-batches-bin",
            "cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            tuple(f"{name}.bin" for name in BATCHES),
            "test_batch.bin",
            "batches.meta.txt",
            partial(_binary_batch, labels=1),
            _text_names,
        ),
    ),
    "cifar100": (
        Form(
            "cifar-100-python",
            "cifar-100-python.tar.gz",
            "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            ("train",),
            "test",
            "meta",
            partial(_python_batch, key="fine_labels"),
            partial(_python_names, key="fine_label_names"),
        ),
        Form(
            "cifar-100-binary",
            "cifar-100-binary.tar.gz",
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ("train.bin",),
            "test.bin",
            "fine_label_names.txt",
            partial(_binary_batch, labels=2),
            _text_names,
        ),
    ),
}
