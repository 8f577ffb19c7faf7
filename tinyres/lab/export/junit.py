"""JUnit XML of a checked submission, for whatever shows test results: a suite a task, a test a case.

There is no standard; this is the part of it that all readers know: testsuites, testsuite, testcase, failure, error,
skipped.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from tinyres.lab import tell
from tinyres.lab.results import CaseResult, Report, TaskResult

# XML 1.0 has no other characters below a space, and no halves of pairs
FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> str:
    """The report as XML."""
    root = ET.Element("testsuites", name=_plain(f"{report.lab} {report.submission}"), time=f"{report.seconds:.3f}")
    if report.refused:
        suite = ET.SubElement(root, "testsuite", name=report.lab, tests="1", failures="1", errors="0", skipped="0")
        test = ET.SubElement(suite, "testcase", classname=report.lab, name="submission")
        ET.SubElement(test, "failure", message=_plain(report.refused))
    for task in report.tasks:
        _suite(root, task, report.seed)
    counts = {name: sum(int(suite.get(name, "0")) for suite in root) for name in COUNTED}
    for name, count in counts.items():
        root.set(name, str(count))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


COUNTED = ("tests", "failures", "errors", "skipped")


def _suite(root: ET.Element, task: TaskResult, seed: int) -> None:
    kinds = [_kind(case) for case in task.cases]
    suite = ET.SubElement(
        root,
        "testsuite",
        name=_plain(f"{task.key}: {task.title}"),
        tests=str(len(kinds)),
        failures=str(kinds.count("failure")),
        errors=str(kinds.count("error")),
        skipped=str(kinds.count("skipped")),
        time=f"{sum(case.seconds for case in task.cases):.3f}",
    )
    for case, kind in zip(task.cases, kinds, strict=True):
        test = ET.SubElement(suite, "testcase", classname=task.key, name=_plain(case.name), time=f"{case.seconds:.3f}")
        if kind:
            said = ET.SubElement(test, kind, message=_plain(case.cause or case.problem or case.gap))
            again = [] if case.hidden else [f"  again  tinyres lab check {task.key} --seed {seed}"]
            said.text = _plain("\n".join([*tell.failure(case), *again]))


def _kind(case: CaseResult) -> str:
    if case.passed:
        return ""
    if case.kind == "stopped":
        return "skipped"
    return "error" if case.problem and case.kind != "contract" else "failure"


def _plain(text: str) -> str:
    return FORBIDDEN.sub("?", text)
