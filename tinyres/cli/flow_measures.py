"""Subcommands of `tinyres flow` that measure nets: trained ones from their runs, or fresh ones by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tinyres.cli.flow_common import Options

if TYPE_CHECKING:
    from tinyres.flow.figures.runs import Measured
    from tinyres.flow.nets import Net

NETS = "run folders, checkpoints or models such as resnet20"


@dataclass(frozen=True)
class Nets(Options):
    """Options of every measure."""

    images: int = 64
    """Images to measure on: the first ones for training."""
    data: str | None = None
    """digits, cifar10 ... or a folder; default those that the net was trained on, digits for a fresh one."""
    root: str | None = None
    """The folder that holds the data set."""
    seeds: tuple[int, ...] = (0,)
    """Initial weights of fresh nets: one net for each."""
    shortcut: Literal["default", "A", "B", "C", "none"] = "default"
    """Shortcuts of fresh nets."""

    def nets(self, *, trained: bool = False) -> list[Net]:
        """The nets that were asked for; with `trained`, fresh ones are refused."""
        from tinyres.errors import ConfigError
        from tinyres.flow.nets import net_of

        found = []
        for target in self.wanted(NETS):
            fresh = not Path(target).exists() and len(Path(target).parts) == 1
            if fresh and trained:
                raise ConfigError(f"{target} is no run folder and no checkpoint, and {self.name} wants a trained net.")
            for seed in self.seeds if fresh else (0,):
                shortcut = "default" if target.startswith("plain") else self.shortcut
                given: dict[str, Any] = {"data": self.data, "root": self.root, "seed": seed, "shortcut": shortcut}
                found.append(net_of(target, images=self.images, **given))
        return found

    def measure(self, nets: list[Net], of: Callable[[Net], Any], **said: Any) -> list[Measured]:
        """Apply a measure to nets."""
        from tinyres.flow.figures.runs import Measured

        return [Measured({**net.meta, "images": len(net.x), **said}, of(net)) for net in nets]

    def tested(self, nets: list[Net], of: Callable[[Net], Any]) -> list[Measured]:
        """Apply a measure that looks at test images."""
        from tinyres.flow.figures.runs import Measured

        return [Measured(net.meta, of(net)) for net in nets]


@dataclass(frozen=True)
class Paths(Nets):
    """The gradient by the length of its paths, exactly: how many paths, the norm of one, all of one length."""

    block: int = 0
    """At the input of which block; -1 is the last one."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        from tinyres.flow.figures.paths import paths
        from tinyres.flow.measures.paths import path_lengths

        found = self.measure(self.nets(), lambda net: path_lengths(net.model, net.x, net.labels, block=self.block))
        return self.finish({self.name: paths(found, style=self.drawn_in(), bands=self.bands)})


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

        found = self.tested(
            self.nets(trained=True),
            lambda net: shuffle(net.model, net.test_x, net.test_labels, exchanges=self.exchanges, repeats=self.repeats),
        )
        return self.finish({self.name: shuffling(found, style=self.drawn_in(), bands=self.bands)})


@dataclass(frozen=True)
class Jacobian(Nets):
    """Singular values of the Jacobian of a net, or of a part of it: how many directions get through."""

    images: int = 8
    """Images to measure on: the first ones for training."""
    start: str | None = None
    """From the output of this module, such as layer1; default the input."""
    end: str | None = None
    """To the output of this one; default the output of the last stage, or of the net where there is none."""
    largest: int | None = None
    """Only so many values, by a randomised method; default all."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        from tinyres.flow.figures.spectra import spectra
        from tinyres.flow.measures.jacobian import spectrum

        found = self.measure(
            self.nets(),
            lambda net: spectrum(net.model, net.x, start=self.start, end=self.end, largest=self.largest),
        )
        return self.finish({self.name: spectra(found, style=self.drawn_in(), bands=self.bands)})


@dataclass(frozen=True)
class Hessian(Nets):
    """The largest and the smallest eigenvalue of the Hessian of the loss, with their signs."""

    iterations: int = 40
    """Products with the Hessian, at most."""
    tolerance: float = 1e-2
    """Stop when both are known to this share of the larger one."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        from tinyres.flow.figures.spectra import curvature as draw
        from tinyres.flow.measures.hessian import curvature

        found = self.measure(
            self.nets(),
            lambda net: curvature(net.model, net.x, net.labels, iterations=self.iterations, tolerance=self.tolerance),
        )
        return self.finish({self.name: draw(found, style=self.drawn_in(), bands=self.bands)})
