"""A run on a GPU: its graph does what its steps do, byte for byte, whatever stops it or listens to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres import flow
from tinyres.data import Dataset, Loader, from_arrays, pixel_mean
from tinyres.errors import DeviceError, TrainingError
from tinyres.kernels import cuda
from tinyres.nn import Dropout, Sequential
from tinyres.train import Config, checkpoint, fit
from tinyres.train.diagnose import lost
from tinyres.train.folder import checkpoints
from tinyres.train.graph import Bursts, Graphs
from tinyres.train.loop import Training

Settings = Callable[..., Config]


pytestmark = [pytest.mark.usefixtures("gpu"), pytest.mark.slow]


@pytest.fixture
def mini() -> Dataset:
    """11 images: with batch 2 an epoch has 6 steps, the last of one image."""
    rng = np.random.default_rng(3)
    labels = np.arange(11) % 3
    images = (rng.integers(0, 120, (11, 8, 8, 1)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    return from_arrays(images, labels, images[:3], labels[:3], name="mini")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    def make(**changes: Any) -> Config:
        default = {"model": "resnet8", "epochs": 2, "batch": 2, "runs": str(tmp_path / "runs"), "name": "run"}
        return Config(**default | {"device": "cuda", "augment": True, "lr": 0.02} | changes)

    return make


@pytest.fixture
def eagerly(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setenv("TINYRES_GRAPH", "off")


@pytest.fixture
def bursts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps each burst was meant to have."""
    counts: list[int] = []
    whole = Bursts._burst

    def counted(self: Bursts, graph: Any, images: int, count: int) -> Any:
        counts.append(count)
        return whole(self, graph, images, count)

    monkeypatch.setattr(Bursts, "_burst", counted)
    return counts


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Have the run interrupted when it hears that a step is done."""
    whole = Training.took

    def interrupted(self: Training, loss: float, wrong: int, images: int) -> None:
        if self.run.step == step - 1:
            os.kill(os.getpid(), signal.SIGINT)
        whole(self, loss, wrong, images)

    monkeypatch.setattr(Training, "took", interrupted)


@pytest.mark.parametrize(
    "changes",
    [
        {"validation": 0.2, "evaluate_every": 4, "schedule": "cosine"},
        {"recompute": True, "nesterov": True, "checkpoint_every": 5, "schedule": "plateau", "patience": 0},
        pytest.param({"dtype": "float64", "model": "plain8"}, marks=pytest.mark.slow),
    ],
)
def test_the_graph_is_the_eager_step(
    mini: Dataset, settings: Settings, bursts: list[int], eagerly: Any, same_run: Any, changes: dict[str, Any]
) -> None:
    graph = fit(settings(**changes), mini)
    assert bursts
    bursts.clear()
    eagerly()
    same_run(graph.folder, fit(settings(**changes | {"recompute": False}), mini).folder)
    assert not bursts


def test_bursts_go_as_far_as_nothing_is_due(mini: Dataset, settings: Settings, bursts: list[int]) -> None:
    fit(settings(epochs=3, evaluate_every=6, checkpoint_every=9), mini)
    # steps 1 and 6 are the first of their sizes; an epoch has five batches of two images and one of one
    assert bursts == [4, 3, 2, 1, 5, 1]


def test_a_schedule_that_listens_hears_of_every_step(
    mini: Dataset, settings: Settings, bursts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The paper's warm-up ends after a step, not after a burst."""
    monkeypatch.setattr("tinyres.optim.schedules.PaperWarmup.lr", lambda self, step: 0.001 if self.done else 0.002)
    heard = iter([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    own = "tinyres.optim.schedules.PaperWarmup.after_step"

    def after(self: Any, step: int, error: float) -> None:
        self.done = next(heard) < 0.5

    monkeypatch.setattr(own, after)
    result = fit(settings(epochs=1, warmup="paper", schedule="constant"), mini)
    assert bursts == [1, 1, 1, 1]
    assert result.last["lr"] == 0.001


@pytest.mark.parametrize("graph", [True, False])
def test_stopped_and_resumed_is_as_if_never_stopped(
    mini: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch, eagerly: Any, graph: bool,
    measured: Any, tensors: Any,
) -> None:  # fmt: skip
    if not graph:
        eagerly()
    changes = {"warmup": "linear", "warmup_iterations": 4, "schedule": "plateau"}
    whole = fit(settings(**changes), mini)
    with monkeypatch.context() as patched:
        stop_after(patched, 3)
        stopped = fit(settings(**changes), mini)
    assert stopped.interrupted
    assert stopped.step == (5 if graph else 3), "a burst is not cut"
    resumed = fit(Config(resume=str(stopped.folder)), mini)
    assert (resumed.step, resumed.config.device) == (12, "cuda")
    assert measured(resumed.folder) == measured(whole.folder)
    assert tensors(max(checkpoints(resumed.folder).values())) == tensors(max(checkpoints(whole.folder).values()))


def test_a_recorded_run_is_the_same_run_and_its_record_the_cpus(
    mini: Dataset, settings: Settings, bursts: list[int], same_run: Any
) -> None:
    falling: dict[str, Any] = {"schedule": "cosine", "lr": 0.05}
    recorded = flow.fit(settings(flow=True, flow_every=5, precision="fp32", **falling), mini)
    assert bursts == [3, 4], "steps 1, 6 and 11 are watched, and the first unwatched one of each size is no burst"
    same_run(recorded.folder, fit(settings(precision="fp32", **falling), mini).folder)
    here = flow.fit(settings(flow=True, flow_every=5, device="cpu", **falling), mini)
    one, other = (flow.Record.read(r.folder) for r in (recorded, here))
    for mine, its in zip(recorded.history, here.history, strict=True):
        assert mine["train_loss"] == pytest.approx(its["train_loss"], rel=1e-3)
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-3)
    for name in ("step", "lr", "layer", "parameter", "block", "depth"):
        assert one.columns[name].tolist() == other.columns[name].tolist()
    for name in (
        "gradient_norm",
        "activation_std",
        "weight_gradient_rms",
        "update_ratio",
        "branch_std",
        "split_cosine",
    ):
        np.testing.assert_allclose(one.columns[name][0], other.columns[name][0], rtol=2e-3, atol=1e-6, err_msg=name)
    assert [(r.meta["device"], r.meta["precision"]) for r in (one, other)] == [("cuda", "fp32"), ("cpu", "fp32")]
    assert flow.first_trouble(one) is None
    at = [flow.record_checkpoint(recorded.folder, dataset=mini, device=device) for device in ("cpu", "cuda")]
    np.testing.assert_allclose(at[0].gradient_norm, at[1].gradient_norm, rtol=2e-3)


def test_a_diverging_run_says_the_same_with_and_without_a_graph(
    mini: Dataset, settings: Settings, bursts: list[int], eagerly: Any, measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, batches = [], []

    def looked_at(run: Any, what: str, x: Any) -> TrainingError:
        batches.append(x.get())
        return lost(run, what, x)

    monkeypatch.setattr("tinyres.train.loop.lost", looked_at)
    monkeypatch.setattr("tinyres.optim.schedules.MultiStep.lr", lambda self, step: 1e30 if step == 3 else 0.02)
    for run in ("graph", "eager"):
        with pytest.raises(TrainingError) as caught:
            flow.fit(settings(flow=True, flow_every=10, name=run), mini)
        said.append(str(caught.value).replace(run, "run"))
        assert "the first value that is not finite appears in " in said[-1]
        eagerly()
    assert said[0] == said[1]
    assert bursts == [3], "steps 3 to 5, the last of which finds what the one before has done"
    assert "at step 5" in said[0]
    np.testing.assert_array_equal(*batches)
    folders = [Path(settings().runs) / run for run in ("graph", "eager")]
    assert measured(folders[0]) == measured(folders[1])


def test_weights_that_broke_are_named(
    mini: Dataset, settings: Settings, bursts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the evaluation at step 6; the burst of steps 7 to 11 finds out, and step 7 is done again eagerly."""
    whole = Training.evaluate

    def poisoned(self: Training) -> Any:
        line = whole(self)
        dict(self.run.model.named_parameters())["layer2.0.conv1.weight"].data[0, 0, 0, 0] = np.inf
        return line

    monkeypatch.setattr(Training, "evaluate", poisoned)
    monkeypatch.setattr(Training, "_save", lambda self: self.run.save())
    with pytest.raises(TrainingError, match=r"at step 7: .* in layer2\.0\.conv1 \(its parameter weight\)"):
        fit(settings(), mini)
    assert bursts == [4, 5]


def test_arrays_that_are_replaced_are_captured_anew(
    mini: Dataset, settings: Settings, bursts: list[int], monkeypatch: pytest.MonkeyPatch, same_run: Any
) -> None:
    whole = fit(settings(epochs=3), mini)
    evaluate = Training.evaluate

    def replacing(self: Training) -> Any:
        line = evaluate(self)
        if self.run.step == 6:
            self.run.model.conv1.weight.data = self.run.model.conv1.weight.data.copy()
            self.run.model.bn1.running_mean = self.run.model.bn1.running_mean.copy()
        return line

    monkeypatch.setattr(Training, "evaluate", replacing)
    bursts.clear()
    same_run(fit(settings(epochs=3), mini).folder, whole.folder)
    assert bursts == [4, 3, 5, 1], "two eager steps: the first of them moved the weights back into one buffer"


def test_what_cannot_be_captured_runs_kernel_by_kernel_and_is_said_once(
    mini: Dataset, settings: Settings, bursts: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    result = fit(settings(kernels="conv=cupy", epochs=1, evaluate_every=3), mini)
    assert not bursts
    told = capsys.readouterr().err
    assert told.count("kernel by kernel, not as a CUDA graph") == 1
    assert "kernel 'cupy' of conv2d" in told
    other = fit(settings(epochs=1, evaluate_every=3, precision="fp32"), mini)
    assert result.last["train_loss"] == pytest.approx(other.last["train_loss"], rel=1e-3)


def test_what_counts_on_the_host_is_not_captured(capsys: pytest.CaptureFixture[str]) -> None:
    graphs = Graphs(Sequential(Dropout()).to("cuda"))
    assert not graphs.possible
    assert graphs.get(1, lambda: None) is None
    assert "0.step is counted on the host" in capsys.readouterr().err


def test_batches_are_those_of_the_cpu_bit_for_bit(mini: Dataset) -> None:
    mean = pixel_mean(mini.train, mini.scale)
    here, there = (
        Loader(mini.train, mean=mean, scale=mini.scale, batch=4, seed=5, padding=2, flip=True, device=device)
        for device in ("cpu", "cuda")
    )
    for epoch, start in ((0, 0), (7, 1), (2**31, 0)):
        pairs = list(zip(here.batches(epoch, start), there.batches(epoch, start), strict=True))
        assert len(pairs) == 3 - start
        for (x, labels), (other, same) in pairs:
            np.testing.assert_array_equal(x, other.get())
            np.testing.assert_array_equal(labels, same.get())
    for (x, labels), (other, same) in zip(here.in_order(), there.in_order(), strict=True):
        np.testing.assert_array_equal(x, other.get())
        np.testing.assert_array_equal(labels, same.get())


def test_a_run_goes_on_on_another_device_and_says_what_that_means(
    mini: Dataset, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        stop_after(patched, 1)
        stopped = fit(settings(precision="bf16"), mini)
    state = checkpoint.find(stopped.folder).tensors
    assert all(isinstance(array, np.ndarray) for array in state.values())
    capsys.readouterr()
    here = fit(Config(resume=str(stopped.folder), device="cpu"), mini)
    assert "this run was on cuda and goes on on cpu, from the same state" in capsys.readouterr().err
    assert (here.config.device, here.config.precision, here.step) == ("cpu", "fp32", 12)
    back = Config(resume=str(checkpoints(stopped.folder)[6]), device="cuda")
    there = fit(back, mini)
    assert (there.config.device, there.config.precision, there.trained) == ("cuda", "bf16", 6)
    monkeypatch.setattr(cuda, "missing", lambda: "it is away")
    with pytest.raises(DeviceError, match=r"it is away; the run was on one, and goes on without by --device cpu\."):
        fit(Config(resume=str(stopped.folder)), mini)
