# task: relu.gradient
# way: a copy of dy, of which a part is set to zero
# slip: it is set to zero where dy is not positive instead of where y is not
# right: copy[~(y > 0)] = 0
# wrong: copy[~(dy > 0)] = 0

from tinyres.kernels.registry import kernel


@kernel("relu_gradient", "student")
def relu_gradient(dy, y, *, out):
    copy = dy.copy()
    copy[~(dy > 0)] = 0
    out[...] = copy


def relu(x, *, out):
    raise NotImplementedError("relu.forward is not written yet")


def add_relu(a, b, *, out):
    raise NotImplementedError("relu.add is not written yet")
