# task: relu.forward
# way: np.where
# slip: a NaN is not larger than 0, so np.where(x > 0, x, 0) turns it into 0
# right: np.where(x < 0, 0, x)
# wrong: np.where(x > 0, x, 0)

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("relu", "student")
def relu(x, *, out):
    out[...] = np.where(x > 0, x, 0)


def relu_gradient(dy, y, *, out):
    raise NotImplementedError("relu.gradient is not written yet")


def add_relu(a, b, *, out):
    raise NotImplementedError("relu.add is not written yet")
