"""Anybody's own images: `train/<class>/*.png|jpg|jpeg` and `test/<class>/...`, decoded once and cached.

Every image becomes bytes [H, W, 3], or [H, W, 1] if all of them are grey; all must have one size. Decoded pixels are
kept in `.tinyres-cache.npz` in the folder (in the user's cache if the folder is not writable) with a fingerprint of the
files: names, sizes, times of change. If the fingerprint differs, the images are decoded again.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyres.data.cache import cache_folder, read_arrays, save_arrays
from tinyres.data.sets import Dataset, Split
from tinyres.errors import DataError, nearest

SUFFIXES = (".png", ".jpg", ".jpeg")
GREY = ("1", "L", "LA")  # Pillow's modes of one channel of at most 8 bits
COLOUR = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB")
CACHE = ".tinyres-cache.npz"
VERSION = 1  # of the decoding below; another one does not read this one's cache


def load_folder(root: Path) -> Dataset:
    """Read a folder of images.

    Parameters
    ----------
    root : Path
        Holds ``train`` and ``test``, each with one folder for each class; classes are numbered by name.

    Returns
    -------
    Dataset
        Named as the folder, scale 1/255.

    Raises
    ------
    DataError
        A part or a class without images, a class in `test` that `train` lacks, a file that is no image (which), two
        sizes (which two).
    """
    try:
        classes = _classes(root / "train")
        train, test = (_list(root / part, classes) for part in ("train", "test"))
        fingerprint = _fingerprint(root, train[0] + test[0])
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read ({error.strerror}).") from error
    images = _cached(root, fingerprint)
    if images is None:
        images = _decode(train[0] + test[0], root.name)
        _keep(root, images, fingerprint)
    parts = images[: len(train[0])], images[len(train[0]) :]
    return Dataset(root.resolve().name, Split(parts[0], train[1]), Split(parts[1], test[1]), tuple(classes), 1 / 255)


def _classes(train: Path) -> list[str]:
    """Names of the class folders, sorted."""
    if not train.is_dir():
        known = sorted(entry.name for entry in train.parent.iterdir() if not entry.name.startswith("."))
        raise DataError(
            f"{train.parent} has no folder 'train': expected train/<class>/*.png or .jpg and test/<class>/..., "
            f"found {', '.join(known[:5]) or 'nothing'}{' ...' if len(known) > 5 else ''}."
        )
    classes = sorted(entry.name for entry in train.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise DataError(f"{train} holds no folder: put the images of each class into a folder of its own there.")
    return classes


def _list(part: Path, classes: list[str]) -> tuple[list[Path], NDArray[np.int64]]:
    """Find the images of a part, in order of class and name, with the number of each one's class [N]."""
    if not part.is_dir():
        raise DataError(f"{part.parent} has no folder {part.name!r}: {part.name}/<class>/*.png or .jpg is needed.")
    files: list[Path] = []
    labels: list[int] = []
    for folder in sorted(entry for entry in part.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        if folder.name not in classes:
            raise DataError(f"{folder}: the training part has no class {folder.name!r}{nearest(folder.name, classes)}")
        found = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))
        if not found:
            raise DataError(f"{folder} holds no image ({', '.join(SUFFIXES)}): fill it or remove it.")
        files += found
        labels += [classes.index(folder.name)] * len(found)
    if not files:
        raise DataError(f"{part} holds no folder of images: {part.name}/<class>/*.png or .jpg is needed.")
    return files, np.array(labels, np.int64)


def _fingerprint(root: Path, files: list[Path]) -> str:
    digest = hashlib.sha256(f"{VERSION}\n".encode())
    for file in files:
        status = file.stat()
        line = f"{file.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\n"
        digest.update(os.fsencode(line))
    return digest.hexdigest()


def _cache_paths(root: Path) -> tuple[Path, Path]:
    """Where the decoded images may be: in the folder, else in the user's cache under a name made of the path."""
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return root / CACHE, cache_folder() / "folders" / f"{name}.npz"


def _cached(root: Path, fingerprint: str) -> NDArray[np.uint8] | None:
    for path in _cache_paths(root):
        arrays = read_arrays(path) or {}
        if arrays.keys() == {"fingerprint", "images"} and str(arrays["fingerprint"]) == fingerprint:
            return arrays["images"]
    return None


def _keep(root: Path, images: NDArray[np.uint8], fingerprint: str) -> None:
    """Write the cache where that is possible; where it is not, the images are decoded again next time."""
    for path in _cache_paths(root):
        try:
            save_arrays(path, fingerprint=np.array(fingerprint), images=images)
            return
        except OSError:
            continue


def _decode(files: list[Path], name: str) -> NDArray[np.uint8]:
    """Pixels of every file: [N, H, W, 3], or [N, H, W, 1] if none of them has colour."""
    from tqdm import tqdm

    shape = _pixels(files[0])[0].shape
    images = np.empty((len(files), *shape), np.uint8)
    all_grey = True
    for n, file in enumerate(tqdm(files, desc=name, unit="image", disable=None)):
        pixels, grey = _pixels(file)
        if pixels.shape != shape:
            raise DataError(
                f"{file} has {pixels.shape[1]} x {pixels.shape[0]} pixels and {files[0]} has {shape[1]} x {shape[0]}: "
                "bring all images to one size."
            )
        images[n] = pixels
        all_grey &= grey
    return np.ascontiguousarray(images[..., :1]) if all_grey else images


def _pixels(file: Path) -> tuple[NDArray[np.uint8], bool]:
    """One image as a viewer shows it, [H, W, 3] bytes, and whether it is grey."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            if image.mode not in GREY + COLOUR:
                raise DataError(f"{file} has pixels of mode {image.mode!r}: save it with 8 bits for each channel.")
            upright = ImageOps.exif_transpose(image)  # cameras store the orientation beside the pixels
            return np.asarray(upright.convert("RGB")), image.mode in GREY
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file} cannot be read as an image ({error}): repair it or remove it.") from error
