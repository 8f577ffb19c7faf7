"""Wrong solutions of the labs that were written before the tables of known mistakes were read: how many are named?

    python benchmarks/lab_bank.py

Each file of tests/lab/bank is one solution in a way of its own (einsum, loops, sliding windows, index arrays, ...),
with one slip. Its head says which; `right` and `wrong` are pieces of code, and with `wrong` exchanged for `right` the
solution is right. names.toml says which known mistakes name the slip truthfully. A solution counts as named if some
case is told one of these, and none a mistake that is not among them. The figures of the first run stay in the record.

The tables have grown since: by what that first run showed, and by thinking each subject through. So the solutions of
the held-out banks, the folders in there, were written later, each again without a look at the tables: the first run of
such a bank, which stays in the record row by row, says what the tables of that day are worth on slips that they were
not extended for. The table `bank` of its names.toml says how independent it is.
"""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import record

BANK = Path(__file__).parents[1] / "tests" / "lab" / "bank"
HELD_OUT = {"held_out": 20261123, "held_out_2": 20261124}  # folders in there, and the seeds of their cases


@dataclass
class Arguments:
    """Check the banks of wrong solutions, hidden cases included."""

    seed: int = 20261122
    """Of the cases of the first bank; each held-out bank has its own."""
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
    names = _names(folder)
    return [_read(path, names[path.stem]) for path in sorted(folder.glob("*__*.py"))]


def _names(folder: Path) -> dict[str, Any]:
    """What is known of each solution of a bank."""
    return tomllib.loads((folder / "names.toml").read_text(encoding="utf-8"))


def _read(path: Path, names: dict[str, Any]) -> Solution:
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


def total(verdicts: list[Verdict], seed: int) -> dict[str, Any]:
    """How many were caught and named, and which were not."""
    return {
        "seed": seed,
        "solutions": len(verdicts),
        "caught": sum(verdict.caught for verdict in verdicts),
        "caught_by_public_cases": sum(verdict.caught_by_public for verdict in verdicts),
        "named": sum(verdict.named for verdict in verdicts),
        "not_caught": [verdict.name for verdict in verdicts if not verdict.caught],
        "not_named": [verdict.name for verdict in verdicts if not verdict.named],
    }


PAGE = """# Wrong solutions in ways of their own

Written by `python benchmarks/lab_bank.py`. *Said* is what the first case that fails is told; a solution is *named* if a
known mistake that is truly its slip is told, and no other.

| bank | solutions | date of the first run | first run, independent | now, not independent |
|---|---|---|---|---|
{overview}

What is independent: the first run of each bank. The solutions were written without a look at the tables of known
mistakes; then it was written down which of these name a slip truthfully, and only then were they run. The tables grew
from bank to bank, so a first run is the figure for the tables of its day, and the last one is that for the latest.

What is not independent: the present figures. The tables were extended by what the first run of the first bank had
shown, and after the first run of `held_out`, which could be read by then, by thought about each subject. {later} names
that the tables were given after a bank's first run were added to its lists of truthful ones; names.toml marks them
`later`. A present figure says that the tables know these slips now, not how they do on others.
"""


def overview(runs: dict[str, Any]) -> Iterator[str]:
    """A row for each bank: its first run, and now."""
    banks = {"first": {"first_run": runs["first_run"], "now": runs}, **runs["held_out"]}
    for name, both in banks.items():
        first = both["first_run"]
        cells = name, first["solutions"], first["date"][:16], found(first), found(both["now"])
        yield "| " + " | ".join(map(str, cells)) + " |"


def found(run: dict[str, Any]) -> str:
    """How many a run caught, and how many it named."""
    return f"{run['caught']} caught, {run['named']} named ({run['named'] / run['solutions']:.0%})"


def line(run: dict[str, Any], name: str) -> str:
    """The totals of a run in a line."""
    date = f"; {run['date'][:16]}" if "date" in run else ""
    return f"- {name}: {run['solutions']} solutions, {found(run)}; seed {run['seed']}{date}"


def table(verdicts: list[Verdict]) -> Iterator[str]:
    """A row for each solution."""
    yield "| solution | way | slip | failed | said | known mistakes told | named |"
    yield "|---|---|---|---|---|---|---|"
    for v in verdicts:
        named = "yes" if v.named else "no" if v.caught else "not caught"
        cells = v.name, v.way, v.slip, f"{v.failed}/{v.cases}", v.said, "; ".join(v.recipes), named
        yield "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


HELD_OUT_NOTES = """\
{tables} {writer} Mistakes that students often make come up twice: {again} of its slips are in an older bank too, as was
found afterwards, and the tables may have been extended for those. Named at its first run: {again_named} of these
{again}, and {new_named} of the {new} others ({share:.0%}), of which {new_caught} were caught."""


def held_out_notes(verdicts: list[Verdict], names: dict[str, Any]) -> Iterator[str]:
    """How a held-out bank did on slips that an older one has too, and on others; why some were not seen."""
    again = [verdict for verdict in verdicts if "again" in names[verdict.name]]
    new = [verdict for verdict in verdicts if "again" not in names[verdict.name]]
    new_named = sum(verdict.named for verdict in new)
    notes = HELD_OUT_NOTES.format(
        **names["bank"],
        again=len(again),
        again_named=sum(verdict.named for verdict in again),
        new=len(new),
        new_named=new_named,
        share=new_named / len(new),
        new_caught=sum(verdict.caught for verdict in new),
    )
    yield from textwrap.wrap(notes, 120)
    missed = [verdict.name for verdict in verdicts if not verdict.caught]
    if missed:
        yield from ("", "Not caught at its first run:", "")
        yield from (f"- {name}: {names[name].get('missed', 'why is not known yet')}" for name in missed)


def page(runs: dict[str, Any]) -> Iterator[str]:
    """The lines of the Markdown page: the first bank as it is now, each held-out one as it was at its first run."""
    folders = BANK, *(BANK / name for name in HELD_OUT)
    later = sum(len(name.get("later", ())) for folder in folders for name in _names(folder).values())
    yield PAGE.format(later=later, overview="\n".join(overview(runs)))
    yield "## First bank: `tests/lab/bank`"
    yield ""
    yield line(runs["first_run"], "First run, independent")
    yield line(runs, "Now, not independent") + ". Each row is of this run"
    yield ""
    yield from table([Verdict(**verdict) for verdict in runs["verdicts"]])
    for name, held_out in runs["held_out"].items():
        rows = [Verdict(**verdict) for verdict in held_out["first_run"]["verdicts"]]
        yield from ("", f"## Held-out bank: `tests/lab/bank/{name}`", "")
        yield line(held_out["first_run"], "First run, independent") + ". Each row is of this run"
        yield line(held_out["now"], "Now")
        yield ""
        yield from held_out_notes(rows, _names(BANK / name))
        yield ""
        yield from table(rows)


def run(folder: Path, seed: int) -> list[Verdict]:
    """Check all solutions of a bank."""
    verdicts = []
    for solution in bank(folder):
        verdicts.append(judged(solution, seed))
        verdict = verdicts[-1]
        print(f"{verdict.name}: {verdict.failed}/{verdict.cases} failed, told {verdict.recipes}, {verdict.named}")
    return verdicts


def main(arguments: Arguments) -> None:
    """Check, print, write; what a record says of the first runs stays as it is."""
    record.set_threads(1)
    around, path = record.surroundings(["numpy"]), arguments.out / "lab_bank.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    date = {"date": around["date"]}
    verdicts = run(BANK, arguments.seed)
    now = total(verdicts, arguments.seed)
    runs = around | now | {"first_run": old.get("first_run", date | now)}
    runs |= {"verdicts": [asdict(verdict) for verdict in verdicts], "held_out": {}}
    for name, seed in HELD_OUT.items():
        verdicts = run(BANK / name, seed)
        now = date | total(verdicts, seed)
        first = now | {"verdicts": [asdict(verdict) for verdict in verdicts]}
        first = old.get("held_out", {}).get(name, {}).get("first_run", first)
        runs["held_out"][name] = {"first_run": first, "now": now}
    record.write(path, runs)
    path.with_suffix(".md").write_text("\n".join(page(runs)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record.run(main, Arguments)
