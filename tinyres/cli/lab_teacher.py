"""`tinyres lab grade` and `tinyres lab export`: what a teacher does once a lab is handed out."""

from __future__ import annotations

import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, OmitSubcommandPrefixes, Positional, arg, subcommand

from tinyres import machine
from tinyres.errors import ConfigError, LabError
from tinyres.lab import catalogue, gather, grade, progress
from tinyres.lab.check import check
from tinyres.lab.export.gradescope import Settings, gradescope_zip
from tinyres.lab.export.junit import junit
from tinyres.lab.export.student import student_zip
from tinyres.lab.klass import statistics, write
from tinyres.lab.klass.feedback import plain
from tinyres.lab.klass.table import number
from tinyres.lab.one import BROKEN
from tinyres.lab.results import Report
from tinyres.train.folder import write_atomically

Lab = Annotated[str, Positional, arg(metavar="LAB")]


@dataclass(frozen=True)
class Grade:
    """Grade what a class handed in: folders, zips, or a folder of them as Canvas and Moodle give it.

    Each submission is graded in a process of its own, and kept as soon as it is done: called again, this goes on where
    it was interrupted. Writes grades.csv, class.html, feedback/NAME.txt and results/NAME.json.
    """

    targets: Annotated[tuple[Path, ...], Positional, arg(metavar="DIR|ZIP ...")] = ()
    """Submissions, or folders of submissions."""
    lab: str | None = None
    """Which lab it is, such as 02; by default what the lab.lock of most submissions says."""
    out: Annotated[Path, arg(aliases=["-o"])] = Path("grades")
    """Folder of the results."""
    key: str | None = None
    """Secret of the course: each submission's seed comes of it. By default one is made and kept in the folder."""
    seed: int | None = None
    """The same seed for everybody, instead."""
    jobs: int = 0
    """Submissions at a time; 0 for as many as there are cores."""
    limit: float = 120.0
    """Seconds for one submission."""
    again: FlagCreatePairsOff[bool] = False
    """Grade those too that are graded already."""

    def run(self) -> int:
        """Grade, saying what comes as it comes; 1 if a submission could not be graded through a fault of ours."""
        if not self.targets:
            raise ConfigError("nothing to grade: name folders or zips of what was handed in.")
        if self.key is not None and self.seed is not None:
            raise ConfigError("--key and --seed exclude each other: a seed for each submission, or one for all.")
        if self.jobs < 0 or self.limit <= 0:
            raise ConfigError(
                f"--jobs {self.jobs} --limit {self.limit:g}: no negative jobs, and a limit above 0, please."
            )
        named = catalogue.lab(self.lab) if self.lab else None
        wanted = {source.file for source in named.sources} if named else catalogue.files()
        submissions, notes = gather.gather(self.targets, wanted, self.out)
        lab = named or grade.lab_of(submissions)
        seed = self.seed
        seeds = grade.seeds(self.key or grade.key_of(self.out)) if seed is None else lambda name: seed
        how = grade.Grading(lab, self.out, seeds, self.jobs or machine.cores(), self.limit, again=self.again)
        print(f"{lab.id}: {len(submissions)} submissions, {how.jobs} at a time")
        for note in notes:
            _say(f"  {note}")
        done = 0

        def told(report: Report, new: bool) -> None:
            nonlocal done
            done += 1
            _say(f"  {done:>3}/{len(submissions)}  {_line(report)}{'' if new else '  (graded before)'}")

        reports = grade.grade(submissions, how, told)
        write.write(lab, reports, self.out, time.strftime("%Y-%m-%d %H:%M"))
        median, _ = statistics.spread(reports)
        print(f"median {number(median)} of {number(lab.points)} points")
        for name in (write.TABLE, write.PAGE, write.FEEDBACK):
            print(self.out / name)
        broken = [report.submission for report in reports if BROKEN in report.extra]
        if broken:
            _say(f"not graded to the end, call this again for them: {', '.join(broken)}")
        return 1 if broken else 0


@dataclass(frozen=True)
class Gradescope:
    """Write the zip of an autograder for Gradescope: upload it as it is."""

    lab: Lab
    """Which lab."""
    out: Annotated[Path, arg(aliases=["-o"])] = Path("autograder.zip")
    """The file to write."""
    key: str | None = None
    """Secret of the course, from which the seeds come; by default a new one is made, and kept in the zip."""
    limit: float = 480.0
    """Seconds for one submission; Gradescope ends it after 600."""
    submissions: int = 0
    """Grade at most so many submissions of a student within --hours; 0 for no limit."""
    hours: float = 24.0
    """The time that --submissions counts."""

    def run(self) -> int:
        """Write it."""
        if self.submissions < 0 or self.hours <= 0 or self.limit <= 0:
            raise ConfigError("--submissions counts from 0 on; --hours and --limit are above 0.")
        lab = catalogue.lab(self.lab)
        key = self.key or secrets.token_hex(16)
        return _written(self.out, gradescope_zip(lab, Settings(lab.id, key, self.limit, self.submissions, self.hours)))


@dataclass(frozen=True)
class Junit:
    """Check the folder of a lab and write the results as JUnit XML."""

    folder: Annotated[Path, Positional, arg(metavar="FOLDER")]
    """The folder that `tinyres lab start` made."""
    out: Annotated[Path, arg(aliases=["-o"])] = Path("junit.xml")
    """The file to write."""
    seed: int | None = None
    """Of the cases; by default a fresh one."""
    hidden: FlagCreatePairsOff[bool] = False
    """Run the cases of grading too."""

    def run(self) -> int:
        """Check and write; 1 if something is wrong with the submission."""
        lab, _, folder = progress.find(self.folder)
        seed = secrets.randbelow(2**31) if self.seed is None else self.seed
        report = check(lab, folder, seed=seed, hidden=self.hidden)
        _written(self.out, write.encoded(junit(report)))
        return 0 if not report.refused and all(case.passed for task in report.tasks for case in task.cases) else 1


@dataclass(frozen=True)
class Student:
    """Write the folder that `tinyres lab start` makes, as a zip to hand out."""

    lab: Lab
    """Which lab."""
    out: Annotated[Path | None, arg(aliases=["-o"])] = None
    """The file to write; by default labNN.zip."""

    def run(self) -> int:
        """Write it."""
        lab = catalogue.lab(self.lab)
        return _written(self.out or Path(f"lab{lab.id.split('-')[0]}.zip"), student_zip(lab))


Format = (
    Annotated[Gradescope, subcommand("gradescope")]
    | Annotated[Junit, subcommand("junit")]
    | Annotated[Student, subcommand("student")]
)


@dataclass(frozen=True)
class Export:
    """Write a lab for other tools: an autograder for Gradescope, JUnit XML, a zip for the students."""

    format: OmitSubcommandPrefixes[Format]
    """What to write."""

    def run(self) -> int:
        """Write it."""
        return self.format.run()


def _line(report: Report) -> str:
    """One submission in a line: its points, and the first thing that went wrong."""
    points = f"{report.submission}  {number(report.points)}/{number(report.possible)}"
    if report.refused:
        return f"{points}  earns nothing: {report.refused}"
    said = {
        f"{task.key}: {case.cause or case.problem or case.gap}": None
        for task in report.tasks
        for case in task.cases
        if not case.passed and case.kind != "stopped"
    }
    more = f"  (+{len(said) - 1})" if len(said) > 1 else ""
    return f"{points}  {next(iter(said), '')}{more}".rstrip()


def _say(line: str) -> None:
    """Print what a submission may have had a hand in, on whatever terminal: no control characters, no failure."""
    encoding = sys.stdout.encoding or "ascii"
    print(plain(line).encode(encoding, errors="replace").decode(encoding), flush=True)


def _written(path: Path, data: bytes) -> int:
    if not path.parent.is_dir():
        raise LabError(f"there is no folder {path.parent}; make it, or say with -o where the file goes.")
    write_atomically(path, data)
    print(path)
    return 0
