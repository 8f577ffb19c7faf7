"""Curvature of the loss: Hessian-vector products, and the largest and the smallest eigenvalue with their signs.

    H = d^2 loss / dw^2       H v = d/dw <d loss / dw, v>       (Pearlmutter 1994, equation 2)

One backward pass through a backward pass gives H v at a few times the cost of a gradient, without H. Power iteration
finds the eigenvalue of largest magnitude, which far from a minimum may be negative: a direction of descent, not a
narrow valley. Lanczos iteration builds an orthonormal basis Q of the span of v, Hv, H^2 v, ... in which H is a small
tridiagonal matrix T = Q^T H Q. The ends of the spectrum of T converge first, to both ends of that of H, and each pair
(theta, y) of T has an eigenvalue of H within |beta_k y_k|, its residual (Golub, Van Loan, "Matrix computations",
sections 10.1 and 10.2; for nets Ghorbani, Krishnan, Xiao 2019).

The gradient of a net of ReLUs has jumps, and a second derivative by the rules of calculus sees only the smooth pieces
between them. A difference of gradients at w + hv and w - hv sees some of the jumps as well, and serves kernels that
have no second derivative. Batch norm is that of training: the statistics of the batch are functions of the weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.autograd import grad
from tinyres.errors import ConfigError, GradientError, nearest
from tinyres.flow.measures.state import like, statistics_of
from tinyres.function import recording
from tinyres.kernels.launch import moved
from tinyres.kernels.registry import COMPOSED, FUSED, use
from tinyres.nn.flat import Parameter
from tinyres.nn.module import Module
from tinyres.ops import softmax_cross_entropy
from tinyres.tensor import Tensor

METHODS = ("second order", "differences")
Product = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Curvature:
    """Both ends of the spectrum of a symmetric matrix.

    Attributes
    ----------
    largest, smallest : float
        The algebraically largest and smallest eigenvalue; `smallest` is negative where the matrix is indefinite.
    largest_error, smallest_error : float
        Each is within this distance of a true eigenvalue.
    vectors : ndarray, shape [2, P]
        Their eigenvectors, of length 1.
    history : ndarray, shape [iterations, 2]
        Largest and smallest after each iteration: what convergence looked like.
    """

    largest: float
    smallest: float
    largest_error: float
    smallest_error: float
    vectors: np.ndarray
    history: np.ndarray

    @property
    def magnitude(self) -> float:
        """The largest absolute value, with its sign: what power iteration would find."""
        return max(self.largest, self.smallest, key=abs)

    def table(self) -> dict[str, np.ndarray]:
        """One row an iteration: its number from 1, and both estimates."""
        return {
            "iteration": np.arange(1, len(self.history) + 1),
            "largest": self.history[:, 0],
            "smallest": self.history[:, 1],
        }


def curvature(
    model: Module,
    images: Any,
    labels: Any,
    *,
    statistics: str = "training",
    method: str = "second order",
    step: float | None = None,
    iterations: int = 60,
    tolerance: float = 1e-2,
    seed: int = 0,
) -> Curvature:
    """Largest and smallest eigenvalue of the Hessian of the cross-entropy of a batch, with respect to all parameters.

    Parameters
    ----------
    model : Module
        Left as it was, running averages included.
    images, labels : ndarray, shapes [N, ...] and [N]
    statistics : {"training", "batch", "running"}
        Of batch norm, as of `measures.state`; "batch" and "running" hold them constant.
    method : {"second order", "differences"}
        The backward pass through the backward pass, with fused kernels set aside; or differences of gradients.
    step : float, optional
        How far "differences" go from the weights to either side, in their Euclidean distance: the scale at which the
        curvature is looked at. The cube root of the precision, times the rms weight, if not given.
    iterations : int
        At most so many products.
    tolerance : float
        Stop when both errors are below this share of the largest magnitude.
    seed : int
        Of the first vector.

    Returns
    -------
    Curvature

    Raises
    ------
    ConfigError
        An unknown name, no iterations.
    GradientError
        The Hessian is not finite, or a part of the net has no second derivative.
    """
    parameters = model.parameters()
    with statistics_of(model, statistics, images):
        product = hessian_product(
            lambda: softmax_cross_entropy(model(images), labels), parameters, method=method, step=step
        )
        return lanczos(product, sum(p.size for p in parameters), iterations=iterations, tolerance=tolerance, seed=seed)


def hessian_product(
    loss: Callable[[], Tensor],
    parameters: Sequence[Parameter],
    *,
    method: str = "second order",
    step: float | None = None,
) -> Product:
    """Prepare v -> H v for a loss as a function of some parameters.

    Parameters
    ----------
    loss : callable
        Computes the scalar loss from the parameters' present values, the same each time. With "second order" it is
        called once, now.
    parameters : sequence of Parameter
        P values together.
    method, step
        As of `curvature`.

    Returns
    -------
    callable
        Takes and returns float64 vectors [P], in the order of the parameters.
    """
    if method not in METHODS:
        raise ConfigError(f"there is no method {method!r}{nearest(method, METHODS)}.")
    if method == "differences":
        return lambda v: _difference(loss, parameters, v, step)
    with recording(True), use(**dict.fromkeys(FUSED, COMPOSED)):
        slopes = grad(loss(), parameters, create_graph=True)
    used = [(slope, part) for slope, part in zip(slopes, _parts(parameters), strict=True) if slope is not None]
    if not used:
        raise GradientError("the loss depends on none of these parameters; give those of the net that made it.")

    def product(v: np.ndarray) -> np.ndarray:
        cotangents = [like(slope, v[part]) for slope, part in used]
        pairs = [(slope, c) for (slope, _), c in zip(used, cotangents, strict=True) if slope.requires_grad]
        if not pairs:  # the loss is linear in the parameters
            return np.zeros(len(v))
        second = grad([slope for slope, _ in pairs], parameters, [c for _, c in pairs], retain_graph=True)
        return _joined(second, parameters)

    return product


def lanczos(product: Product, size: int, *, iterations: int = 60, tolerance: float = 1e-2, seed: int = 0) -> Curvature:
    """Both ends of the spectrum of a symmetric matrix that is known by its products.

    Every new vector is made orthogonal to all before it, twice: in floating point the three-term recurrence alone
    loses that, and finds the same eigenvalue again and again.

    Parameters
    ----------
    product : callable
        v [P] -> H v [P], float64.
    size : int
        P.
    iterations, tolerance, seed
        As of `curvature`.

    Returns
    -------
    Curvature
    """
    if iterations < 1 or size < 1:
        raise ConfigError(f"lanczos: {iterations} iterations over {size} parameters; 1 or more of both are wanted.")
    v = np.random.default_rng(seed).standard_normal(size)
    basis = [v / np.linalg.norm(v)]
    diagonal: list[float] = []
    beside: list[float] = []
    history = []
    for step in range(min(iterations, size)):
        w = product(basis[-1])
        diagonal.append(float(basis[-1] @ w))
        for _ in range(2):
            for q in basis:
                w = w - (q @ w) * q
        rest = float(np.linalg.norm(w))
        if not np.isfinite(rest):
            raise GradientError("the Hessian at these weights is not finite; look at the loss and its gradient first.")
        theta, y = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
        errors = np.abs(rest * y[-1, [-1, 0]])
        history.append((theta[-1], theta[0]))
        scale = float(np.abs(theta).max())
        if rest <= 1e-12 * scale or (step > 1 and errors.max() <= tolerance * scale):
            break
        beside.append(rest)
        basis.append(w / rest)
    vectors = y[:, [-1, 0]].T @ np.array(basis[: len(theta)])
    return Curvature(
        float(theta[-1]), float(theta[0]), float(errors[0]), float(errors[1]), vectors, np.array(history, np.float64)
    )


def _difference(
    loss: Callable[[], Tensor], parameters: Sequence[Parameter], v: np.ndarray, step: float | None
) -> np.ndarray:
    """(g(w + hv) - g(w - hv)) / 2h, with an h at which rounding and the third derivative cost about the same."""
    length = float(np.linalg.norm(v))
    if length == 0:
        return np.zeros(len(v))
    before = [p.data.copy() for p in parameters]
    if step is None:
        rms = float(np.sqrt(sum(float((b * b).sum()) for b in before) / len(v)))
        step = float(np.finfo(parameters[0].dtype).eps) ** (1 / 3) * (rms or 1.0)
    h = step / length
    sides = []
    try:
        for sign in (1, -1):
            for parameter, array, part in zip(parameters, before, _parts(parameters), strict=True):
                parameter.data[...] = array + moved(sign * h * v[part].reshape(array.shape), parameter.device)
            sides.append(_joined(grad(loss(), parameters), parameters))
    finally:
        for parameter, array in zip(parameters, before, strict=True):
            parameter.data[...] = array
    return np.asarray((sides[0] - sides[1]) / (2 * h))


def _parts(parameters: Sequence[Parameter]) -> list[slice]:
    """Where each parameter stands in the vector [P]."""
    ends = np.cumsum([0, *(p.size for p in parameters)])
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]


def _joined(gradients: Sequence[Tensor | None], parameters: Sequence[Parameter]) -> np.ndarray:
    """Gradients as one vector [P]; 0 where there is none."""
    arrays = [np.zeros(p.size) if g is None else g.numpy().ravel() for g, p in zip(gradients, parameters, strict=True)]
    return np.concatenate(arrays).astype(np.float64)
