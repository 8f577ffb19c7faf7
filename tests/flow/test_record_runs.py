"""Runs of `tinyres.train` that are recorded: interrupted, resumed, diverging; and the flow at a checkpoint."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from tinyres import Tensor, flow, ops
from tinyres.cli import main
from tinyres.data import from_arrays
from tinyres.errors import CheckpointError, ConfigError, FlowError, TrainingError
from tinyres.train import Config, checkpoint
from tinyres.train import fit as fit_alone
from tinyres.train.folder import checkpoints
from tinyres.train.loop import Training
from tinyres.train.start import restored_model, train_loader


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    monkeypatch.setattr("tinyres.train.loop.draw_curves", lambda folder, title: None)


@pytest.fixture
def tiny():
    rng = np.random.default_rng(3)
    labels = np.arange(44) % 3
    images = (rng.integers(0, 120, (44, 8, 8, 1)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    return from_arrays(images, labels, images[:20], labels[:20], name="tiny")


@pytest.fixture
def settings(tmp_path):
    """Four epochs of three steps."""

    def make(**changes):
        default = {"model": "resnet8", "epochs": 4, "batch": 16, "runs": str(tmp_path / "runs"), "name": "run"}
        return Config(**default | {"flow": True, "flow_every": 2} | changes)

    return make


def weights_of(folder: Path) -> dict[str, bytes]:
    """The bytes of the newest checkpoint, tensor by tensor."""
    return {name: array.tobytes() for name, array in checkpoint.find(folder).tensors.items()}


def stop_after(monkeypatch, step):
    whole = Training.step

    def interrupted(self, x, labels):
        if self.run.step == step - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(self, x, labels)

    monkeypatch.setattr(Training, "step", interrupted)


@pytest.mark.parametrize("recompute", [False, True])
def test_a_recorded_run_is_the_same_run(tiny, settings, recompute):
    recorded = flow.fit(settings(recompute=recompute), tiny)
    bare = fit_alone(settings(flow=False), tiny)
    assert weights_of(recorded.folder) == weights_of(bare.folder)
    record = flow.Record.read(recorded.folder)
    assert record.step.tolist() == [0, 2, 4, 6, 8, 10]
    assert record.lr.tolist() == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.001])
    assert record.meta["model"] == "resnet8"
    assert (record.meta["data"], record.meta["seed"], record.meta["batch"]) == ("tiny", 0, 16)
    assert np.isfinite(record.update_norm).all()
    assert not (bare.folder / "flow.npz").exists()


@pytest.mark.parametrize("step", [1, 4, 5, 11])
@pytest.mark.parametrize(
    "changes", [{}, pytest.param({"flow_every": 3, "kernels": "all=numpy"}, marks=pytest.mark.slow)], ids=str
)
def test_stopped_and_resumed_leaves_the_same_file(tiny, settings, monkeypatch, step, changes):
    whole = flow.fit(settings(**changes), tiny)
    stop_after(monkeypatch, step)
    stopped = flow.fit(settings(**changes), tiny)
    monkeypatch.undo()
    assert (stopped.interrupted, stopped.step) == (True, step)
    flow.fit(Config(resume=str(stopped.folder)), tiny)
    assert (stopped.folder / "flow.npz").read_bytes() == (whole.folder / "flow.npz").read_bytes()


def test_a_record_that_is_ahead_of_its_checkpoint_is_cut(tiny, settings):
    whole = flow.fit(settings(), tiny)
    other = flow.fit(settings(), tiny)
    for step, path in checkpoints(other.folder).items():
        if step > 9:
            path.unlink()
    flow.fit(Config(resume=str(other.folder)), tiny)
    assert (other.folder / "flow.npz").read_bytes() == (whole.folder / "flow.npz").read_bytes()
    before = (whole.folder / "flow.npz").stat().st_mtime_ns
    flow.fit(Config(resume=str(whole.folder)), tiny)  # nothing left to train
    assert (whole.folder / "flow.npz").stat().st_mtime_ns == before


def test_recording_can_begin_in_the_middle(tiny, settings, monkeypatch):
    stop_after(monkeypatch, 5)
    stopped = flow.fit(settings(flow=False), tiny)
    monkeypatch.undo()
    flow.fit(Config(resume=str(stopped.folder), flow=True), tiny)
    assert flow.Record.read(stopped.folder).step.tolist() == [6, 8, 10]
    with pytest.raises(ConfigError, match="the run has flow_every 2, not 3"):
        flow.fit(Config(resume=str(stopped.folder), flow=True, flow_every=3), tiny)


def test_a_damaged_record_is_not_continued(tiny, settings, monkeypatch):
    stop_after(monkeypatch, 5)
    stopped = flow.fit(settings(), tiny)
    monkeypatch.undo()
    (stopped.folder / "flow.npz").write_text("nothing")
    with pytest.raises(FlowError, match="move it away to go on without what it held"):
        flow.fit(Config(resume=str(stopped.folder)), tiny)


def test_fit_alone_says_who_records(tiny, settings, tmp_path):
    with pytest.raises(ConfigError, match=r"call tinyres\.flow\.fit"):
        fit_alone(settings(), tiny)
    assert not (tmp_path / "runs").exists()
    with pytest.raises(ConfigError, match="flow_every is 0 and must be at least 1"):
        flow.fit(settings(flow_every=0), tiny)


def test_a_diverging_run_is_diagnosed_as_ever_and_its_record_shows_where(tiny, settings, monkeypatch):
    whole = Training.step

    def poisoned(self, x, labels):
        if self.run.step == 8:
            dict(self.run.model.named_parameters())["layer2.0.conv1.weight"].data[0, 0, 0, 0] = np.inf
        return whole(self, x, labels)

    monkeypatch.setattr(Training, "step", poisoned)
    with pytest.raises(TrainingError, match=r"at step 9: .* in layer2\.0\.conv1 \(its parameter weight\)"):
        flow.fit(settings(), tiny)
    record = flow.Record.read(Path(settings().runs) / "run")
    assert record.step.tolist() == [0, 2, 4, 6, 8]
    assert flow.first_trouble(record) == "step 8: the output of layer2.0.conv1 is the first that is not finite."
    assert np.isnan(record.gradient_norm[-1]).all()
    assert np.isnan(record.loss[-1])


def test_the_flow_at_a_checkpoint(tiny, settings, tmp_path):
    run = flow.fit(settings(flow=False, augment=True), tiny)
    saved = checkpoint.find(run.folder)
    record = flow.record_checkpoint(run.folder, dataset=tiny)
    assert record.step.tolist() == [12]
    assert np.isnan(record.update_norm).all()
    x, labels = next(iter(train_loader(saved.config, tiny).batches(4)))
    model = restored_model(saved).train()
    loss = ops.softmax_cross_entropy(model(Tensor(x)), labels)
    loss.backward()
    assert record.loss[0] == loss.item()
    place = record.parameter.tolist().index("layer2.0.conv2.weight")
    gradient = dict(model.named_parameters())["layer2.0.conv2.weight"].grad.numpy()
    assert record.weight_gradient_norm[0, place] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)

    three = flow.record_checkpoint(max(checkpoints(run.folder).values()), batches=3, dataset=tiny)
    assert three.step.tolist() == [12]
    assert three.loss[0] != record.loss[0]
    assert three.meta["batches"] == 3
    assert three.layer.tolist() == record.layer.tolist()


def test_checkpoints_that_cannot_be_recorded(tiny, settings, tmp_path):
    run = flow.fit(settings(flow=False, epochs=1), tiny)
    with pytest.raises(ConfigError, match="batches is 0"):
        flow.record_checkpoint(run.folder, batches=0, dataset=tiny)
    with pytest.raises(CheckpointError, match="does not exist"):
        flow.record_checkpoint(tmp_path / "none")
    images = tiny.train.images[::-1] // 2
    other = from_arrays(images, tiny.train.labels, images[:20], tiny.train.labels[:20], name="tiny")
    with pytest.raises(CheckpointError, match="was trained on other images than these"):
        flow.record_checkpoint(run.folder, dataset=other)


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--model", "resnet8", "--iterations", "5", "--flow", "--flow-every", "2", "--name", "a"]) == 0
    record = flow.Record.read("runs/a")
    assert record.step.tolist() == [0, 2, 4]
    assert (record.meta["data"], record.meta["model"], record.meta["kernels"]) == ("digits", "resnet8", "default")
    assert main(["train", "--model", "resnet8", "--iterations", "5", "--flow-every", "0"]) == 2
    assert "flow_every is 0 and must be at least 1" in capsys.readouterr().err
