"""Images a second of the real training loop, order, augmentation and logging included, against bare steps.

    python benchmarks/loop_vs_step.py

Both train the same net on images of CIFAR's size (random pixels: what they show does not change the time). A round is a
run of `tinyres.train.fit` without its evaluations, then as many bare steps (forward, backward, SGD) on one batch that
lies ready; the share is the median over rounds of the loop's speed by the bare steps' in the same round.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import record

if TYPE_CHECKING:
    from tinyres.data import Dataset


@dataclass
class Arguments:
    """Compare the training loop with bare steps."""

    model: str = "resnet20"
    batch: int = 128
    size: int = 32
    """Height and width of an image."""
    iterations: int = 60
    """Of the loop and of bare steps, in a round."""
    rounds: int = 7
    threads: int = 0
    """0 for all cores."""
    out: Path = Path(__file__).parent / "results"
    """Folder of the JSON file."""


def main(arguments: Arguments) -> None:
    """Measure, print, write."""
    threads = record.set_threads(arguments.threads)
    dataset = random_images(arguments)
    loop, bare = [], []
    for number in range(-1, arguments.rounds):  # the first round compiles
        speeds = of_loop(arguments, dataset), of_steps(arguments, dataset)
        print(f"round {number + 1}: loop {speeds[0]:.0f}, bare steps {speeds[1]:.0f} images/s", flush=True)
        if number >= 0:
            loop.append(speeds[0])
            bare.append(speeds[1])
    share = statistics.median(a / b for a, b in zip(loop, bare, strict=True))
    print(f"the loop runs at {share:.1%} of the speed of bare steps")
    entries: dict[str, Any] = {
        "what": "images a second: of the training loop, of bare steps; median share",
        "settings": {k: v for k, v in asdict(arguments).items() if k != "out"} | {"threads": threads},
        **record.surroundings(("numpy", "numba")),
        "loop": loop,
        "bare": bare,
        "share": share,
    }
    record.write(arguments.out / f"loop_vs_step-{arguments.model}-batch{arguments.batch}.json", entries)


def random_images(arguments: Arguments) -> Dataset:
    """Enough for an epoch of the iterations, and one batch to test."""
    import numpy as np

    from tinyres.data import Dataset, Split

    rng = np.random.default_rng(0)

    def split(count: int) -> Split:
        pixels = rng.integers(256, size=(count, arguments.size, arguments.size, 3), dtype=np.uint8)
        return Split(pixels, rng.integers(10, size=count))

    classes = tuple("0123456789")
    return Dataset("random", split(arguments.batch * arguments.iterations), split(arguments.batch), classes, 1 / 255)


def of_loop(arguments: Arguments, dataset: Dataset) -> float:
    """Images a second that `fit` reports for one run."""
    from tinyres.train import Config, fit

    with tempfile.TemporaryDirectory() as runs:
        config = Config(
            model=arguments.model, batch=arguments.batch, iterations=arguments.iterations, augment=True, validation=0,
            lr=0.01, evaluate_every=arguments.iterations, checkpoint_every=arguments.iterations, runs=runs,
        )  # fmt: skip
        return float(fit(config, dataset).last["images_per_second"])


def of_steps(arguments: Arguments, dataset: Dataset) -> float:
    """Images a second of bare steps."""
    import numpy as np

    import tinyres

    net = tinyres.models.create(arguments.model)
    optimizer = tinyres.optim.SGD(net.parameters(), 0.01)
    images = dataset.train.images[: arguments.batch].astype(np.float32) / 255 - 0.5
    labels = dataset.train.labels[: arguments.batch]
    start = time.perf_counter()
    for _ in range(arguments.iterations):
        loss = tinyres.ops.softmax_cross_entropy(net(tinyres.Tensor(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return arguments.batch * arguments.iterations / (time.perf_counter() - start)


if __name__ == "__main__":
    record.run(main, Arguments)
