"""Check derivatives against differences of the function itself, in float64.

With a fixed random cotangent c (never ones: the sum of a batch norm's output is constant, so ones would prove
nothing) the function becomes the scalar L(x) = <c, f(x)>, and for a direction u

    <dL/dx, u>  against  (8 (L(x+hu) - L(x-hu)) - (L(x+2hu) - L(x-2hu))) / 12h,    error O(h^4)

Small inputs are checked exhaustively, one coordinate at a time; large ones along a few random directions, which
misses a wrong gradient with probability zero but for rounding. Order 2 checks the gradient as a function of the
inputs and of c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinyres.autograd import grad
from tinyres.errors import GradientError
from tinyres.kernels import cuda
from tinyres.kernels.launch import moved, on_host
from tinyres.tensor import Tensor

EXHAUSTIVE_UP_TO = 24
DIRECTIONS = 3
STEP = 1e-3
TOLERANCE = 1e-6
NOISE = 1e-4  # of the terms of L: rounding leaves derivatives exact to some 1e-12 of these (1e-16 / STEP), so 1e-8 here


def gradcheck(
    f: Callable[..., Any], inputs: Sequence[Any], order: int = 1, *, tolerance: float = TOLERANCE, seed: int = 0
) -> float:
    """Compare the gradients of `f` with finite differences.

    Parameters
    ----------
    f : callable
        Takes the inputs as Tensors, returns a Tensor or a tuple of Tensors. Deterministic, and smooth near the inputs.
    inputs : sequence of ndarray or Tensor
        Float64 arrays, all of one device; the gradient with respect to each is checked.
    order : int
        1 checks the gradients, 2 also their gradients, and so on.
    tolerance : float
        Largest error allowed, relative to the largest derivative found for the same input; where all are nearly 0, to
        `NOISE` times the size of L.
    seed : int
        Of the cotangent and the directions.

    Returns
    -------
    float
        The largest error found.

    Raises
    ------
    GradientError
        A gradient is wrong: which input, where, got and expected. Also for inputs that are not float64.
    """
    given = [x.data if isinstance(x, Tensor) else x for x in inputs]
    device = "cuda" if any(map(cuda.is_array, given)) else "cpu"
    arrays = [np.array(on_host(x)) for x in given]
    for position, array in enumerate(arrays):
        if array.dtype != np.float64:
            raise GradientError(f"gradcheck: input {position} is {array.dtype}; differences need float64, use .astype.")
    rng = np.random.default_rng(seed)
    cotangents = [np.asarray(rng.standard_normal(y.shape)) for y in _results(f, arrays, device)]
    worst = _check(f, arrays, cotangents, rng, tolerance, device)
    if order > 1:
        count = len(arrays)

        def gradients(*values: Tensor) -> Any:
            results = f(*values[:count])
            given = values[count:]
            found = grad(_as_tuple(results), values[:count], given, create_graph=True)
            return tuple(g for g in found if g is not None)

        both = [moved(a, device) for a in (*arrays, *cotangents)]
        worst = max(worst, gradcheck(gradients, both, order - 1, tolerance=tolerance, seed=seed + 1))
    return worst


def _as_tuple(value: Any) -> tuple[Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)


def _results(f: Callable[..., Any], arrays: Sequence[np.ndarray], device: str) -> tuple[Tensor, ...]:
    return _as_tuple(f(*(Tensor(moved(a, device), requires_grad=True) for a in arrays)))


def _check(
    f: Callable[..., Any],
    arrays: list[np.ndarray],
    cotangents: list[np.ndarray],
    rng: np.random.Generator,
    tolerance: float,
    device: str,
) -> float:
    leaves = [Tensor(moved(a, device), requires_grad=True) for a in arrays]
    results = _as_tuple(f(*leaves))
    pairs = [(y, c) for y, c in zip(results, cotangents, strict=True) if y.requires_grad]
    given = [moved(c, device) for _, c in pairs]
    gradients = grad([y for y, _ in pairs], leaves, given) if pairs else [None] * len(leaves)

    def scalar(position: int, array: np.ndarray) -> float:
        point = [*arrays[:position], array, *arrays[position + 1 :]]
        return sum(float(np.vdot(c, y.numpy())) for c, y in zip(cotangents, _results(f, point, device), strict=True))

    worst = 0.0
    noise = NOISE * sum(float(np.vdot(np.abs(c), np.abs(y.numpy()))) for y, c in zip(results, cotangents, strict=True))
    for position, (array, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        got_all = np.zeros_like(array) if gradient is None else gradient.numpy()
        slopes = []
        for where, direction in _directions(array, rng):
            expected = _slope(lambda x, p=position: scalar(p, x), array, direction)  # type: ignore[misc]
            slopes.append((where, float(np.vdot(got_all, direction)), expected))
        scale = max([noise, *(abs(expected) for _, _, expected in slopes)]) or 1.0
        for where, got, expected in slopes:
            error = abs(got - expected) / scale
            worst = max(worst, error)
            if not error <= tolerance:  # also when it is not a number
                raise GradientError(
                    f"gradient of input {position} (shape {list(array.shape)}) is wrong {where}: "
                    f"got {got:.9g}, differences give {expected:.9g} (relative error {error:.1e})."
                )
    return worst


def _directions(array: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    if array.size <= EXHAUSTIVE_UP_TO:
        for place in np.ndindex(*array.shape):
            direction = np.zeros_like(array)
            direction[place] = 1
            yield f"at {list(place)}", direction
    else:
        for k in range(DIRECTIONS):
            direction = rng.standard_normal(array.shape)
            yield f"along random direction {k}", direction / np.linalg.norm(direction)


def _slope(scalar: Callable[[np.ndarray], float], x: np.ndarray, direction: np.ndarray) -> float:
    near, far = ((scalar(x + h * direction) - scalar(x - h * direction)) for h in (STEP, 2 * STEP))
    return (8 * near - far) / (12 * STEP)
