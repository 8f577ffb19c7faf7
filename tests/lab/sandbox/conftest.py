"""A lab of one function, run in a sandbox from its source: `f(x, *, k, out)` should write k*x into `out`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tinyres.lab.sandbox import Answer, Sandbox
from tinyres.lab.task import Case, Checks, Lab, Limits, Source, Task

LIMITS = Limits(start=20.0, first=20.0, call=20.0, printed=1 << 12)
TASK = Task(
    "t.f", "k times x", 1.0, "f.py", "f", ("x",), ("y",), Checks(lambda rng: [], lambda rng: [], lambda case: {})
)
LAB = Lab("00-f", "f", 1, Path("/nowhere"), (Source("f.py", "tinyres.kernels.f"),), (TASK,), limits=LIMITS)
CASE = Case("c", {"x": np.arange(6.0).reshape(2, 3)}, {"k": 2})
SHAPES = {"y": ((2, 3), "float32")}
TWO = replace(TASK, results=("y", "z"))
SHAPES_OF_TWO = {**SHAPES, "z": ((3,), "int64")}


@dataclass
class Outcome:
    """What one source came to."""

    answers: list[Answer]
    refused: str
    notes: tuple[str, ...]  # fences that this machine lacks
    printed: str
    seconds: float
    left: list[int]  # processes that were there after the sandbox was closed

    @property
    def last(self) -> Answer:
        return self.answers[-1]


def processes_of(scratch: Path) -> list[int]:
    """Processes whose home is that scratch folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={scratch}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.fixture
def run(tmp_path):
    """run(source, calls=1, twice=False, case=..., lab fields and limits by name) -> Outcome."""

    def run(source, calls=1, twice=False, case=CASE, task=TASK, shapes=SHAPES, others=None, limits=LIMITS, **fields):
        lab = replace(LAB, tasks=(task,), limits=limits, **fields)
        texts = source if isinstance(source, dict) else {"f.py": source}
        start = time.perf_counter()
        with Sandbox(lab, tmp_path / "mine", text=texts, others=others) as sandbox:
            answers = [sandbox.call(task, case, shapes, twice) for _ in range(calls)]
            scratch = sandbox._scratch
        seconds = time.perf_counter() - start
        assert not scratch.name or not os.path.exists(scratch) or scratch == Path()
        left = processes_of(scratch) if scratch.name else []
        return Outcome(answers, sandbox.refused, sandbox.notes, sandbox.printed, seconds, left)

    return run
