"""Benchmarks are scripts: they are run as scripts, on the tinyres that is being tested."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinyres

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def this_tinyres(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(tinyres.__file__).parents[1]), prepend=os.pathsep)


@pytest.fixture
def script():
    """Run a script of benchmarks/ in a process of its own."""

    def run(name, *options):
        command = [sys.executable, str(SCRIPTS / name), *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True)

    return run
