"""`class.html`: what the class did and where it struggled, on one page that needs nothing else.

Everything that comes from a submission is text here: it is escaped, whatever it is.
"""

from __future__ import annotations

import statistics as numbers
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby

from tinyres.lab.klass import statistics
from tinyres.lab.klass.statistics import Mistake, Notice, TaskRates
from tinyres.lab.klass.table import number
from tinyres.lab.results import Report
from tinyres.lab.task import Lab

BINS = 10
SHOWN = 25  # causes; the rest is counted


def page(lab: Lab, reports: Sequence[Report], date: str) -> str:
    """The page as HTML."""
    title = f"{lab.id}: {lab.title}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p class=quiet>{len(reports)} submissions, graded {escape(date)} with {escape(_versions(reports))}.</p>",
        _tiles(reports),
        _section("Points", _histogram(reports)),
        _section("Where they are", _outcomes(statistics.outcomes(lab, reports))),
        _section("The most frequent mistakes", _mistakes(statistics.mistakes(lab, reports), len(reports))),
        _section("Tasks and cases", "".join(_task(task) for task in statistics.rates(lab, reports))),
        _section("To look at", _notices(statistics.notices(reports), "Nothing was refused, slow or odd.")),
        _section("Whose work is it?", COPIES + _notices(statistics.copies(lab, reports), "Nothing stands out.")),
        _section("Everybody", _everybody(lab, reports)),
    ]
    style = files("tinyres.lab.klass").joinpath("page.css").read_text(encoding="utf-8")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    begin = f"<!DOCTYPE html>\n<html lang=en>\n<head>{head}\n<style>\n{style}</style></head>\n<body>"
    return "\n".join([begin, *body, "</body></html>\n"])


COPIES = (
    "<p class=quiet>Nothing here changes points. The library is public and short functions coincide: "
    "look at the files before you ask.</p>"
)


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _versions(reports: Sequence[Report]) -> str:
    return ", ".join(sorted({f"tinyres {report.version}" for report in reports if report.version})) or "nothing"


def _tiles(reports: Sequence[Report]) -> str:
    median, mean = statistics.spread(reports)
    possible = max((report.possible for report in reports), default=0.0)
    full = sum(report.points > report.possible - 1e-9 for report in reports)
    tiles = [
        (f"{number(median)} of {number(possible)}", "median points"),
        (f"{number(mean)}", "mean points"),
        (f"{full}", "with full points"),
        (f"{sum(bool(report.refused) for report in reports)}", "earn nothing, see below"),
    ]
    return "<div class=tiles>" + "".join(f"<div><b>{value}</b>{said}</div>" for value, said in tiles) + "</div>"


def _histogram(reports: Sequence[Report]) -> str:
    """Submissions by share of the points, as SVG; full points are in the last column."""
    counts = [0] * BINS
    for report in reports:
        share = report.points / report.possible if report.possible else 0.0
        counts[min(BINS - 1, int(BINS * share + 1e-9))] += 1
    top, width, height = max([*counts, 1]), 60, 140
    bars = []
    for k, count in enumerate(counts):
        tall = height * count / top
        x, y = k * width, 20 + height - tall
        bars.append(f'<rect x="{x + 4}" y="{y:.1f}" width="{width - 8}" height="{tall:.1f}"/>')
        bars.append(f'<text x="{x + width / 2}" y="{y - 5:.1f}">{count or ""}</text>')
        bars.append(f'<text class=quiet x="{x}" y="{height + 38}">{100 * k // BINS}</text>')
    bars.append(f'<text class=quiet x="{BINS * width}" y="{height + 38}">100 %</text>')
    size = f'viewBox="-20 0 {BINS * width + 60} {height + 46}" width="{BINS * width + 60}"'
    return f'<svg class=histogram {size} role="img" aria-label="Submissions by points in percent">{"".join(bars)}</svg>'


def _outcomes(found: dict[str, Counter[str]]) -> str:
    """A row a task, a column an outcome."""
    head = "".join(f"<th class=count>{outcome}</th>" for outcome in statistics.OUTCOMES)
    rows = [
        f"<tr><td><code>{escape(key)}</code></td>"
        + "".join(f"<td class=count>{counts[outcome] or ''}</td>" for outcome in statistics.OUTCOMES)
        + "</tr>"
        for key, counts in found.items()
    ]
    note = "<p class=quiet>Contained: stopped by a limit or a fence of the sandbox, see below.</p>"
    return f"<table><tr><th>task</th>{head}</tr>{''.join(rows)}</table>{note}"


def _mistakes(found: Sequence[Mistake], total: int) -> str:
    if not found:
        return "<p>None was found.</p>"
    rows = [
        f"<tr><td class=count>{len(mistake.names)}</td><td>{_bar(len(mistake.names) / total)}</td>"
        f"<td>{escape(mistake.sentence)}{_folded('who', ', '.join(mistake.names))}</td>"
        f"<td>{'<br>'.join(f'<code>{escape(task)}</code>' for task in mistake.tasks)}</td></tr>"
        for mistake in found[:SHOWN]
    ]
    more = f"<p class=quiet>{len(found) - SHOWN} more, less frequent.</p>" if len(found) > SHOWN else ""
    head = "<tr><th colspan=2>submissions</th><th>what was wrong</th><th>spoiled</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>{more}"


def _task(task: TaskRates) -> str:
    speed = f", median speed-up {numbers.median(task.speedups):.1f}" if task.speedups else ""
    earned = f"{100 * task.share:.0f} % of {number(task.possible)} points earned"
    head = (
        f"<h3><code>{escape(task.key)}</code> {escape(task.title)}</h3>"
        f"<p>{earned}, {task.full} with all of them{speed}.</p>"
    )
    rows = [
        f"<tr><td>{escape(rate.name)}{' <i>hidden</i>' if rate.hidden else ''}</td>"
        f"<td>{_bar(rate.passed / rate.seen)}</td><td class=count>{100 * rate.passed / rate.seen:.0f} %</td>"
        f"<td class=quiet>{rate.passed} of {rate.seen}</td></tr>"
        for rate in task.rates
    ]
    return f"{head}<table><tr><th>case</th><th colspan=3>passed</th></tr>{''.join(rows)}</table>" if rows else head


def _notices(found: Iterable[Notice], none: str) -> str:
    rows = []
    for name, notices in groupby(found, key=lambda notice: notice.name):
        said = "<br>".join(escape(notice.said) for notice in notices)
        rows.append(f"<tr><td>{escape(name)}</td><td>{said}</td></tr>")
    return f"<table class=notices>{''.join(rows)}</table>" if rows else f"<p>{none}</p>"


def _everybody(lab: Lab, reports: Sequence[Report]) -> str:
    head = "".join(f"<th>{escape(task.key)}</th>" for task in lab.tasks)
    rows = []
    for report in reports:
        earned = {} if report.refused else {task.key: task.points for task in report.tasks}
        cells = "".join(f"<td class=count>{number(earned.get(task.key, 0.0))}</td>" for task in lab.tasks)
        share = report.points / report.possible if report.possible else 0.0
        rows.append(
            f"<tr><td>{escape(report.submission)}</td>{cells}<td class=count><b>{number(report.points)}</b></td>"
            f"<td>{_bar(share)}</td></tr>"
        )
    return f"<table><tr><th>submission</th>{head}<th colspan=2>total</th></tr>{''.join(rows)}</table>"


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>{escape(text)}</details>"


def _bar(share: float) -> str:
    return f'<span class=bar><span style="width:{100 * share:.1f}%"></span></span>'
