"""A class: every submission in a process of its own, several at a time, each kept as soon as it is graded.

A process that dies or hangs costs one submission, which is said, and no other. What is graded already is not graded
again, unless it was handed in anew, or the seed or tinyres have changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinyres.errors import LabError
from tinyres.lab import catalogue, processes, stored
from tinyres.lab.gather import Submission
from tinyres.lab.one import BROKEN, DONE
from tinyres.lab.results import Report
from tinyres.lab.task import Lab
from tinyres.lab.unpack import lock_of
from tinyres.train.folder import write_atomically
from tinyres.train.start import versions

COMMAND = (sys.executable, "-P", "-m", "tinyres.lab.one")  # -P: nothing of the folder we are in is imported
GRACE = 30.0  # seconds beyond the limit of a submission before its process is killed
LOOK = 0.5  # seconds; a Ctrl-C that comes just before waiting begins is seen after them only
LAST_MOMENT = 5.0  # seconds in which one that is to end may tidy up
RECORDS = "results"
HERE = Path(__file__).parents[2]  # where this tinyres is imported from, be it a checkout


@dataclass(frozen=True)
class Grading:
    """How a class is graded."""

    lab: Lab
    out: Path
    seed: Callable[[str], int]  # of a submission, by its name
    jobs: int = 2
    limit: float = 120.0
    timed: bool = True
    again: bool = False
    command: tuple[str, ...] = COMMAND

    def record(self, submission: Submission) -> Path:
        """Where its result is kept."""
        return self.out / RECORDS / f"{submission.name}.json"


def grade(
    submissions: Sequence[Submission], how: Grading, told: Callable[[Report, bool], None] = lambda report, new: None
) -> list[Report]:
    """Grade a class.

    Parameters
    ----------
    submissions : sequence of Submission
    how : Grading
    told : callable
        Called as results come, with each report and whether it was graded just now.

    Returns
    -------
    list of Report
        One for every submission, in their order.

    Raises
    ------
    LabError
        The folder holds the results of another lab.
    """
    reports: dict[str, Report] = {}
    pending: list[Submission] = []
    running: set[subprocess.Popen[bytes]] = set()
    for submission in submissions:
        kept = None if how.again else _kept(submission, how)
        if kept is None:
            pending.append(submission)
        else:
            reports[submission.name] = kept
            told(kept, False)
    with ThreadPoolExecutor(max(1, how.jobs)) as pool:
        futures = {pool.submit(_run, submission, how, running) for submission in pending}
        left = futures
        try:
            while left:
                done, left = wait(left, LOOK, FIRST_COMPLETED)
                for future in done:
                    report = future.result()
                    reports[report.submission] = report
                    told(report, True)
        except BaseException:  # interrupted: what is graded is kept, the rest waits for the next time
            for future in futures:
                future.cancel()
            _end(*running)
            raise
    return [reports[submission.name] for submission in submissions]


def seeds(key: str) -> Callable[[str], int]:
    """A seed for each name: another for everybody, and the same when graded again; unknown without the key."""

    def seed(name: str) -> int:
        return int.from_bytes(hmac.digest(key.encode(), name.encode(), "sha256")[:4]) >> 1

    return seed


def key_of(out: Path) -> str:
    """The key of a folder of results: made once, and kept there."""
    path = out / "key"
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(path, f"{secrets.token_hex(16)}\n".encode())
    return path.read_text(encoding="utf-8").strip()


def lab_of(submissions: Sequence[Submission]) -> Lab:
    """The lab that most of the submissions were started as.

    Raises
    ------
    LabError
        None of them says.
    """
    counted: Counter[str] = Counter()
    for submission in submissions:
        try:
            counted[str(json.loads(lock_of(submission) or b"")["lab"])] += 1
        except (ValueError, TypeError, LookupError):
            continue
    known = [(count, lab) for lab, count in counted.items() if lab in catalogue.ids()]
    if not known:
        raise LabError("none of the submissions has a lab.lock that says which lab it is; name it, as in --lab 02.")
    return catalogue.lab(max(known)[1])


def _kept(submission: Submission, how: Grading) -> Report | None:
    """The result of an earlier run, if it is whole and would come out the same."""
    try:
        report = stored.read(how.record(submission))
    except LabError:
        return None
    if report.lab != how.lab.id:
        raise LabError(f"{how.out} holds results of {report.lab}; say with --out where those of {how.lab.id} go.")
    same = report.seed == how.seed(submission.name) and report.version == versions()["tinyres"]
    return report if same and report.extra.get(DONE) and report.extra.get("digest") == _digest(submission) else None


def _digest(submission: Submission) -> str:
    """Changes when what was handed in changes: names, sizes and times of files."""
    digest = hashlib.sha256()
    for source in submission.sources:
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            said = path.lstat()
            digest.update(f"{path.relative_to(source.parent)}|{said.st_size}|{said.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _run(submission: Submission, how: Grading, running: set[subprocess.Popen[bytes]]) -> Report:
    """One submission in a process of its own; what that leaves behind is read, whatever became of it."""
    record = how.record(submission)
    record.unlink(missing_ok=True)
    request: dict[str, Any] = {
        "name": submission.name,
        "sources": [str(source.resolve()) for source in submission.sources],
        "lab": how.lab.id,
        "seed": how.seed(submission.name),
        "limit": how.limit,
        "timed": how.timed,
        "record": str(record.resolve()),
        "digest": _digest(submission),
    }
    environment = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            how.command, stdin=subprocess.PIPE, stdout=said, stderr=said, env=environment, start_new_session=True
        )
        running.add(child)
        try:
            child.communicate(json.dumps(request).encode(), timeout=how.limit + GRACE)
            failed = f"its process ended with {child.returncode}" if child.returncode not in (0, 1) else ""
        except subprocess.TimeoutExpired:
            failed = f"its process still ran after {how.limit + GRACE:.0f} s, and was killed"
        finally:
            _end(child)
            running.discard(child)
        said.seek(0)
        last = said.read().decode(errors="replace").strip().splitlines()[-1:]
    return _found(submission, how, " ".join([failed, *(f"({line})" for line in last if failed)]), request)


def _end(*children: subprocess.Popen[bytes]) -> None:
    """End processes of submissions; each has a moment to remove what it has written outside the results."""
    for child in children:
        child.terminate()
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(LAST_MOMENT)
        processes.end(child)


def _found(submission: Submission, how: Grading, failed: str, request: dict[str, Any]) -> Report:
    record = how.record(submission)
    try:
        report = stored.read(record)
    except LabError:
        report = Report(how.lab.id, submission.name, request["seed"], possible=how.lab.points)
        failed = failed or "its process wrote nothing"
    if failed or not (report.extra.get(DONE) or report.extra.get(BROKEN)):
        said = f"grading broke off: {failed or 'its process ended early'}"
        report = replace(report, notes=(*report.notes, said), extra={**report.extra, BROKEN: said, DONE: False})
        stored.write(report, record)
    return report
