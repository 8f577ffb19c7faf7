"""Every claim of the paper and of its common reading notes, judged by the logs: writes lessons/claims.md.

    python lessons/experiments/claims.py

A rule reads logs and gives a verdict; none is written by hand. `claims_paper.py`, `claims_recipe.py` and
`claims_later.py` hold the rules.
The order is that of reading a paper in three passes: its abstract and figures, its experiments, what came after it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

import numpy as np

from tinyres.flow.logs import read_log

Logs = Mapping[str, Mapping[str, Any]]
HOLDS, ONLY, NOT_HERE, WRONG = "holds", "holds only when", "not at this scale", "wrong"
PASSES = {
    1: "First pass: title, abstract, figures, conclusion",
    2: "Second pass: the method and the experiments",
    3: "Third pass: what later papers made of it",
}
INTRODUCTION = """# Claims

What the paper says (He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015), what is commonly said
about it, and what is seen here: on 1,797 handwritten digits, in seconds to minutes, three seeds unless it says
otherwise. A verdict is about *this* scale and recipe: **holds**, **holds only when** (and when), **not at this scale**
(nothing here decides it), or **wrong** (seen to be otherwise). The order is that of reading the paper in three passes.

This file is made from the logs in `lessons/logs` by `python lessons/experiments/claims.py`; each verdict is computed
there by a rule. Errors are percentages of images, medians over the seeds with the smallest and the largest in brackets.
"Clean" training error: evaluation mode, after training, not augmented. "Running": batches in training mode, as trained
on. "Best rate": the one of five with the lowest median validation error.
"""


@dataclass(frozen=True)
class Claim:
    """One claim and what the logs say about it.

    Attributes
    ----------
    reading : int
        The pass in which a reader meets it.
    source : str
        Where it is said.
    says : str
        The claim.
    verdict : str
        One of the four.
    when : str
        What completes "holds only when"; empty otherwise.
    number : str
        The numbers behind the verdict.
    lesson : str
        Stem of the lesson whose figure shows it.
    logs : tuple of str
        What it was judged by.
    """

    reading: int
    source: str
    says: str
    verdict: str
    number: str
    lesson: str
    logs: tuple[str, ...]
    when: str = ""


Rule = Callable[[Logs], Claim]


def percent(values: Iterable[float]) -> str:
    """Median and range of errors: `4.7 % (3.3 to 5.8)`."""
    found = 100 * np.array(list(values), float)
    middle, low, high = np.median(found), found.min(), found.max()
    return f"{middle:.1f} %" if high - low < 0.05 else f"{middle:.1f} % ({low:.1f} to {high:.1f})"


def plainly(values: Iterable[float], digits: int = 2) -> str:
    """Median and range of numbers."""
    found = np.array(list(values), float)
    return f"{np.median(found):.{digits}f} ({found.min():.{digits}f} to {found.max():.{digits}f})"


def pick(log: Mapping[str, Any], **wanted: Any) -> list[Mapping[str, Any]]:
    """The runs of a log with these settings."""
    return [run for run in log["runs"].values() if all(run.get(name) == value for name, value in wanted.items())]


def last(runs: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """The value of each run at its end, whether or not the log keeps the whole curve."""
    return [float(run[name][-1] if isinstance(run[name], list) else run[name]) for run in runs]


def best_rate(runs: Sequence[Mapping[str, Any]]) -> tuple[float, list[Mapping[str, Any]]]:
    """The rate with the lowest median validation error, and its runs; only rates tried with every seed count."""
    rates = {run["lr"] for run in runs}
    seeds = {run["seed"] for run in runs}
    tried = {rate: [run for run in runs if run["lr"] == rate] for rate in rates}
    whole = {rate: found for rate, found in tried.items() if len(found) == len(seeds)}
    rate = min(sorted(whole), key=lambda rate: float(np.median(last(whole[rate], "validation_error"))))
    return rate, whole[rate]


def whole_seeds(runs: Sequence[Mapping[str, Any]], nets: Sequence[str], rates: Sequence[float]) -> list[int]:
    """The seeds for which each of these nets was trained at each of these rates."""
    done = {(run["net"], run["lr"], run["seed"]) for run in runs}
    seeds = sorted({run["seed"] for run in runs})
    return [seed for seed in seeds if all((net, rate, seed) in done for net in nets for rate in rates)]


def collect(logs: Logs) -> list[Claim]:
    """All claims in reading order."""
    import claims_later
    import claims_paper
    import claims_recipe

    rules: tuple[Rule, ...] = (*claims_paper.RULES, *claims_recipe.RULES, *claims_later.RULES)
    return sorted((rule(logs) for rule in rules), key=lambda claim: claim.reading)


def render(claims: Sequence[Claim], logs: Logs) -> str:
    """The text of claims.md."""
    parts = [INTRODUCTION]
    counts = {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in (HOLDS, ONLY, NOT_HERE, WRONG)}
    parts.append(f"{len(claims)} claims: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) + ".")
    number = 0
    for reading, title in PASSES.items():
        parts.append(f"## {title}")
        for claim in (each for each in claims if each.reading == reading):
            number += 1
            commands = "; ".join(f"`{logs[name]['made_by']}`" for name in claim.logs)
            seeds = "; ".join(", ".join(map(str, logs[name]["seeds"])) for name in claim.logs)
            verdict = f"**{claim.verdict}**" + (f" {claim.when}" if claim.when else "")
            parts.append(
                f"### {number}. {claim.says}\n\n"
                f"- Source: {claim.source}\n"
                f"- Verdict: {verdict}.\n"
                f"- Numbers: {claim.number}\n"
                f"- Figure: [{claim.lesson}]({claim.lesson}.py) · seeds {seeds} · again: {commands}"
            )
    return "\n\n".join(part.strip() for part in parts) + "\n"


class Archive(dict[str, Mapping[str, Any]]):
    """Logs by name, read when they are asked for."""

    def __missing__(self, name: str) -> Mapping[str, Any]:
        self[name] = read_log(name)
        return self[name]


def main() -> None:
    logs = Archive()
    path = Path(__file__).parents[1] / "claims.md"
    path.write_text(render(collect(logs), logs), encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
