"""Wrong solutions of the labs that were written before the tables of known mistakes were read: how many are named?

    python benchmarks/lab_bank.py

Each file of tests/lab/bank is one solution in a way of its own (einsum, loops, sliding windows, index arrays, ...),
with one slip. Its head says which; `right` and `wrong` are pieces of code, and with `wrong` exchanged for `right` the
solution is right. names.toml says which known mistakes name the slip truthfully. A solution counts as named if some
case is told one of these, and none a mistake that is not among them. The figures of the first run stay in the record.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import record

BANK = Path(__file__).parents[1] / "tests" / "lab" / "bank"


@dataclass
class Arguments:
    """Check the bank of wrong solutions, hidden cases included."""

    seed: int = 20261122
    """Of the cases."""
    out: Path = Path(__file__).parent / "results"
    """Folder of lab_bank.json and lab_bank.md."""


@dataclass(frozen=True)
class Solution:
    """One file of the bank."""

    name: str  # "conv_input__overlaps_lost"
    task: str
    way: str
    slip: str
    text: str  # wrong
    mended: str  # right
    recipes: tuple[str, ...]  # that name the slip truthfully
    contract: tuple[str, ...]  # words of a sentence that does, where the slip breaks the contract of the call


@dataclass(frozen=True)
class Verdict:
    """What the checks made of one solution."""

    name: str
    task: str
    way: str
    slip: str
    failed: int
    cases: int
    caught: bool
    caught_by_public: bool
    recipes: list[str]  # all that were told; two at once as "one + other"
    said: str  # the sentence a student reads first
    named: bool


def bank(folder: Path = BANK) -> list[Solution]:
    """All solutions, by name."""
    names = tomllib.loads((folder / "names.toml").read_text(encoding="utf-8"))
    return [_read(path, names[path.stem]) for path in sorted(folder.glob("*__*.py"))]


def _read(path: Path, names: dict[str, list[str]]) -> Solution:
    """Read the head of a file, `# key: value` down to the first empty line, and mend its slip."""
    head, body = path.read_text(encoding="utf-8").split("\n\n", 1)
    said: dict[str, list[str]] = {}
    for line in head.splitlines():
        key, value = line.removeprefix("# ").split(": ", 1)
        said.setdefault(key, []).append(value)
    mended = body
    for right, wrong in zip(said["right"], said["wrong"], strict=True):
        if mended.count(wrong) != 1:
            raise ValueError(f"{path.name}: {wrong!r} stands there {mended.count(wrong)} times, not once.")
        mended = mended.replace(wrong, right)
    accepted = (*names["recipes"], *names.get("later", ())), tuple(names.get("contract", ()))
    return Solution(path.stem, said["task"][0], said["way"][0], said["slip"][0], body, mended, *accepted)


def checked(solution: Solution, text: str, *, seed: int, hidden: bool = True) -> tuple[Any, ...]:
    """The cases of a text in the place of the solution's file; the other files of the lab are not written yet."""
    from tinyres.lab import catalogue, start
    from tinyres.lab.check import check

    lab = catalogue.lab_of(solution.task)
    files = {**start.stubs(lab), lab.task(solution.task).file: text}
    report = check(lab, Path(), seed=seed, hidden=hidden, keys=[solution.task], text=files)
    return report.tasks[0].cases


def judged(solution: Solution, seed: int) -> Verdict:
    """Check one wrong solution and hold what it is told against its slip."""
    cases = checked(solution, solution.text, seed=seed)
    failing = [case for case in cases if not case.passed]
    told = {case.recipes for case in failing if case.recipes}
    contract = any(word in f"{case.problem} {case.cause}" for case in failing for word in solution.contract)
    truthful = all(recipe in solution.recipes for recipes in told for recipe in recipes)
    first = failing[0] if failing else None
    return Verdict(
        *(solution.name, solution.task, solution.way, solution.slip),
        failed=len(failing),
        cases=len(cases),
        caught=bool(failing),
        caught_by_public=any(not case.hidden for case in failing),
        recipes=sorted(" + ".join(recipes) for recipes in told),
        said=(first.problem or first.cause) if first else "",
        named=truthful and (bool(told) or contract),
    )


def table(verdicts: list[Verdict], totals: dict[str, Any], first: dict[str, Any]) -> Iterator[str]:
    """The lines of the Markdown page."""
    yield "# Wrong solutions in ways of their own"
    yield ""
    yield "Written by `python benchmarks/lab_bank.py`; the files are in `tests/lab/bank`. *Said* is what the first case"
    yield "that fails is told; a solution is *named* if a known mistake that is truly its slip is told, and no other."
    yield "The solutions, and what names them truthfully, were there before the first run; the tables have grown since."
    yield ""
    for run, name in ((totals, "Now"), (first, "First run")):
        share = f"{run['named']} named ({run['named'] / run['solutions']:.0%})"
        yield f"- {name}: {run['solutions']} solutions, {run['caught']} caught, {share}; seed {run['seed']}"
    yield ""
    yield "| solution | way | slip | failed | said | known mistakes told | named |"
    yield "|---|---|---|---|---|---|---|"
    for v in verdicts:
        cells = v.name, v.way, v.slip, f"{v.failed}/{v.cases}", v.said, "; ".join(v.recipes), "yes" if v.named else "no"
        yield "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def main(arguments: Arguments) -> None:
    """Check, print, write."""
    record.set_threads(1)
    verdicts = []
    for solution in bank():
        verdicts.append(judged(solution, arguments.seed))
        verdict = verdicts[-1]
        print(f"{verdict.name}: {verdict.failed}/{verdict.cases} failed, told {verdict.recipes}, {verdict.named}")
    totals = {
        "seed": arguments.seed,
        "solutions": len(verdicts),
        "caught": sum(verdict.caught for verdict in verdicts),
        "caught_by_public_cases": sum(verdict.caught_by_public for verdict in verdicts),
        "named": sum(verdict.named for verdict in verdicts),
        "not_named": [verdict.name for verdict in verdicts if not verdict.named],
    }
    around, path = record.surroundings(["numpy"]), arguments.out / "lab_bank.json"
    first = {"date": around["date"]} | totals
    if path.exists():
        first = json.loads(path.read_text(encoding="utf-8"))["first_run"]
    record.write(path, around | totals | {"first_run": first, "verdicts": [asdict(verdict) for verdict in verdicts]})
    page = "\n".join(table(verdicts, totals, first)) + "\n"
    path.with_suffix(".md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    record.run(main, Arguments)
