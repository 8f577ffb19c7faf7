"""Training steps of one net in a process of its own: how long each takes, and how much memory the process came to need.

    python benchmarks/one_net.py --model resnet110 --batch 128 --recompute

Prints one line of JSON: `seconds` of the steps but the first (which compiles, and touches memory for the first time),
`processor_seconds` that all threads together spent in them, `peak_bytes` of the process, and `idle_bytes`, what it held
before there was a net.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import record

UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


@dataclass
class Arguments:
    """Train one net for some steps."""

    model: str = "resnet20"
    batch: int = 128
    size: int = 32
    """Height and width of an image."""
    recompute: bool = False
    """Keep of each block only its input."""
    kernels: str = ""
    """Choice of kernels, as in all=numba; the defaults where there is none."""
    seconds: float = 2.0
    """No new step is timed after that long, once there is one."""
    steps: int = 20
    """Most steps that are timed."""
    threads: int = 0
    """0 for all cores."""


def main(arguments: Arguments) -> None:
    """Take the steps and print the line."""
    record.set_threads(arguments.threads)
    import numpy as np

    import tinyres
    from tinyres.kernels import registry

    rng = np.random.default_rng(0)
    images = rng.standard_normal((arguments.batch, arguments.size, arguments.size, 3)).astype(np.float32)
    labels = rng.integers(10, size=arguments.batch)
    idle = peak()
    net = tinyres.models.create(arguments.model, recompute=arguments.recompute)
    optimizer = tinyres.optim.SGD(net.parameters(), 1e-3)

    def step() -> float:
        loss = tinyres.ops.softmax_cross_entropy(net(tinyres.Tensor(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    seconds: list[float] = []
    processor: list[float] = []
    with tinyres.use(**registry.parse(arguments.kernels)):
        loss, begin = step(), time.perf_counter()
        while not seconds or (len(seconds) < arguments.steps and time.perf_counter() - begin < arguments.seconds):
            start, spent = time.perf_counter(), time.process_time()
            step()
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - spent)
    times = {"seconds": seconds, "processor_seconds": processor}
    print(json.dumps({"loss": loss} | times | {"peak_bytes": peak(), "idle_bytes": idle}))


def peak() -> int:
    """The most memory that this process has had in RAM until now, in bytes.

    Linux hands the `ru_maxrss` of the process that started this one down to it, so there its own entry is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        entries = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(entries["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


if __name__ == "__main__":
    record.run(main, Arguments)
