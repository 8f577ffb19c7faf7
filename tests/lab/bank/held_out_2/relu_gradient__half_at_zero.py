# task: relu.gradient
# way: Heaviside's step function
# slip: the derivative at 0 is taken as a half
# right: np.heaviside(y, 0)
# wrong: np.heaviside(y, 0.5)

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("relu_gradient", "student", strided=True)
def relu_gradient(dy, y, *, out):
    np.multiply(dy, np.heaviside(y, 0.5), out=out)
