"""Data sets by name, or by folder."""

from __future__ import annotations

import os
from pathlib import Path

from tinyres.data.cache import cache_folder
from tinyres.data.cifar import find_cifar, load_cifar
from tinyres.data.cifar_forms import FORMS
from tinyres.data.digits import load_digits
from tinyres.data.folder import load_folder
from tinyres.data.sets import Dataset
from tinyres.errors import ConfigError, DataError, nearest


def names() -> list[str]:
    """Names that `load` knows."""
    return sorted(["digits", *FORMS])


def load(name_or_folder: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> Dataset:
    """Load a data set: training and test images as bytes, channels last.

    Parameters
    ----------
    name_or_folder : str or path
        ``"digits"`` (comes with scikit-learn), ``"cifar10"``, ``"cifar100"``, or a folder of images
        ``train/<class>/*.png|jpg`` and ``test/<class>/...``.
    root : str or path, optional
        For CIFAR: the folder that holds it. Without it the user's cache is used, and filled by a download.

    Returns
    -------
    Dataset

    Raises
    ------
    ConfigError
        An unknown name (the nearest one is offered), or a root where none applies.
    DataError
        Data that are missing, damaged or not what they claim to be.

    Examples
    --------
    >>> load("digits").train.images.shape
    (1437, 8, 8, 1)
    """
    name = os.fspath(name_or_folder)
    if name in FORMS:
        return load_cifar(name, None if root is None else Path(root).expanduser())
    if root is not None:
        raise ConfigError(f"root goes with {' or '.join(FORMS)}, not with {name!r}: leave it away.")
    if name == "digits":
        return load_digits()
    folder = Path(name).expanduser()
    if folder.is_dir():
        for known in FORMS:
            if find_cifar(known, folder) is not None:
                raise ConfigError(f"{folder} is {known}: load it by that name, with this folder as root.")
        return load_folder(folder)
    layout = "a folder of images holds train/<class>/*.png or .jpg and test/<class>/..."
    if folder.exists():
        raise DataError(f"{name!r} is a file: {layout}")
    if isinstance(name_or_folder, os.PathLike) or len(folder.parts) > 1 or name.startswith((".", "~")):
        raise DataError(f"there is no folder {name!r}: {layout}")
    raise ConfigError(f"unknown data {name!r}: it is neither a name nor a folder here{nearest(name.lower(), names())}")


def locate(name: str, root: str | os.PathLike[str] | None = None) -> Path | None:
    """Say where a CIFAR set lies, without reading or fetching it.

    Parameters
    ----------
    name : str
        ``"cifar10"`` or ``"cifar100"``.
    root : str or path, optional
        Where to look; the user's cache by default.

    Returns
    -------
    Path or None
        The unpacked folder or the archive; None if there is none.
    """
    found = find_cifar(name, cache_folder() if root is None else Path(root).expanduser())
    return None if found is None else found[1]
