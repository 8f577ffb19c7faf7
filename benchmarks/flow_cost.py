"""What recording gradient flow costs: training steps with a recorder, which samples every tenth, against bare steps.

    python benchmarks/flow_cost.py

Two copies of a net train side by side on one batch of random pixels. A round is `every` bare steps and as many recorded
ones, of which the recorder samples one; which of the two goes first changes from round to round. The cost is the median
over rounds of (recorded - bare) / bare. Afterwards the weights of the two copies must be equal, byte for byte.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import record


@dataclass
class Arguments:
    """Measure the cost of recording."""

    model: str = "resnet20"
    batch: int = 128
    size: int = 32
    """Height and width of an image."""
    every: int = 10
    """Steps of a round, of which the recorder samples one."""
    rounds: int = 9
    kernels: str = ""
    """Kernels to use, such as all=numpy."""
    threads: int = 0
    """0 for all cores."""
    out: Path = Path(__file__).parent / "results"
    """Folder of the JSON file."""


def main(arguments: Arguments) -> None:
    """Measure, print, write."""
    threads = record.set_threads(arguments.threads)
    from tinyres.errors import TrainingError
    from tinyres.kernels import registry

    with registry.use(**registry.parse(arguments.kernels)):
        bare, recorded = Contender(arguments), Contender(arguments)
        recorded.record(arguments.every)
        times: dict[str, list[float]] = {"bare": [], "recorded": []}
        for number in range(-1, arguments.rounds):  # the first round compiles
            pairs = [("bare", bare), ("recorded", recorded)][:: 1 if number % 2 else -1]
            for name, contender in pairs:
                seconds = contender.steps(arguments.every)
                if number >= 0:
                    times[name].append(seconds)
            if number >= 0:
                print(
                    f"round {number + 1}: {times['bare'][-1]:.3f} s, recorded {times['recorded'][-1]:.3f} s", flush=True
                )
    if bare.weights() != recorded.weights():
        raise TrainingError("the recorded net has other weights than the bare one: recording changed the training.")
    cost = statistics.median(b / a - 1 for a, b in zip(times["bare"], times["recorded"], strict=True))
    print(f"recording every {arguments.every}th step costs {cost:.1%} of the time of a step")
    backend = arguments.kernels.partition("=")[2] or "default"
    entries: dict[str, Any] = {
        "what": f"seconds of {arguments.every} training steps, bare and recorded; median cost relative to bare steps",
        "settings": {k: v for k, v in asdict(arguments).items() if k != "out"} | {"threads": threads},
        **record.surroundings(("numpy", "numba")),
        **times,
        "cost": cost,
    }
    record.write(arguments.out / f"flow_cost-{arguments.model}-batch{arguments.batch}-{backend}.json", entries)


class Contender:
    """A net, its optimizer and a batch."""

    def __init__(self, arguments: Arguments) -> None:
        import numpy as np

        import tinyres

        rng = np.random.default_rng(0)
        self.net = tinyres.models.create(arguments.model)
        self.optimizer = tinyres.optim.SGD(self.net.parameters(), 0.01)
        size = arguments.size
        self.x = tinyres.Tensor(rng.uniform(-0.5, 0.5, (arguments.batch, size, size, 3)).astype(np.float32))
        self.labels = rng.integers(10, size=arguments.batch)
        self.after: Callable[[Any], None] = lambda loss: None

    def record(self, every: int) -> None:
        """Attach a recorder from here on."""
        from tinyres.flow import Recorder

        self.after = Recorder(self.net, every=every).attach().step

    def steps(self, count: int) -> float:
        """Seconds of so many steps."""
        from tinyres.ops import softmax_cross_entropy

        start = time.perf_counter()
        for _ in range(count):
            loss = softmax_cross_entropy(self.net(self.x), self.labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.after(loss)
        return time.perf_counter() - start

    def weights(self) -> list[bytes]:
        """The bytes of all parameters and buffers."""
        return [array.tobytes() for array in self.net.state_dict().values()]


if __name__ == "__main__":
    record.run(main, Arguments)
