"""The zip that a teacher uploads to Gradescope.

At its root lie setup.sh (run once, when the image is built), run_autograder (run for every submission), settings.json,
lab.lock of the stubs that were handed out, and a wheel of this tinyres. Nothing else is downloaded than NumPy and what
the lab requires, by plain pip into a virtual environment of its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.resources import files

from tinyres.lab import progress, start
from tinyres.lab.export.wheel import wheel, zipped
from tinyres.lab.task import Lab

NUMPY = "numpy>=2.0"
SETUP, RUN, SETTINGS, REQUIRED = "setup.sh", "run_autograder", "settings.json", "requirements.txt"


@dataclass(frozen=True)
class Settings:
    """How the autograder grades, as settings.json keeps it."""

    lab: str
    key: str  # of the seeds
    limit: float = 480.0  # seconds for all tasks; Gradescope ends a run after 600 unless told otherwise
    submissions: int = 0  # graded within `hours`; 0 for no limit
    hours: float = 24.0


def gradescope_zip(lab: Lab, settings: Settings) -> bytes:
    """The bytes of the zip."""
    name, data = wheel()
    folder = files("tinyres.lab.export")
    members = {
        SETUP: folder.joinpath(SETUP).read_bytes(),
        RUN: folder.joinpath(RUN).read_bytes(),
        SETTINGS: (json.dumps(asdict(settings), indent=2) + "\n").encode(),
        REQUIRED: "".join(f"{package}\n" for package in (NUMPY, *lab.requires)).encode(),
        progress.LOCK: progress.fresh(lab, start.stubs(lab)).text().encode(),
        name: data,
    }
    return zipped(members, executable=(SETUP, RUN))
