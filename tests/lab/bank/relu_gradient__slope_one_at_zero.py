# task: relu.gradient
# way: the step function of NumPy times dy
# slip: the step function is 1 at 0, so what comes to an output of 0 is let through
# right: np.heaviside(y, 0)
# wrong: np.heaviside(y, 1)

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("relu_gradient", "student")
def relu_gradient(dy, y, *, out):
    np.multiply(dy, np.heaviside(y, 1), out=out)


def relu(x, *, out):
    raise NotImplementedError("relu.forward is not written yet")


def add_relu(a, b, *, out):
    raise NotImplementedError("relu.add is not written yet")
