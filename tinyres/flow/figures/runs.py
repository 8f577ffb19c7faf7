"""What stands beside what in a figure: records with their names, their families, and seeds of one model together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import ConfigError
from tinyres.flow.record import Record

SETTINGS = ("model", "shortcut", "data", "batch", "dtype", "lr", "seed")  # in the order in which names use them


class Documented(Protocol):
    """Numbers that say where they come from: a record, or the result of a measure."""

    @property
    def meta(self) -> dict[str, Any]:
        """Model, data, seed ...: names as in a record."""
        ...


Item = TypeVar("Item", bound=Documented)


@dataclass(frozen=True)
class Measured:
    """The result of a measure, with what was measured: model, data, seed ... as in the meta of a record."""

    meta: dict[str, Any]
    result: Any


@dataclass(frozen=True)
class Run(Generic[Item]):
    """Numbers that are drawn as one line: those of one net, or of all seeds of a model."""

    label: str
    family: str  # "residual", "plain", or "" where nobody said
    records: tuple[Item, ...]
    place: int = 0  # among the runs of its family: says its colour

    @property
    def first(self) -> Item:
        """The one that stands for all of them where only names and places matter."""
        return self.records[0]


def runs_of(records: Sequence[Item], bands: bool = False) -> list[Run[Item]]:
    """Name records by what tells them apart; with `bands`, put those together that differ in their seed alone.

    Parameters
    ----------
    records : sequence of Record or Measured
    bands : bool

    Returns
    -------
    list of Run
        In the order given.

    Raises
    ------
    ConfigError
        No records; or `bands`, and no two of them are seeds of one model.
    """
    if not records:
        raise ConfigError("there is no record to draw; name a run folder or a record .npz.")
    groups: dict[Any, list[Item]] = {}
    for number, record in enumerate(records):
        key: Any = tuple(str(record.meta.get(name)) for name in SETTINGS[:-1]) if bands else number
        groups.setdefault(key, []).append(record)
    if bands and len(groups) == len(records):
        raise ConfigError("--bands puts several seeds of one model together and here no two records are that.")
    names = _names([group[0].meta for group in groups.values()], without_seed=bands)
    families = [family(group[0]) for group in groups.values()]
    places = [families[:number].count(own) for number, own in enumerate(families)]
    parts = zip(names, families, map(tuple, groups.values()), places, strict=True)
    return [Run(*each) for each in parts]


def family(record: Documented) -> str:
    """Whether a net has shortcuts: "residual" or "plain"; "" where neither blocks nor the meta say so."""
    said = record.meta.get("shortcut", "")
    if len(getattr(record, "block", ())):
        return "residual"
    return "" if said in ("", None) else "plain" if str(said) in ("none", "0", "0.0") else "residual"


def note(runs: Sequence[Run[Any]]) -> str:
    """One line that says where the numbers come from: data, seeds, batch, loss, program."""
    metas = [record.meta for run in runs for record in run.records]
    parts = []
    for name in ("data", "seed", "weights", "batch", "images", "dtype", "loss"):
        values = list(dict.fromkeys(str(meta[name]) for meta in metas if meta.get(name) is not None))
        if values:
            plural = "s" if name == "seed" and len(values) > 1 else ""
            parts.append(f"{values[0]} images" if name == "images" else f"{name}{plural} {', '.join(values)}")
    versions = dict.fromkeys(_program(meta) for meta in metas)
    return " · ".join([*parts, *(text for text in versions if text)])


def common_steps(run: Run[Record]) -> NDArray[np.int64]:
    """The steps that all records of a run have.

    Raises ConfigError if there are none.
    """
    steps: NDArray[np.int64] = run.first.step
    for record in run.records[1:]:
        steps = np.intersect1d(steps, record.step)
    if not len(steps):
        raise ConfigError(f"the records of {run.label} have no step in common; draw them without --bands.")
    return steps


def some(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of the numbers 0 ... count - 1, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _names(metas: Sequence[dict[str, Any]], *, without_seed: bool) -> list[str]:
    """The model, and as many settings more as it takes to tell the records apart."""
    settings = SETTINGS[:-1] if without_seed else SETTINGS
    differing = [name for name in settings[1:] if len({str(meta.get(name)) for meta in metas}) > 1]
    names = [str(meta.get("model", "a model")) for meta in metas]
    for name in differing:
        if len(set(names)) == len(names):
            break
        names = [f"{said}, {name} {meta.get(name)}" for said, meta in zip(names, metas, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{said} ({number})" for number, said in enumerate(names, 1)]
    return names


def _program(meta: dict[str, Any]) -> str:
    versions = meta.get("versions") or {}
    source = str(meta.get("source", ""))
    return f"{source} {versions.get('torch' if source == 'pytorch' else source, '')}".strip()
