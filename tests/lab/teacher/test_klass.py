"""What a teacher reads: rates, mistakes, notices; the table, the texts, the page."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tinyres.lab import alike, start
from tinyres.lab.klass import statistics
from tinyres.lab.klass.feedback import feedback
from tinyres.lab.klass.page import page
from tinyres.lab.klass.table import number, table
from tinyres.lab.klass.write import write


def test_pass_rates(lab, reports):
    forward, weight = statistics.rates(lab, reports)
    assert [(r.name, r.hidden, r.passed, r.seen) for r in forward.rates] == [
        ("N0", False, 3, 4),
        ("N1", False, 3, 4),
        ("N2", False, 3, 4),
        ("N0", True, 3, 3),
    ]
    assert forward.full == 3
    assert forward.share == pytest.approx(3 / 5)
    assert weight.possible == 10.0
    assert weight.share == pytest.approx((10 + 8 / 4 + 9 + 8) / 50)
    assert weight.speedups == (3.0, 63.1)


def test_case_names_that_a_seed_has_drawn(lab, reports):
    first, *others = reports
    task = first.tasks[0]
    renamed = replace(task, cases=tuple(replace(case, name=f"{case.name}-other") for case in task.cases))
    rates = statistics.rates(lab, [replace(first, tasks=(renamed,)), *others])[0].rates
    assert [rate.name for rate in rates] == ["case 1", "case 2", "case 3", "case 1"]


def test_a_mistake_counts_once_a_submission(lab, reports):
    found = statistics.mistakes(lab, [*reports, replace(reports[1], submission="fay")])
    assert [(m.tasks, m.names, m.named) for m in found] == [(("conv.weight",), ("bob", "fay"), True)]
    assert found[0].sentence == "equals what you get if dw is turned by 180 degrees"


def test_an_error_is_told_without_the_line_and_for_all_tasks_together(lab, reports):
    def broken(report, number):
        problem = f"conv.py, line {number}, `y = {number} @ w`: ValueError: size {number} is different from 3"
        spoil = [replace(case, passed=False, recipes=(), problem=problem, kind="error") for case in right.cases[:2]]
        return replace(report, tasks=tuple(replace(task, cases=tuple(spoil)) for task in report.tasks))

    right = reports[0].tasks[0]
    (found,) = statistics.mistakes(lab, [broken(reports[0], 33), broken(reports[1], 5)])
    assert found.sentence == "ValueError: size # is different from #"
    assert (found.tasks, found.names, found.named) == (("conv.forward", "conv.weight"), ("ada", "bob"), False)


def test_where_everybody_is(lab, reports):
    found = statistics.outcomes(lab, reports)
    assert found["conv.forward"] == {"right": 2, "contained": 1, "not graded": 2}
    assert found["conv.weight"] == {"right": 2, "named mistake": 1, "not graded": 2}
    assert all(sum(counts.values()) == len(reports) for counts in found.values())
    assert set().union(*found.values()) <= set(statistics.OUTCOMES)


def test_what_to_look_at(reports):
    found = [(notice.name, notice.said) for notice in statistics.notices(reports)]
    assert found == [
        ("cem", f"conv.forward: {reports[2].tasks[0].cases[0].problem}"),
        (reports[3].submission, "earns nothing: conv.py, line 3: import torch is not allowed"),
        ("eve", "earns nothing: eve.zip is damaged or no zip; pack it again."),
        ("eve", "a note"),
    ]


def test_copies(lab, reports):
    marks = {"conv.py: conv2d": "abc"}
    library = alike.prints(lab, start.solutions(lab))
    own = {"copied": {"conv.py": [3, 20]}, "prints": {"conv.py: conv2d": "xyz"}}
    taken = {"copied": {"conv.py": [19, 20]}, "prints": marks}
    extras = [own, taken, {"prints": marks}, {"prints": library}, {"copied": {"conv.py": [0, 0]}}]
    found = statistics.copies(lab, [replace(r, extra=extra) for r, extra in zip(reports, extras, strict=True)])
    assert {notice.name for notice in found} == {"bob", "bob, cem", f"{reports[3].submission}, {alike.LIBRARY}"}
    assert "19 of 20 in conv.py" in found[0].said


def test_the_table_has_everybody(lab, reports):
    rows = list(csv.DictReader(io.StringIO(table(lab, reports))))
    assert [row["submission"] for row in rows] == [report.submission for report in reports]
    assert [row["total"] for row in rows] == ["14", "6", "9", "0", "0"]
    assert [row["conv.weight"] for row in rows] == ["10", "2", "9", "0", "0"]
    assert {row["possible"] for row in rows} == {"14"}
    assert rows[1]["percent"] == "42.9"
    assert rows[4]["remarks"].startswith("earns nothing: eve.zip")


def test_no_cell_is_a_formula(lab, reports):
    evil = replace(reports[0], notes=("=cmd|'/c calc'!A0 was taken for conv.py",))
    assert next(csv.DictReader(io.StringIO(table(lab, [evil]))))["remarks"].startswith("note: =cmd")


@pytest.mark.parametrize(("points", "said"), [(4, "4"), (4.5, "4.5"), (8 / 3, "2.67"), (0, "0"), (10, "10")])
def test_points_as_people_write_them(points, said):
    assert number(points) == said


def test_feedback_says_what_a_check_says(lab, reports):
    text = feedback(lab, reports[1])
    gap, cause, again = (text.index(word) for word in ("gap ", "cause ", "tinyres lab check conv.weight --seed 7"))
    assert gap < cause < again
    assert text.count("turned by 180 degrees") == 2, "once for the public cases, once for the hidden one"
    assert "bob: 6 of 14 points" in text
    assert "conv.weight: 2 of 10 points" in text


def test_feedback_of_the_refused_and_the_hostile(lab, reports):
    assert "earns nothing: eve.zip" in feedback(lab, reports[4])
    text = feedback(lab, reports[2])
    assert "N0 took too long" in text
    assert "\x1b" not in text
    assert feedback(lab, replace(reports[2], printed="x" * 10_000)).count("x") < 3000


class Strict(HTMLParser):
    """Every element that is opened is closed, in order."""

    VOID = ("meta", "br")

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page(lab, reports):
    html = page(lab, reports, "2025-01-31 14:25")
    parser = Strict()
    parser.feed(html)
    assert parser.open == []
    assert not {"script", "link", "img", "iframe"} & set(parser.seen), "something of a submission became an element"
    assert "http" not in html, "the page needs something from elsewhere"
    text = " ".join(parser.text)
    for said in ("Columns & the convolution", "75 %", "turned by 180 degrees", "was not done after 5 s", "ada"):
        assert said in text
    assert text.count(reports[3].submission) == 3
    assert "median speed-up 33.0" in text


def test_the_page_of_nobody(lab):
    Strict().feed(page(lab, [], "today"))


def test_all_files(lab, reports, tmp_path):
    safe = [replace(report, submission=f"s{k}") for k, report in enumerate(reports)]
    write(lab, safe, tmp_path / "out", "today")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == sorted(
        ["grades.csv", "class.html", *(f"s{k}.txt" for k in range(5))]
    )
