"""What a person sees of a run: a progress bar on a terminal, nothing elsewhere; TensorBoard events when asked.

The first run on a machine compiles its kernels. The bar says so while that goes on, and at the first evaluation, when
all of them have been needed, how long it took.
"""

from __future__ import annotations

import math
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tinyres.errors import ConfigError
from tinyres.kernels import compiling
from tinyres.train.metrics import Line


class Progress:
    """Bar with images/s, the time left, losses and errors; silent when the error stream is not a terminal.

    While kernels compile it says so. How long that took is said once, with the first evaluation.

    Parameters
    ----------
    images, done : int
        Images of the whole run, and those before it was resumed.
    label : str
        What is being trained.
    """

    def __init__(self, images: int, done: int, label: str) -> None:
        from tqdm import tqdm

        self.bar = tqdm(
            total=images,
            initial=done,
            desc=label,
            unit=" images",
            unit_scale=True,
            dynamic_ncols=True,
            smoothing=0.1,
            disable=not sys.stderr.isatty(),
            bar_format="{desc} {percentage:3.0f}% |{bar}| {rate_fmt}, {remaining} left{postfix}",
        )
        self.errors = ""
        self.compiled = compiling.compiled.seconds  # before this run, and once its own have been told, infinity
        self.watch = ExitStack()
        self.watch.enter_context(compiling.watch(self._compiling))

    def _compiling(self) -> None:
        done = compiling.compiled.functions
        self.bar.set_postfix_str(f"compiling kernels, {done} done{', kept for later' * compiling.compiled.kept}")

    def step(self, images: int, loss: float) -> None:
        """Show a training step."""
        self.bar.set_postfix_str(f"loss {loss:.3f}{self.errors}", refresh=False)
        self.bar.update(images)

    def evaluated(self, line: Line) -> None:
        """Show the latest evaluation, from here on."""
        self.errors = f", error {line['train_error']:.1%} train, {line['test_error']:.1%} test"
        if not self.bar.disable and self.compiled < compiling.compiled.seconds - 1:
            self.bar.write(compiling.compiled.sentence(), file=sys.stderr)
        self.compiled = math.inf
        self.bar.set_postfix_str(f"loss {line['train_loss']:.3f}{self.errors}")

    def close(self) -> None:
        """Leave the terminal to others."""
        self.watch.close()
        self.bar.close()


class Events:
    """TensorBoard events in the run folder, one scalar for each number of a line.

    Raises
    ------
    ConfigError
        If tensorboardX is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise ConfigError(
                'TensorBoard events need tensorboardX: run `python -m pip install "tinyres[tensorboard]"`, '
                "or leave --tensorboard away."
            ) from None
        self.writer: Any = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def line(self, line: Line) -> None:
        """Write the numbers of a line under its step: train/loss, test/error ..."""
        for name, value in line.items():
            if name not in ("step", "epoch"):
                part, _, measure = name.rpartition("_")
                tag = f"{part}/{measure}" if measure in ("loss", "error") else name
                self.writer.add_scalar(tag, value, line["step"])
        self.writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self.writer.close()
