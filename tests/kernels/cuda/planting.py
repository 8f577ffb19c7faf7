"""Run convolutions with faults in their text, each in a process of its own, because some of them end it.

    python planting.py FOLDER

FOLDER holds a fault in each file `NAME/KERNEL.cuh`, which stands in for the text of that kernel. Printed is a JSON
object, name -> whether the results changed (or the process broke) with threads forward or, if not, backward.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

from tinyres.kernels import cuda
from tinyres.kernels.on_cupy import igemm, igemm_plan

TF32 = next(precision for precision in igemm.PRECISIONS if precision.declared == "tf32")
GEOMETRY = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}


def tile(problem, pixels, bytes_of):
    """Tiles of 2 images, 4 rows and 6 columns, which end beyond 3 images, 6 rows and 7 columns."""
    positions = 2 * (3 + problem.tap_h) * (5 + problem.tap_w)
    return igemm_plan.Tile(
        2, 4, 6, problem.tap_h, problem.tap_w, bytes_of(positions, problem.tap_h * problem.tap_w), 2 * 2 * 2
    )


def results(file):
    """What a file's kernels give for two chunks of channels and filters that fill no block.

    NaN stands where nothing was written, sevens where nothing may be written.
    """
    xp, rng = cuda.module(), np.random.default_rng(3)
    x, w, dy = (
        xp.asarray(rng.standard_normal(shape).astype(np.float32))
        for shape in ((3, 6, 7, 24), (3, 3, 24, 10), (3, 6, 7, 10))
    )
    if file == "conv_weight.cuh":
        dw = xp.full(w.shape, np.nan, np.float32)
        igemm.conv2d_weight(x, dy, shape=w.shape, **GEOMETRY, out=dw, precision=TF32)
        return [dw.get()]
    flat = xp.full(dy.size + 4096, 7, np.float32)
    y, mean, variance = flat[: dy.size].reshape(dy.shape), *(xp.full(10, np.nan, np.float32) for _ in range(2))
    y.fill(np.nan)
    dx = xp.full(x.shape, np.nan, np.float32)
    igemm.conv2d_stats(x, w, **GEOMETRY, out=(y, mean, variance), precision=TF32)
    igemm.conv2d_input(dy, w, shape=x.shape, **GEOMETRY, out=dx, precision=TF32)
    return [a.get() for a in (flat, mean, variance, dx)]


def seen(file, order, right):
    """Whether a fault changes anything: found out in a child, which may break."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    os.environ["TINYRES_EMULATION_ORDER"] = order
    proper = cuda.launch
    cuda.launch = lambda own, *rest, **kw: proper(file if own == file.name else own, *rest, **kw)
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(results(file.name), right, strict=True))
    os._exit(0 if same else 1)


def main(folder):
    os.environ["TINYRES_GPU"] = "emulated"
    cuda.multiprocessors = lambda: 6  # so that some blocks of the weight gradient have two tiles to do
    igemm_plan.best_tile = tile
    right = {file: results(file) for file in ("conv.cuh", "conv_weight.cuh")}
    found = {
        file.parent.name: any(seen(file, order, right[file.name]) for order in ("", "reversed"))
        for file in folder.glob("*/*.cuh")
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
