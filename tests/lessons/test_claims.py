"""lessons/claims.md is what the rules make of the logs, and the rules can say something else."""

from __future__ import annotations

import copy
import importlib
import re
import sys
from pathlib import Path

import pytest

LESSONS = Path(__file__).parents[2] / "lessons"


@pytest.fixture(scope="module")
def claims():
    sys.path.insert(0, str(LESSONS / "experiments"))
    try:
        yield importlib.import_module("claims")
    finally:
        sys.path.remove(str(LESSONS / "experiments"))


@pytest.fixture(scope="module")
def judged(claims):
    logs = claims.Archive()
    return claims.collect(logs), logs


def test_the_file_is_what_the_rules_say(claims, judged):
    text = (LESSONS / "claims.md").read_text(encoding="utf-8")
    assert text == claims.render(*judged), "run python lessons/experiments/claims.py"


def test_every_claim_is_complete(claims, judged):
    found, logs = judged
    assert [claim.reading for claim in found] == sorted(claim.reading for claim in found)
    assert {claim.reading for claim in found} == {1, 2, 3}
    assert len({claim.says for claim in found}) == len(found) >= 20
    for claim in found:
        assert claim.verdict in (claims.HOLDS, claims.ONLY, claims.NOT_HERE, claims.WRONG)
        assert bool(claim.when) == (claim.verdict == claims.ONLY), claim.says
        assert (LESSONS / f"{claim.lesson}.py").exists()
        assert re.search(r"\d", claim.number)
        for name in claim.logs:
            command = logs[name]["made_by"]
            script = re.fullmatch(r"python (lessons/experiments/\w+\.py)", command)
            assert script is not None, command
            assert (LESSONS.parent / script[1]).exists()


def test_the_rules_can_say_otherwise(claims, judged):
    """With plain and residual nets exchanged, what holds is wrong."""
    _, logs = judged
    paper = importlib.import_module("claims_paper")
    depth = copy.deepcopy(dict(logs["depth"]))
    for run in depth["runs"].values():
        run["net"] = {"plain": "residual", "residual": "plain"}[run["net"]]
    exchanged = claims.Archive(logs | {"depth": depth})
    for rule in (paper.degradation, paper.easier, paper.not_the_rate):
        assert rule(logs).verdict == claims.HOLDS
        assert rule(exchanged).verdict == claims.WRONG
    assert paper.one_layer(logs).verdict == claims.ONLY
    assert paper.one_layer(exchanged).verdict == claims.HOLDS


def test_numbers_read_well(claims):
    assert claims.percent([0.02, 0.01, 0.05]) == "2.0 % (1.0 to 5.0)"
    assert claims.percent([0.02, 0.02]) == "2.0 %"
    assert claims.plainly([1, 2, 3], 1) == "2.0 (1.0 to 3.0)"
    runs = [
        {"lr": lr, "seed": s, "validation_error": [1, e]} for lr, s, e in ((0.1, 0, 0.3), (0.1, 1, 0.2), (0.3, 0, 0))
    ]
    assert claims.best_rate(runs)[0] == 0.1  # 0.3 was not tried with every seed
