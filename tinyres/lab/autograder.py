"""What `run_autograder` starts: grade one submission where Gradescope has put it, and write what it reads.

    python -I -m tinyres.lab.autograder /autograder

    /autograder/source/settings.json             which lab, the key of the seeds, the limits
    /autograder/submission/                      what was handed in
    /autograder/submission_metadata.json         when, by whom, and what came before
    /autograder/results/results.json             written first with no points, and anew after every task

So a run that is ended from outside leaves the scores of the tasks that were done, and a fault of ours its reason.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tinyres.errors import LabError
from tinyres.lab import catalogue, processes
from tinyres.lab.export import rate
from tinyres.lab.export.gradescope import SETTINGS, Settings
from tinyres.lab.export.results import failure, results, write
from tinyres.lab.gather import Submission
from tinyres.lab.grade import seeds
from tinyres.lab.one import BROKEN, grade_one, unrun
from tinyres.lab.results import Report


def autograde(root: Path) -> dict[str, Any]:
    """Grade what lies under `root`, and return what stands in results.json at the end."""
    out = root / "results" / "results.json"
    settings = Settings(**json.loads((root / "source" / SETTINGS).read_text(encoding="utf-8")))
    lab = catalogue.lab(settings.lab)
    metadata = _metadata(root)
    try:
        limited = rate.instead(metadata, settings.submissions, settings.hours)
    except (KeyError, TypeError, ValueError):  # metadata of another form: grading matters more than the limit
        limited = None
    if limited is not None:
        write(limited, out)
        return limited
    seed = seeds(settings.key)(str(metadata.get("id", "submission")))
    waiting = {task.key: unrun(task, seed, "the run ended before") for task in lab.tasks}

    def save(report: Report) -> None:
        left = [] if report.refused else [waiting[key] for key in waiting if key not in {t.key for t in report.tasks}]
        write(results(lab, report, left), out)

    save(Report(lab.id, "submission", seed, possible=lab.points))
    submission = Submission("submission", (root / "submission",))
    report = grade_one(lab, submission, seed=seed, limit=settings.limit, save=save)
    if report.refused and not report.tasks:
        entries = failure(f"This submission earns nothing: {report.refused}", lab.points)
    elif BROKEN in report.extra:
        entries = results(lab, report)
        entries["output"] = f"{report.extra[BROKEN]}. Tell your teacher; what was graded counts.\n{entries['output']}"
    else:
        entries = results(lab, report)
    write(entries, out)
    return entries


def main() -> int:
    """Grade, and leave no process behind; whatever happens, there is a results.json."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "/autograder")
    try:
        with processes.contained():
            entries = autograde(root)
    except (LabError, OSError, ValueError, TypeError) as error:
        said = f"The autograder could not grade this, which is no fault of yours: {error}. Tell your teacher."
        out = root / "results" / "results.json"
        if not out.exists():
            write(failure(said, 0.0), out)
        print(said, file=sys.stderr)
        return 1
    scores = [(test["score"], test["max_score"]) for test in entries["tests"]]
    print(f"{sum(score for score, _ in scores):g} of {sum(most for _, most in scores):g} points")
    return 0


def _metadata(root: Path) -> dict[str, Any]:
    try:
        said = json.loads((root / "submission_metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
