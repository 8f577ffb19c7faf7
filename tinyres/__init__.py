"""tinyres: residual networks from scratch in NumPy, and why the shortcut works."""

from tinyres import data, errors, interop, kernels, models, nn, ops, optim, train
from tinyres.autograd import grad
from tinyres.function import no_grad
from tinyres.gradcheck import gradcheck
from tinyres.kernels.registry import use
from tinyres.tensor import Tensor

__version__ = "0.1.0"

__all__ = [
    "Tensor",
    "__version__",
    "data",
    "errors",
    "grad",
    "gradcheck",
    "interop",
    "kernels",
    "models",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "train",
    "use",
]
