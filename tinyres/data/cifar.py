"""CIFAR-10 and CIFAR-100: 60,000 photographs of 32 by 32 pixels, read from the official python or binary form.

The 3,072 bytes of an image are the red, green and blue plane of 32 rows of 32 pixels; here they become [32, 32, 3].
A set is read unpacked or straight from its archive, whose members are looked up by name: nothing is unpacked to disk.
Short batches are fine; everything else about a file is checked, and a message names the file.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyres.data.cache import cache_folder
from tinyres.data.cifar_forms import CLASSES, FORMS, Form, Rows
from tinyres.data.download import fetch, verify
from tinyres.data.sets import Dataset, Split, check_labels
from tinyres.errors import DataError

LARGEST_FILE = 1 << 28  # the largest official file has 155 MB; an archive that claims more is not one


def find_cifar(name: str, root: Path) -> tuple[Form, Path] | None:
    """Look in `root` for a form of the set: the folder itself, its parent, an archive or the folder that holds it."""
    for form in FORMS[name]:
        for folder in (root, root / form.folder):
            named = folder.name == form.folder and folder.is_dir()
            if named or any((folder / file).is_file() for file in form.files):
                return form, folder
    for form in FORMS[name]:
        for archive in (root, root / form.archive):
            if archive.name == form.archive and archive.is_file():
                return form, archive
    return None


def load_cifar(name: str, root: Path | None) -> Dataset:
    """Read CIFAR from `root`, or from the user's cache, into which it is fetched if it is not there.

    Parameters
    ----------
    name : str
        ``"cifar10"`` or ``"cifar100"`` (its 100 fine classes).
    root : Path, optional
        The unpacked folder, its parent, an archive or the folder that holds one. Its structure is validated; in the
        cache, an archive's checksum is as well.

    Returns
    -------
    Dataset
        Images [N, 32, 32, 3], scale 1/255.

    Raises
    ------
    DataError
        Nothing there, a file that is missing or damaged, no network: which file, and what to do.
    """
    where = find_cifar(name, cache_folder() if root is None else root)
    if where is None:
        if root is not None:
            raise DataError(_nothing_in(root, name))
        form = FORMS[name][0]
        where = form, fetch(form.archive, form.sha256, cache_folder())
    elif root is None and where[1].is_file():
        verify(where[1], where[0].sha256)
    form, path = where
    classes, parts = CLASSES[name], dict[str, Rows]()
    for file, content in _contents(form, path):
        source = str(path / file)
        if file == form.meta:
            classes = _checked_names(form.names(content, source), len(classes), source)
        else:
            parts[file] = _checked_rows(*form.read(content, source), len(classes), source)
    return Dataset(name, _join([parts[f] for f in form.train]), _join([parts[form.test]]), classes, 1 / 255)


def _nothing_in(root: Path, name: str) -> str:
    if not root.exists():
        return f"there is no folder {root}: give the one that holds {FORMS[name][0].folder}."
    forms = FORMS[name]
    return (
        f"{root} holds no {name}: expected there the folder {' or '.join(f.folder for f in forms)}, "
        f"or the archive {' or '.join(f.archive for f in forms)}."
    )


def _contents(form: Form, path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file of a set, from its folder or its archive; a missing one ends in a message."""
    missing = set(form.files)
    for file, content in (_members if path.is_file() else _unpacked)(form, path):
        missing.discard(file)
        yield file, content
    if missing:
        first = min(missing, key=form.files.index)
        raise DataError(f"{path} has no file {first}: take it from the official archive {form.archive}.")


def _unpacked(form: Form, folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in (*form.files, form.meta):
        if (folder / file).is_file():
            try:
                yield file, (folder / file).read_bytes()
            except OSError as error:
                raise DataError(f"{folder / file} cannot be read ({error.strerror}).") from error


def _members(form: Form, archive: Path) -> Iterator[tuple[str, bytes]]:
    """Read the wanted members of an archive in one pass; whatever else it holds is left alone."""
    wanted = {f"{form.folder}/{file}": file for file in (*form.files, form.meta)}
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                file = wanted.pop(member.name.removeprefix("./"), None)
                if file is None or not member.isfile():
                    continue
                if member.size > LARGEST_FILE:
                    raise tarfile.ReadError(f"{file} claims to have {member.size} bytes")
                stream = tar.extractfile(member)
                yield file, stream.read() if stream else b""
            while tar.fileobj and tar.fileobj.read(1 << 20):
                pass  # the checksum of a compressed archive stands at its very end
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{archive} is cut off or damaged ({error}): remove it and fetch it again.") from error


def _checked_rows(data: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, source: str) -> Rows:
    if len(data) != len(labels):
        raise DataError(f"{source} has {len(data)} images and {len(labels)} labels; take the official file.")
    if not len(data):
        raise DataError(f"{source} holds no image; take the official file.")
    check_labels(labels, classes, source)
    return data, labels


def _checked_names(names: list[str], classes: int, source: str) -> tuple[str, ...]:
    if len(names) != classes:
        raise DataError(f"{source} names {len(names)} classes where there are {classes}; take the official file.")
    return tuple(names)


def _join(parts: list[Rows]) -> Split:
    """Batches of planes [N, 3072] to one split of images [N, 32, 32, 3]."""
    planes = np.concatenate([data for data, _ in parts]).reshape(-1, 3, 32, 32)
    return Split(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), np.concatenate([labels for _, labels in parts]))
