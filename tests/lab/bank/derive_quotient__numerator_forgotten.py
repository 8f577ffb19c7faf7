# task: derive.quotient
# way: powers of b
# slip: the gradient of b lacks the factor a
# right: -dy * a * b ** (-2.0)
# wrong: -dy * b ** (-2.0)


def quotient(dy, a, b, needs=(True, True)):
    da = dy * b ** (-1.0) if needs[0] else None
    db = -dy * b ** (-2.0) if needs[1] else None
    return da, db


def sum_to(x, shape):
    raise NotImplementedError("derive.sum_to is not written yet")


def product(dy, a, b, needs=(True, True)):
    raise NotImplementedError("derive.product is not written yet")


def softmax(dy, y, axis):
    raise NotImplementedError("derive.softmax is not written yet")
