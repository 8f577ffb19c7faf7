"""One training step (forward, backward, SGD with momentum) of a CIFAR net: tinyres' CPU backends against PyTorch.

    python benchmarks/step_vs_torch.py --model resnet20 --batch 128 --repeats 15

Everyone starts from the same float32 weights and takes steps on the same batch of random images, 32x32x3, with the
same number of threads. The contenders take turns, so that a noisy machine is noisy for all: two steps each a round, of
which the second is timed, because the waiting threads of the one before (OpenBLAS's, OpenMP's) spin on for a while. A
ratio is the median over rounds of a step's time by that of PyTorch's eager channels-last step in the same round. The
table is printed, and written with all times, the machine and the versions to benchmarks/results/.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

if TYPE_CHECKING:
    import numpy as np

REFERENCE = "torch channels-last"
LIBRARIES = ("numpy", "numba", "torch")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass
class Arguments:
    """Time training steps of tinyres and PyTorch, side by side."""

    model: str = "resnet20"
    """A CIFAR net: resnet20, plain56, ..."""
    batch: int = 128
    """Images in a batch."""
    repeats: int = 15
    """Rounds that are timed."""
    warmup: int = 2
    """Rounds before those."""
    threads: int = 0
    """For each contender; 0 for all cores."""
    compile: bool = False
    """Also time torch.compile (channels-last)."""
    out: Path = Path(__file__).parent / "results"
    """Folder of the JSON file."""


def main(arguments: Arguments) -> None:
    """Time, print the table, write the file."""
    threads = arguments.threads or os.cpu_count() or 1
    os.environ.update(dict.fromkeys(THREADS, str(threads)))  # read when NumPy is loaded, hence the imports below
    import numpy as np
    import torch

    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((arguments.batch, 32, 32, 3)).astype(np.float32)
    labels = rng.integers(10, size=arguments.batch)
    steps = {**tinyres_steps(arguments.model, images, labels), **torch_steps(arguments, images, labels)}

    print(f"{arguments.model}, batch {arguments.batch}, {threads} threads; first losses:")
    print("  " + ", ".join(f"{name} {step():.6f}" for name, step in steps.items()))
    seconds = {name: np.zeros(arguments.repeats) for name in steps}
    for index in range(1 - arguments.warmup, arguments.repeats):
        for name, step in steps.items():
            step()
            start = time.perf_counter()
            step()
            if index >= 0:
                seconds[name][index] = time.perf_counter() - start

    rows = {}
    print(f"\n{'':<22}{'median':>9}{'10 %':>9}{'90 %':>9}  ms a step{'images/s':>11}{'ratio':>8}")
    for name, times in seconds.items():
        low, median, high = np.quantile(times, [0.1, 0.5, 0.9])
        ratio = float(np.median(times / seconds[REFERENCE]))
        rows[name] = {"median": median, "p10": low, "p90": high, "ratio": ratio, "seconds": times.tolist()}
        milliseconds = "".join(f"{1000 * value:9.1f}" for value in (median, low, high))
        print(f"{name:<22}{milliseconds}           {arguments.batch / median:>11.0f}{ratio:>8.2f}")
    write(arguments, threads, rows)


def tinyres_steps(model: str, images: np.ndarray, labels: np.ndarray) -> dict[str, Callable[[], float]]:
    """One step on each backend that can run here; a backend that lacks an op leaves it to the default kernel."""
    import tinyres
    from tinyres.kernels import registry

    def step_on(backend: str) -> Callable[[], float]:
        net = tinyres.models.create(model)
        optimizer = tinyres.optim.SGD(net.parameters(), 1e-3)

        def step() -> float:
            with tinyres.use(all=backend):
                loss = tinyres.ops.softmax_cross_entropy(net(tinyres.Tensor(images)), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            return loss.item()

        return step

    backends = [name for name in registry.BACKENDS if name != "naive"]
    usable = [n for n in backends if (b := registry.backend(n)).DEVICE == "cpu" and b.missing() is None]
    return {f"tinyres {name}": step_on(name) for name in usable}


def torch_steps(arguments: Arguments, images: np.ndarray, labels: np.ndarray) -> dict[str, Callable[[], float]]:
    """One step in PyTorch: eager in both memory layouts, and compiled if asked for."""
    import torch
    import torch_resnet

    import tinyres

    weights = tinyres.interop.to_torch(tinyres.models.create(arguments.model).state_dict())

    def step_in(layout: torch.memory_format, compiled: bool = False) -> Callable[[], float]:
        net = torch_resnet.create(arguments.model)
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
    if arguments.compile:
        steps["torch compiled"] = step_in(torch.channels_last, compiled=True)
    return steps


def write(arguments: Arguments, threads: int, rows: dict[str, Any]) -> None:
    """Leave the table, the machine and the versions as JSON."""
    import tinyres
    from tinyres import machine

    record = {
        "what": "seconds of one training step; ratio to " + REFERENCE,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {k: v for k, v in asdict(arguments).items() if k != "out"} | {"threads": threads},
        "machine": {"processor": machine.processor(), "cores": machine.cores(), "system": platform.platform()},
        "blas": asdict(machine.blas()),
        "versions": {"tinyres": tinyres.__version__, "python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES},
        "steps": rows,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"step_vs_torch-{arguments.model}-batch{arguments.batch}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
