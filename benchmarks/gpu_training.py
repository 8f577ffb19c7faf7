"""Sections of `gpu_suite.py` about training: the same twice, graph against eager, gradients and losses against the CPU.

The images are made here, of ten classes that can be learned; nothing is downloaded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gpu_suite import Suite

    from tinyres.data import Dataset

PRECISIONS = ("fp32", "3xtf32", "tf32", "bf16")
STATES, BETWEEN = 10, 20  # states at which gradients are compared, and steps between them
SEEDS = (0, 1, 2)


@dataclasses.dataclass(frozen=True)
class Size:
    """How large a net, a batch, an image, a data set and a run are."""

    model: str = "resnet20"
    batch: int = 128
    image: int = 32
    images: int = 2560
    steps: int = 200


TINY = Size("resnet8", 4, 8, 12, 5)  # three batches an epoch


def images_of(size: Size) -> Dataset:
    """Ten patterns under noise: learned within some hundred steps, and never quite."""
    from tinyres.data import from_arrays

    rng = np.random.default_rng(5)
    patterns = rng.integers(0, 256, (10, size.image, size.image, 3))
    labels = np.arange(size.images) % 10
    noise = rng.integers(0, 256, (size.images, size.image, size.image, 3))
    images = ((patterns[labels] + 3 * noise) // 4).astype(np.uint8)
    few = min(64, size.images)
    return from_arrays(images, labels, images[:few], labels[:few], name="patterns")


def trained(size: Size, device: str, steps: int, **changes: Any) -> tuple[str, list[float]]:
    """A run with augmentation: a digest of all its final tensors, and the mean loss of each evaluation period."""
    from tinyres.train import Config, checkpoint, fit
    from tinyres.train.folder import checkpoints

    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {
            "model": size.model, "batch": size.batch, "iterations": steps, "augment": True, "device": device,
            "evaluate_every": max(1, steps // 5), "checkpoint_every": steps, "runs": folder, "warmup": "none",
        }  # fmt: skip
        result = fit(Config(**settings | changes), images_of(size))
        digest = hashlib.sha256()
        for name, tensor in sorted(checkpoint.read(checkpoints(result.folder)[steps]).tensors.items()):
            digest.update(name.encode() + np.ascontiguousarray(tensor).tobytes())
        return digest.hexdigest(), [line["train_loss"] for line in result.history]


@contextmanager
def without_graph() -> Iterator[None]:
    """Launch the steps of a run one kernel after the other."""
    before = os.environ.get("TINYRES_GRAPH")
    os.environ["TINYRES_GRAPH"] = "off"
    try:
        yield
    finally:
        os.environ.pop("TINYRES_GRAPH")
        if before is not None:
            os.environ["TINYRES_GRAPH"] = before


def repeat(suite: Suite, entries: dict[str, Any]) -> None:
    """Two runs of 200 steps, and one without a graph: all tensors of their checkpoints byte for byte, by precision."""
    size = TINY if suite.tiny else Size()
    for precision in ("tf32",) if suite.tiny else ("tf32", "fp32", "bf16"):
        suite.need_time(5)
        (one, losses), (other, _) = (trained(size, "cuda", size.steps, precision=precision) for _ in range(2))
        with without_graph():
            eager, _ = trained(size, "cuda", size.steps, precision=precision)
        entries[precision] = {
            "steps": size.steps, "model": size.model, "twice_the_same": one == other, "graph_is_eager": one == eager,
            "losses": losses, "sha256": one,
        }  # fmt: skip
        suite.say(f"  {precision}: twice the same {one == other}, graph the same as eager {one == eager}, {losses}")
    entries["all_the_same"] = all(e["twice_the_same"] and e["graph_is_eager"] for e in list(entries.values())[1:])


def gradients(suite: Suite, entries: dict[str, Any]) -> None:
    """The gradient at ten states of a run: the CPU in float32, the GPU in each precision, against float64.

    Of each the largest and the median distance |g - g64| / |g64|.
    """
    from tinyres import models, optim
    from tinyres.kernels import registry
    from tinyres.train.device import KERNELS

    size = TINY if suite.tiny else Size()
    data, between, states = images_of(size), 1 if suite.tiny else BETWEEN, 2 if suite.tiny else STATES
    net = models.create(size.model, num_classes=10).to("cuda")
    sgd = optim.SGD(net.parameters(), lr=0.1)
    found: dict[str, list[float]] = {}
    rng = np.random.default_rng(0)
    for state in range(states):
        for _ in range(between):
            x, labels = _batch(data, rng, size.batch)
            _gradient(net, x, labels, "cuda")
            sgd.step()
        suite.need_time(3)
        x, labels = _batch(data, rng, size.batch)
        weights = net.state_dict()
        exact = _of_state(size, weights, x, labels, "cpu", "float64")
        got = {"cpu float32": _of_state(size, weights, x, labels, "cpu", "float32")}
        for precision in PRECISIONS:
            with registry.preferring(KERNELS[precision]):
                got[f"gpu {precision}"] = _of_state(size, weights, x, labels, "cuda", "float32")
        for name, gradient in got.items():
            found.setdefault(name, []).append(float(np.linalg.norm(gradient - exact) / np.linalg.norm(exact)))
        entries["distances"] = found
        said = ", ".join(f"{name} {distances[-1]:.1e}" for name, distances in found.items())
        suite.say(f"  after {(state + 1) * between:3} steps: {said}")


def _batch(data: Dataset, rng: np.random.Generator, count: int) -> tuple[Any, Any]:
    index = rng.integers(len(data.train), size=count)
    return (data.train.images[index] * np.float32(data.scale) - np.float32(0.5)), data.train.labels[index]


def _gradient(net: Any, x: Any, labels: Any, device: str) -> Any:
    from tinyres import ops
    from tinyres.kernels.launch import moved
    from tinyres.tensor import Tensor

    for parameter in net.parameters():
        parameter.grad = None
    ops.softmax_cross_entropy(net(Tensor(moved(x, device))), moved(labels, device)).backward()
    return np.concatenate([p.grad.numpy().ravel().astype(np.float64) for p in net.parameters()])


def _of_state(size: Size, weights: dict[str, Any], x: Any, labels: Any, device: str, dtype: str) -> Any:
    from tinyres import models
    from tinyres.kernels import registry

    net = models.create(size.model, num_classes=10)
    net.load_state_dict(weights)
    net = net.astype(dtype).to(device)
    with registry.use(**({"all": "numpy"} if device == "cpu" else {})):
        return _gradient(net, x.astype(dtype), labels, device)


def curves(suite: Suite, entries: dict[str, Any]) -> None:
    """Mean loss of the last fifth of 500 steps, of three seeds, on the CPU and on the GPU; one curve alone is chaos."""
    size = TINY if suite.tiny else Size(batch=32)
    steps = 5 if suite.tiny else 500
    runs: dict[str, list[float]] = {}
    for seed in SEEDS[:1] if suite.tiny else SEEDS:
        for device, precision in (("cuda", "tf32"), ("cpu", None)):
            suite.need_time(5)
            _, losses = trained(size, device, steps, seed=seed, **({"precision": precision} if precision else {}))
            runs.setdefault(device, []).append(losses[-1])
        entries |= {"steps": steps, "batch": size.batch, "last_losses": runs}
        entries["means"] = {device: statistics.mean(values) for device, values in runs.items()}
        suite.say(f"  seed {seed}: last loss " + ", ".join(f"{d} {v[-1]:.4f}" for d, v in runs.items()))
