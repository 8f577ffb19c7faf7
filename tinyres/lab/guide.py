"""The teacher's guide of a lab: what `guide.md` says, and the table of mistakes that the checks know by name."""

from __future__ import annotations

from collections.abc import Iterator

from tinyres.lab.task import Lab


def text(lab: Lab) -> str:
    """The guide with its tables, as Markdown.

    Parameters
    ----------
    lab : Lab

    Returns
    -------
    str
    """
    said = (lab.folder / "guide.md").read_text(encoding="utf-8").rstrip()
    return "\n".join([said, "", *_tasks(lab), "", *_mistakes(lab)]) + "\n"


def _tasks(lab: Lab) -> Iterator[str]:
    yield from ("## Tasks and points", "", "| task | what | file, function | points |", "|---|---|---|---|")
    for task in lab.tasks:
        speed = f" and {task.checks.speed.points:g} for speed" if task.checks.speed else ""
        yield f"| {task.key} | {task.title} | {task.file}, `{task.function}` | {task.points:g}{speed} |"


def _mistakes(lab: Lab) -> Iterator[str]:
    yield from ("## Mistakes that the checks name", "", "| task | name | what the student is told |", "|---|---|---|")
    for task in lab.tasks:
        for recipe in task.checks.recipes:
            yield f"| {task.key} | {recipe.name} | {recipe.sentence} |"
