"""Subcommands of `tinyres flow` that measure nets: trained ones from their runs, or fresh ones by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tinyres.cli.flow_common import Options, counting
from tinyres.errors import ConfigError

if TYPE_CHECKING:
    from tinyres.flow.figures.runs import Measured
    from tinyres.flow.nets import Net

NETS = "run folders, checkpoints or models such as resnet20"
ONE = "init takes one residual model, such as resnet20, and its plain counterpart by itself."


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
        from tinyres.flow.nets import is_path, net_of

        found = []
        seeds = counting("seeds", self.seeds)
        for target in self.wanted(NETS):
            fresh = not is_path(target)
            if fresh and trained:
                raise ConfigError(f"{target} is no run folder and no checkpoint, and {self.name} wants a trained net.")
            for seed in seeds if fresh else (0,):
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
class Signal(Nets):
    """How large activations are along the stream, block by block: mean and variance of the channels."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        from tinyres.flow.figures.signals import propagation
        from tinyres.flow.measures.signal import signal_propagation

        found = self.measure(self.nets(), lambda net: signal_propagation(net.model, net.x))
        return self.finish({self.name: propagation(found, style=self.drawn_in(), bands=self.bands)})


@dataclass(frozen=True)
class Responses(Nets):
    """Fig. 7 of He et al. 2015: how strong each layer's response is, by depth and sorted, plain nets too."""

    after: Literal["norm", "weights"] = "norm"
    """Taken after the batch norm that follows a layer, or right after its weights; the latter for all where a net
    among them normalises before it weighs."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        from tinyres.flow.figures.signals import strength
        from tinyres.flow.measures.response import responses

        nets = self.nets()

        def measured(after: str) -> list[Measured]:
            return self.measure(nets, lambda net: responses(net.model, net.x, after=after, statistics="training"))

        found = measured(self.after)
        if len({each.result.after for each in found}) > 1:  # only like things stand beside each other
            found = measured("weights")
        return self.finish({self.name: strength(found, style=self.drawn_in(), bands=self.bands)})


@dataclass(frozen=True)
class Coactivation(Nets):
    """Which ReLUs are on, for which pairs of images together, and which are constant or dead."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        from tinyres.flow.figures.signals import together
        from tinyres.flow.measures.coactivation import coactivation

        found = self.measure(self.nets(), lambda net: coactivation(net.model, net.x))
        return self.finish({self.name: together(found, style=self.drawn_in(), bands=self.bands)})


@dataclass(frozen=True)
class Shattered(Nets):
    """How alike gradients are at inputs that are near each other: traces, autocorrelation, cosines."""

    points: int = 256
    """Inputs on a line from the first training image to the second."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        import numpy as np

        from tinyres.flow.figures.shattered import shattered
        from tinyres.flow.measures.shattered import neighbours, shattering

        if self.images < 2:
            raise ConfigError(f"images is {self.images}; a line leads from one image to another: 2 or more are wanted.")
        if self.points < 2:
            raise ConfigError(f"points is {self.points}; a line has two ends: 2 or more are wanted.")
        nets = self.nets()

        def along(net: Net) -> Any:
            direction = net.x[1] - net.x[0]
            share = np.linspace(0, 1, self.points).reshape(-1, *(1,) * direction.ndim)
            line = (net.x[0] + share * direction).astype(net.x.dtype)
            return shattering(net.model, line, along=direction, outputs=int(net.labels[0]))

        found = self.measure(nets, along)
        near = self.measure(nets, lambda net: neighbours(net.model, net.x, net.labels))
        return self.finish({self.name: shattered(found, near, style=self.drawn_in(), bands=self.bands)})


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
class Jacobian(Nets):
    """Singular values of the Jacobian of a net, or of a part of it: how many directions get through."""

    images: int = 8
    """Images to measure on: the first ones for training."""
    start: str | None = None
    """From the output of this module, such as layer1; default the input."""
    end: str | None = None
    """To the output of this one; default the output of the net."""
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


@dataclass(frozen=True)
class Landscape(Nets):
    """The loss along one or two random directions in which every filter counts by its own length."""

    dimensions: Literal[1, 2] = 1
    """A line, or a plane."""
    reach: float = 1.0
    """How far: at 1 every filter has moved by its own length."""
    points: int = 21
    """On each axis."""
    direction: int = 0
    """Seed of the directions."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        from tinyres.flow.figures.landscapes import landscapes
        from tinyres.flow.measures.landscape import landscape

        found = self.measure(
            self.nets(),
            lambda net: landscape(
                net.model, net.x, net.labels, dimensions=self.dimensions, reach=self.reach, points=self.points,
                seed=counting("direction", (self.direction,))[0],
            ),
        )  # fmt: skip
        return self.finish({self.name: landscapes(found, style=self.drawn_in(), bands=self.bands)})


@dataclass(frozen=True)
class Init(Nets):
    """Gradients before training over initial scale, with and without batch norm and shortcuts: do they vanish?"""

    scales: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25, 1.5)
    """What He's weights are multiplied with."""

    def run(self) -> int:
        """Measure, draw, write and tell."""
        import dataclasses

        from tinyres.flow.figures.initial import sweep
        from tinyres.flow.measures.initial import initial_gradients
        from tinyres.flow.nets import fresh, is_path

        targets = self.wanted("a model such as resnet20 or dense54")
        if len(targets) > 1 or self.shortcut == "none":
            raise ConfigError(ONE)
        (net,) = dataclasses.replace(self, seeds=counting("seeds", self.seeds)[:1]).nets()
        if net.meta["shortcut"] == "none":
            raise ConfigError(ONE)
        name = str(net.meta["model"])
        plain = name.replace("resnet", "plain").replace("dense", "dense-plain")
        own = net.meta["shortcut"] if is_path(targets[0]) else self.shortcut

        def build(shortcut: bool, seed: int) -> Any:
            kind = own if shortcut else "default"
            return fresh(name if shortcut else plain, net.dataset, seed=seed, shortcut=kind).astype(net.x.dtype)

        found = initial_gradients(build, net.x, net.labels, scales=self.scales, seeds=self.seeds)
        meta = {**net.meta, "weights": "initial", "seed": ", ".join(map(str, self.seeds))}
        norms, growth = sweep(self.measure([net], lambda _: found, **meta)[0], style=self.drawn_in())
        return self.finish({f"{self.name}-norms": norms, f"{self.name}-growth": growth})
