"""What a check makes of answers; a sandbox that answers from this process stands in for the real one."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres.errors import ConfigError
from tinyres.lab import check
from tinyres.lab.compare import largest


def run(lab, folder, **options):
    return check.check(lab, folder, seed=3, **options)


def test_all_right(toy, faked, right, tmp_path):
    fake = faked(right)
    seen = []
    report = run(toy, tmp_path, on_task=seen.append)
    assert [len(task.cases) for task in report.tasks] == [4, 3]
    assert all(case.passed and not case.hidden for task in report.tasks for case in task.cases)
    assert (report.points, report.possible) == (9.0, 9.0)
    assert seen == list(report.tasks)
    assert fake.closed
    assert (report.lab, report.submission, report.seed) == ("02-toy", tmp_path.name, 3)


def test_hidden_cases_follow_and_differ(toy, conv, faked, right, tmp_path):
    faked(right)
    report = run(toy, tmp_path, hidden=True, keys=("toy.sums",))
    assert [case.hidden for case in report.tasks[0].cases] == [False] * 3 + [True] * 3
    public, hidden = (check.cases_of(toy.tasks[1], 3, True)[i] for i in (0, 3))
    assert public.name == hidden.name
    assert (public.arrays["x"] != hidden.arrays["x"]).any()
    assert check.hidden_count(conv, 3) == 2


def test_cases_come_from_seed_and_task_alone(toy, conv, sums):
    assert conv.checks.cases is not sums.checks.cases
    first, again, other = (check.cases_of(conv, seed, False)[1].arrays["x"] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert (first == first.astype("f4")).all()
    draws = [check.seeded(1, task).random() for task in (conv, sums)]
    assert draws[0] != draws[1]
    assert check.cases_of(conv, 2**255, False)  # a keyed hash of a submission's name


def test_credit_for_each_case(toy, faked, right, tmp_path):
    def small(case, inputs):
        y = right["toy.conv"](case, inputs)["y"]
        return {"y": y if case.params["stride"] == 1 else y + 1}

    faked({**right, "toy.conv": small})
    report = run(toy, tmp_path)
    assert report.points == 6 * 3 / 4 + 3
    wrong = report.tasks[0].cases[2]
    assert not wrong.passed
    assert wrong.gap.startswith("y[")
    assert wrong.cause == "got - expected = +1.0000 everywhere: a constant term"


def test_the_cause_is_named(toy, faked, right, tmp_path):
    faked({**right, "toy.sums": lambda case, inputs: {**right["toy.sums"](case, inputs), "dx": -inputs["x"] * 0 + 2}})
    report = run(toy, tmp_path, keys=("toy.sums",))
    assert {case.recipes for case in report.tasks[0].cases} == {()}
    faked(
        {
            **right,
            "toy.sums": lambda case, inputs: {k: -a if k == "dx" else a for k, a in right["toy.sums"](case, 0).items()},
        }
    )
    report = run(toy, tmp_path, keys=("toy.sums",))
    assert {case.recipes for case in report.tasks[0].cases} == {("dx-sign",)}
    assert report.points == 0


def test_inputs_must_stay(toy, faked, right, tmp_path):
    def rude(case, inputs):
        y = right["toy.conv"](case, inputs)
        inputs["x"][0, 1, 2, 1] += 5
        return y

    faked({**right, "toy.conv": rude})
    case = run(toy, tmp_path, keys=("toy.conv",)).tasks[0].cases[0]
    assert not case.passed
    assert case.kind == "contract"
    assert case.problem.startswith("it changes its input x ([0,1,2,1] was ")
    assert case.gap == ""


@pytest.mark.parametrize("dtype", ["float64", "U1", "complex64", "int32", "bool"])
def test_inputs_may_come_back_as_anything(toy, faked, right, tmp_path, dtype):
    def rude(case, inputs):
        inputs["x"] = np.ones(inputs["x"].shape, dtype)
        return right["toy.conv"](case, 0)

    faked({**right, "toy.conv": rude})
    for case in run(toy, tmp_path, keys=("toy.conv",)).tasks[0].cases:
        assert case.problem.startswith("it changes its input x")


def test_the_second_call_must_agree(toy, faked, right, tmp_path, rng):
    def noisy(case, inputs):
        y = right["toy.conv"](case, inputs)["y"]
        return {"y": y * (1 + 1e-7 * rng.standard_normal(y.shape))}

    faked({**right, "toy.conv": noisy})
    case = run(toy, tmp_path, keys=("toy.conv",)).tasks[0].cases[1]
    assert not case.passed
    assert case.problem.startswith("a second call with the same inputs yields another y (in its last digits)")
    faked({**right, "toy.conv": lambda case, inputs: {"y": right["toy.conv"](case, 0)["y"] + rng.random()}})
    case = run(toy, tmp_path, keys=("toy.conv",)).tasks[0].cases[1]
    assert case.problem == (
        "a second call with the same inputs yields another y: "
        "are random numbers drawn without a seed, memory used before it is written, something kept from before?"
    )


def test_nan_in_an_input_or_twice_in_a_result_is_no_change(toy, faked, right, tmp_path):
    faked({**right, "toy.conv": lambda case, inputs: {"y": right["toy.conv"](case, 0)["y"] * np.nan}})
    cases = run(toy, tmp_path, keys=("toy.conv",)).tasks[0].cases
    assert {(case.passed, case.problem) for case in cases} == {(False, "")}
    assert all("all of it is NaN" in case.cause for case in cases)


@pytest.mark.parametrize("kind", ["timeout", "missing", "refused"])
def test_a_task_stops(toy, faked, right, tmp_path, kind):
    fake = faked({**right, "toy.conv": lambda case, inputs: (kind, "so it was")})
    report = run(toy, tmp_path, hidden=True)
    cases = report.tasks[0].cases
    assert len(cases) == 6
    assert [case.kind for case in cases] == [kind] + ["stopped"] * 5
    assert [case.hidden for case in cases] == [False] * 4 + [True] * 2
    assert cases[1].problem.startswith("not run: ")
    assert report.tasks[0].stopped
    assert sum(key == "toy.conv" for key, _, _ in fake.calls) == 1
    if kind == "refused":
        assert report.refused == "so it was"
        assert report.points == 0
        assert {case.passed for task in report.tasks for case in task.cases} == {False}
    else:
        assert all(case.passed for case in report.tasks[1].cases)


def test_a_task_stops_when_it_costs_too_many_workers(toy, faked, right, tmp_path):
    fake = faked({**right, "toy.conv": lambda case, inputs: ("died", "gone")})
    cases = run(toy, tmp_path, hidden=True, keys=("toy.conv",)).tasks[0].cases
    assert [case.kind for case in cases] == ["died"] * 3 + ["stopped"] * 3
    assert cases[-1].problem == "not run: 3 cases ended the process"
    assert len(fake.calls) == 3


def test_after_that_the_next_task_may_cost_one(toy, faked, right, tmp_path):
    fake = faked(dict.fromkeys(right, lambda case, inputs: ("memory", "too much")))
    cases = run(toy, tmp_path).tasks[1].cases
    assert [case.kind for case in cases] == ["memory", "stopped", "stopped"]
    assert cases[-1].problem == "not run: a case ended the process"
    assert len(fake.calls) == 4


def test_slow_calls_are_not_repeated(toy, faked, right, tmp_path):
    fake = faked(right, seconds=1.0)
    run(toy, tmp_path, keys=("toy.conv",))
    assert [twice for _, _, twice in fake.calls] == [True, False, False, False]


def test_a_judge_decides_where_many_results_are_right(toy, faked, right, tmp_path, conv):
    from dataclasses import replace

    def judge(case, results):
        return "" if largest(results["y"]) <= 1 else "larger than 1"

    asked = replace(conv, checks=replace(conv.checks, judge=judge))
    lab = replace(toy, tasks=(asked,))
    shape = {case.name: conv.checks.reference(case)["y"].shape for case in check.cases_of(conv, 3, False)}
    faked({"toy.conv": lambda case, inputs: {"y": np.full(shape[case.name], 0.5)}})
    assert all(case.passed for case in run(lab, tmp_path).tasks[0].cases)
    faked({"toy.conv": lambda case, inputs: {"y": np.full(shape[case.name], 1.5)}})
    assert {case.gap for case in run(lab, tmp_path).tasks[0].cases} == {"larger than 1"}
    faked({"toy.conv": lambda case, inputs: {"y": np.zeros(3)}})
    assert all("got shape (3,)" in case.gap for case in run(lab, tmp_path).tasks[0].cases)
    faked({"toy.conv": lambda case, inputs: {"y": np.full(shape[case.name], np.nan)}})
    assert not any(case.passed for case in run(lab, tmp_path).tasks[0].cases)


def test_the_sandbox_is_closed_when_the_one_who_listens_has_enough(toy, faked, right, tmp_path):
    fake = faked(right)

    def enough(result):
        raise TimeoutError

    with pytest.raises(TimeoutError):
        run(toy, tmp_path, on_task=enough)
    assert fake.closed


def test_an_unknown_task_is_said(toy, tmp_path):
    with pytest.raises(ConfigError, match=r"lab 02-toy has no task 'toy\.cov'; did you mean 'toy\.conv'\?"):
        run(toy, tmp_path, keys=("toy.cov",))
