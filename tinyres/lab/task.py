"""What a lab is made of: cases, wrong recipes, tasks.

A task asks for one function. Its `reference` is slow, obvious and in float64; its `recipes` are the mistakes people
make with it, each a change to what goes into the reference (`before`), to what comes out (`after`), or a formula of
its own (`instead`). One table does four things: it names the mistake to the student, proves that the checks bite, lists
the common mistakes for the teacher, and counts them over a class. Two mistakes at once compose: both `before`, then
the formula, then both `after`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

Array = Any
Results = dict[str, Array]  # by the name of the result, such as "dx"


@dataclass(frozen=True)
class Case:
    """One call of the student's function: arrays by name, parameters, and how the arrays lie in memory.

    The values of `arrays` are float64 but exact in `dtype`, in which the student's function receives them (arrays of
    integers keep their type). `layout` is "contiguous" or "strided": views with gaps between their values.
    """

    name: str
    arrays: dict[str, Array]
    params: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    layout: str = "contiguous"
    hidden: bool = False  # run at grading only, and shown after the grades are out
    channels: str = "last"  # or "first": how the axes of images and filters are called in messages

    def but(self, arrays: dict[str, Array] | None = None, **params: Any) -> Case:
        """The same case with some arrays and parameters exchanged: what a recipe's `before` is made of."""
        return replace(self, arrays={**self.arrays, **(arrays or {})}, params={**self.params, **params})

    def channels_first(self, images: Iterable[str], filters: Iterable[str] = ()) -> Case:
        """The same case in PyTorch's order of axes: images [N,C,H,W], filters [F,C,R,S]."""
        orders = {**dict.fromkeys(images, (0, 3, 1, 2)), **dict.fromkeys(filters, (3, 2, 0, 1))}
        moved = {name: np.ascontiguousarray(self.arrays[name].transpose(order)) for name, order in orders.items()}
        return replace(self.but(moved), channels="first")

    def rounded(self) -> Case:
        """The same case, its values exact in `dtype`."""
        kept = {k: np.asarray(a) for k, a in self.arrays.items()}
        exact = {k: a.astype(self.dtype).astype(np.float64) if a.dtype.kind == "f" else a for k, a in kept.items()}
        return replace(self, arrays=exact)


@dataclass(frozen=True)
class Recipe:
    """A known mistake: its name, the sentence that tells the student, and how to make it on purpose.

    The sentence ends "equals what you get if ...".
    """

    name: str
    sentence: str
    before: Callable[[Case], Case] | None = None
    instead: Callable[[Case], Results] | None = None
    after: Callable[[Results, Case], Results] | None = None  # results and the case as the student got it


@dataclass(frozen=True)
class Speed:
    """Points for speed: a step of points for each ratio to the naive loop that is reached."""

    points: float
    ratios: tuple[float, ...]
    case: Callable[[np.random.Generator], Case]


@dataclass(frozen=True)
class Checks:
    """What `checks.py` of a lab says of one task; `lab.toml` says the rest.

    `cases` yields the public ones, `hidden` those of grading; both from a seeded generator. `terms` is how many terms
    the longest sum of a case has: tolerances grow with its root. Where many results are right, `judge` says in a
    sentence what is wrong with these, "" if nothing is; the reference then stands for their shapes and types alone.
    """

    cases: Callable[[np.random.Generator], Iterable[Case]]
    hidden: Callable[[np.random.Generator], Iterable[Case]]
    reference: Callable[[Case], Results]
    recipes: Sequence[Recipe] = ()
    terms: Callable[[Case], float] = lambda case: 1.0
    speed: Speed | None = None
    judge: Callable[[Case, Results], str] | None = None


@dataclass(frozen=True)
class Task:
    """One thing to write, in one file of the student's folder.

    `arrays` and `results` are the function's arrays in order, and the names of what it yields. A task whose function
    has another form than a kernel's is called by `CALLS[key]` of the lab's `adapter.py`.
    """

    key: str  # "conv.forward": lab-wide region and task name
    title: str
    points: float
    file: str  # "conv.py"
    function: str  # "conv2d"
    arrays: tuple[str, ...]
    results: tuple[str, ...]
    checks: Checks
    variant: bool = False  # something that the library does not do


@dataclass(frozen=True)
class Limits:
    """What a submission may use. Seconds, and megabytes."""

    start: float = 20.0  # to import the student's files
    first: float = 15.0  # the first call of a task: it may compile
    call: float = 5.0  # every other call
    cpu: float = 120.0  # seconds of processor time of one worker
    memory: int = 512
    printed: int = 1 << 16  # bytes of output that are kept; the rest is counted


@dataclass(frozen=True)
class Source:
    """A file of the student's folder, and the module of the installed package from which its stub is derived."""

    file: str
    module: str


@dataclass(frozen=True)
class Lab:
    """One lab: `id` is "02-convolution", and its folder in the package holds the rest."""

    id: str
    title: str
    minutes: int
    folder: Path
    sources: tuple[Source, ...]
    tasks: tuple[Task, ...]
    provides: tuple[str, ...] = ()  # modules of tinyres that a submission may import: the reference for all other parts
    requires: tuple[str, ...] = ()  # packages beyond NumPy that it needs
    environment: dict[str, str] = field(default_factory=dict)  # of the worker
    limits: Limits = Limits()

    @property
    def points(self) -> float:
        """Of all its tasks, speed included."""
        return sum(task.points + (task.checks.speed.points if task.checks.speed else 0) for task in self.tasks)

    def task(self, key: str) -> Task:
        """The task of that key; KeyError if the lab has none."""
        return next(task for task in self.tasks if task.key == key)
