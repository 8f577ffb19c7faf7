"""Which forward passes are those of a step, where other nets, other recorders and measures run beside it."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

import tinyres
from tinyres import Tensor, flow, ops, optim
from tinyres.flow.measures.hessian import curvature
from tinyres.flow.measures.lesion import delete_each


def test_recording_stops_with_the_block(batch, nets):
    x, labels = batch()
    model = nets["small"][0]()
    with flow.Recorder(model, every=1) as recorder:
        pass
    ops.softmax_cross_entropy(model(Tensor(x)), labels).backward()
    assert recorder.recorded == 0
    assert not model.__dict__.get("_forward_hooks")
    assert not model.first.__dict__.get("_forward_hooks")


def test_other_nets_and_evaluation_do_not_matter(train, batch, nets):
    x, labels = batch()
    model, other = nets["small"][0](), nets["small"][0]()
    sgd = optim.SGD(model.parameters(), 0.1)
    with flow.Recorder(model, every=1) as recorder:
        for _ in range(2):
            ops.softmax_cross_entropy(other(Tensor(x)), labels).backward()
            model.eval()
            model(Tensor(x[:3]))
            with tinyres.no_grad():
                model.train()(Tensor(x[:5]))
            loss = ops.softmax_cross_entropy(model(Tensor(x)), labels)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            model.eval()
            model(Tensor(x[:3]))
            model.train()
            recorder.step(loss, lr=0.1)
    wanted = train(nets["small"][0](), x, labels, steps=2, every=1)
    for name in ("activation_norm", "gradient_norm", "update_norm", "split_cosine"):
        np.testing.assert_array_equal(getattr(recorder.record, name), getattr(wanted, name))


def test_two_recorders_in_one_loop(train, batch, nets):
    x, labels = batch()
    create = nets["small"][0]
    loops = []
    with ExitStack() as stack:
        for rate in (0.1, 0.3):
            model = create()
            recorder = stack.enter_context(flow.Recorder(model, every=1))
            loops.append((model, optim.SGD(model.parameters(), rate), recorder))
        for _ in range(3):
            for model, sgd, recorder in loops:
                loss = ops.softmax_cross_entropy(model(Tensor(x)), labels)
                sgd.zero_grad()
                loss.backward()
                sgd.step()
                recorder.step(loss, lr=sgd.lr)
    for _, sgd, recorder in loops:
        alone = train(create(), x, labels, every=1, lr=sgd.lr)
        for name, array in alone.columns.items():
            np.testing.assert_array_equal(recorder.record.columns[name], array, err_msg=name)


def test_passes_that_are_not_the_step(train, batch, nets):
    """Of the forward passes of a step the last before the backward pass counts, and measures count for nothing."""
    x, labels = batch()
    other, classes = batch(7, seed=1)
    create = nets["small"][0]
    wanted = train(create(), x, labels, every=1)
    between = {
        "a pass": lambda model: model(Tensor(other)),
        "a pass without a graph": lambda model: no_gradient(model, other),
        "curvature": lambda model: curvature(model, other, classes, iterations=2),
        "lesions": lambda model: delete_each(model, other, classes),
    }
    for name, what in between.items():
        model = create()
        sgd = optim.SGD(model.parameters(), 0.1)
        with flow.Recorder(model, every=1) as recorder:
            for _ in range(3):
                what(model)
                logits = model(Tensor(x))
                loss = ops.softmax_cross_entropy(logits, labels)
                model.eval()(Tensor(other))
                model.train()
                ops.sum(model.last.weight * model.last.weight)  # such as a decay that is part of the loss
                no_gradient(model, other)
                sgd.zero_grad()
                loss.backward()
                sgd.step()
                what(model)
                recorder.step(loss, lr=sgd.lr)
        for column, array in wanted.columns.items():
            np.testing.assert_array_equal(recorder.record.columns[column], array, err_msg=f"{name}: {column}")
        assert recorder.record.meta["batch"] == len(x)


def no_gradient(model, x):
    with tinyres.no_grad():
        model(Tensor(x))
