"""An op on the GPU, called with arrays of the host."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import use
from tinyres.kernels import launch
from tinyres.kernels.launch import moved, on_host


@pytest.fixture
def run(gpu):
    """Run an op on the GPU with arrays of the host; its results as arrays of the host."""

    def call(op, *arrays, kernel="cupy", **params):
        with use(**{op: kernel}):
            results = launch(op, *(moved(np.asarray(a), "cuda") for a in arrays), **params)
        return [on_host(result) for result in (results if isinstance(results, tuple) else (results,))]

    return call
