"""The labs that come with tinyres, from their folders: `lab.toml` says what there is, `checks.py` how to check it."""

from __future__ import annotations

import functools
import importlib
import tomllib
from pathlib import Path
from typing import Any

from tinyres.errors import LabError, nearest
from tinyres.lab.task import Lab, Limits, Source, Task

LABS = Path(__file__).parent / "labs"


def ids() -> tuple[str, ...]:
    """The labs' ids in order, such as ``"02-convolution"``."""
    return tuple(_folders())


def lab(name: str) -> Lab:
    """One lab, by its id, by the beginning of it (``"02"``), or by its number (``"2"``).

    Raises
    ------
    LabError
        There is no such lab.
    """
    wanted = name.strip().removeprefix("lab").split("-")[0]
    for known in ids():
        number = known.split("-")[0]
        if name == known or (
            wanted.isdigit() and int(wanted) == int(number) and name in (number, wanted, f"lab{wanted}")
        ):
            return _read(known)
    raise LabError(f"there is no lab {name!r}{nearest(name, ids())}.")


def labs() -> list[Lab]:
    """All labs in order."""
    return [_read(known) for known in ids()]


def lab_of(key: str) -> Lab:
    """The lab that has a task of that key; LabError if none has."""
    everything = {task.key: one for one in labs() for task in one.tasks}
    if key not in everything:
        raise LabError(f"there is no task {key!r}{nearest(key, everything)}.")
    return everything[key]


def files() -> set[str]:
    """The names of all students' files, of all labs: no check is imported for them."""
    return {source["file"] for folder in _folders().values() for source in _said(folder)["sources"]}


def _said(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "lab.toml").read_text(encoding="utf-8"))


@functools.cache
def _folders() -> dict[str, Path]:
    found = {}
    for path in sorted(LABS.glob("lab*/lab.toml")):
        found[str(_said(path.parent)["id"])] = path.parent
    return dict(sorted(found.items()))


@functools.cache
def _read(known: str) -> Lab:
    folder = _folders()[known]
    said = _said(folder)
    checks = importlib.import_module(f"tinyres.lab.labs.{folder.name}.checks").CHECKS
    return Lab(
        id=known,
        title=said["title"],
        minutes=said["minutes"],
        folder=folder,
        sources=tuple(Source(**source) for source in said["sources"]),
        tasks=tuple(_task(task, checks) for task in said["tasks"]),
        provides=tuple(said.get("provides", ())),
        requires=tuple(said.get("requires", ())),
        environment=said.get("environment", {}),
        limits=Limits(**said.get("limits", {})),
    )


def _task(said: dict[str, Any], checks: dict[str, Any]) -> Task:
    settings = {**said, "arrays": tuple(said["arrays"]), "results": tuple(said["results"])}
    return Task(**settings, checks=checks[said["key"]])
