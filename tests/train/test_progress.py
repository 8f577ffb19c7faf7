"""The progress line on a terminal: it says that kernels compile, and once how long that took."""

from __future__ import annotations

import io
import sys

import pytest

from tinyres.kernels import compiling
from tinyres.train import fit
from tinyres.train.loop import Training
from tinyres.train.progress import Progress

LINE = {"train_loss": 2.0, "train_error": 0.5, "test_error": 0.25}


@pytest.fixture
def opened(monkeypatch):
    """A bar on a terminal (or not), and the terminal; one function had been compiled before, in 100 seconds."""

    def make(there=True):
        monkeypatch.setattr(sys, "stderr", io.StringIO())  # here: between setup and call pytest puts its own in place
        monkeypatch.setattr(sys.stderr, "isatty", lambda: there)
        return Progress(100, 0, "net, data"), sys.stderr

    monkeypatch.setattr(compiling, "compiled", compiling.Compiled(functions=1, seconds=100.0))
    return make


def test_compiling_is_seen_and_told_once(opened):
    progress, terminal = opened()
    compiling.begins()
    assert "compiling kernels, 1 done, kept for later" in terminal.getvalue()
    compiling.ends(20.7)
    progress.step(10, 2.0)
    assert "kernels compiled" not in terminal.getvalue()
    progress.evaluated(LINE)
    compiling.ends(5.0)
    progress.evaluated(LINE)
    assert terminal.getvalue().count("kernels compiled in 121 s (kept for the next time)\n") == 1
    progress.close()
    compiling.begins()
    assert terminal.getvalue().count("compiling kernels, ") == 1


def test_nothing_is_told_where_nothing_was_compiled(opened):
    progress, terminal = opened()
    progress.evaluated(LINE)
    progress.close()
    assert "compiled" not in terminal.getvalue()
    assert "error 50.0% train, 25.0% test" in terminal.getvalue()


def test_nothing_is_told_without_a_terminal(opened):
    progress, terminal = opened(there=False)
    compiling.begins()
    compiling.ends(20.0)
    progress.evaluated(LINE)
    progress.close()
    assert terminal.getvalue() == ""


def test_images_per_second_are_those_without_compilation(tiny, settings, monkeypatch):
    """A step that compiles for 1,000 seconds of the clock is as fast as the others."""
    seconds = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: seconds[0])

    def step(self, x, labels, original=Training.step):
        seconds[0] += 2.0
        if not self.run.step:
            seconds[0] += 1000.0
            compiling.ends(1000.0)
        return original(self, x, labels)

    monkeypatch.setattr(compiling, "compiled", compiling.Compiled())
    monkeypatch.setattr(Training, "step", step)
    result = fit(settings(epochs=1), tiny)
    assert result.last["seconds"] == 1006.0
    assert result.last["images_per_second"] == pytest.approx(44 / 6)
