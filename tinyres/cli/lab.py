"""`tinyres lab`: a course from its first stub to the marks of a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import OmitSubcommandPrefixes, subcommand

from tinyres.cli import lab_check as checking
from tinyres.cli import lab_maintainer as maintainer
from tinyres.cli import lab_student as student
from tinyres.cli import lab_teacher as teacher
from tinyres.cli import lab_train as training

Command = (
    Annotated[student.List, subcommand("list")]
    | Annotated[student.Start, subcommand("start")]
    | Annotated[checking.Check, subcommand("check")]
    | Annotated[student.Hint, subcommand("hint")]
    | Annotated[checking.Time, subcommand("time")]
    | Annotated[training.Train, subcommand("train")]
    | Annotated[teacher.Grade, subcommand("grade")]
    | Annotated[teacher.Export, subcommand("export")]
    | Annotated[maintainer.Guide, subcommand("guide")]
    | Annotated[maintainer.Verify, subcommand("verify")]
)


@dataclass(frozen=True)
class Arguments:
    """Write parts of tinyres yourself, and be told which mistake it was.

    A student's: list, start, check, hint, time, train. A teacher's: grade, export, guide. A maintainer's: verify.
    """

    command: OmitSubcommandPrefixes[Command]
    """What to do."""


def run(arguments: Arguments) -> int:
    """Run the subcommand."""
    return arguments.command.run()
