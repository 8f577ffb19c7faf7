"""gradcheck finds gradients that are wrong, also where that is easy to miss, and lets right ones pass."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import Tensor, gradcheck, ops, use
from tinyres.errors import GradientError
from tinyres.function import Function, apply

SMALL, LARGE = (2, 3), (7, 5, 3)  # exhaustive, and along random directions


def wrong(forward, backward):
    """An op with a planted gradient: forward of arrays, backward(dy, x) of Tensors."""

    class Planted(Function):
        keeps = ("x",)

        def forward(self, x):
            return forward(x)

        def backward(self, dy):
            return backward(dy, self.x)

    return lambda x: apply(Planted(), x)


@pytest.mark.parametrize("shape", [SMALL, LARGE])
@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        pytest.param(lambda a: a**2, lambda dy, x: dy * x * -2.0, id="sign"),
        pytest.param(lambda a: a**2, lambda dy, x: dy * x, id="factor"),
        pytest.param(lambda a: a**2, lambda dy, x: dy * x * 2.00002, id="fifth digit"),
        pytest.param(lambda a: a**2, lambda dy, x: dy * 2.0, id="input forgotten"),
        pytest.param(lambda a: a**2, lambda dy, x: None, id="none at all"),
        pytest.param(lambda a: a**2, lambda dy, x: x * 2.0, id="cotangent forgotten"),
        pytest.param(lambda a: a**2, lambda dy, x: dy * x * (x - x) / (x - x), id="not a number"),
        pytest.param(lambda a: 1e-9 * a, lambda dy, x: dy * -1e-9, id="a tiny one's sign"),
        pytest.param(lambda a: np.asarray(a.mean()), lambda dy, x: ops.broadcast_to(dy / -x.size, x.shape), id="mean"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_it_finds_a_wrong_gradient(forward, backward, shape, rng):
    with pytest.raises(GradientError, match=rf"gradient of input 0 \(shape {list(shape)!r}".replace("[", r"\[")):
        gradcheck(wrong(forward, backward), [rng.uniform(0.5, 2, shape)])


def test_a_transposed_gradient_of_a_square_matrix(rng):
    """Right in sum and in norm, and on a symmetric input."""
    for n in (3, 8):
        with pytest.raises(GradientError, match="is wrong"):
            gradcheck(wrong(np.sin, lambda dy, x: (dy * Tensor(np.cos(x.data))).T), [rng.standard_normal((n, n))])


def test_one_wrong_value_in_many(rng):
    mask = np.ones(200)
    mask[77] = 1.01
    with pytest.raises(GradientError, match="along random direction"):
        gradcheck(wrong(lambda a: 3 * a, lambda dy, x: dy * 3.0 * Tensor(mask)), [rng.standard_normal(200)])


def test_a_batch_norm_that_ones_would_let_pass(rng):
    """The outputs of a channel sum to a constant: for a cotangent of ones a zero gradient is right."""

    def normalise(a):
        return (a - a.mean(0)) / a.std(0)

    careless = wrong(normalise, lambda dy, x: (dy - ops.mean(dy, 0)) / Tensor(x.data.std(0)))  # forgets the variance
    x = rng.standard_normal((6, 3))
    leaf = Tensor(x, requires_grad=True)
    careless(leaf).backward(np.ones((6, 3)))
    assert np.abs(leaf.grad.numpy()).max() < 1e-15
    with pytest.raises(GradientError, match="is wrong"):
        gradcheck(careless, [x])


def test_the_message_tells_where_and_how_much():
    with pytest.raises(GradientError) as raised:
        gradcheck(lambda x, y: x * wrong(lambda a: a * 2, lambda dy, _: dy)(y), [np.ones(2), np.ones((2, 2))])
    text = str(raised.value)
    assert text.startswith("gradient of input 1 (shape [2, 2]) is wrong at [0, 0]: got ")
    got, expected = (
        float(part.split()[-1]) for part in text.split(" (relative")[0].replace(",", "").split("differences")
    )
    assert expected == pytest.approx(2 * got)
    assert "(relative error " in text


def test_order_two_finds_a_wrong_second_derivative(rng):
    """The first derivative is right; its own derivative has the sign wrong."""
    cosine = wrong(np.cos, lambda dy, x: dy * ops.mul(Tensor(np.sin(x.data)), 1.0))  # should be -sin
    sine = wrong(np.sin, lambda dy, x: dy * cosine(x))
    for shape in (SMALL, LARGE):
        x = rng.standard_normal(shape)
        assert gradcheck(sine, [x], order=1) < 1e-6
        with pytest.raises(GradientError, match="is wrong"):
            gradcheck(sine, [x], order=2)


def test_order_two_finds_a_derivative_cut_off(rng):
    """Computed on arrays instead of by ops: the second derivative would silently be 0."""
    cut = wrong(lambda a: a**3, lambda dy, x: dy * Tensor(3 * x.data**2))
    x = rng.standard_normal(SMALL)
    assert gradcheck(cut, [x]) < 1e-6
    with pytest.raises(GradientError, match="is wrong"):
        gradcheck(cut, [x], order=2)


def test_order_three(rng):
    """Wrong in the third derivative alone: the last function's own gradient is planted."""
    third = wrong(np.sin, lambda dy, x: dy * ops.mul(Tensor(np.cos(x.data)), 2.0))
    second = wrong(np.cos, lambda dy, x: -dy * third(x))
    first = wrong(np.sin, lambda dy, x: dy * second(x))
    x = rng.standard_normal((2, 2))
    assert gradcheck(first, [x], order=2) < 1e-6
    with pytest.raises(GradientError, match="is wrong"):
        gradcheck(first, [x], order=3)
    x = rng.uniform(0.5, 2, (2, 2))
    assert gradcheck(lambda x: ops.exp(x) * ops.log(x), [x], order=3) < 1e-6


def test_right_gradients_pass_with_a_wide_margin(rng):
    inputs = [rng.standard_normal((3, 4)), rng.standard_normal((4, 2)), rng.standard_normal(2)]

    def f(x, w, b):
        return ops.softmax(ops.tanh(x @ w + b))

    assert gradcheck(f, inputs, order=2) < 1e-8
    assert gradcheck(lambda x: f(x * 1e-6, *map(Tensor, inputs[1:])) * 1e6, inputs[:1]) < 1e-7


def test_several_results_some_of_them_constant(rng):
    def f(x):
        return (x * x, Tensor(np.ones(2)), ops.exp(x))

    assert gradcheck(f, [rng.standard_normal(3)]) < 1e-6
    assert gradcheck(lambda x: Tensor(np.ones(3)), [np.ones(2)]) == 0


def test_an_input_that_has_no_effect(rng):
    assert gradcheck(lambda x, y: x * 2.0, [rng.standard_normal(3), rng.standard_normal(2)], order=2) < 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64])
def test_other_types_are_refused(dtype):
    with pytest.raises(GradientError, match=rf"input 1 is {np.dtype(dtype)}; differences need float64, use .astype"):
        gradcheck(lambda x, y: x, [np.ones(2), np.ones(2, dtype)])


def test_inputs_are_left_alone_and_tensors_are_taken(rng):
    x = rng.standard_normal(3)
    before = x.copy()
    leaf = Tensor(x)
    gradcheck(lambda x: x * x, [leaf], order=2)
    np.testing.assert_array_equal(x, before)
    assert leaf.grad is None
    assert not leaf.requires_grad


def test_it_is_deterministic_and_its_seed_counts(rng):
    x = rng.standard_normal(LARGE)
    errors = [gradcheck(ops.tanh, [x], seed=seed) for seed in (0, 0, 1)]
    assert errors[0] == errors[1] != errors[2]


def test_it_checks_the_kernels_in_force(own_kernels):
    """A fast kernel with a wrong gradient is found through the op that calls it."""
    own_kernels.kernel("relu_gradient", "hasty")(lambda dy, y: dy)
    x = np.array([-1.0, -0.5, 0.5, 1.0])
    assert gradcheck(ops.relu, [x]) < 1e-6
    with use(relu_gradient="hasty"), pytest.raises(GradientError, match="is wrong at"):
        gradcheck(ops.relu, [x])
