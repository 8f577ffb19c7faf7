"""Sections of `gpu_suite.py` about time: the measured roof, every kernel at every layer, launches, training steps.

On an emulated GPU no section reports a time: kernels are held against the oracle, and graphs are replayed and compared.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gpu_suite import Suite

    from tinyres.bench.measure import Bench
    from tinyres.bench.settings import Settings

PEER = Path(__file__).parent / "torch_gpu_peer.py"
MODELS = ("resnet20", "resnet56", "resnet110")
LADDER = (
    "cupy",
    "numba_cuda.naive",
    "numba_cuda",
    "cupy.igemm",
    "cupy.igemm_3xtf32",
    "cupy.igemm_tf32",
    "cupy.igemm_bf16",
)
STEPS = LADDER[3:]  # those that a step is timed with
PAPER = 64_000  # iterations
NOT_TIMED = "the GPU is emulated: nothing is timed"


def roof(suite: Suite, entries: dict[str, Any]) -> None:
    """Peaks by precision, bandwidths, and what launching nothing costs; float64's peak too."""
    from tinyres.bench import device_roof
    from tinyres.kernels import cuda

    if not suite.clock:
        out = cuda.module().empty(64, np.float32)
        cuda.launch(device_roof.FILE, "ffma<float>", 2, 32, out, np.int32(40))
        entries |= {"ffma_is_16": bool((out.get() == 16).all()), "times": NOT_TIMED}
        return
    for dtype in ("float32", "float64"):
        suite.need_time()
        measured = device_roof.measure(dtype)
        entries[dtype] = measured.record()
        suite.say(f"  {dtype}: {measured.sentence()}")


def latency(suite: Suite, entries: dict[str, Any]) -> None:
    """What Python pays for a launch: ours through CuPy, one through Numba-CUDA, and a graph."""
    from tinyres.bench.device_clock import captured
    from tinyres.errors import KernelError
    from tinyres.kernels import cuda, registry
    from tinyres.kernels.launch import launch

    x = cuda.module().ones((4, 8, 8, 16), np.float32)
    w = cuda.module().ones((3, 3, 16, 16), np.float32)
    how = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}
    graph = captured([lambda: cuda.launch("roof.cuh", "nothing", 1, 32)])
    calls: dict[str, Callable[[], object]] = {
        "nothing, by cuda.launch": lambda: cuda.launch("roof.cuh", "nothing", 1, 32),
        "nothing, by a graph of one": graph.launch,
    }
    for name in () if suite.tiny else ("cupy.igemm", "numba_cuda"):
        try:
            registry.find("conv2d", name)
        except KernelError as error:
            entries[f"conv2d, by {name}"] = str(error)
            continue
        calls[f"conv2d, by {name}"] = _with(name, lambda: launch("conv2d", x, w, **how))
    for name, call in calls.items():
        call()
        if suite.clock:
            entries[name] = _host_seconds(call)
            suite.say(f"  {name:<28}{1e6 * entries[name]:8.2f} µs of Python")
    if not suite.clock:
        entries["times"] = NOT_TIMED


def _with(name: str, call: Callable[[], object]) -> Callable[[], object]:
    from tinyres.kernels import registry

    def chosen() -> object:
        with registry.use(conv2d=name):
            return call()

    return chosen


def _host_seconds(call: Callable[[], object], launches: int = 300, repeats: int = 9) -> float:
    """Seconds of the host for a call that does not wait for the GPU, the median of some turns."""
    import time

    from tinyres.kernels import cuda

    turns = []
    with cuda.stream():
        for _ in range(repeats):
            cuda.synchronize()
            begin = time.perf_counter()
            for _ in range(launches):
                call()
            turns.append((time.perf_counter() - begin) / launches)
        cuda.synchronize()
    return statistics.median(turns)


def kernels(suite: Suite, entries: dict[str, Any]) -> None:
    """Every rung at every layer of ResNet-20, cold and hot, cuDNN beside them: checked, then timed."""
    from tinyres.bench.settings import Settings

    common = {"device": "cuda", "repeats": 5, "seconds": 0.25, "nets": ("resnet20",)}
    if suite.tiny:
        runs = {"ours": Settings(ops=("relu",), kernels=("cupy",), batch=1, **common)}
    else:
        runs = {
            "tf32": Settings(ops=("conv",), kernels=LADDER, peer=_peer("tf32"), **common),
            "bf16": Settings(ops=("conv",), kernels=("cupy.igemm_bf16",), peer=_peer("bf16"), **common),
            "fp32": Settings(ops=("conv",), kernels=("cupy.igemm",), peer=_peer("fp32"), **common),
            "others": Settings(ops=("bn", "pad_shortcut", "linear", "sgd"), **common),
        }
    entries["rows"], entries["refused"] = [], []
    for name, settings in runs.items():
        os.environ["TINYRES_PEER"] = name if settings.peer else ""
        bench = _measured(suite, settings)
        entries["rows"] += [row.record() for row in bench.rows]
        entries["refused"] += [asdict(refusal) for refusal in bench.refused]
        if bench.stopped is not None:
            raise bench.stopped
    if not suite.clock:
        entries["times"] = NOT_TIMED


def _peer(precision: str) -> Path | None:
    """cuDNN, where there is PyTorch with CUDA."""
    return PEER if precision and _torch() else None


def _torch() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def _measured(suite: Suite, settings: Settings) -> Bench:
    from tinyres.bench.measure import measure_all

    return measure_all(settings, suite.listen)


def steps(suite: Suite, entries: dict[str, Any]) -> None:
    """Images a second of whole training steps, as a graph and eagerly, and PyTorch's in a torch CUDA graph."""
    from tinyres.bench.settings import Settings

    if suite.tiny:
        _replayed(suite, entries)
        return
    entries |= {"rows": [], "refused": [], "torch": []}
    for model in MODELS:
        settings = Settings(steps=(model,), kernels=STEPS, device="cuda", repeats=5, seconds=1.0)
        bench = _measured(suite, settings)
        entries["rows"] += [row.record() for row in bench.rows]
        entries["refused"] += [asdict(refusal) for refusal in bench.refused]
        if _torch():
            for precision in ("tf32", "bf16", "fp32"):
                suite.need_time()
                entries["torch"].append(_torch_step(suite, model, precision))
        if bench.stopped is not None:
            raise bench.stopped


def _torch_step(suite: Suite, model: str, precision: str, batch: int = 128) -> dict[str, Any]:
    """PyTorch's step in its own CUDA graph, timed as ours are: T(2R) - T(R)."""
    from tinyres.bench.device_clock import Again, difference
    from tinyres.kernels.files import run_module

    os.environ["TINYRES_PEER"] = precision
    peer = run_module(PEER)
    graph = peer.graph([peer.training_step(model, batch)])
    samples = [difference(Again(graph, 5), Again(graph, 10), 5) for _ in range(8)][1:]
    median = statistics.median(samples)
    suite.say(
        f"  {peer.NAME}: {model}, {1e3 * median:.3f} ms a step in a torch CUDA graph, {batch / median:,.0f} images/s"
    )
    return {"model": model, "precision": peer.PRECISION, "batch": batch, "seconds": samples, "median": median}


def _replayed(suite: Suite, entries: dict[str, Any]) -> None:
    """Without a clock: a captured step of a small net leaves the weights that an eager one leaves."""
    from tinyres.bench.device_clock import captured
    from tinyres.bench.steps import training_step

    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((2, 8, 8, 3), np.float32), rng.integers(10, size=2)
    weights: list[Sequence[bytes]] = []
    for graph in (False, True):
        step, net = training_step("resnet8", images, labels, "cuda")
        step()
        replay = captured([step]).launch if graph else step  # a capture takes the step once more, to warm up
        step() if not graph else None
        replay()
        weights.append([p.numpy().tobytes() for p in net.parameters()])
    entries |= {"graph_is_eager": weights[0] == weights[1], "times": NOT_TIMED}
    suite.say(f"  captured step = eager step, byte for byte: {entries['graph_is_eager']}")
