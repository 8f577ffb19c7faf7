"""Hints, from a lab's `hints.md`: a heading `## task.key` a task, and under it a numbered list of at most three."""

from __future__ import annotations

import re

from tinyres.lab.task import Lab

MOST = 3


def read(lab: Lab) -> dict[str, list[str]]:
    """The hints of each task, in the order in which they are given."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in (lab.folder / "hints.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"##\s+(\S+)\s*$", line):
            current = found.setdefault(heading[1], [])
        elif item := re.match(r"\d\.\s+(.*)", line):
            current.append(item[1])
        elif line.strip() and current:
            current[-1] += "\n" + line.strip()
    return found
