"""Ops whose NumPy kernels say all there is to say: NumPy's protocols hand each call on to the library of the arrays.

`numpy.add(a, b, out=c)` on arrays of CuPy is CuPy's own `add`, so the very functions of backend `numpy` are entered for
`cupy` too. Nothing in a training step of a ResNet comes here.

Not yet run on a GPU.
"""

from __future__ import annotations

from typing import Any

from tinyres.kernels import registry
from tinyres.kernels.on_cupy import MODULES

Array = Any


def readable(op: str) -> Any:
    """The kernel `numpy` of an op, a function that takes arrays of any library."""
    return registry.find(op, "numpy").function


for _op in (op for op, module in MODULES.items() if module == __name__):
    registry.kernel(_op, "cupy", device="cuda", strided=registry.find(_op, "numpy").strided)(readable(_op))
