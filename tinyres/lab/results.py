"""What checking found: a verdict for each case, points for each task, and the whole submission."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class CaseResult:
    """One case. `gap`, `cause` and `problem` are sentences for the student; `recipes` the names of the causes."""

    name: str
    passed: bool
    hidden: bool = False
    gap: str = ""  # got, expected, where, how many
    cause: str = ""  # the named mistake, or what is peculiar about the difference
    recipes: tuple[str, ...] = ()  # of the table; two where two slips together explain it
    problem: str = ""  # no result at all: timeout, memory, an error of the student's line, ...
    kind: str = ""  # of the problem: timeout, memory, died, error, missing, refused, fence, printed, contract
    seconds: float = 0.0


@dataclass(frozen=True)
class SpeedResult:
    """How much faster than the naive loop, and the points for it."""

    ratio: float
    points: float
    possible: float
    said: str = ""


@dataclass(frozen=True)
class TaskResult:
    """One task: its cases in order, and what they are worth together."""

    key: str
    title: str
    possible: float
    cases: tuple[CaseResult, ...] = ()
    speed: SpeedResult | None = None
    stopped: str = ""  # why later cases were not run, if they were not

    @property
    def points(self) -> float:
        """Credit for each case, and for speed."""
        share = sum(case.passed for case in self.cases) / len(self.cases) if self.cases else 0.0
        return self.possible * share + (self.speed.points if self.speed else 0.0)


@dataclass(frozen=True)
class Report:
    """One submission of one lab."""

    lab: str
    submission: str
    seed: int
    tasks: tuple[TaskResult, ...] = ()
    possible: float = 0.0
    refused: str = ""  # why it earns nothing, whatever its results
    notes: tuple[str, ...] = ()  # for the teacher: fences that this machine lacks, files that were missing, ...
    printed: str = ""  # what the submission printed, capped
    seconds: float = 0.0
    version: str = ""
    extra: dict[str, object] = field(default_factory=dict)

    @property
    def points(self) -> float:
        """All points; none for a submission that is refused."""
        return 0.0 if self.refused else sum(task.points for task in self.tasks)
