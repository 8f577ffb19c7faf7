"""Subcommands of `tinyres lab` for those who teach with it and those who keep it: guide, verify."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional


@dataclass(frozen=True)
class Guide:
    """A lab's guide for the teacher: time, the mistakes that people make and how they are named, questions, answers."""

    lab: Annotated[str, Positional]
    """Its id, or just its number."""

    def run(self) -> int:
        """Print it, as Markdown."""
        from tinyres.lab import catalogue, guide

        print(guide.text(catalogue.lab(self.lab)), end="")
        return 0


@dataclass(frozen=True)
class Verify:
    """Whether the labs hold what they promise.

    The solution gets every point, the stub none, every known mistake is caught and named, in the time of a grader.
    """

    labs: Annotated[tuple[str, ...], Positional] = ()
    """Ids or numbers; default all."""
    seed: int | None = None
    """Of the cases; default a fresh one."""

    def run(self) -> int:
        """Print a line a lab, and what is wrong."""
        from tinyres.lab import catalogue
        from tinyres.lab.verify import verify

        seed = secrets.randbelow(1 << 31) if self.seed is None else self.seed
        labs = [catalogue.lab(name) for name in self.labs] or catalogue.labs()
        print(f"{'lab':<26}{'solution':>9}{'stub':>6}{'mistakes':>10}{'caught':>8}{'named':>7}{'seconds':>9}")
        faults = 0
        for lab in labs:
            v = verify(lab, seed)
            row = (
                f"{v.lab:<26}{v.solution:>9.0%}{v.stub:>6.0%}{v.recipes:>10}{v.caught:>8}{v.named:>7}{v.seconds:>9.1f}"
            )
            print(row, flush=True)
            for fault in v.faults:
                print(f"    {fault}", flush=True)
            faults += len(v.faults)
        print(f"{faults or 'no'} fault{'s' * (faults != 1)}; to repeat it: tinyres lab verify --seed {seed}")
        return 1 if faults else 0
