# task: relu.gradient
# way: the step function of Heaviside
# slip: its value at 0 is 1, where the derivative is to be 0
# right: out[...] = dy * np.heaviside(y, np.zeros((), y.dtype))
# wrong: out[...] = dy * np.heaviside(y, np.ones((), y.dtype))

import numpy as np


def relu_gradient(dy, y, *, out):
    out[...] = dy * np.heaviside(y, np.ones((), y.dtype))
