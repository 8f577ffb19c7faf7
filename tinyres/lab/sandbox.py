"""The sandbox: a submission's functions are called in a process of their own that sees arrays only.

    grading process                              worker process (worker/serve.py)
    cases, expected results, verdicts            the student's files, NumPy
        ---- arrays, parameters, shapes ---->    the function is called
        <--- results, the inputs afterwards ---  or a sentence about what went wrong

Expected values never enter the worker, nothing that leaves it is believed unchecked, and it is ended with all it has
started when a limit is passed. This is a fence against accidents and simple cheating, not a jail: the worker runs under
the same user unless TINYRES_LAB_USER names another. What the fence lacks on this machine is in `notes`.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tinyres.lab import request, scratch, submission
from tinyres.lab.channel import Ended, Worker
from tinyres.lab.request import Shapes
from tinyres.lab.task import Case, Lab, Results, Task

KINDS = ("error", "missing", "contract", "memory", "fence", "refused")  # that a worker may claim
START = 60.0  # seconds in which a worker must be there, the student's files apart
BASE = 128  # megabytes that Python and NumPy have themselves
TEXT = 4000  # characters of a worker's sentence


@dataclass(frozen=True)
class Answer:
    """What came of a call. Either `results`, or `kind` (as in CaseResult) and `problem`, a sentence for the student."""

    results: Results | None = None
    inputs: Results = field(default_factory=dict)  # as they are after the call
    again: Results | None = None  # of the same call on the same inputs
    seconds: float = 0.0  # of the call, by the grading process's clock
    kind: str = ""
    problem: str = ""


class Sandbox:
    """One submission of one lab. The worker starts at the first call, and again after it was ended.

    Parameters
    ----------
    lab : Lab
        Its sources, limits, environment and adapter.
    folder : Path
        The student's files. Links are not followed.
    others : mapping, optional
        Files of earlier labs in place of the library's: by the full name of the module that they stand for.
    text : mapping, optional
        Sources by the name of the file, instead of those in the folder.
    """

    def __init__(
        self, lab: Lab, folder: Path, *, others: Mapping[str, Path] | None = None, text: Mapping[str, str] | None = None
    ) -> None:
        self.lab = lab
        self.refused = ""  # why the whole submission earns nothing
        self.notes: tuple[str, ...] = ()
        self._folder = folder.absolute()
        self._texts, self._unusable = (dict(text), {}) if text is not None else submission.read(folder)
        self._others = dict(others or {})
        self._worker: Worker | None = None
        self._scratch = Path()
        self._printed, self._printed_bytes = bytearray(), 0
        self._broken: Answer | None = None  # no worker starts
        self._failed: dict[str, Answer] = {}  # files that cannot be imported
        self._own: dict[str, str] = {}  # path in the worker -> name
        self._lines: dict[str, list[str]] = {}
        self._loaded: set[str] = set()  # by this worker
        self._called: set[str] = set()
        self._hung = False  # a call was not done in time: no later one gets the time to compile
        self._ids = itertools.count(1)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, task: Task, case: Case, shapes: Shapes, twice: bool = False) -> Answer:
        """Call the function of `task` on the arrays of `case`.

        Parameters
        ----------
        shapes : mapping
            Shape and dtype of each result, by name: what `out` is made from.
        twice : bool
            Once more on fresh copies of the inputs, for `again`; one limit of time holds for both.
        """
        limits = self.lab.limits
        if problem := self._ready(task):
            return problem
        seconds = limits.call if task.key in self._called or self._hung else limits.first
        self._called.add(task.key)
        header = {**request.header(task, case, shapes), "op": "call", "twice": twice}
        start = time.perf_counter()
        try:
            said, arrays = self._ask(header, request.arrays(case), seconds, request.most(case, shapes))
        except Ended as ended:
            answer = self._ended(ended)
            self._hung |= answer.kind == "timeout"
            return answer
        return self._answer(task, case, said, arrays, time.perf_counter() - start, twice)

    def time(self, task: Task, case: Case, shapes: Shapes, count: int) -> tuple[float, Answer]:
        """Seconds that `count` calls take together by this process's clock, and the results of the last.

        The arrays are there and the function was called once before the clock starts. 0 where something fails.
        """
        limits = self.lab.limits
        if problem := self._ready(task):
            return 0.0, problem
        header, most = request.header(task, case, shapes), request.most(case, shapes)
        try:
            said, _ = self._ask({**header, "op": "time"}, request.arrays(case), limits.first, most)
            if "kind" in said:
                return 0.0, self._answer(task, case, said, {}, 0.0)
            start = time.perf_counter()
            said, _ = self._ask({**header, "op": "go", "count": count}, {}, limits.first, most)
            seconds = time.perf_counter() - start
            if "kind" not in said:
                said, arrays = self._ask({**header, "op": "results"}, {}, limits.call, most)
                return seconds, self._answer(task, case, said, arrays, seconds)
            return 0.0, self._answer(task, case, said, {}, 0.0)
        except Ended as ended:
            return 0.0, self._ended(ended)

    def close(self) -> None:
        """End the worker and all it has started, and remove what it has written."""
        if self._worker is not None:
            self._worker.close()
            self._printed += self._worker.output
            self._printed_bytes += self._worker.printed
            self._worker = None
            self._loaded.clear()
            self._called.clear()
        if self._scratch.name:  # it is there before the worker is, which may fail to start
            scratch.remove(self._scratch)

    @property
    def printed(self) -> str:
        """What the submission has printed, as far as it was kept."""
        kept, count = bytes(self._printed), self._printed_bytes
        if self._worker is not None:
            kept, count = kept + bytes(self._worker.output), count + self._worker.printed
        kept = kept[: self.lab.limits.printed]
        said = re.sub(
            rf"\S*/{scratch.NAME}\w+/", "", kept.decode("utf-8", "replace")
        )  # warnings name a file with its path
        more = f"\n... and {count - len(kept)} more bytes" if count > len(kept) else ""
        return said + more

    def _ready(self, task: Task) -> Answer | None:
        """A worker that has imported the task's file; otherwise what was in the way."""
        if self.refused:
            return Answer(kind="refused", problem=self.refused)
        if task.file not in self._texts:
            problem = self._unusable.get(task.file, f"{task.file} is missing: it is not in the folder")
            return Answer(kind="missing", problem=problem)
        if task.file in self._failed:
            return self._failed[task.file]
        if self._worker is None and (broken := self._start()):
            return broken
        try:
            if task.file not in self._loaded:
                said, _ = self._ask({"op": "load", "file": task.file}, {}, self.lab.limits.start, 0)
                if "kind" in said:
                    self._failed[task.file] = self._problem(said)
                    return self._failed[task.file]
                self._loaded.add(task.file)
        except Ended as ended:
            self._failed[task.file] = self._ended(ended, " while it was imported")
            return self._failed[task.file]
        return None

    def _start(self) -> Answer | None:
        """A fresh worker, told what the submission is; what was in the way, once and for all."""
        if self._broken:
            return self._broken
        lab, limits = self.lab, self.lab.limits
        self._scratch = scratch.make()
        texts = submission.modules(lab, self._texts, self._others, self._scratch)
        self._own = {text["path"]: text["name"] for text in texts if text.get("own", True)}
        self._lines = {text["name"]: text["text"].splitlines() for text in texts if text.get("own", True)}
        user, note = submission.user()
        scratch.fill(self._scratch, texts, user)
        told = submission.header(lab)
        fences = scratch.fences(self._scratch, self._folder, told["allowed"])
        header = {"op": "start", **told, "texts": texts, "user": user, **fences}
        environment = submission.environment(lab, self._scratch)
        try:
            self._worker = Worker(self._scratch, environment, limits.memory + BASE, limits.printed, scratch.PACKAGES)
            said, _ = self._ask(header, {}, START, 0)
        except Ended as ended:
            words = bytes(self._worker.output).decode("utf-8", "replace").split("\n") if self._worker else []
            why = next((line for line in reversed(words) if line.strip()), ended.text)
            self._broken = Answer(kind="died", problem=f"the worker process did not start: {why.strip()}")
            self.close()
            return self._broken
        self.notes = (*map(str, said["notes"]), *([note] if note else []))
        return self._problem(said) if "kind" in said else None

    def _ask(
        self, header: dict[str, Any], arrays: Results, seconds: float, most: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        assert self._worker is not None
        return self._worker.ask({**header, "id": next(self._ids)}, arrays, seconds, most)

    def _answer(
        self, task: Task, case: Case, said: dict[str, Any], arrays: Results, seconds: float, twice: bool = False
    ) -> Answer:
        """What the worker claims, in order."""
        if "kind" in said:
            return self._problem(said)
        parts: dict[str, Results] = {"in": {}, "out": {}, "again": {}}
        for name, array in arrays.items():
            part, _, name = name.partition(":")
            parts.get(part, {})[name] = array
        results = {name: parts["out"][name] for name in task.results if name in parts["out"]}
        again = {name: parts["again"][name] for name in task.results if name in parts["again"]}
        whole = len(results) == len(task.results) and parts["in"].keys() == case.arrays.keys()
        if not whole or (twice and again.keys() != results.keys()):
            return Answer(kind="fence", problem="sent an answer of its own instead of the worker's")
        return Answer(results, parts["in"], again or None, seconds)

    def _problem(self, said: dict[str, Any]) -> Answer:
        """A worker's sentence, with the student's line that it is about."""
        kind, text = str(said.get("kind")), str(said.get("text"))[:TEXT]
        name, number = str(said.get("file")), said.get("line")
        where = self._line(name, number) if isinstance(number, int) else ""
        problem = f"{where}: {text}" if where else text
        if kind not in KINDS:
            kind, problem = "fence", "sent an answer of its own instead of the worker's"
        if kind == "memory":
            problem = f"{where + ': ' if where else ''}took more than the {self.lab.limits.memory} MB of memory it has"
        if kind == "missing":
            problem = text
        if kind == "refused":
            self.refused = problem
            self.close()
        return Answer(kind=kind, problem=problem)

    def _ended(self, ended: Ended, when: str = "") -> Answer:
        """What to say of a worker that is gone; the next call gets a fresh one."""
        where = next((self._line(self._own[path], line) for path, line in ended.places if path in self._own), "")
        self.close()
        return Answer(kind=ended.kind, problem=f"{where}: {ended.text}{when}" if where else ended.text + when)

    def _line(self, name: str, number: int) -> str:
        """`conv.py, line 12, "y = x @ w"`, from the text that this process has read."""
        lines = self._lines.get(name, [])
        if not 0 < number <= len(lines):
            return name if name in self._lines else ""
        return f"{name}, line {number}, `{lines[number - 1].strip()[:120]}`"
