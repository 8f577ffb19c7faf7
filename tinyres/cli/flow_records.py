"""Subcommands of `tinyres flow` that draw records: what `tinyres train --flow` wrote while it trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from tinyres.cli.flow_common import Options, unfolded
from tinyres.errors import ConfigError

if TYPE_CHECKING:
    from tinyres.flow.figures.quantities import Quantity
    from tinyres.flow.record import Record

RUNS = "run folders, .npz records, checkpoints or models"


def records_of(targets: tuple[str, ...]) -> list[Record]:
    """Read the records of run folders and files; a checkpoint, or a fresh model, is recorded now, for one step.

    Where values are not finite, it is said where that begins.
    """
    from tinyres.flow.following import record_checkpoint
    from tinyres.flow.nets import is_path, net_of, record_net
    from tinyres.flow.record import Record
    from tinyres.flow.trouble import first_trouble

    found = []
    for target in targets:
        path = Path(target)
        if path.suffix == ".safetensors" and path.is_file():
            found.append(record_checkpoint(path))
        elif is_path(target):
            found.append(Record.read(path))
        else:
            found.append(record_net(net_of(target)))
        if trouble := first_trouble(found[-1]):
            print(f"{found[-1].title}: {trouble}")
    return found


def chosen_quantities(names: tuple[str, ...]) -> list[Quantity]:
    """Quantities by their names; ConfigError if there are none, or one is unknown."""
    from tinyres.flow.figures.quantities import QUANTITIES, quantity_of

    if not names:
        raise ConfigError(f"--quantity is empty; name what to draw: {', '.join(QUANTITIES)}.")
    return [quantity_of(name) for name in names]


@dataclass(frozen=True)
class Norms(Options):
    """Norms of gradients, activations and weight gradients against depth; the training step is the colour."""

    quantity: tuple[str, ...] = ("gradient", "activation", "weight-gradient")
    """Of these a figure each; also gradient-rms, gradient-max, activation-rms, activation-std, zeros, weight,
    update."""
    kinds: tuple[str, ...] = ()
    """Only layers of these kinds, such as Conv2d; default one for each depth."""

    def run(self) -> int:
        """Draw, write and tell."""
        from tinyres.flow.figures.depth import against_depth

        chosen = chosen_quantities(self.quantity)
        found = records_of(self.wanted(RUNS))
        return self.finish({
            f"{self.name}-{each.name}": against_depth(
                found, each, style=self.drawn_in(), bands=self.bands, kinds=self.kinds
            )
            for each in chosen
        })  # fmt: skip


@dataclass(frozen=True)
class Updates(Norms):
    """The size of a step of the optimiser relative to the weights, against depth."""

    quantity: tuple[str, ...] = ("update",)
    """What to draw."""


@dataclass(frozen=True)
class Zeros(Norms):
    """The share of activations that are exactly zero, against depth: ReLUs that are shut, and dead layers."""

    quantity: tuple[str, ...] = ("zeros",)
    """What to draw."""


@dataclass(frozen=True)
class Heatmap(Options):
    """A map over depth and training step, a panel for each run on one scale of colours."""

    quantity: tuple[str, ...] = ("gradient",)
    """Of these a figure each, as of `tinyres flow norms`."""
    kinds: tuple[str, ...] = ()
    """Only layers of these kinds, such as Conv2d; default one for each depth."""

    def run(self) -> int:
        """Draw, write and tell."""
        from tinyres.flow.figures.heat import heat_map

        if self.bands:
            raise ConfigError("a map has no room for bands; leave --bands away.")
        chosen = chosen_quantities(self.quantity)
        found = records_of(self.wanted(RUNS))
        return self.finish({
            f"{self.name}-{each.name}": heat_map(found, each, style=self.drawn_in(), kinds=self.kinds)
            for each in chosen
        })  # fmt: skip


@dataclass(frozen=True)
class Branches(Options):
    """How strong the branches of residual blocks are beside their streams: by depth, sorted, and their ratio."""

    step: int = -1
    """The recorded step nearest to it; -1 is the last one."""

    def run(self) -> int:
        """Draw, write and tell."""
        from tinyres.flow.figures.blocks import branches

        found = records_of(self.wanted(RUNS))
        return self.finish({self.name: branches(found, style=self.drawn_in(), step=self.step, bands=self.bands)})


@dataclass(frozen=True)
class Split(Options):
    """The gradient at each block's input in two parts, through the shortcut and through the branch."""

    step: int = -1
    """The recorded step nearest to it; -1 is the last one."""

    def run(self) -> int:
        """Draw, write and tell."""
        from tinyres.flow.figures.blocks import split

        found = records_of(self.wanted(RUNS))
        return self.finish({self.name: split(found, style=self.drawn_in(), step=self.step, bands=self.bands)})


@dataclass(frozen=True)
class Report:
    """One HTML page to explore runs in: a slider through training, layers to pick, runs overlaid; opens offline."""

    targets: Annotated[tuple[str, ...], Positional, arg(metavar="TARGET ...")] = ()
    """Run folders or .npz records."""
    out: Path = Path("flow-report.html")
    """The file."""

    def run(self) -> int:
        """Write the page and say where."""
        from tinyres.flow.report import write_report

        if not self.targets:
            raise ConfigError(f"nothing to draw: name {RUNS}, as in `tinyres flow report runs/...`.")
        path = write_report(records_of(unfolded(self.targets)), self.out)
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB), to be opened in a browser; it needs no network")
        return 0
