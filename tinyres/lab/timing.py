"""Speed of a submission, as a ratio to the naive loops on the same machine at the same time.

A ratio is the same on a laptop and on half a core of a grader; seconds are not. Both run in sandboxes of their own, by
the clock of the process that grades, in turns, so that a machine that slows down slows both; and the best time of each
counts, since whatever else a machine does can only add to it.
"""

from __future__ import annotations

import math

import numpy as np

from tinyres.lab.compare import shapes, wrong
from tinyres.lab.results import SpeedResult
from tinyres.lab.sandbox import Sandbox
from tinyres.lab.task import Case, Lab, Speed, Task

WARM = 2  # rounds before: the first may compile, the second says how often to repeat a call
ROUNDS = 5
LEAST = 0.02  # seconds of one measurement: quicker calls are repeated
MOST = 200  # calls of one measurement


def speed(sandbox: Sandbox, lab: Lab, task: Task, rng: np.random.Generator) -> SpeedResult:
    """Time a task against the naive loops.

    Parameters
    ----------
    sandbox : Sandbox
        Of the submission.
    lab : Lab
        Whose `naive.py` has a function of the same name.
    task : Task
        One with points for speed.
    rng : numpy.random.Generator
        Of the case.

    Returns
    -------
    SpeedResult
        No points for a wrong result, at the size of this case too.
    """
    wanted = task.checks.speed
    if wanted is None:
        return SpeedResult(0.0, 0.0, 0.0, "no points are given for its speed")
    case = wanted.case(rng).rounded()
    expected = task.checks.reference(case)
    form, terms = shapes(case, expected), task.checks.terms(case)
    loops = {task.file: (lab.folder / "naive.py").read_text(encoding="utf-8")}
    taken: dict[str, list[float]] = {"theirs": [], "loops": []}
    counts: dict[str, int] = {}
    with Sandbox(lab, lab.folder, text=loops) as naive:
        boxes = {"loops": naive, "theirs": sandbox}
        for turn in range(-WARM, ROUNDS):
            for name, box in boxes.items():
                count = counts.get(name, 1)
                seconds, answer = box.time(task, case, form, count)
                if answer.problem or answer.results is None:
                    return _none(wanted, answer.problem or "nothing came back")
                if names := wrong(case, expected, answer.results, terms):
                    return _none(wanted, f"at the size that is timed, {case.name}, {' and '.join(names)} is wrong")
                if turn < 0:
                    counts[name] = min(max(1, math.ceil(LEAST * count / max(seconds, 1e-9))), MOST)
                else:
                    taken[name].append(seconds / count)
    return score(wanted, min(taken["loops"]) / min(taken["theirs"]), case)


def _none(wanted: Speed, why: str) -> SpeedResult:
    return SpeedResult(0.0, 0.0, wanted.points, why)


def score(wanted: Speed, ratio: float, case: Case) -> SpeedResult:
    """Points for a ratio: one step for each of the ratios asked for that is reached."""
    reached = sum(ratio >= step for step in wanted.ratios)
    steps = ", ".join(f"{step:g}" for step in wanted.ratios)
    said = f"{ratio:.3g} times as fast as the naive loops on {case.name}; points from {steps} times on"
    return SpeedResult(ratio, wanted.points * reached / len(wanted.ratios), wanted.points, said)
