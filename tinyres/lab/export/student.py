"""The student's folder of a lab as a zip: what `tinyres lab start` writes, for a learning platform to hand out."""

from __future__ import annotations

from tinyres.lab import start
from tinyres.lab.export.wheel import zipped
from tinyres.lab.task import Lab


def student_zip(lab: Lab) -> bytes:
    """The bytes of the zip: one folder, no test and no answer in it."""
    folder = start.folder_name(lab)
    return zipped({f"{folder}/{name}": text.encode() for name, text in start.files(lab).items()})
