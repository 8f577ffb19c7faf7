"""A known mistake is named, alone or with another, by other code than that of its recipe; an unknown one is not."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from tinyres.lab import diagnose
from tinyres.lab.check import cases_of
from tinyres.lab.compare import wrong
from tinyres.lab.diagnose import Failure, apply, causes
from tinyres.lab.task import Checks, Recipe


def outcomes(task, answer, seed=5, hidden=False):
    """Failures and passes of a function of a case, in the type of the case."""
    found = []
    for case in cases_of(task, seed, hidden):
        expected, got = task.checks.reference(case), answer(case)
        got = {name: np.asarray(a).astype(case.dtype) for name, a in got.items()}
        found.append(Failure(case, expected, got, wrong(case, expected, got, task.checks.terms(case))))
    return [each for each in found if each.wrong], [each for each in found if not each.wrong]


def named(task, answer, **options):
    failures, passed = outcomes(task, answer, **options)
    assert failures
    return [cause.recipes for cause in causes(task, failures, passed)]


def windows(case, *, turned=False, stride=None, double=1.0):
    """A convolution written with sliding windows."""
    x, w, (pad, *_) = case.arrays["x"], case.arrays["w"], case.params["padding"]
    w = w[::-1, ::-1] if turned else w
    stride = stride or case.params["stride"]
    xp = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(xp, w.shape[:2], (1, 2))[:, ::stride, ::stride]
    return {"y": double * np.einsum("nijcrs,rscf->nijf", views, w)}


def test_every_recipe_is_named_when_it_is_made(conv, sums):
    for task in (conv, sums):
        for recipe in task.checks.recipes:
            found = named(task, lambda case, task=task, recipe=recipe: apply(task, [recipe], case))
            assert set(found) == {(recipe.name,)}


def test_a_mistake_made_another_way_is_named(conv):
    assert set(named(conv, lambda case: windows(case, turned=True), hidden=True)) == {("flipped",)}


def test_a_result_of_another_shape_is_explained(conv):
    """Where the stride is forgotten and nobody gave an `out` of the right shape."""
    failures, passed = outcomes(conv, lambda case: windows(case, stride=1))
    assert [failure.case.params["stride"] for failure in failures] == [2]
    assert causes(conv, failures, passed)[0].recipes == ("no-stride",)


def test_two_slips_at_once_are_both_named(conv):
    found = named(conv, lambda case: windows(case, turned=True, double=0.5))
    assert set(found) == {("flipped", "halved")}  # also of the 1x1 filter, which half of it would explain


def test_two_changes_of_the_input_compose(conv):
    def both(case):
        x = case.arrays["x"]
        return windows(case.but({"x": x[..., ::-1]}), turned=True)

    found = named(conv, both)
    assert set(found[1:]) == {("flipped", "channels-turned")}
    assert found[0] in {("channels-turned",), ("flipped", "channels-turned")}


def test_the_sentence_of_a_pair_tells_both(conv):
    failures, passed = outcomes(conv, lambda case: windows(case, turned=True, double=0.5))
    assert causes(conv, failures, passed)[1].sentence == (
        "equals what you get with two slips at once: if w is turned by 180 degrees; and if y is halved"
    )


def test_independent_results_are_told_apart(sums):
    def both(case):
        right = sums.checks.reference(case)
        return {"dx": -right["dx"], "dg": right["dg"] / len(case.arrays["x"])}

    failures, passed = outcomes(sums, both)
    for cause in causes(sums, failures, passed):
        assert cause.recipes == ("dx-sign", "dg-mean")
        assert cause.sentence == (
            "dx equals what you get if dx has the wrong sign; dg equals what you get if dg is averaged"
        )


def test_one_mistake_behind_two_results_is_one_cause(sums):
    def ones(case):
        x = case.arrays["x"]
        return {"dx": np.ones_like(x), "dg": x.sum(0)}

    assert set(named(sums, ones)) == {("ones",)}


def test_a_known_and_an_unknown_slip(sums):
    def both(case):
        right = sums.checks.reference(case)
        return {"dx": -right["dx"], "dg": right["dg"] + 3}

    failures, passed = outcomes(sums, both)
    for cause in causes(sums, failures, passed):
        assert cause.recipes == ("dx-sign",)
        assert cause.sentence.endswith("; got - expected = +3.0000 everywhere: a constant term")


def test_what_is_not_in_the_table_is_localised(conv):
    failures, passed = outcomes(conv, lambda case: {"y": 7 * windows(case)["y"]})
    for cause in causes(conv, failures, passed):
        assert cause.recipes == ()
        assert cause.sentence.startswith("got / expected = 7")


def test_rounding_of_long_sums_is_no_difference(sums):
    """What is wrong in one place is said to be wrong there only, however the rest is rounded."""
    task = replace(sums, checks=replace(sums.checks, terms=lambda case: 1e6))

    def one_wrong(case):
        right = sums.checks.reference(case)
        rounded = right["dg"] * (1 + 3e-4 * np.resize([1, -1], right["dg"].shape))
        rounded[1] += 5
        return {**right, "dg": rounded}

    failures, passed = outcomes(task, one_wrong)
    assert all(cause.sentence.startswith("wrong in ") for cause in causes(task, failures, passed))


def test_noise_is_no_known_mistake(conv, rng):
    failures, _ = outcomes(conv, lambda case: {"y": rng.standard_normal(windows(case)["y"].shape)})
    assert {cause.recipes for cause in causes(conv, failures)} == {()}


def test_passed_cases_tell_twins_apart(conv):
    """Of two mistakes that explain every failure, the one that does not spoil what is right."""
    shy = replace(
        conv.checks.recipes[0],
        name="flipped-float32",
        before=lambda c: c.but({"w": c.arrays["w"][::-1, ::-1]}) if c.dtype == "float32" else c,
    )
    task = replace(conv, checks=replace(conv.checks, recipes=(*conv.checks.recipes, shy)))
    found = named(task, lambda case: windows(case, turned=case.dtype == "float32"))
    assert set(found) == {("flipped-float32",)}


def test_what_fits_one_case_by_accident_is_not_told(conv):
    """A wrong filter everywhere that in one case, the smallest, comes to half the result."""

    def mostly_unknown(case):
        small = case.arrays["w"].shape[:2] == (1, 1)
        return windows(case, double=0.5) if small else {"y": windows(case)["y"] ** 2}

    assert set(named(conv, mostly_unknown)) == {()}


def test_what_a_passed_case_speaks_against_is_not_told(conv):
    """In two of five failures channels are read backwards; but that would have shown in what is right."""
    names = [case.name for case in cases_of(conv, 5, True)]

    def some(case):
        place = names.index(case.name)
        if place in (1, 2):
            return windows(case.but({"x": case.arrays["x"][..., ::-1]}))
        return {"y": windows(case)["y"] ** (1 if place == 0 else 2)}

    assert set(named(conv, some, hidden=True)) == {()}


def test_a_slip_that_shows_in_some_cases_is_told_beside_another(conv):
    """One of two slips explains two of five failures, and nothing speaks against it."""

    def two(case):
        if case.params["stride"] > 1:
            return windows(case, stride=1)
        return {"y": windows(case)["y"] + 1}

    found = named(conv, two, hidden=True)
    assert len(found) == 6
    assert found.count(("no-stride",)) == 2


def test_nan_and_infinity_are_numbers_too(sums):
    def last_row_unwritten(results, case):
        results["dx"][-1] = np.nan
        return results

    empty = Recipe("unwritten", "equals what you get if the last row is not written", after=last_row_unwritten)
    over = Recipe(
        "overflow",
        "equals what you get if exp overflows",
        after=lambda r, c: {**r, "dg": np.full_like(r["dg"], np.inf)},
    )
    task = replace(sums, checks=replace(sums.checks, recipes=(*sums.checks.recipes, empty, over)))
    for recipe in (empty, over):
        assert set(named(task, lambda case, recipe=recipe: apply(task, [recipe], case))) == {(recipe.name,)}


def test_a_recipe_that_stumbles_or_warns_harms_nobody(conv):
    def stumble(case):
        raise ValueError("shapes do not fit")

    broken = Recipe("broken", "equals what you get if it breaks", before=stumble)
    noisy = Recipe("noisy", "equals what you get if it divides", after=lambda r, c: {"y": r["y"] / np.zeros(1)})
    warns = Recipe(
        "warns",
        "equals what you get if it warns",
        after=lambda r, c: {"y": r["y"] + (3 if np.isnan(np.mean([])) else 0)},
    )
    mute = Recipe("mute", "equals what you get if there is nothing", after=lambda r, c: {})
    task = replace(conv, checks=replace(conv.checks, recipes=(broken, noisy, warns, mute, *conv.checks.recipes)))
    assert set(named(task, lambda case: windows(case, turned=True))) == {("flipped",)}
    assert set(named(task, lambda case: {"y": windows(case)["y"] + 3})) == {("warns",)}


def test_recipes_may_write_into_what_they_get(conv):
    def twice(results, case):
        results["y"] *= 2
        return results

    doubled = Recipe("doubled", "equals what you get if y is doubled", after=twice)
    task = replace(conv, checks=replace(conv.checks, recipes=(doubled, *conv.checks.recipes)))
    assert set(named(task, lambda case: windows(case, double=2.0))) == {("doubled",)}
    assert set(named(task, lambda case: windows(case, double=0.5))) == {("halved",)}


@pytest.mark.parametrize("kind", [complex, object, "U3"])
def test_what_is_no_number_has_no_known_cause(conv, kind):
    case = cases_of(conv, 1, False)[0]
    expected = conv.checks.reference(case)
    failure = Failure(case, expected, {"y": expected["y"].astype(kind)}, ("y",))
    assert causes(conv, [failure])[0].recipes == ()
    assert causes(conv, [Failure(case, expected, {}, ("y",))])[0].recipes == ()
    assert causes(conv, []) == []


def test_the_search_ends_in_time(conv, monkeypatch):
    """A table of forty slow recipes, none of which fits."""
    monkeypatch.setattr(diagnose, "SECONDS", 0.2)

    def slow(case):
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass
        return conv.checks.reference(case)

    def before(number):
        return Recipe(f"r{number}", "equals what you get if", before=lambda c: c.but({"x": c.arrays["x"] + number}))

    checks = Checks(
        cases=conv.checks.cases, hidden=conv.checks.hidden, reference=slow, recipes=[before(n) for n in range(1, 41)]
    )
    failures, _ = outcomes(conv, lambda case: windows(case, double=7.0))
    begin = time.thread_time()
    found = causes(replace(conv, checks=checks), failures)
    assert time.thread_time() - begin < 0.4
    assert all(cause.sentence.startswith("got / expected = 7") for cause in found)
