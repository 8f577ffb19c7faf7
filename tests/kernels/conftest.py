from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.fixture
def python():
    """Run a program in a process of its own."""

    def run(program, **environment):
        return subprocess.run(
            [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, timeout=300
        )

    return run
