"""`tinyres flow`: figures of gradient flow from records and of measures on nets, and the interactive report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import OmitSubcommandPrefixes, subcommand

from tinyres.cli import flow_lesions as lesions
from tinyres.cli import flow_measures as measures
from tinyres.cli import flow_records as records

Command = (
    Annotated[records.Norms, subcommand("norms")]
    | Annotated[records.Heatmap, subcommand("heatmap")]
    | Annotated[records.Updates, subcommand("updates")]
    | Annotated[records.Zeros, subcommand("zeros")]
    | Annotated[records.Branches, subcommand("branches")]
    | Annotated[records.Split, subcommand("split")]
    | Annotated[records.Report, subcommand("report")]
    | Annotated[measures.Signal, subcommand("signal")]
    | Annotated[measures.Responses, subcommand("responses")]
    | Annotated[measures.Coactivation, subcommand("coactivation")]
    | Annotated[measures.Shattered, subcommand("shattered")]
    | Annotated[measures.Paths, subcommand("paths")]
    | Annotated[lesions.Lesion, subcommand("lesion")]
    | Annotated[lesions.Truncate, subcommand("truncate")]
    | Annotated[lesions.Shuffle, subcommand("shuffle")]
    | Annotated[measures.Jacobian, subcommand("jacobian")]
    | Annotated[measures.Hessian, subcommand("hessian")]
    | Annotated[measures.Landscape, subcommand("landscape")]
    | Annotated[measures.Init, subcommand("init")]
)


@dataclass(frozen=True)
class Arguments:
    """Draw what happens to gradients in a net, with the numbers beside each figure as CSV.

    From records (a run of `tinyres train --flow`, or an .npz in the schema of tinyres.flow.Record): norms, heatmap,
    updates, zeros, branches, split, report. On the nets themselves (a run folder, a checkpoint, or the name of a model
    for one that is not trained): the others. Several targets are drawn on common axes.
    """

    command: OmitSubcommandPrefixes[Command]
    """What to draw."""


def run(arguments: Arguments) -> int:
    """Run the subcommand: it draws, writes, and says what was found."""
    return arguments.command.run()
