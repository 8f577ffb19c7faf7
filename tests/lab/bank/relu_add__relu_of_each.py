# task: relu.add
# way: a sum of two arrays clipped from below
# slip: each of the two is clipped before they are added
# right: (a + b).clip(0, None)
# wrong: a.clip(0, None) + b.clip(0, None)

from tinyres.kernels.registry import kernel


@kernel("add_relu", "student")
def add_relu(a, b, *, out):
    out[...] = a.clip(0, None) + b.clip(0, None)


def relu(x, *, out):
    raise NotImplementedError("relu.forward is not written yet")


def relu_gradient(dy, y, *, out):
    raise NotImplementedError("relu.gradient is not written yet")
