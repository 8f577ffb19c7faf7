"""Subcommands of `tinyres flow` that operate on trained nets: blocks removed, the last ones dropped, or exchanged."""

from __future__ import annotations

from dataclasses import dataclass

from tinyres.cli.flow_common import counting
from tinyres.cli.flow_measures import Nets


@dataclass(frozen=True)
class Lesion(Nets):
    """The test error of a trained net without each of its blocks, and without several at random."""

    counts: tuple[int, ...] = (1, 2, 5, 10, 20)
    """Blocks removed at random."""
    repeats: int = 5
    """Draws of each number."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        from tinyres.flow.figures.lesions import lesions
        from tinyres.flow.measures.lesion import delete_each, delete_random

        nets = self.nets(trained=True)
        each = self.tested(nets, lambda net: delete_each(net.model, net.test_x, net.test_labels))
        some = self.tested(
            nets,
            lambda net: delete_random(net.model, net.test_x, net.test_labels, counts=self.counts, repeats=self.repeats),
        )
        return self.finish({self.name: lesions(each, some, style=self.drawn_in(), bands=self.bands)})


@dataclass(frozen=True)
class Truncate(Nets):
    """The test error of a trained net with its first k blocks only, for each k."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        from tinyres.flow.figures.lesions import truncation
        from tinyres.flow.measures.lesion import truncate

        found = self.tested(self.nets(trained=True), lambda net: truncate(net.model, net.test_x, net.test_labels))
        return self.finish({self.name: truncation(found, style=self.drawn_in(), bands=self.bands)})


@dataclass(frozen=True)
class Shuffle(Nets):
    """The test error of a trained net after blocks of equal shape changed places."""

    exchanges: tuple[int, ...] = (1, 2, 5, 10, 20)
    """Exchanges of two blocks."""
    repeats: int = 5
    """Draws of each number."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        from tinyres.flow.figures.lesions import shuffling
        from tinyres.flow.measures.lesion import shuffle

        exchanges = counting("exchanges", self.exchanges)
        found = self.tested(
            self.nets(trained=True),
            lambda net: shuffle(net.model, net.test_x, net.test_labels, exchanges=exchanges, repeats=self.repeats),
        )
        return self.finish({self.name: shuffling(found, style=self.drawn_in(), bands=self.bands)})
