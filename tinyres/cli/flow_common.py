"""What the subcommands of `tinyres flow` share: their common options, and how they end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from tinyres.errors import ConfigError

if TYPE_CHECKING:
    from tinyres.flow.figures.style import Drawing, Style


@dataclass(frozen=True)
class Options:
    """Options of every figure."""

    targets: Annotated[tuple[str, ...], Positional, arg(metavar="TARGET ...")] = ()
    """What to draw, all on common axes."""
    out: Path | None = None
    """Folder of the files; default a new one, runs/flow-NAME-DATE-TIME."""
    style: Literal["screen", "paper"] = "screen"
    """paper: as wide as a column, and as PDF too."""
    bands: FlagCreatePairsOff[bool] = False
    """Put seeds of one model together: median and range."""

    @property
    def name(self) -> str:
        """Of the subcommand."""
        return type(self).__name__.lower()

    def drawn_in(self) -> Style:
        """The style asked for."""
        from tinyres.flow.figures.style import style_of

        return style_of(self.style)

    def finish(self, drawings: dict[str, Drawing]) -> int:
        """Write drawings by their names, say what they show and where they lie."""
        from tinyres.flow.figures.save import save
        from tinyres.train.folder import new_folder, stamped

        folder = self.out or new_folder(Path("runs"), stamped(f"flow-{self.name}"))
        for name, drawing in drawings.items():
            for text in drawing.said:
                print(text)
            for path in save(drawing, folder, name, self.drawn_in()):
                print(path)
        return 0

    def wanted(self, what: str) -> tuple[str, ...]:
        """The targets; ConfigError with `what` they are if there are none."""
        if not self.targets:
            raise ConfigError(f"nothing to draw: name {what}, as in `tinyres flow {self.name} runs/...`.")
        return unfolded(self.targets)


def counting(option: str, values: tuple[int, ...]) -> tuple[int, ...]:
    """The whole numbers of an option; ConfigError if there are none, or one is below 0."""
    if not values or min(values) < 0:
        given = " ".join(map(str, values)) or "empty"
        raise ConfigError(f"--{option} is {given}; numbers from 0 on are wanted, at least one.")
    return values


def unfolded(targets: tuple[str, ...]) -> tuple[str, ...]:
    """Targets, with all runs of a comparison in the place of its folder."""
    found: list[str] = []
    for target in targets:
        compared = (Path(target) / "compare.json").is_file()
        runs = sorted(str(path.parent) for path in Path(target).glob("*/config.json")) if compared else []
        found += runs or [target]
    return tuple(found)
