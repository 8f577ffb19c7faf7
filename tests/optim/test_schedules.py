"""Learning-rate schedules against values worked out by hand."""

from __future__ import annotations

import itertools
import json
import math

import pytest

from tinyres.errors import ConfigError
from tinyres.optim.schedules import Constant, Cosine, LinearWarmup, MultiStep, PaperWarmup, Plateau, Schedule


def test_constant() -> None:
    assert [Constant(0.3).lr(step) for step in (0, 7, 10**6)] == [0.3, 0.3, 0.3]


def test_multi_step_is_the_papers() -> None:
    paper = MultiStep(0.1, [48_000, 32_000])
    expected = {0: 0.1, 31_999: 0.1, 32_000: 0.01, 47_999: 0.01, 48_000: 0.001, 63_999: 0.001}
    assert {step: paper.lr(step) for step in expected} == pytest.approx(expected, rel=1e-15)


def test_cosine_closed_form() -> None:
    cosine = Cosine(0.2, total=120, start=20)
    assert cosine.lr(0) == cosine.lr(20) == 0.2
    assert cosine.lr(70) == pytest.approx(0.1)
    assert cosine.lr(45) == pytest.approx(0.1 * (1 + math.sqrt(0.5)))
    assert cosine.lr(120) == pytest.approx(0.0, abs=1e-17)
    assert cosine.lr(500) == pytest.approx(0.0, abs=1e-17)


def test_cosine_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="starts at step 20 cannot end at step 20"):
        Cosine(0.1, total=20, start=20)


def test_linear_warmup_then_cosine() -> None:
    schedule = LinearWarmup(Cosine(0.4, total=110, start=10), steps=10)
    assert [schedule.lr(step) for step in (0, 4, 8, 9)] == pytest.approx([0.04, 0.2, 0.36, 0.4])
    assert schedule.lr(60) == pytest.approx(0.2)
    rates = [schedule.lr(step) for step in range(110)]
    assert max(rates) == 0.4
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[10:]))


def test_linear_warmup_around_multi_step() -> None:
    schedule = LinearWarmup(MultiStep(1.0, [5]), steps=10)
    assert schedule.lr(4) == pytest.approx(0.5)
    assert schedule.lr(5) == pytest.approx(0.06)
    assert schedule.lr(9) == pytest.approx(0.1)


def test_plateau_divides_after_patience_and_recovers() -> None:
    schedule = Plateau(0.1, patience=2)
    seen = []
    for value in (0.5, 0.4, 0.41, 0.40, 0.42, 0.39, 0.39, 0.39, 0.39):
        schedule.after_evaluation(value)
        seen.append(schedule.lr(0))
    assert seen == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.001])


def test_paper_warmup_follows_the_last_hundred_errors() -> None:
    schedule = PaperWarmup(MultiStep(0.1, [32_000, 48_000]))
    errors = [0.9] * 400 + [0.6] * 200
    end = next(step for step, error in enumerate(errors) if schedule.after_step(step, error) or schedule.done)
    # the mean of 100 is 0.9 - 0.003 k after k good steps: below 0.8 at k = 34, that is after step 433
    assert end == 433
    assert schedule.lr(434) == 0.1
    for step in range(434, 500):
        schedule.after_step(step, 0.99)
    assert schedule.lr(500) == 0.1, "a warm-up that is over stays over"
    assert schedule.lr(32_000) == pytest.approx(0.01)
    assert schedule.lr(48_000) == pytest.approx(0.001)


def test_paper_warmup_uses_all_errors_when_fewer() -> None:
    schedule = PaperWarmup(Constant(0.1))
    assert schedule.lr(0) == 0.01
    for step, error in enumerate([0.9, 0.9, 0.55]):
        assert not schedule.done
        schedule.after_step(step, error)
    assert schedule.lr(3) == 0.1


def test_paper_warmup_that_never_ends_does_not_undo_a_milestone() -> None:
    schedule = PaperWarmup(MultiStep(0.1, [10, 20]))
    for step in range(30):
        schedule.after_step(step, 0.9)
    assert [schedule.lr(step) for step in (5, 15, 25)] == pytest.approx([0.01, 0.01, 0.001])


@pytest.mark.parametrize("split", [1, 57, 120, 433, 450])
def test_a_state_through_json_continues_the_same(split: int) -> None:
    def make() -> list[Schedule]:
        return [
            PaperWarmup(MultiStep(0.1, [440, 460])),
            PaperWarmup(Plateau(0.1, patience=3)),
            LinearWarmup(Plateau(0.1, patience=1), steps=7),
            Cosine(0.1, total=500),
            Constant(0.1),
        ]

    def walk(schedule: Schedule, first: int, last: int) -> list[float]:
        rates = []
        for step in range(first, last):
            rates.append(schedule.lr(step))
            schedule.after_step(step, 0.9 if step < 400 else 0.6)
            if step % 10 == 9:
                schedule.after_evaluation(1.0 / (1 + step) if step < 200 else 0.5)
        return rates

    for whole, before, after in zip(make(), make(), make(), strict=True):
        expected = walk(whole, 0, 500)
        begun = walk(before, 0, split)
        after.load_state_dict(json.loads(json.dumps(before.state_dict())))
        assert begun + walk(after, split, 500) == expected
