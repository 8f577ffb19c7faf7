"""Every number of a record, against NumPy and from kernel to kernel."""

from __future__ import annotations

import numpy as np
import pytest

import tinyres
from tinyres import models
from tinyres.flow.statistics import summary


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


def test_numbers_against_numpy(train, batch, nets):
    """Every number of a row, from the formulas of this little net written out."""
    x, labels = batch()
    model = nets["small"][0]()
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


@pytest.mark.parametrize("net", ["residual", "projection", "plain"])
def test_ways_to_the_same_record(net, train, batch, nets):
    """Fused or composed kernels, compiled or NumPy, recomputed or not: the same layers, the same numbers."""
    create, shape, classes = nets[net]
    x, labels = batch(8, shape, classes)
    wanted = train(create(), x, labels, steps=1, every=1)
    others = {}
    for use in ({"bn_relu": "composed", "bn_add_relu": "composed"}, {"all": "numpy"}):
        with tinyres.use(**use):
            others[str(use)] = train(create(), x, labels, steps=1, every=1)
    if net == "residual":
        others["recomputed"] = train(nets["recomputed"][0](), x, labels, steps=1, every=1)
    for other in others.values():
        for column, array in wanted.columns.items():
            got = other.columns[column]
            if array.dtype.kind != "f":
                assert got.tolist() == array.tolist(), column
            elif column not in ("split_error", "weight_gradient_zeros"):  # those are rounding's
                np.testing.assert_allclose(got, array, rtol=5e-3, atol=2e-5, err_msg=column)
        assert (other.split_error < 1e-6).all()


def test_the_response_of_a_fused_block(train, batch):
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


def test_the_blocks_of_a_residual_net(train, batch):
    record = train(models.create("resnet14", in_channels=1), *batch(8, (8, 8, 1), 10), steps=1, every=1)
    assert list(record.block) == [f"layer{stage}.{k}" for stage in (1, 2, 3) for k in (0, 1)]
    assert list(record.block_depth) == [3, 5, 7, 9, 11, 13]
    assert record.depth.max() == 14
    assert (record.split_error < 1e-6).all()
    largest = record.split_shortcut_norm + record.split_branch_norm
    assert (record.split_total_norm <= largest * (1 + 1e-6)).all()
    assert len(train(models.create("plain14", in_channels=1), *batch(8, (8, 8, 1), 10), 1, 1).block) == 0


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
