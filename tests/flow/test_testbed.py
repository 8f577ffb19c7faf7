"""The loop of the lessons: what it measures, when the rate drops, what a run that blows up looks like."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import no_grad
from tinyres.errors import ConfigError
from tinyres.flow.testbed import digits_arrays, error_of, train
from tinyres.models.dense import DenseNet


@pytest.fixture(scope="module")
def digits():
    return digits_arrays()


def test_digits(digits):
    assert digits.x.shape == (1437, 64)
    assert digits.x_test.shape == (360, 64)
    assert digits.x.dtype == np.float32
    np.testing.assert_allclose(digits.x.mean(axis=0), 0, atol=1e-6)
    deviations = digits_arrays(standardised=True, flat=False, dtype=np.float64).x.std(axis=0)
    assert deviations.shape == (8, 8, 1)
    assert set(np.round(deviations, 9).ravel()) == {0.0, 1.0}
    kept = digits.hold_out(144)
    assert (len(kept.x), len(kept.x_validation), len(kept.x_test)) == (1293, 144, 360)
    with pytest.raises(ConfigError, match="1437 of 1437"):
        digits.hold_out(1437)


def test_a_run_learns_measures_and_repeats_itself(digits):
    first, again = (train(DenseNet(2, width=16), digits.hold_out(144), epochs=4, every=2, seed=1) for _ in range(2))
    assert first.train_error[-1] < 0.06
    assert first.test_error[-1] < 0.1
    assert first.validation_error[-1] < 0.1
    assert np.isnan(first.train_error[0])
    assert first.loss[0] > first.loss[-1]
    assert first.step_loss.shape == (4 * 21,)
    assert np.array_equal(first.step_loss, again.step_loss)
    assert not first.diverged
    steps = first.steps_to(0.2)
    assert steps is not None
    assert np.mean(first.step_error[steps - 23 : steps]) <= 0.2 < np.mean(first.step_error[steps - 24 : steps - 1])
    assert first.steps_to(-1.0) is None


def test_the_errors_are_those_of_the_answers(digits):
    net = DenseNet(1, width=8)
    history = train(net, digits, epochs=1)
    net.eval()
    with no_grad():
        wrong = np.mean(net(digits.x_test).numpy().argmax(axis=1) != digits.y_test)
    assert history.test_error[-1] == wrong == error_of(net, digits.x_test, digits.y_test, batch=7)


def test_the_rate_drops_after_three_quarters(digits):
    """With momentum 0 and no decay a step is lr times the gradient."""
    net = DenseNet(1, width=8)
    rates = []
    before = None

    def watch(step):
        nonlocal before
        if before is not None:
            rates.append(float(np.median((before[0] - net.fc.weight.data) / before[1])))
        before = net.fc.weight.data.copy(), net.fc.weight.grad.numpy().copy()

    train(net, digits, epochs=4, lr=0.2, momentum=0.0, weight_decay=0.0, watch=watch)
    np.testing.assert_allclose(rates[:69], 0.2, rtol=1e-2)
    np.testing.assert_allclose(rates[69:], 0.02, rtol=1e-2)


def test_augmentation_changes_what_is_trained_on_only(digits):
    seen = []

    def blank(x, epoch, positions):
        seen.append((epoch, int(positions[0]), len(positions)))
        return x * 0

    history = train(DenseNet(1, width=8), digits, epochs=2, batch=500, augment=blank)
    assert seen == [(0, 0, 500), (0, 500, 500), (0, 1000, 437), (1, 0, 500), (1, 500, 500), (1, 1000, 437)]
    assert history.running_error[-1] > 0.8


def test_a_run_that_blows_up_says_so(digits):
    history = train(DenseNet(8, batch_norm=False, gain=3.0), digits, epochs=3, lr=1e6)
    assert history.diverged
    assert history.train_error[-1] == history.test_error[-1] == 1.0
    assert history.step_error[-1] == 1.0
    assert np.isnan(history.loss[-1])
    with pytest.raises(ConfigError, match="epochs 0"):
        train(DenseNet(1), digits, epochs=0)
