"""The contract of each op: sample inputs for every class of shapes, how exact a kernel must be, and what it costs.

Read by the conformance tests, the selftest, the labs and the benchmarks; a kernel never reads it. The samples are
float64 with all dimensions different, odd sizes, strides that leave a remainder, a batch of 1; a checker converts
them to the type that it wants and also hands them over non-contiguous.

Exactness: with u the rounding unit of the type and n the length of the longest sum behind a value, an error up to
`SLACK * u * sqrt(n)` times the scale of the result is allowed: rounding errors of a sum grow like sqrt(n) when they are
independent (Higham, "Accuracy and Stability of Numerical Algorithms", section 2.8).
"""

from tinyres.kernels.contracts import basic, batch_norm, conv, layers  # noqa: F401 - they enter their contracts
from tinyres.kernels.contracts.table import CONTRACTS, Case, Contract

__all__ = ["CONTRACTS", "Case", "Contract"]
