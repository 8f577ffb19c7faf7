"""Values that are not finite, and mistakes: shown, located, one sentence each."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import Tensor, flow, ops, optim
from tinyres.errors import ConfigError, FlowError


def test_gradients_that_are_not_finite_are_shown_and_located(train, batch, nets):
    x, labels = batch()
    model = nets["small"][0]()
    with flow.Recorder(model, every=1) as recorder, np.errstate(invalid="ignore"):
        logits = model(Tensor(x))
        ops.sum(logits * np.float32(np.inf)).backward()
        recorder.step()
    record = recorder.record
    assert (record.gradient_nonfinite[0] > 0).all()
    assert flow.first_trouble(record).startswith("step 0: the gradient of last is not finite (36 values)")

    model = nets["small"][0]()
    model.inner.weight.data[0, 0] = np.nan
    with np.errstate(invalid="ignore"):
        record = train(model, x, labels, steps=1, every=1)
    assert flow.first_trouble(record) == "step 0: the output of inner is the first that is not finite."
    assert np.isnan(record.weight_max[0, 2])

    assert flow.first_trouble(train(nets["small"][0](), x, labels, every=1)) is None


def test_the_middle_of_a_backward_pass_is_located(train, batch, nets):
    x, labels = batch()

    class Breaks(nets["small"][0]):
        def forward(self, x):
            h = self.first(x)
            inner = self.inner(self.relu(h))
            inner.register_hook(lambda gradient: Tensor(gradient.data * np.float32(np.nan)))
            return self.last(h + inner)

    record = train(Breaks(), x, labels, steps=1, every=1)
    assert record.gradient_nonfinite[0, 0] > 0
    assert record.gradient_nonfinite[0, 1:].tolist() == [60, 0, 0]
    said = "the gradient of relu is not finite (60 values), that of inner, nearer to the loss, still is."
    assert flow.first_trouble(record) == f"step 0: {said}"


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([0, 5, 0, 0], "(5 values), that of c, nearer to the loss, still is."),
        ([0, 5, np.nan, 0], "(5 values), that of d, nearer to the loss, still is."),
        ([0, 5, np.nan, np.nan], "(5 values), and of no layer nearer to the loss is it known."),
        ([np.nan, 5, 0, 5], "the gradient of d is not finite (5 values), and it is the layer next to the loss."),
    ],
)
def test_only_what_was_measured_is_said_to_be_finite(counts, said):
    record = flow.Record({}, {"step": [0], "layer": list("abcd"), "gradient_nonfinite": [counts]})
    assert flow.first_trouble(record).endswith(said)


def test_a_step_that_ends_in_an_error_is_kept(batch, nets):
    x, _ = batch()
    model = nets["small"][0]()
    recorder = flow.Recorder(model, every=1)

    def fails():
        with recorder:
            model(Tensor(x))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    record = recorder.record
    assert np.isfinite(record.activation_norm).all()
    assert np.isnan(record.gradient_norm).all()
    assert np.isnan(record.loss).all()


def test_the_first_error_is_the_one_to_hear_of(batch, nets):
    """Also where the step under way cannot be kept; and nothing goes on listening."""
    x, labels = batch()
    model = nets["small"][0]()
    recorder = flow.Recorder(model, every=1)

    def fails(error):
        with recorder:
            loss = ops.softmax_cross_entropy(model(Tensor(x)), labels)
            loss.backward()
            recorder.step(loss, updated=False)
            model.relu = ops.relu
            ops.softmax_cross_entropy(model(Tensor(x)), labels).backward()
            if error:
                raise error

    for error, heard in ((OSError("the disk is full"), OSError), (None, FlowError)):
        model = nets["small"][0]()
        recorder = flow.Recorder(model, every=1)
        with pytest.raises(heard, match="the disk is full" if error else "layer number 1 is inner and was relu"):
            fails(error)
        assert recorder.record.step.tolist() == [0]
        assert not any(vars(module).get("_forward_hooks") for _, module in model.named_modules())
        seen = recorder.recorded
        model(Tensor(x))
        recorder.detach()
        assert recorder.recorded == seen


def test_a_pass_after_the_last_step_is_none(batch, nets):
    x, labels = batch()
    model = nets["small"][0]()
    with flow.Recorder(model, every=1) as recorder:
        loss = ops.softmax_cross_entropy(model(Tensor(x)), labels)
        loss.backward()
        recorder.step(loss, updated=False)
        model(Tensor(x))
    assert recorder.record.step.tolist() == [0]
    assert flow.first_trouble(recorder.record) is None


def test_mistakes_are_one_sentence(train, batch, nets):
    x, labels = batch()
    with pytest.raises(ConfigError, match="every must be 1 or more"):
        flow.Recorder(nets["small"][0](), every=0)
    with pytest.raises(FlowError, match="no step has been recorded yet"):
        _ = flow.Recorder(nets["small"][0]()).record
    with pytest.raises(FlowError, match="step 0 was to be recorded, but Small made no forward pass in training mode"):
        train(nets["small"][0]().eval(), x, labels, steps=1, every=1)

    model = nets["small"][0]()
    recorder = flow.Recorder(model, every=2)

    def changes():
        sgd = optim.SGD(model.parameters(), 0.1)
        with recorder:
            for step in range(3):
                if step == 2:
                    model.relu = ops.relu
                loss = ops.softmax_cross_entropy(model(Tensor(x)), labels)
                sgd.zero_grad()
                loss.backward()
                sgd.step()
                recorder.step(loss)

    with pytest.raises(FlowError) as caught:
        changes()
    assert str(caught.value) == (
        "the layers of the model are not those of step 0 any more: at step 2 layer number 1 is inner and was relu; "
        "use one Recorder for each form of the model."
    )
    assert list(recorder.record.step) == [0]


def test_going_on_from_an_earlier_record(train, batch, nets):
    x, labels = batch()
    whole, halves = nets["small"][0](), nets["small"][0]()
    wanted = train(whole, x, labels, steps=4, every=2)
    sgd = optim.SGD(halves.parameters(), 0.1)
    earlier = None
    for start, stop in ((0, 3), (3, 4)):
        with flow.Recorder(halves, every=2, start=start, earlier=earlier) as recorder:
            for _ in range(start, stop):
                loss = ops.softmax_cross_entropy(halves(Tensor(x)), labels)
                sgd.zero_grad()
                loss.backward()
                sgd.step()
                recorder.step(loss, lr=sgd.lr)
        earlier = recorder.record
    for name, array in wanted.columns.items():
        np.testing.assert_array_equal(earlier.columns[name], array)
