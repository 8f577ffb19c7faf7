"""What `tinyres bench` is asked to do: one dataclass is the command line, the Python call and the record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tinyres.bench.layers import MEASURED, chosen, chosen_ops
from tinyres.errors import ConfigError, nearest
from tinyres.kernels import registry


@dataclass
class Settings:
    """Measure kernels at the layer shapes of the networks, or whole training steps, against the roof of this machine.

    Alone: convolutions and batch norms of the CIFAR nets, every CPU kernel, in about two minutes. Each kernel is held
    against the float64 oracle first, and timed only if it is right.
    """

    ops: tuple[str, ...] = ()
    """Ops, or conv, bn, all; default conv bn, or with --mine the ops of that file."""
    kernels: tuple[str, ...] = ()
    """Only these kernels, such as numpy numba.winograd; default all that can run but the oracle, `naive`."""
    nets: tuple[str, ...] = ("cifar",)
    """Layers of these: cifar, imagenet, all, or resnet20, resnet20-B, resnet50 ..."""
    batch: int = 0
    """Images in a batch; 0 is 128 for CIFAR nets, 4 for ImageNet nets."""
    dtype: Literal["float32", "float64"] = "float32"
    """Type of the arrays."""
    repeats: int = 9
    """Rounds in which the contenders take turns."""
    seconds: float = 2.0
    """For one op at one shape: no new round after that long, once five are done."""
    steps: tuple[str, ...] = ()
    """Instead of kernels, whole training steps (forward, backward, SGD) of these CIFAR nets."""
    device: Literal["cpu", "cuda"] = "cpu"
    """cuda: kernels of the GPU, cold and hot, in graphs, against its own roof."""
    mine: Path | None = None
    """A .py with kernels of yours, @tinyres.kernels.kernel("conv2d", "mine") or functions named like ops (Numba-CUDA's
    too), the folder of a lab such as lab03 or a file in it, or a .cu as benchmarks/example.cu, which is checked without
    a GPU, and timed only on one."""
    peer: Path | None = None
    """A Python file that does the same with another library, as benchmarks/torch_peer.py does."""
    against: Path | None = None
    """An earlier bench.json: say what changed beyond the noise."""
    read: Path | None = None
    """Measure nothing: print this bench.json and draw its figure, or, with --against, compare the two files."""
    out: Path | None = None
    """Folder of bench.json, roofline.png and roofline.svg; default a new one, runs/bench-DATE-TIME."""

    def check(self) -> None:
        """Raise ConfigError for what makes no sense."""
        if self.batch < 0:
            raise ConfigError(f"batch is {self.batch}; 1 or more images are wanted, or 0 for the usual batch.")
        if self.repeats < 1:
            raise ConfigError(f"repeats is {self.repeats}; 1 or more rounds are wanted.")
        if not self.seconds > 0:
            raise ConfigError(f"seconds is {self.seconds}; a time above 0 is wanted.")
        if self.steps and self.ops:
            raise ConfigError("--steps times whole training steps and --ops single kernels; ask for one of them.")
        if self.steps and self.peer:
            raise ConfigError("--peer compares kernels; whole steps against PyTorch: benchmarks/step_vs_torch.py.")
        if self.read and (self.mine or self.peer or self.steps or self.ops or self.kernels):
            raise ConfigError("--read measures nothing, so it goes with --against and --out alone.")
        if not self.nets:
            raise ConfigError("--nets names no net; leave it away for the layers of the CIFAR nets.")
        if not chosen(self.nets, self.ops or ("conv", "bn")):
            raise ConfigError(f"{' '.join(self.nets)} has no layer for {' '.join(self.ops)}; --nets all has every one.")
        known = {name for op in MEASURED for name in registry.names(op)}
        for name in self.kernels:
            if name not in known and self.mine is None:
                raise ConfigError(f"there is no kernel {name!r}{nearest(name, known)}.")

    @property
    def on_gpu(self) -> bool:
        """Whether it is about kernels of a GPU, as far as the settings say."""
        return self.device == "cuda" or (self.mine is not None and self.mine.suffix == ".cu")

    def asked(self, mine: tuple[str, ...]) -> tuple[str, ...]:
        """The ops to measure; `mine` are those of a person's file."""
        if not mine:
            return self.ops or ("conv", "bn")
        some = tuple(op for op in mine if not self.ops or op in chosen_ops(self.ops))
        if not some:
            raise ConfigError(f"{self.mine} has kernels of {', '.join(mine)} and --ops names none of these.")
        for op in some:
            if op not in MEASURED:
                raise ConfigError(f"{op} is no op of these networks, so it has no layer to be timed at.")
        return some

    def record(self) -> dict[str, Any]:
        """For the file; of paths only the name."""
        return {name: value.name if isinstance(value, Path) else value for name, value in asdict(self).items()}
