# task: derive.sum_to
# way: axis by axis from the front
# slip: the copies' gradients are averaged instead of added
# right: x = x.sum(axis, keepdims=True)
# wrong: x = x.mean(axis, keepdims=True)


def sum_to(x, shape):
    full = (1,) * (x.ndim - len(shape)) + tuple(shape)
    for axis, length in enumerate(full):
        if length == 1 and x.shape[axis] != 1:
            x = x.mean(axis, keepdims=True)
    return x.reshape(shape)


def product(dy, a, b, needs=(True, True)):
    raise NotImplementedError("derive.product is not written yet")


def quotient(dy, a, b, needs=(True, True)):
    raise NotImplementedError("derive.quotient is not written yet")


def softmax(dy, y, axis):
    raise NotImplementedError("derive.softmax is not written yet")
