"""The ground floor: arrays in, arrays out. No Tensor, no config, no global state but the table of kernels.

- `registry`: the table (op, kernel name) -> kernel, and which kernel is chosen
- `shapes`: per op, what its arrays must look like and what comes out
- `launch`: the one place that checks, allocates and calls
- `contracts`: per op, sample inputs, tolerances, operation counts: read by tests, selftest, labs and benchmarks
- `naive`: the float64 oracle; `on_numpy`: the readable kernels
"""

from tinyres.kernels.launch import launch
from tinyres.kernels.registry import Kernel, kernel, table, use

__all__ = ["Kernel", "kernel", "launch", "table", "use"]
