"""Benchmarks are scripts: they are run as scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinyres

ROOT = Path(tinyres.__file__).parents[1]


@pytest.fixture
def script():
    """Run a script of benchmarks/ in a process of its own."""

    def run(name, *options):
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, str(ROOT / "benchmarks" / name), *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    return run
