"""More known mistakes with the derivatives of lab 1: factors, powers, signs, axes and copies."""

from __future__ import annotations

import math

import numpy as np

from tinyres.lab.labs.lab01_autograd.recipes_arrays import SAME, _pair, _reduced, _softmax, _sum_to
from tinyres.lab.task import Array, Recipe

NEEDS_EXCHANGED = Recipe(
    "needs-exchanged",
    SAME + "the two needs are taken for each other's: the first is that of a",
    before=lambda case: case.but(needs=case.params["needs"][::-1]),
)


def _last(x: Array, axis: tuple[int, ...], keepdims: bool = False) -> Array:
    y = x[tuple(slice(-1, None) if a in axis else slice(None) for a in range(x.ndim))]
    return y if keepdims else y.reshape([size for a, size in enumerate(y.shape) if a not in axis])


MORE_SUM_TO = (
    _sum_to("last-copy", "the last copy is taken: all have to be added up", lambda x, s: _reduced(x, s, _last)),
    _sum_to("minimum", "the smallest of the copies is taken: all are added up", lambda x, s: _reduced(x, s, np.min)),
    _sum_to("product", "copies are multiplied: they have to be added up", lambda x, s: _reduced(x, s, np.prod)),
    _sum_to(
        "magnitudes",
        "the magnitudes of the copies are added up",
        lambda x, s: _reduced(np.abs(x), s, np.sum) if x.shape != s else x,
    ),
    _sum_to(
        "first-values",
        "the first values in memory are taken and reshaped: copies have to be added up",
        lambda x, s: x.ravel()[: math.prod(s)].reshape(s),
    ),
    _sum_to("turned", "the sum has the other sign", lambda x, s: -_reduced(x, s, np.sum) if x.shape != s else x),
    _sum_to(
        "new-axes-averaged",
        "the axes in front, which are new, are averaged: they are summed as well",
        lambda x, s: _reduced(x, s, np.mean, np.sum),
    ),
    _sum_to(
        "repeated-axes-averaged",
        "the axes that had length 1 are averaged: they are summed as well",
        lambda x, s: _reduced(x, s, np.sum, np.mean),
    ),
)

MORE_PRODUCT = (
    _pair("sign", "db has a minus: a product has none", lambda dy, a, b: (dy * b, -dy * a)),
    _pair(
        "sum-of-factors", "dy is multiplied by the sum of both factors", lambda dy, a, b: (dy * (a + b), dy * (a + b))
    ),
    _pair("other-squared", "the other factor is squared", lambda dy, a, b: (dy * b**2, dy * a**2)),
    _pair("dy-squared", "dy is squared", lambda dy, a, b: (dy**2 * b, dy**2 * a)),
    _pair("doubled", "the gradients are doubled", lambda dy, a, b: (2 * dy * b, 2 * dy * a)),
    _pair("halved", "the gradients are halved", lambda dy, a, b: (dy * b / 2, dy * a / 2)),
    _pair("magnitude", "the sign of the other factor is lost", lambda dy, a, b: (dy * np.abs(b), dy * np.abs(a))),
    _pair("first-left-out", "only the second factor gets its gradient", lambda dy, a, b: (0.0, dy * a)),
    _pair("both-of-b", "both gradients are dy b", lambda dy, a, b: (dy * b, dy * b)),
    _pair("both-of-a", "both gradients are dy a", lambda dy, a, b: (dy * a, dy * a)),
    _pair("as-a-quotient", "the rule of the quotient is used", lambda dy, a, b: (dy / b, -dy * a / b**2)),
    _pair("dy-added", "dy is added to the other factor: it multiplies it", lambda dy, a, b: (dy + b, dy + a)),
    _pair("ones", "both gradients are 1", lambda dy, a, b: (1.0, 1.0)),
    NEEDS_EXCHANGED,
)

MORE_QUOTIENT = (
    _pair("sign-and-one-b", "db is dy a / b: it is -dy a / b^2", lambda dy, a, b: (dy / b, dy * a / b)),
    _pair("no-b", "db is -dy a: the division by b^2 is left out", lambda dy, a, b: (dy / b, -dy * a)),
    _pair("b-multiplies", "db is -dy a b^2: b^2 divides", lambda dy, a, b: (dy / b, -dy * a * b**2)),
    _pair("b-cubed", "db is -dy a / b^3: the derivative of 1/b is -1/b^2", lambda dy, a, b: (dy / b, -dy * a / b**3)),
    _pair("a-squared", "db has a squared", lambda dy, a, b: (dy / b, -dy * a**2 / b**2)),
    _pair("a-below", "db is -dy / (a b^2): a stands above the line", lambda dy, a, b: (dy / b, -dy / (a * b**2))),
    _pair("one-b-and-no-a", "db is -dy / b: a is missing, and b is squared", lambda dy, a, b: (dy / b, -dy / b)),
    _pair("as-log", "db is dy / b as da is", lambda dy, a, b: (dy / b, dy / b)),
    _pair("operands-exchanged", "the quotient is taken for b / a", lambda dy, a, b: (-dy * b / a**2, dy / a)),
    _pair("letters-exchanged", "a and b change places in the formulas", lambda dy, a, b: (dy / a, -dy * b / a**2)),
    _pair("da-multiplied", "da is dy b: it is dy / b", lambda dy, a, b: (dy * b, -dy * a / b**2)),
    _pair("da-squared", "da is dy / b^2: it is dy / b", lambda dy, a, b: (dy / b**2, -dy * a / b**2)),
    _pair("da-itself", "da is dy y, the quotient itself: it is dy / b", lambda dy, a, b: (dy * a / b, -dy * a / b**2)),
    _pair("da-as-of-a-sum", "da is dy: it is dy / b", lambda dy, a, b: (dy, -dy * a / b**2)),
    _pair("da-turned", "da has a minus: only db does", lambda dy, a, b: (-dy / b, -dy * a / b**2)),
    _pair("first-left-out", "only the second operand gets its gradient", lambda dy, a, b: (0.0, -dy * a / b**2)),
    _pair("magnitude", "the sign of b is lost", lambda dy, a, b: (dy / np.abs(b), -dy * a / np.abs(b) ** 2)),
    _pair(
        "numerator-of-the-rule",
        "dy b and -dy a are the numerators alone: b^2 divides",
        lambda dy, a, b: (dy * b, -dy * a),
    ),
    NEEDS_EXCHANGED,
)

MORE_SOFTMAX = (
    _softmax("y-twice", "y multiplies twice", lambda dy, y, axis: y**2 * (dy - (dy * y).sum(axis, keepdims=True))),
    _softmax(
        "y-on-the-sum-only",
        "y multiplies the sum alone, not dy",
        lambda dy, y, axis: dy - y * (dy * y).sum(axis, keepdims=True),
    ),
    _softmax("sign", "the sign is the other", lambda dy, y, axis: y * ((dy * y).sum(axis, keepdims=True) - dy)),
    _softmax(
        "dy-in-the-sum-only",
        "dy stands in the sum alone: y (1 - sum)",
        lambda dy, y, axis: y * (1 - (dy * y).sum(axis, keepdims=True)),
    ),
    _softmax(
        "y-squared-in-the-sum",
        "y is squared in the sum",
        lambda dy, y, axis: y * (dy - (dy * y**2).sum(axis, keepdims=True)),
    ),
    _softmax(
        "dy-squared-in-the-sum",
        "dy is squared in the sum",
        lambda dy, y, axis: y * (dy - (dy**2 * y).sum(axis, keepdims=True)),
    ),
    _softmax(
        "log-softmax",
        "the gradient is that of log-softmax, dy - y sum(dy)",
        lambda dy, y, axis: dy - y * dy.sum(axis, keepdims=True),
    ),
    _softmax(
        "diagonal-left-out",
        "only -y_i y_j is used, without the y_i on the diagonal",
        lambda dy, y, axis: -y * (dy * y).sum(axis, keepdims=True),
    ),
    _softmax(
        "divided-by-y",
        "the difference is divided by y: it is multiplied",
        lambda dy, y, axis: (dy - (dy * y).sum(axis, keepdims=True)) / y,
    ),
    _softmax(
        "mean-of-dy",
        "the mean of dy is subtracted: the sum of dy y is",
        lambda dy, y, axis: y * (dy - dy.mean(axis, keepdims=True)),
    ),
    _softmax(
        "largest",
        "the largest of dy y is subtracted: the sum is",
        lambda dy, y, axis: y * (dy - (dy * y).max(axis, keepdims=True)),
    ),
    _softmax(
        "twice-the-sum",
        "the sum is subtracted twice",
        lambda dy, y, axis: y * (dy - 2 * (dy * y).sum(axis, keepdims=True)),
    ),
    _softmax(
        "first-axis",
        "the sum runs along axis 0, whatever the axis",
        lambda dy, y, axis: y * (dy - (dy * y).sum(0, keepdims=True)),
    ),
    _softmax(
        "last-axis",
        "the sum runs along the last axis, whatever the axis",
        lambda dy, y, axis: y * (dy - (dy * y).sum(-1, keepdims=True)),
    ),
    _softmax("dy-left-out", "dy is left out", lambda dy, y, axis: y * (1 - y)),
    _softmax("dy-passed-on", "dy is passed on as it is", lambda dy, y, axis: dy),
    _softmax(
        "y-less-dy",
        "the gradient is y - dy, as if dy were one-hot: that is of softmax and loss together",
        lambda dy, y, axis: y - dy,
    ),
    _softmax("tanh", "the derivative is that of tanh, 1 - y^2", lambda dy, y, axis: dy * (1 - y**2)),
)
