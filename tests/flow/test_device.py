"""Recorder, statistics and measures of a net on a GPU: the numbers are those of the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import flow
from tinyres.flow import statistics
from tinyres.flow.measures import (
    coactivation,
    hessian,
    initial,
    jacobian,
    landscape,
    lesion,
    paths,
    response,
    shattered,
    signal,
    split,
)
from tinyres.kernels import registry
from tinyres.kernels.launch import moved
from tinyres.models import create
from tinyres.ops import softmax_cross_entropy
from tinyres.optim import SGD
from tinyres.tensor import Tensor

LABELS = np.array([0, 1, 2, 1])
MEASURES = {
    "signal": lambda m, x, l: signal.signal_propagation(m, x).stream,
    "response": lambda m, x, l: response.responses(m, x).std,
    "paths": lambda m, x, l: paths.path_lengths(m, x, l).norm,
    "split": lambda m, x, l: split.gradient_split(m, x, l).cosine,
    "depth": lambda m, x, l: initial.gradient_by_depth(m, x, l).norm,
    "coactivation": lambda m, x, l: coactivation.coactivation(m, x).table()["co-activation"],
    "lesions": lambda m, x, l: lesion.delete_each(m, x, l).loss,
    "landscape": lambda m, x, l: landscape.landscape(m, x, l, points=3).loss,
    "curvature": lambda m, x, l: np.array(hessian.curvature(m, x, l, iterations=4, statistics="running").largest),
    "differences": lambda m, x, l: np.array(hessian.curvature(m, x, l, iterations=3, method="differences").largest),
    "jacobian": lambda m, x, l: jacobian.spectrum(m, x[:2], largest=2, statistics="running").values,
    "neighbours": lambda m, x, l: shattered.neighbours(m, x, l, steps=3).cosine,
}

QUICK = ("split", "lesions", "landscape")  # one that goes back, one that changes the forward pass, one the weights


pytestmark = pytest.mark.usefixtures("gpu")


@pytest.fixture
def images(rng):
    return rng.standard_normal((4, 8, 8, 1)).astype(np.float32)


def net(device):
    return create("resnet8", num_classes=3, in_channels=1).to(device)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_statistics(rng, dtype):
    x, y = rng.standard_normal((2, 5, 7, 3)).astype(dtype)
    x[0, 0, :] = 0
    x[4, 6, 2] = 5
    here, there = statistics.summary(x), statistics.summary(moved(x, "cuda"))
    assert vars(there) == pytest.approx(vars(here), rel=1e-12)
    x[1, 1, 1], x[2, 2, 2] = np.inf, np.nan
    assert statistics.summary(moved(x, "cuda")).nonfinite == 2
    x[~np.isfinite(x)] = 1
    scaled = rng.standard_normal((2, 3))
    for more in (None, scaled):
        one = statistics.parts(x, y, 2 * x, more)
        other = statistics.parts(
            *(moved(a, "cuda") for a in (x, y, 2 * x)), None if more is None else moved(more, "cuda")
        )
        assert vars(other) == pytest.approx(vars(one), rel=1e-6)


@pytest.mark.parametrize("fused", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_record_is_that_of_the_cpu(images, fused):
    records, states = [], []
    for device in ("cpu", "cuda", "cuda"):
        model, recorded = net(device), len(states) < 2
        sgd = SGD(model.parameters(), 0.05)
        recorder = flow.Recorder(model, every=2)
        if recorded:
            recorder.attach()
        kernels = {} if fused else {"bn_add_relu": "composed", "bn_relu": "composed"}
        for _ in range(3):
            with registry.use(**kernels):
                loss = softmax_cross_entropy(model(Tensor(moved(images, device))), moved(LABELS, device))
                sgd.zero_grad()
                loss.backward()
                sgd.step()
                if recorded:
                    recorder.step(loss, lr=sgd.lr)
        recorder.detach()
        states.append(model.state_dict())
        records += [recorder.record] if recorded else []
    here, there = records
    for name, array in states[1].items():
        np.testing.assert_array_equal(states[2][name], array, err_msg="recording changes nothing")
    assert there.layer.tolist() == here.layer.tolist()
    for name, values in here.columns.items():
        if values.dtype.kind == "f" and name not in ("split_error", "weight_gradient_zeros"):  # rounding alone
            np.testing.assert_allclose(there.columns[name], values, rtol=2e-2, atol=1e-4, err_msg=name)
    assert (there.split_error[np.isfinite(there.split_error)] < 1e-5).all()
    assert flow.first_trouble(there) is None


def test_first_trouble(images):
    model = net("cuda")
    model.layer2[0].conv1.weight.data[0, 0, 0, 0] = np.inf
    with flow.Recorder(model) as recorder:
        softmax_cross_entropy(model(Tensor(moved(images, "cuda"))), moved(LABELS, "cuda")).backward()
        recorder.step(updated=False)
    assert flow.first_trouble(recorder.record) == (
        "step 0: the output of layer2.0.conv1 is the first that is not finite."
    )


@pytest.mark.parametrize(
    "measure", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MEASURES]
)
def test_a_measure_of_a_net_there_is_that_of_the_net_here(images, measure):
    expected = MEASURES[measure](net("cpu"), images, LABELS)
    model = net("cuda")
    before = model.state_dict()
    got = MEASURES[measure](model, moved(images, "cuda"), moved(LABELS, "cuda"))
    np.testing.assert_allclose(got, expected, rtol=2e-2, atol=1e-4)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(before[name], array)
