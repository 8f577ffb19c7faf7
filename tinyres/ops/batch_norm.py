"""Batch norm over all axes but the last (the channels), M values a channel.

    xhat = (x - mean) s,   s = 1 / sqrt(variance + eps),   y = gamma xhat + beta
    training: mean and biased variance of this batch        evaluation: running averages, which are constants

Training and evaluation are two ops. With P(v) = v - mean(v) - xhat mean(v xhat), a projection and its own transpose,

    dx = gamma s P(dy)      dgamma = sum dy xhat      dbeta = sum dy

and the derivative of these three, for cotangents a, b, c of dx, dgamma, dbeta, follows from L = sum_channels of
gamma s <a, P(dy)> + b <dy, xhat> + c <dy, 1>:

    dL/d(dy) = gamma s P(a) + b xhat + c
    dL/dgamma = s <a, P(dy)>
    dL/dx = s P(g) - gamma s^2 <a, P(dy)> xhat / M,      g = b dy - gamma s (a mean(dy xhat) + dy mean(a xhat))

`bn_relu` and `bn_add_relu` are relu(batch_norm(x)) and relu(batch_norm(x) + shortcut) in one kernel each; they have no
second derivative. Where the convolution before has taken mean and variance while it made x (`conv2d` with `moments`),
only the last step is left, and that is the kernel of evaluation. Source: Ioffe, Szegedy 2015.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tinyres.errors import GradientError
from tinyres.function import Function, apply, apply_all, is_recording
from tinyres.kernels.launch import Array, launch
from tinyres.kernels.registry import FUSED, fuses, name_of
from tinyres.ops.activation import add_relu, relu
from tinyres.ops.elementwise import add, mul, power, sub
from tinyres.ops.reduce import mean, sum
from tinyres.tensor import Tensor, as_tensor


class BatchNorm(Function):
    op, saves = "batch_norm", ("mean", "variance", "moments")
    keeps: ClassVar[tuple[str, ...]] = ("x", "gamma")

    def __init__(self, eps: float, x: Tensor) -> None:
        self.eps, self.moments = eps, x.moments
        applies = self.op + "_eval"  # the kernel of the last step
        if applies in FUSED and self.moments is not None and not fuses(applies, name_of(x.dtype), x.device):
            self.moments = None

    def forward(self, x: Array, gamma: Array, beta: Array, *shortcut: Array) -> Array:
        if self.moments is not None:  # the convolution that made x has taken them
            self.mean, self.variance = self.moments
            return launch(self.op + "_eval", x, gamma, beta, self.mean, self.variance, *shortcut, eps=self.eps)
        y, self.mean, self.variance = self.kernel(x, gamma, beta, *shortcut, eps=self.eps)
        return y

    def backward(self, dy: Tensor) -> tuple[Tensor, ...]:
        function = BatchNormGradient(self.eps, self.mean, self.variance)
        function.out = None, self.slot(1), self.slot(2)
        return apply_all(function, dy, self.x, self.gamma)


class BatchNormGradient(Function):
    op, keeps, saves = "batch_norm_gradient", ("dy", "x", "gamma"), ("mean", "variance")

    def __init__(self, eps: float, mean: Array, variance: Array) -> None:
        self.eps, self.mean, self.variance = eps, mean, variance

    def forward(self, dy: Array, x: Array, gamma: Array) -> tuple[Array, ...]:
        gradients: tuple[Array, ...] = self.kernel(dy, x, gamma, self.mean, self.variance, eps=self.eps)
        return gradients

    def backward(self, a: Tensor | None, b: Tensor | None, c: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        dy, x, gamma = self.dy, self.x, self.gamma
        axes = tuple(range(x.ndim - 1))
        nothing = mul(gamma, 0.0)
        a = mul(dy, 0.0) if a is None else a
        b, c = (nothing if v is None else v for v in (b, c))
        centred = sub(x, mean(x, axes))
        s = power(add(mean(mul(centred, centred), axes), self.eps), -0.5)
        xhat = mul(centred, s)

        def along(v: Tensor) -> Tensor:  # mean(v xhat)
            return mean(mul(v, xhat), axes)

        def project(v: Tensor) -> Tensor:  # P(v)
            return sub(sub(v, mean(v, axes)), mul(xhat, along(v)))

        gamma_s = mul(gamma, s)
        mean_a_pdy = mean(mul(a, project(dy)), axes)  # <a, P(dy)> / M
        g = sub(mul(b, dy), mul(gamma_s, add(mul(a, along(dy)), mul(dy, along(a)))))
        count = x.size // x.shape[-1]
        return (
            add(add(mul(gamma_s, project(a)), mul(b, xhat)), c),
            sub(mul(s, project(g)), mul(mul(mul(gamma_s, s), mean_a_pdy), xhat)),
            mul(s, mul(mean_a_pdy, float(count))),
        )


class BatchNormEval(Function):
    op, keeps = "batch_norm_eval", ("x", "gamma")

    def __init__(self, eps: float, mean: Array, variance: Array) -> None:
        # copies: a later step in training updates the running averages in place, perhaps before this backward
        self.eps, self.mean, self.variance = eps, mean.copy(), variance.copy()

    def forward(self, x: Array, gamma: Array, beta: Array) -> Array:
        return self.kernel(x, gamma, beta, self.mean, self.variance, eps=self.eps)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, ...]:
        axes = tuple(range(dy.ndim - 1))
        s = power(add(Tensor(self.variance), self.eps), -0.5)
        return (
            mul(dy, mul(self.gamma, s)) if self.needs[0] else None,
            sum(mul(dy, mul(sub(self.x, Tensor(self.mean)), s)), axes) if self.needs[1] else None,
            sum(dy, axes) if self.needs[2] else None,
        )


class BnRelu(BatchNorm):
    """relu(batch_norm(x)) and, with a shortcut as fourth input, relu(batch_norm(x) + shortcut)."""

    op, keeps = "bn_relu", ("x", "gamma", "beta")

    def backward(self, dy: Tensor) -> tuple[Tensor, ...]:
        # what was positive is computed again from x: that costs less than reading y from memory
        return self.gradient(dy, self.x, self.gamma, self.beta)

    def gradient(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        function = _FusedGradient(self.op + "_gradient", self.eps, self.mean, self.variance)
        function.out = None, self.slot(1), self.slot(2), *(None for _ in self.shapes[3:])
        return apply_all(function, *tensors)


class BnAddRelu(BnRelu):
    op, keeps = "bn_add_relu", ("x", "gamma", "y")

    def backward(self, dy: Tensor) -> tuple[Tensor, ...]:
        return self.gradient(dy, self.y, self.x, self.gamma)


class _FusedGradient(Function):
    def __init__(self, op: str, eps: float, mean: Array, variance: Array) -> None:
        self.op, self.eps, self.mean, self.variance = op, eps, mean, variance  # type: ignore[misc]

    def forward(self, dy: Array, *arrays: Array) -> tuple[Array, ...]:
        gradients: tuple[Array, ...] = self.kernel(dy, *arrays, self.mean, self.variance, eps=self.eps)
        return gradients

    def backward(self, *cotangents: Tensor) -> tuple[Tensor, ...]:
        fused = self.op.removesuffix("_gradient")
        raise GradientError(
            f'{fused} has no second derivative; compute inside `with tinyres.use({fused}="composed"):`.'
        )


def batch_norm(
    x: Any,
    gamma: Any,
    beta: Any,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel to mean 0 and variance 1, then scale by gamma and shift by beta.

    Parameters
    ----------
    x : Tensor, shape [..., C]
        Statistics run over all axes but the last.
    gamma, beta : Tensor, shape [C]
    running_mean, running_var : ndarray, shape [C], or None
        In training updated in place, ``running = (1 - momentum) * running + momentum * batch``, with the unbiased
        variance; in evaluation used in place of the batch's.
    training : bool
    momentum : float
        Share of the new batch in the running averages.
    eps : float
        Added to the variance under the root.

    Returns
    -------
    Tensor, shape [..., C]

    Raises
    ------
    ShapeError
        Vectors that do not fit the channels, or a batch with one value a channel in training.
    GradientError
        Evaluation without running averages, or one of them without the other.
    """
    if training:
        x = as_tensor(x)
        function = BatchNorm(eps, x)
        y = apply(function, x, gamma, beta)
        _update_running(running_mean, running_var, function, y, momentum)
        return y
    if running_mean is None or running_var is None:
        raise GradientError("batch_norm: evaluation needs running averages; pass them, or training=True.")
    return apply(BatchNormEval(eps, running_mean, running_var), x, gamma, beta)


def bn_relu(
    x: Any, gamma: Any, beta: Any, running_mean: Array, running_var: Array, *, training: bool, **settings: Any
) -> Tensor:
    """relu(batch_norm(...)), in one kernel where one is chosen; arguments as of `batch_norm`."""
    x = as_tensor(x)
    if not _fuses("bn_relu", x, training):
        return relu(batch_norm(x, gamma, beta, running_mean, running_var, training=training, **settings))
    if not training:
        return _evaluated("bn_relu_eval", x, gamma, beta, running_mean, running_var, **settings)
    return _fused(BnRelu, (x, gamma, beta), running_mean, running_var, **settings)


def bn_add_relu(
    x: Any,
    gamma: Any,
    beta: Any,
    shortcut: Any,
    running_mean: Array,
    running_var: Array,
    *,
    training: bool,
    **settings: Any,
) -> Tensor:
    """relu(batch_norm(x, ...) + shortcut), in one kernel where one is chosen: the end of a residual block.

    Parameters
    ----------
    x, shortcut : Tensor, both of shape [..., C]
    gamma, beta, running_mean, running_var, training, **settings
        As of `batch_norm`.
    """
    x = as_tensor(x)
    if not _fuses("bn_add_relu", x, training):
        y = batch_norm(x, gamma, beta, running_mean, running_var, training=training, **settings)
        return add_relu(y, shortcut)
    if not training:
        return _evaluated("bn_add_relu_eval", x, gamma, beta, running_mean, running_var, shortcut, **settings)
    return _fused(BnAddRelu, (x, gamma, beta, shortcut), running_mean, running_var, **settings)


def _fuses(op: str, x: Tensor, training: bool) -> bool:
    """Whether the ReLU runs in the kernel of batch norm: in evaluation only where nothing will be differentiated."""
    if not training and is_recording():
        return False
    return fuses(op if training else op + "_eval", name_of(x.dtype), x.device)


def _evaluated(op: str, *inputs: Any, eps: float = 1e-5, **_: Any) -> Tensor:
    """A fused evaluation, of which no graph is made."""
    return Tensor(launch(op, *[as_tensor(value).data for value in inputs], eps=eps))


def _fused(
    kind: type[BnRelu],
    inputs: tuple[Any, ...],
    running_mean: Array,
    running_var: Array,
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    function = kind(eps, inputs[0])
    y = apply(function, *inputs)
    _update_running(running_mean, running_var, function, y, momentum)
    return y


def _update_running(
    running_mean: Array | None, running_var: Array | None, function: BatchNorm | BnRelu, y: Tensor, momentum: float
) -> None:
    if running_mean is None and running_var is None:
        return
    if running_mean is None or running_var is None:
        raise GradientError("batch_norm: one running average came without the other; pass both, or None for both.")
    count, running = y.size // y.shape[-1], (running_mean, running_var)
    settings = {"momentum": momentum, "scale": count / (count - 1)}  # M/(M-1): the unbiased variance enters
    launch("running_averages", *running, function.mean, function.variance, **settings, out=running)
