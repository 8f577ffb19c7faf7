"""Does a kernel keep its op's contract, and is the gradient of an op right? Asked by the tests, the selftest and the
labs.

`check_kernel` runs a kernel on every sample of the contract, contiguous and not, and compares with the float64 oracle;
`check_gradient` compares the derivatives of an op with finite differences, while the kernels of a backend are in force.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinyres import ops
from tinyres.errors import KernelError
from tinyres.gradcheck import gradcheck
from tinyres.kernels import registry
from tinyres.kernels.backends import backend_of
from tinyres.kernels.contracts import CONTRACTS, Case
from tinyres.kernels.launch import array_module, device_of, launch, moved, on_host
from tinyres.kernels.shapes import RULES, VIEWS
from tinyres.tensor import Tensor

Array = Any
SEED = 20151210  # the day the paper appeared


class NonconformingError(KernelError):
    """A kernel whose results are not those of its op."""


@dataclass(frozen=True)
class Verdict:
    """How far a kernel was from the oracle, and how far it might have been."""

    error: float  # largest error, relative to the scale of the result
    allowed: float  # at the sample where error / allowed was largest
    cases: int


def check_kernel(op: str, name: str, dtype: str = "float32", *, seed: int = SEED) -> Verdict:
    """Hold one kernel against the oracle on every sample of its contract.

    Parameters
    ----------
    op, name : str
        The kernel.
    dtype : {"float32", "float64"}
    seed : int
        Of the samples.

    Returns
    -------
    Verdict

    Raises
    ------
    NonconformingError
        A wrong value (case, place, got and expected), changed inputs, or results that differ from run to run.
    KernelError
        No such kernel, or it cannot run here.
    """
    contract, chosen = CONTRACTS[op], registry.find(op, name)
    worst = Verdict(0.0, contract.tolerance(Case("", ()), dtype), 0)
    cases = list(contract.cases(np.random.default_rng(seed)))
    for case in cases:
        allowed = contract.tolerance(case, dtype, chosen.precision)
        for layout in (_contiguous, _strided, *((_shifted,) if chosen.device == "cuda" else ())):
            hosts = tuple(a.astype(dtype) if a.dtype.kind == "f" else a for a in case.arrays)
            arrays = tuple(layout(moved(a, chosen.device)) for a in hosts)
            said = f"case {case.name}, {dtype}{LAYOUTS[layout]}"
            error = check_call(op, name, arrays, case.params, oracle(op, hosts, case.params), allowed, said)
            if error / allowed > worst.error / worst.allowed:
                worst = Verdict(error, allowed, 0)
    return Verdict(worst.error, worst.allowed, len(cases))


def oracle(op: str, arrays: tuple[Array, ...], params: dict[str, Any]) -> tuple[Array, ...]:
    """The results of an op in float64, by the kernel `naive`."""
    return _as_tuple(registry.find(op, "naive").function(*arrays, **params))


def _contiguous(array: Array) -> Array:
    return array_module(array).ascontiguousarray(array) if array.ndim else array


def _strided(array: Array) -> Array:
    """The same values with a gap after each."""
    return array_module(array).repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array


def _shifted(array: Array) -> Array:
    """The same values one element after the start of an allocation, where parameters in a flat buffer may lie."""
    home = array_module(array).zeros(array.size + 1, array.dtype)
    home[1:] = array.reshape(-1)
    return home[1:].reshape(array.shape)


LAYOUTS = {_contiguous: "", _strided: ", non-contiguous", _shifted: ", not aligned"}


def check_call(
    op: str,
    name: str,
    arrays: tuple[Array, ...],
    params: dict[str, Any],
    wanted: tuple[Array, ...],
    allowed: float,
    said: str,
) -> float:
    """Call a kernel twice on the same arrays and hold its results against those of the oracle.

    The first call is given results full of NaN with a border around them, so that a value that is never written and one
    that is written outside show; the second allocates, as a network does.

    Parameters
    ----------
    op, name : str
        The kernel.
    arrays, params
        What it is called with; the arrays on the device of the kernel.
    wanted : tuple of ndarray
        The right results, in float64 (`oracle`).
    allowed : float
        Largest error, relative to the scale of a result.
    said : str
        The inputs in words, for the message.

    Returns
    -------
    float
        The largest relative error.

    Raises
    ------
    NonconformingError
        A wrong value, with the first place in row-major order; a write outside; changed inputs; two runs that differ.
    """
    where = f"kernel {name!r} of {op}, {said}"
    before, device = [on_host(a).copy() for a in arrays], device_of(arrays[0])
    frames = [] if op in VIEWS else [_Frame(*spec, device) for spec in RULES[op](*arrays, **params)]
    inner = tuple(frame.inner for frame in frames)
    with registry.use(**{op: name}):
        got = tuple(on_host(a) for a in _as_tuple(launch(op, *arrays, **params, out=inner or None)))
        if not all(frame.whole() for frame in frames):  # before it does so to memory that is in use
            raise NonconformingError(f"{where}: it wrote outside its result, before the first or after the last value.")
        again = tuple(on_host(a) for a in _as_tuple(launch(op, *arrays, **params)))
    after = [on_host(a) for a in arrays]
    if any(not np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(after, before, strict=True)):
        raise NonconformingError(f"{where}: it changed its inputs.")
    error = max(
        compare(result, right, allowed, f"{where}: result {number}")
        for number, (result, right) in enumerate(zip(got, wanted, strict=True))
    )
    for number, (a, b) in enumerate(zip(got, again, strict=True)):
        if not np.array_equal(a, b):
            place = _first(np.asarray(a != b))
            raise NonconformingError(
                f"{where}: two runs on the same inputs differ: result {number} at {list(place)} is {a[place]:.9g}, "
                f"then {b[place]:.9g}."
            )
    return error


class _Frame:
    """Memory for a result: NaN (or -1) inside, and a border on both sides that nobody may write to."""

    BORDER = 65  # odd, so that the result is not aligned to more than one value

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], device: str) -> None:
        size, self.mark = math.prod(shape), np.nan if dtype.kind == "f" else -1
        self.memory = moved(np.full(size + 2 * self.BORDER, self.mark).astype(dtype), device)
        self.inner = self.memory[self.BORDER : self.BORDER + size].reshape(shape)

    def whole(self) -> bool:
        memory = on_host(self.memory)
        border = np.concatenate((memory[: self.BORDER], memory[-self.BORDER :]))
        return bool(np.all(np.isnan(border) if border.dtype.kind == "f" else border == self.mark))


def compare(result: Array, right: Array, allowed: float, where: str) -> float:
    """The largest error of a result, relative to the scale of the right one.

    Raises
    ------
    NonconformingError
        Another shape or kind of numbers, or a wrong value: `where`, the first place in row-major order, got and
        expected, and how many values are wrong.
    """
    right = np.asarray(right)
    if result.shape != right.shape or result.dtype.kind != right.dtype.kind:
        raise NonconformingError(f"{where} is {result.dtype} {list(result.shape)}, expected shape {list(right.shape)}.")
    scale = max(1.0, float(np.max(np.abs(right), initial=0)))
    errors = np.abs(np.asarray(result, np.float64) - right) / scale
    wrong = ~(errors <= allowed)  # a NaN is wrong
    if wrong.any():
        place = _first(wrong)
        raise NonconformingError(
            f"{where} at {list(place)} is {np.asarray(result)[place]:.9g}, expected {right[place]:.9g}, "
            f"the first of {np.count_nonzero(wrong):,} wrong values of {right.size:,} "
            f"(largest relative error {float(np.max(errors)):.1e}, {allowed:.1e} allowed)."
        )
    return float(np.max(errors, initial=0))


def _first(where: Array) -> tuple[int, ...]:
    """The first place, in row-major order, of a True."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(where)), where.shape))


def _as_tuple(value: Any) -> tuple[Array, ...]:
    return value if isinstance(value, tuple) else (value,)


def _training(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Batch norm in training without running averages, its arguments in the order of the contract."""
    return lambda *inputs, eps: op(*inputs, None, None, training=True, eps=eps)


def _evaluation(x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, *, eps: float) -> Tensor:
    return ops.batch_norm(x, gamma, beta, mean.data, variance.data, training=False, eps=eps)


def _concat(*tensors: Tensor, axis: int) -> Tensor:
    return ops.concat(tensors, axis)


TWICE = (
    "add sub mul div neg power exp log sqrt matmul linear reshape transpose getitem broadcast_to sum mean relu tanh "
    "sigmoid softmax add_relu dropout conv2d pad_shortcut max_pool2d global_avg_pool softmax_cross_entropy"
)
# Every op with a derivative, called with the arrays and parameters of its contract, and the orders to check.
DIFFERENTIABLE: dict[str, tuple[Callable[..., Tensor], int]] = {
    **{name: (getattr(ops, name), 2) for name in TWICE.split()},
    "concat": (_concat, 2),
    "batch_norm": (_training(ops.batch_norm), 2),
    "batch_norm_eval": (_evaluation, 2),
    "bn_relu": (_training(ops.bn_relu), 1),
    "bn_add_relu": (_training(lambda x, g, b, s, *rest, **kw: ops.bn_add_relu(x, g, b, s, *rest, **kw)), 1),
}
CONSTANT = {"batch_norm_eval": (3, 4)}  # inputs that are never differentiated: the running averages


def check_gradient(op: str, backend: str, *, seed: int = SEED) -> float:
    """Check the derivatives of an op on every sample of its contract, with a backend's kernels wherever it has them.

    Parameters
    ----------
    op : str
        One of `DIFFERENTIABLE`; order 2 is checked where the op has second derivatives.
    backend : str

    Returns
    -------
    float
        The largest relative error.

    Raises
    ------
    GradientError
        A wrong derivative.
    """
    function, order = DIFFERENTIABLE[op]
    worst, device = 0.0, registry.backend(backend_of(backend)).DEVICE
    with registry.use(all=backend):
        for case in CONTRACTS[op].cases(np.random.default_rng(seed)):
            worst = max(worst, _gradient_error(op, partial(function, **case.params), case, order, device))
    return worst


def _gradient_error(op: str, function: Callable[..., Tensor], case: Case, order: int, device: str) -> float:
    fixed = CONSTANT.get(op, ())
    free = [i for i, a in enumerate(case.arrays) if a.dtype.kind == "f" and i not in fixed]

    def of_free(*inputs: Tensor) -> Tensor:
        there = [moved(a, device) for a in case.arrays]
        arguments: list[Any] = [Tensor(a) if a.dtype.kind == "f" else a for a in there]
        for position, value in zip(free, inputs, strict=True):
            arguments[position] = ops.to(value, device)
        return ops.to(function(*arguments), "cpu")

    return gradcheck(of_free, [case.arrays[i] for i in free], order)
