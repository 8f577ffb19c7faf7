"""Layers: Modules that hold the parameters of one op."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import ops
from tinyres.errors import ConfigError
from tinyres.nn.init import DEFAULT_DTYPE, he_normal, linear_normal
from tinyres.nn.module import Module, Parameter, as_input
from tinyres.tensor import Tensor


def _generator(rng: np.random.Generator | int) -> np.random.Generator:
    return np.random.default_rng(rng)  # a generator comes back as it is


class Conv2d(Module):
    """Convolution with its own filters: [N, H, W, C] -> [N, I, J, F].

    Parameters
    ----------
    in_channels, out_channels : int
        C and F.
    kernel_size : int
        R = S.
    stride, padding, groups
        As of `ops.conv2d`.
    bias : bool
        Add one number a filter; not wanted before a batch norm.
    normed : bool
        A batch norm comes next, which needs mean and variance of the results: see `moments` of `ops.conv2d`.
    rng : numpy.random.Generator or int
        Where the He-normal weights come from.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | tuple[int, int, int, int] = 0,
        groups: int = 1,
        bias: bool = False,
        normed: bool = False,
        rng: np.random.Generator | int = 0,
    ) -> None:
        shape = (kernel_size, kernel_size, in_channels // groups, out_channels)
        self.weight = Parameter(he_normal(_generator(rng), shape))
        if bias:
            self.bias = Parameter(np.zeros(out_channels, DEFAULT_DTYPE))
        self.stride, self.padding, self.groups, self.normed = stride, padding, groups, normed

    def forward(self, x: Any) -> Tensor:
        """[N, H, W, C] -> [N, I, J, F]."""
        moments = self.normed and self.training
        y = ops.conv2d(x, self.weight, stride=self.stride, padding=self.padding, groups=self.groups, moments=moments)
        return ops.add(y, self.bias) if "bias" in vars(self) else y


class BatchNorm2d(Module):
    """Batch norm over all axes but the channels, with running averages for evaluation.

    Parameters
    ----------
    channels : int
    momentum, eps : float
        As of `ops.batch_norm`.
    """

    buffers = ("running_mean", "running_var")

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        self.weight = Parameter(np.ones(channels, DEFAULT_DTYPE))
        self.bias = Parameter(np.zeros(channels, DEFAULT_DTYPE))
        self.running_mean = np.zeros(channels, DEFAULT_DTYPE)
        self.running_var = np.ones(channels, DEFAULT_DTYPE)
        self.momentum, self.eps = momentum, eps

    def forward(self, x: Any, *, relu: bool = False, shortcut: Any = None) -> Tensor:
        """Normalise x; with `relu` rectify it, with `shortcut` add that before: fused where kernels allow."""
        averages = self.running_mean, self.running_var
        settings: dict[str, Any] = {"training": self.training, "momentum": self.momentum, "eps": self.eps}
        if not relu:
            y = ops.batch_norm(x, self.weight, self.bias, *averages, **settings)
            return y if shortcut is None else ops.add(y, shortcut)
        if shortcut is None:
            return ops.bn_relu(x, self.weight, self.bias, *averages, **settings)
        return ops.bn_add_relu(x, self.weight, self.bias, shortcut, *averages, **settings)


class Linear(Module):
    """Fully connected layer: [N, C] -> [N, F].

    Parameters
    ----------
    in_features, out_features : int
    rng : numpy.random.Generator or int
        Where the weights come from (`init.linear_normal`); the bias starts at 0.
    """

    def __init__(self, in_features: int, out_features: int, *, rng: np.random.Generator | int = 0) -> None:
        self.weight = Parameter(linear_normal(_generator(rng), (in_features, out_features)))
        self.bias = Parameter(np.zeros(out_features, DEFAULT_DTYPE))

    def forward(self, x: Any) -> Tensor:
        """[N, C] -> [N, F]."""
        return ops.linear(x, self.weight, self.bias)


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Any) -> Tensor:
        """Any shape."""
        return ops.relu(x)


class MaxPool2d(Module):
    """Largest value of each window; arguments as of `ops.max_pool2d`."""

    def __init__(self, kernel_size: int, *, stride: int | None = None, padding: int = 0) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Any) -> Tensor:
        """[N, H, W, C] -> [N, I, J, C]."""
        return ops.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class GlobalAvgPool(Module):
    """Mean over the pixels."""

    def forward(self, x: Any) -> Tensor:
        """[N, H, W, C] -> [N, C]."""
        return ops.global_avg_pool(x)


class Flatten(Module):
    """One row an image."""

    def forward(self, x: Any) -> Tensor:
        """[N, ...] -> [N, product of the rest]."""
        x = as_input(x)
        return ops.reshape(x, (x.shape[0], -1))


class Dropout(Module):
    """Dropout whose mask is a function of the seed and of how often it has run in training; that count is saved."""

    buffers = ("step",)

    def __init__(self, p: float = 0.5, *, seed: int = 0) -> None:
        self.p, self.seed, self.step = p, seed, np.zeros((), np.int64)

    def forward(self, x: Any) -> Tensor:
        """Any shape."""
        y = ops.dropout(x, self.p, training=self.training, seed=self.seed, step=int(self.step))
        if self.training:
            self.step += 1
        return y


class Sequential(Module):
    """Modules one after the other, named 0, 1, 2, ..."""

    def __init__(self, *modules: Module) -> None:
        for position, module in enumerate(modules):
            if not isinstance(module, Module):
                raise ConfigError(
                    f"Sequential: item {position} is {getattr(module, '__name__', type(module).__name__)}, "
                    "which is not a Module; nn.ReLU() is one, ops.relu is not."
                )
            setattr(self, str(position), module)

    def __len__(self) -> int:
        return len(list(self.children()))

    def __getitem__(self, position: int) -> Module:
        return [module for _, module in self.children()][position]

    def forward(self, x: Any) -> Any:
        """Each module's output is the next one's input."""
        for _, module in self.children():
            x = module(x)
        return x
