"""What every test stands on: no window, no choice of kernels left over from outside, the same examples each time."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.pop("TINYRES_KERNELS", None)
os.environ.pop("TINYRES_DEBUG", None)

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("tinyres", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tinyres")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20151210)  # the day of "Deep residual learning for image recognition"
