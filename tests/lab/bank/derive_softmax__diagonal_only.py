# task: derive.softmax
# way: the Jacobian matrix of every row, einsum
# slip: only the diagonal of the Jacobian is kept: each output is taken to depend on its own input alone
# right: diagonal - np.einsum("...i,...j->...ij", p, p)
# wrong: diagonal * (1 - p[..., None, :])

import numpy as np


def softmax(dy, y, axis):
    p, error = np.moveaxis(y, axis, -1), np.moveaxis(dy, axis, -1)
    diagonal = p[..., None, :] * np.eye(p.shape[-1], dtype=p.dtype)
    jacobian = diagonal * (1 - p[..., None, :])
    return np.moveaxis(np.einsum("...ij,...i->...j", jacobian, error), -1, axis)


def sum_to(x, shape):
    raise NotImplementedError("derive.sum_to is not written yet")


def product(dy, a, b, needs=(True, True)):
    raise NotImplementedError("derive.product is not written yet")


def quotient(dy, a, b, needs=(True, True)):
    raise NotImplementedError("derive.quotient is not written yet")
