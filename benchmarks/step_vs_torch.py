"""One training step (forward, backward, SGD with momentum) of CIFAR nets: tinyres' CPU kernels against PyTorch.

    python benchmarks/step_vs_torch.py --models resnet20 resnet56 resnet110 --compile

Everyone starts from the same float32 weights and takes steps on the same batch of random images, 32x32x3, with the
same number of threads. The contenders take turns, so that a noisy machine is noisy for all: two steps each a round, of
which the second is timed, because the waiting threads of the one before (OpenBLAS's, OpenMP's) spin on for a while. A
ratio is the median over rounds of a step's time by that of PyTorch's eager channels-last step in the same round. The
table is printed, and written with all times, the machine and the versions to benchmarks/results/, one file a net.

A contender of tinyres is a choice of kernels: `default`, a name of kernels (`numba`, `numpy`; `numba.winograd` is numba
with that variant where there is one), or a choice in full, as in `all=numba,conv2d=numba.winograd`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import record

if TYPE_CHECKING:
    import numpy as np

REFERENCE = "torch channels-last"
LIBRARIES = ("numpy", "numba", "torch")
Step = Callable[[], float]


@dataclass
class Arguments:
    """Time training steps of tinyres and PyTorch, side by side."""

    models: tuple[str, ...] = ("resnet20",)
    """CIFAR nets: resnet20, resnet56, plain56, ..."""
    batch: int = 128
    """Images in a batch."""
    size: int = 32
    """Height and width of an image."""
    backends: tuple[str, ...] = ("default", "numba", "numba.winograd")
    """Choices of kernels, each a contender."""
    repeats: int = 15
    """Rounds that are timed."""
    warmup: int = 2
    """Rounds before those."""
    threads: int = 0
    """For each contender; 0 for all cores."""
    compile: bool = False
    """Also time torch.compile (channels-last)."""
    out: Path = Path(__file__).parent / "results"
    """Folder of the JSON files."""


def main(arguments: Arguments) -> None:
    """Time the nets one after the other; print a table and write a file for each."""
    threads = record.set_threads(arguments.threads)
    import numpy as np
    import torch

    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((arguments.batch, arguments.size, arguments.size, 3)).astype(np.float32)
    labels = rng.integers(10, size=arguments.batch)
    for model in arguments.models:
        steps = {f"tinyres {name}": tinyres_step(model, name, images, labels) for name in arguments.backends}
        steps |= torch_steps(model, images, labels, arguments.compile)
        print(f"\n{model}, batch {arguments.batch}, {threads} threads; first losses:")
        print("  " + ", ".join(f"{name} {step():.6f}" for name, step in steps.items()), flush=True)
        rows = table(timed(steps, arguments.repeats, arguments.warmup), arguments.batch)
        settings = {k: v for k, v in asdict(arguments).items() if k not in ("out", "models")} | {"threads": threads}
        entries: dict[str, Any] = {
            "what": "seconds of one training step; ratio to " + REFERENCE,
            "settings": {"model": model} | settings,
        }
        path = arguments.out / f"step_vs_torch-{model}-batch{arguments.batch}.json"
        record.write(path, entries | record.surroundings(LIBRARIES) | {"steps": rows})


def timed(steps: dict[str, Step], repeats: int, warmup: int) -> dict[str, np.ndarray]:
    """Seconds of every contender's steps, one a round."""
    import numpy as np

    seconds = {name: np.zeros(repeats) for name in steps}
    for index in range(-warmup, repeats):
        for name, step in steps.items():
            step()
            start = time.perf_counter()
            step()
            if index >= 0:
                seconds[name][index] = time.perf_counter() - start
    return seconds


def table(seconds: dict[str, np.ndarray], batch: int) -> dict[str, Any]:
    """Print the rows of a table, and return them."""
    import numpy as np

    rows: dict[str, Any] = {}
    width = max(22, *map(len, seconds)) + 1
    print(f"\n{'':<{width}}{'median':>9}{'10 %':>9}{'90 %':>9}  ms a step{'images/s':>11}{'ratio':>8}")
    for name, times in seconds.items():
        low, median, high = (float(q) for q in np.quantile(times, [0.1, 0.5, 0.9]))
        ratio = float(np.median(times / seconds[REFERENCE]))
        rows[name] = {"median": median, "p10": low, "p90": high, "ratio": ratio, "images_per_second": batch / median}
        rows[name]["seconds"] = times.tolist()
        milliseconds = "".join(f"{1000 * value:9.1f}" for value in (median, low, high))
        print(f"{name:<{width}}{milliseconds}           {batch / median:>11.0f}{ratio:>8.2f}")
    return rows


def tinyres_step(model: str, kernels: str, images: np.ndarray, labels: np.ndarray) -> Step:
    """One step with a choice of kernels; an op that the choice leaves out has its default kernel."""
    import tinyres
    from tinyres.kernels import registry

    choice = {} if kernels == "default" else registry.parse(kernels if "=" in kernels else f"all={kernels}")
    net = tinyres.models.create(model)
    optimizer = tinyres.optim.SGD(net.parameters(), 1e-3)

    def step() -> float:
        with tinyres.use(**choice):
            loss = tinyres.ops.softmax_cross_entropy(net(tinyres.Tensor(images)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    return step


def torch_steps(model: str, images: np.ndarray, labels: np.ndarray, compiled: bool) -> dict[str, Step]:
    """One step in PyTorch: eager in both memory layouts, and compiled if asked for."""
    import torch
    import torch_resnet

    import tinyres

    weights = tinyres.interop.to_torch(tinyres.models.create(model).state_dict())

    def step_in(layout: torch.memory_format, compiled: bool = False) -> Step:
        net = torch_resnet.create(model)
        net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=False)
        net = net.to(memory_format=layout)
        optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4)
        x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        y = torch.from_numpy(labels)
        run = torch.compile(net) if compiled else net

        def step() -> float:
            loss = torch.nn.functional.cross_entropy(run(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    steps = {"torch": step_in(torch.contiguous_format), REFERENCE: step_in(torch.channels_last)}
    if compiled:
        steps["torch compiled"] = step_in(torch.channels_last, compiled=True)
    return steps


if __name__ == "__main__":
    record.run(main, Arguments)
