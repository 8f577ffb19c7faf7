"""Recording leaves the training as it is, to the byte; and finds its way in nets of strangers."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import tinyres
from tinyres import Tensor, flow, models, nn, ops
from tinyres.flow.measures.split import gradient_split
from tinyres.kernels import memory
from tinyres.models.dense import DenseNet


@pytest.mark.parametrize("use", [{}, {"bn_relu": "composed", "bn_add_relu": "composed"}, {"all": "numpy"}], ids=str)
@pytest.mark.parametrize("name", ["odd", "small", "residual", "projection", "plain", "recomputed"])
def test_recording_changes_nothing(name, use, train, batch, nets):
    """Weights and running averages are equal to the last byte, with fused kernels and with recomputed blocks."""
    create, shape, classes = nets[name]
    x, labels = batch(8, shape, classes)
    with tinyres.use(**use):
        bare, recorded = create(), create()
        train(bare, x, labels)
        record = train(recorded, x, labels, every=2)
    for (key, a), b in zip(bare.state_dict().items(), recorded.state_dict().values(), strict=True):
        assert a.tobytes() == b.tobytes(), key
    assert list(record.step) == [0, 2]


@pytest.mark.slow
def test_recomputed_blocks_keep_saving_memory(train, batch):
    """Recording holds the numbers of nodes, not their arrays: what it adds is a copy of the weights."""
    x, labels = batch(8, (32, 32, 1), 10)

    def peak(every: int) -> int:
        model = models.create("resnet20", in_channels=1, recompute=True)
        train(model, x, labels, steps=1, every=every)
        memory.release()
        tracemalloc.start()
        try:
            train(model, x, labels, steps=1, every=every)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    with tinyres.use(all="numpy"):
        assert peak(1) < 1.15 * peak(0)


def test_a_net_that_somebody_else_wrote(train, batch, nets):
    x, labels = batch()
    record = train(nets["odd"][0](), x, labels, every=1)
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


class Gated(nn.Module):
    """A gate T, which both sides of a sum need: h T + x (1 - T)."""

    def __init__(self):
        self.branch, self.gate, self.fc = nn.Linear(4, 4, rng=1), nn.Linear(4, 4, rng=2), nn.Linear(4, 3, rng=3)
        self.stem = nn.Linear(4, 4)

    def forward(self, x):
        x = self.stem(x)
        gate = ops.sigmoid(self.gate(x))
        return self.fc(ops.relu(self.branch(x)) * gate + x * (1.0 - gate))


class Long(nn.Module):
    """A block, and a second shortcut from its input to the end."""

    def __init__(self):
        self.stem, self.branch, self.fc = (nn.Linear(4, width, rng=width) for width in (4, 4, 3))

    def forward(self, x):
        h = self.stem(x)
        return self.fc(h + self.branch(ops.relu(h))) + h[:, :3]


def test_an_input_that_is_used_again(train, batch):
    """What comes back from elsewhere is no error of the sum of the two parts; and an array is a batch too."""
    x, labels = batch()
    record = train(Long(), x, labels, steps=1, every=1)
    assert (record.split_error < 1e-6).all()
    wanted = gradient_split(Long(), x, labels)
    np.testing.assert_allclose(record.split_branch_norm[0], wanted.branch, rtol=1e-5)
    np.testing.assert_allclose(record.split_total_norm[0], wanted.total, rtol=1e-5)
    model = Long()
    with flow.Recorder(model, every=1) as recorder:
        model(x).sum().backward()
        recorder.step(updated=False)
    assert recorder.record.meta["batch"] == len(x)


def test_a_gated_shortcut(train, batch):
    record = train(Gated(), *batch(), steps=1, every=1)
    assert record.block_depth.tolist() == [2]
    assert record.split_error[0, 0] < 1e-6
    assert np.isfinite(record.split_cosine[0, 0])


def test_dense_nets_of_the_lessons(train, batch):
    x, labels = batch(16, (64,), 10)
    record = train(DenseNet(3), x, labels, steps=1, every=1)
    assert record.layer[0] == "stem"
    assert record.block.tolist() == ["units.0", "units.1", "units.2"]
    assert record.depth.max() == 5
    assert (record.parameter_layer >= 0).all()
    assert len(train(DenseNet(3, shortcut=0.0), x, labels, steps=1, every=1).block) == 0


class Root(nn.Module):
    """Blocks that no Module stands for; one whose weights are used twice; weights that a mask makes sparse."""

    def __init__(self):
        for name in ("stem", "a", "b"):
            setattr(self, name, nn.Linear(4, 4, rng=0))
        self.masked = nn.Parameter(np.ones((4, 4), np.float32))
        self.fc = nn.Linear(4, 3, rng=0)

    def forward(self, x):
        h = self.stem(x)
        for _ in range(2):
            h = h + self.b(ops.relu(self.a(h)))
        return self.fc(h + ops.matmul(ops.relu(h), self.masked * Tensor(np.tril(np.ones((4, 4), np.float32)))))


def test_blocks_keep_their_names_from_step_to_step(train, batch):
    record = train(Root(), *batch(), every=1)
    assert record.block.tolist() == ["sum", "sum#2", "sum#3"]
    assert len(record.step) == 3


class Masked(nn.Module):
    """Constants that meet weights before the data do: in the first layer, and in a branch."""

    def __init__(self):
        self.first, self.fc = nn.Linear(4, 4, rng=0), nn.Linear(4, 3, rng=1)
        self.b1 = Branch()
        self.scale = nn.Parameter(np.ones(4, np.float32))

    def forward(self, x):
        mask = Tensor(np.eye(4, dtype=np.float32))
        h = ops.matmul(x * self.scale, self.first.weight * mask)
        return self.fc(self.b1(h))


class Branch(nn.Module):
    def __init__(self):
        self.w = nn.Parameter(np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32))
        self.mask = np.tril(np.ones((4, 4), np.float32))

    def forward(self, h):
        return h + ops.matmul(ops.relu(h), self.w * Tensor(self.mask))


def test_constants_that_change_weights_are_no_data(train, batch):
    """Depths and blocks of the record are those that the measures find."""
    x, labels = batch()
    record = train(Masked(), x, labels, steps=2, every=1)
    wanted = gradient_split(Masked(), x, labels)
    assert record.block.tolist() == list(wanted.names) == ["b1"]
    assert record.block_depth.tolist() == wanted.depth.tolist() == [2]
    assert record.depth.tolist() == [1, 2, 3]
    assert (record.split_error < 1e-6).all()
    np.testing.assert_allclose(record.split_branch_norm[0], wanted.branch, rtol=1e-5)


class Two(nn.Module):
    """Two arrays of data, or one twice."""

    def __init__(self):
        self.a, self.b, self.fc = nn.Linear(4, 4, rng=0), nn.Linear(2, 4, rng=1), nn.Linear(4, 3, rng=2)

    def forward(self, x, z):
        h = self.a(x) + self.b(z)
        return self.fc(h + self.a(ops.relu(h)))


def test_two_inputs_that_are_added_are_no_block(batch):
    x, labels = batch()
    for z, blocks in ((x[:, :2].copy(), 1), (x[:, :2], 2)):
        model = Two()
        with flow.Recorder(model, every=1) as recorder:
            ops.softmax_cross_entropy(model(Tensor(x), Tensor(z)), labels).backward()
            recorder.step(updated=False)
        assert len(recorder.record.block) == blocks
        assert recorder.record.depth.tolist() == [1, 1, 2, 3]
        assert recorder.record.split_error[0, -1] < 1e-6
