"""The recorder: numbers against NumPy, training unchanged to the byte, nets of strangers, sentences for mistakes."""

from __future__ import annotations

import numpy as np
import pytest

import tinyres
from tests.flow.nets import Odd
from tinyres import Tensor, flow, models, nn, ops, optim
from tinyres.errors import ConfigError, FlowError
from tinyres.flow.statistics import summary


def batch(size=12, shape=(4,), classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((size, *shape)).astype(np.float32), rng.integers(0, classes, size)


def train(model, x, labels, steps=3, every=0, lr=0.1, **options):
    """Some steps of SGD, recorded or not; returns the record."""
    sgd = optim.SGD(model.parameters(), lr)
    recorder = flow.Recorder(model, every=every, **options) if every else None
    if recorder:
        recorder.attach()
    for _ in range(steps):
        loss = ops.softmax_cross_entropy(model(Tensor(x)), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        if recorder:
            recorder.step(loss, lr=sgd.lr)
    if recorder:
        recorder.detach()
        return recorder.record
    return None


def check(record, row, prefix, place, array, names=("norm", "rms", "max", "zeros")):
    array = np.asarray(array, np.float64)
    wanted = {
        "norm": np.linalg.norm(array),
        "rms": np.sqrt(np.mean(array**2)),
        "max": np.abs(array).max(),
        "zeros": np.mean(array == 0),
        "mean": array.mean(),
        "std": array.std(),
    }
    for name in names:
        got = getattr(record, f"{prefix}_{name}")[row, place]
        np.testing.assert_allclose(got, wanted[name], rtol=2e-5, atol=1e-7, err_msg=f"{prefix}_{name}")


class Small(nn.Module):
    """h = x W1;  y = h + relu(h) W2;  logits = y W3 + b."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.first, self.inner, self.last = nn.Linear(4, 5, rng=rng), nn.Linear(5, 5, rng=rng), nn.Linear(5, 3, rng=rng)
        self.relu = nn.ReLU()

    def forward(self, x):
        h = self.first(x)
        return self.last(h + self.inner(self.relu(h)))


def test_numbers_against_numpy():
    """Every number of a row, from the formulas of this little net written out."""
    x, labels = batch()
    model = Small()
    w1, w2, w3 = (getattr(model, name).weight.numpy().astype(np.float64) for name in ("first", "inner", "last"))
    record = train(model, x, labels, steps=1, every=1)

    h = x @ w1
    active = np.maximum(h, 0)
    branch = active @ w2
    y = h + branch
    logits = y @ w3
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    dlogits = (p - np.eye(3)[labels]) / len(x)
    dy = dlogits @ w3.T
    through_branch = (dy @ w2.T) * (h > 0)
    dh = dy + through_branch

    assert list(record.layer) == ["first", "relu", "inner", "last"]
    assert list(record.kind) == ["Linear", "ReLU", "Linear", "Linear"]
    assert list(record.depth) == [1, 1, 2, 3]
    np.testing.assert_allclose(record.loss, [-np.log(p[np.arange(12), labels]).mean()], rtol=1e-5)
    np.testing.assert_allclose(record.lr, [0.1])
    for place, (output, gradient) in enumerate(((h, dh), (active, dy @ w2.T), (branch, dy), (logits, dlogits))):
        check(record, 0, "activation", place, output, ("norm", "rms", "max", "zeros", "mean", "std"))
        check(record, 0, "gradient", place, gradient)
    assert (record.gradient_nonfinite == 0).all()

    assert list(record.parameter)[:3] == ["first.weight", "first.bias", "inner.weight"]
    assert list(record.parameter_layer) == [0, 0, 2, 2, 3, 3]
    decayed = {0: x.T @ dh, 2: active.T @ dy, 4: y.T @ dlogits}
    for place, weight in ((0, w1), (2, w2), (4, w3)):
        check(record, 0, "weight", place, weight)
        check(record, 0, "weight_gradient", place, decayed[place])
        move = 0.1 * np.linalg.norm(decayed[place] + 1e-4 * weight)
        np.testing.assert_allclose(record.update_norm[0, place], move, rtol=1e-4)
        np.testing.assert_allclose(record.update_ratio[0, place], move / np.linalg.norm(weight), rtol=1e-4)
    assert np.isnan(record.update_ratio[0, 1])  # a bias that is still 0
    assert record.weight_zeros[0, 1] == 1

    assert len(record.block) == 1
    assert record.block_depth[0] == 2
    np.testing.assert_allclose(record.branch_std[0, 0], branch.std(), rtol=1e-5)
    np.testing.assert_allclose(record.shortcut_std[0, 0], h.std(), rtol=1e-5)
    np.testing.assert_allclose(record.stream_std[0, 0], y.std(), rtol=1e-5)
    norms = [np.linalg.norm(part) for part in (dy, through_branch, dh)]
    got = [getattr(record, f"split_{name}_norm")[0, 0] for name in ("shortcut", "branch", "total")]
    np.testing.assert_allclose(got, norms, rtol=1e-5)
    np.testing.assert_allclose(record.split_cosine[0, 0], (dy * through_branch).sum() / norms[0] / norms[1], atol=1e-5)
    assert record.split_error[0, 0] < 1e-6


NETS = {
    "odd": (Odd, (4,), 3),
    "small": (Small, (4,), 3),
    "residual": (lambda: models.create("resnet14", in_channels=1), (8, 8, 1), 10),
    "projection": (lambda: models.create("resnet8", in_channels=1, shortcut="C"), (8, 8, 1), 10),
    "plain": (lambda: models.create("plain8", in_channels=1), (8, 8, 1), 10),
    "recomputed": (lambda: models.create("resnet14", in_channels=1, recompute=True), (8, 8, 1), 10),
}


@pytest.mark.parametrize("use", [{}, {"bn_relu": "composed", "bn_add_relu": "composed"}, {"all": "numpy"}], ids=str)
@pytest.mark.parametrize("name", NETS)
def test_recording_changes_nothing(name, use):
    """Weights and running averages are equal to the last byte, with fused kernels and with recomputed blocks."""
    create, shape, classes = NETS[name]
    x, labels = batch(8, shape, classes)
    with tinyres.use(**use):
        bare, recorded = create(), create()
        train(bare, x, labels)
        record = train(recorded, x, labels, every=2)
    for (key, a), b in zip(bare.state_dict().items(), recorded.state_dict().values(), strict=True):
        assert a.tobytes() == b.tobytes(), key
    assert list(record.step) == [0, 2]


def test_recording_stops_with_the_block():
    x, labels = batch()
    model = Small()
    with flow.Recorder(model, every=1) as recorder:
        pass
    ops.softmax_cross_entropy(model(Tensor(x)), labels).backward()
    assert recorder.recorded == 0
    assert not model.__dict__.get("_forward_hooks")
    assert not model.first.__dict__.get("_forward_hooks")


@pytest.mark.parametrize("net", ["residual", "projection", "plain"])
def test_ways_to_the_same_record(net):
    """Fused or composed kernels, compiled or NumPy, recomputed or not: the same layers, the same numbers."""
    create, shape, classes = NETS[net]
    x, labels = batch(8, shape, classes)
    wanted = train(create(), x, labels, steps=1, every=1)
    others = {}
    for use in ({"bn_relu": "composed", "bn_add_relu": "composed"}, {"all": "numpy"}):
        with tinyres.use(**use):
            others[str(use)] = train(create(), x, labels, steps=1, every=1)
    if net == "residual":
        others["recomputed"] = train(NETS["recomputed"][0](), x, labels, steps=1, every=1)
    for other in others.values():
        for column, array in wanted.columns.items():
            got = other.columns[column]
            if array.dtype.kind != "f":
                assert got.tolist() == array.tolist(), column
            elif column not in ("split_error", "weight_gradient_zeros"):  # those are rounding's
                np.testing.assert_allclose(got, array, rtol=5e-3, atol=2e-5, err_msg=column)
        assert (other.split_error < 1e-6).all()


def test_the_response_of_a_fused_block():
    """The summands inside bn_add_relu, which no tensor holds, against the formula of batch norm."""
    x, labels = batch(8, (8, 8, 1), 10)
    model = models.create("resnet8", in_channels=1)
    inputs = {}
    model.layer2[0].conv2.register_forward_hook(lambda m, i, y: inputs.update(branch=y.numpy().astype(np.float64)))
    model.layer2[0].register_forward_hook(lambda m, i, y: inputs.update(x=i[0].numpy().astype(np.float64)))
    model.layer2[0].bn2.weight.data[...] = np.random.default_rng(0).uniform(0.5, 2, 32)
    record = train(model, x, labels, steps=1, every=1)
    z, bn = inputs["branch"], model.layer2[0].bn2
    gamma = np.random.default_rng(0).uniform(0.5, 2, 32).astype(np.float32)
    branch = gamma * (z - z.mean((0, 1, 2))) / np.sqrt(z.var((0, 1, 2)) + bn.eps)
    shortcut = np.pad(inputs["x"][:, ::2, ::2], ((0, 0),) * 3 + ((0, 16),))
    place = list(record.block).index("layer2.0")
    got = [getattr(record, f"{name}_std")[0, place] for name in ("branch", "shortcut", "stream")]
    np.testing.assert_allclose(got, [branch.std(), shortcut.std(), (branch + shortcut).std()], rtol=1e-4)


def test_the_blocks_of_a_residual_net():
    record = train(models.create("resnet14", in_channels=1), *batch(8, (8, 8, 1), 10), steps=1, every=1)
    assert list(record.block) == [f"layer{stage}.{k}" for stage in (1, 2, 3) for k in (0, 1)]
    assert list(record.block_depth) == [3, 5, 7, 9, 11, 13]
    assert record.depth.max() == 14
    assert (record.split_error < 1e-6).all()
    largest = record.split_shortcut_norm + record.split_branch_norm
    assert (record.split_total_norm <= largest * (1 + 1e-6)).all()
    assert len(train(models.create("plain14", in_channels=1), *batch(8, (8, 8, 1), 10), 1, 1).block) == 0


def test_a_net_that_somebody_else_wrote():
    x, labels = batch()
    record = train(Odd(), x, labels, every=1)
    assert dict(zip(record.layer.tolist(), record.depth.tolist(), strict=True)) == {
        "mix": 1, "left": 2, "right": 2, "right#2": 3, "shared": 4, "shared#2": 5, "pair.one": 6, "pair[1]": 6, "fc": 7,
    }  # fmt: skip
    assert len(record.block) == 2
    assert np.isfinite(record.split_cosine).all()
    assert (record.split_error < 1e-6).all()
    assert np.isfinite(record.gradient_norm).all()
    place = list(record.parameter).index("unused.weight")
    assert record.parameter_layer[place] == -1
    assert np.isnan(record.weight_gradient_norm[:, place]).all()
    assert (record.update_norm[:, place] == 0).all()


def test_other_nets_and_evaluation_do_not_matter():
    x, labels = batch()
    model, other = Small(), Small()
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
    wanted = train(Small(), x, labels, steps=2, every=1)
    for name in ("activation_norm", "gradient_norm", "update_norm", "split_cosine"):
        np.testing.assert_array_equal(getattr(recorder.record, name), getattr(wanted, name))


def test_gradients_that_are_not_finite_are_shown_and_located():
    x, labels = batch()
    model = Small()
    with flow.Recorder(model, every=1) as recorder, np.errstate(invalid="ignore"):
        logits = model(Tensor(x))
        ops.sum(logits * np.float32(np.inf)).backward()
        recorder.step()
    record = recorder.record
    assert (record.gradient_nonfinite[0] > 0).all()
    assert flow.first_trouble(record).startswith("step 0: the gradient of last is not finite (36 values)")

    model = Small()
    model.inner.weight.data[0, 0] = np.nan
    with np.errstate(invalid="ignore"):
        record = train(model, x, labels, steps=1, every=1)
    assert flow.first_trouble(record) == "step 0: the output of inner is the first that is not finite."
    assert np.isnan(record.weight_max[0, 2])

    assert flow.first_trouble(train(Small(), x, labels, every=1)) is None


def test_the_middle_of_a_backward_pass_is_located():
    x, labels = batch()

    class Breaks(Small):
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


def test_a_step_that_ends_in_an_error_is_kept():
    x, _ = batch()
    model = Small()
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


def test_mistakes_are_one_sentence():
    x, labels = batch()
    with pytest.raises(ConfigError, match="every must be 1 or more"):
        flow.Recorder(Small(), every=0)
    with pytest.raises(FlowError, match="no step has been recorded yet"):
        _ = flow.Recorder(Small()).record
    with pytest.raises(FlowError, match="step 0 was to be recorded, but Small made no forward pass in training mode"):
        train(Small().eval(), x, labels, steps=1, every=1)

    model = Small()
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


def test_going_on_from_an_earlier_record():
    x, labels = batch()
    whole, halves = Small(), Small()
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compiled", [True, False])
def test_statistics(dtype, compiled, monkeypatch):
    monkeypatch.setattr("tinyres.flow.statistics._compiled", lambda: compiled)
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((5, 7001)), -0.5).astype(dtype)
    x[0, :40] = 0
    x[1, :3] = -0.0
    for array in (x, x[:, ::3], x[:1, :1]):
        wide = array.astype(np.float64)
        got = summary(array)
        wanted = (
            np.linalg.norm(wide), np.sqrt(np.mean(wide**2)), np.abs(wide).max(), np.mean(wide == 0),
            wide.mean(), wide.std(), 0,
        )  # fmt: skip
        np.testing.assert_allclose(list(vars(got).values()), wanted, rtol=1e-9, atol=1e-9)
    x[2, 5000], x[3, 1] = np.nan, -np.inf
    assert summary(x).nonfinite == 2
    assert np.isnan(summary(x).max)
    x[2, 5000] = 1
    assert summary(x).max == np.inf
