"""Speed is a ratio of the best times, and what is wrong has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tinyres.lab import check, timing
from tinyres.lab.task import Case, Speed


@pytest.fixture
def loops(monkeypatch, faked, right):
    """Naive loops that take so long."""

    def put(seconds):
        fake = type(faked(right))(right, seconds=seconds)
        monkeypatch.setattr(timing, "Sandbox", fake)
        return fake

    return put


def test_ratio_and_steps(toy, loops, faked, right, tmp_path):
    naive = loops(0.5)
    theirs = faked(right, seconds=0.01)
    result = check.check(toy, tmp_path, seed=1, keys=("toy.conv",), timed=True)
    speed = result.tasks[0].speed
    assert speed.ratio == pytest.approx(50)
    assert (speed.points, speed.possible) == (4.0, 4.0)
    assert result.points == 10.0
    assert result.possible == 10.0
    assert naive.text == {"toy.py": (toy.folder / "naive.py").read_text()}
    assert naive.closed
    assert theirs.closed
    assert len(naive.calls) == timing.WARM + timing.ROUNDS >= 6


def test_a_busy_machine_changes_nothing(toy, loops, faked, right, tmp_path):
    """Whatever takes the processor away from some of the calls."""
    loops(0.5)
    theirs = faked(right, seconds=0.05)
    measure, busy = theirs.time, iter([1, 1, 30, 4, 9, 1, 30])

    def shared(*arguments):
        seconds, answer = measure(*arguments)
        return seconds * next(busy), answer

    theirs.time = shared
    speed = check.check(toy, tmp_path, seed=1, keys=("toy.conv",), timed=True).tasks[0].speed
    assert speed.ratio == pytest.approx(10)


def test_quick_calls_are_repeated(toy, loops, faked, right, tmp_path):
    """Which makes the clock's own time small, and changes no ratio."""
    loops(0.05)
    theirs, counts = faked(right, seconds=0.001), []
    measure = theirs.time
    theirs.time = lambda task, case, shapes, count: counts.append(count) or measure(task, case, shapes, count)
    report = check.check(toy, tmp_path, seed=1, keys=("toy.conv",), timed=True)
    assert report.tasks[0].speed.ratio == pytest.approx(50)
    assert counts == [1] + [20] * (timing.WARM - 1 + timing.ROUNDS)


@pytest.mark.parametrize(("seconds", "points"), [(1.0, 0.0), (0.5, 2.0), (0.051, 2.0), (0.05, 4.0)])
def test_points_come_in_steps(toy, loops, faked, right, tmp_path, seconds, points):
    loops(0.5)
    faked(right, seconds=seconds)
    report = check.check(toy, tmp_path, seed=1, keys=("toy.conv",), timed=True)
    assert report.tasks[0].speed.points == points


def test_wrong_results_are_not_timed(toy, loops, faked, right, tmp_path):
    naive = loops(0.5)
    faked({**right, "toy.conv": lambda case, inputs: {"y": right["toy.conv"](case, 0)["y"] * 2}})
    speed = check.check(toy, tmp_path, seed=1, keys=("toy.conv",), timed=True).tasks[0].speed
    assert (speed.points, speed.possible, speed.said) == (0.0, 4.0, "speed counts once all checks are passed")
    assert naive.calls == []


def test_right_on_the_checks_and_wrong_on_the_clock(toy, loops, faked, right, tmp_path):
    """Who recognises the case that is timed and does nothing earns nothing."""
    loops(0.5)

    def lazy(case, inputs):
        y = right["toy.conv"](case, inputs)["y"]
        return {"y": np.zeros_like(y) if case.name.startswith("N2-9x8-C3-F4") else y}

    faked({**right, "toy.conv": lazy}, seconds=0.001)
    speed = check.check(toy, tmp_path, seed=1, keys=("toy.conv",), timed=True).tasks[0].speed
    assert speed.points == 0
    assert speed.said == "at the size that is timed, N2-9x8-C3-F4-k3x3-s1-p1, y is wrong"


def test_a_problem_on_the_clock_is_told(toy, loops, faked, right, tmp_path):
    loops(0.5)

    def late(case, inputs):
        return ("timeout", "it took too long") if "9x8" in case.name else right["toy.conv"](case, inputs)

    faked({**right, "toy.conv": late})
    speed = check.check(toy, tmp_path, seed=1, keys=("toy.conv",), timed=True).tasks[0].speed
    assert (speed.points, speed.said) == (0.0, "it took too long")


def test_tasks_without_points_for_speed_have_none(toy, faked, right, tmp_path):
    faked(right)
    report = check.check(toy, tmp_path, seed=1, keys=("toy.sums",), timed=True)
    assert report.tasks[0].speed is None
    assert report.possible == 3.0


def test_every_step_counts(conv):
    wanted = replace(conv.checks.speed, points=9.0, ratios=(1.0, 10.0, 50.0))
    case = Case("big", {})
    assert [timing.score(wanted, ratio, case).points for ratio in (0.9, 1.0, 49.9, 50.0)] == [0.0, 3.0, 6.0, 9.0]
    assert isinstance(wanted, Speed)
    said = timing.score(wanted, 63.14, case).said
    assert said == "63.1 times as fast as the naive loops on big; points from 1, 10, 50 times on"
