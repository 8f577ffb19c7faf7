"""The published form of results.json, as a check that lists what is wrong with one.

Source: "Autograder Specifications", gradescope-autograders.readthedocs.io/en/latest/specs, sections "Output format",
"Controlling Test Case Visibility", "Controlling standard output visibility", "Test case status", "Output String
Formatting" and "Leaderboards". Fields that the page does not name are wrong here.
"""

from __future__ import annotations

import math

VISIBILITY = {"hidden", "after_due_date", "after_published", "visible"}
FORMATS = {"text", "simple_format", "html", "md", "ansi"}
WHOLE = {
    "score": float,
    "execution_time": float,
    "output": str,
    "output_format": FORMATS,
    "test_output_format": FORMATS,
    "test_name_format": FORMATS,
    "visibility": VISIBILITY,
    "stdout_visibility": VISIBILITY,
    "extra_data": dict,
    "tests": list,
    "leaderboard": list,
}
TEST = {
    "score": float,
    "max_score": float,
    "status": {"passed", "failed"},
    "name": str,
    "name_format": FORMATS,
    "number": str,
    "output": str,
    "output_format": FORMATS,
    "tags": list,
    "visibility": VISIBILITY,
    "extra_data": dict,
}
BOARD = {"name": str, "value": (float, str), "order": {"asc", "desc"}}


def faults(said):
    """What is wrong with the entries of a results.json; nothing if they keep to the specification."""
    found = list(_entries(said, WHOLE, "results"))
    tests = said.get("tests") or []
    for test in tests:
        found += _entries(test, TEST, f"test {test.get('name')!r}")
        found += [f"tag {tag!r} is no text" for tag in test.get("tags", []) if not isinstance(tag, str)]
    if "score" not in said and not any("score" in test for test in tests):
        found.append("neither the whole nor a test has a score")
    for line in said.get("leaderboard") or []:
        found += _entries(line, BOARD, "leaderboard")
        found += [f"leaderboard without {name}" for name in ("name", "value") if name not in line]
    numbers = [test["number"] for test in tests if "number" in test]
    return found + ["two tests have one number"] * (len(set(numbers)) < len(numbers))


def _entries(said, known, where):
    for name, value in said.items():
        kind = known.get(name)
        if kind is None:
            yield f"{where}: no field {name!r} is known"
        elif isinstance(kind, set):
            if value not in kind:
                yield f"{where}: {name} is {value!r}"
        elif not any(_fits(value, one) for one in (kind if isinstance(kind, tuple) else (kind,))):
            yield f"{where}: {name} is {value!r}"


def _fits(value, kind):
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind)
