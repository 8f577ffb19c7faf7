"""The clock of a GPU and what stands on it, on an emulated one with a clock of our own: graphs, sets, roof, rows."""

from __future__ import annotations

import dataclasses
import shutil
import time
from functools import partial

import pytest

from tinyres.bench import device, device_clock, device_roof, measure, record, steps
from tinyres.bench.device_roof import DeviceRoof
from tinyres.bench.layers import Layer
from tinyres.bench.problems import Problem
from tinyres.bench.results import groups, lines
from tinyres.bench.settings import Settings
from tinyres.errors import DeviceError
from tinyres.kernels import cuda, kernel

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ for the emulated GPU")


@pytest.fixture(autouse=True)
def emulated(monkeypatch):
    monkeypatch.setenv("TINYRES_GPU", "emulated")


@pytest.fixture
def clock(monkeypatch):
    """A GPU on which a measurement costs 10 ms and a call in a graph 1 ms; other work takes what it takes."""
    launched = []
    original = cuda.launch
    monkeypatch.setattr(cuda, "launch", lambda *a, **k: (launched.append(a[1]), original(*a, **k)))

    def elapsed(work):
        elapsed.launches = 0
        begin = time.perf_counter()
        work()
        return 1e-2 + (1e-3 * elapsed.launches or time.perf_counter() - begin)

    def captured(calls):
        return Counted(calls)

    class Counted:
        def __init__(self, calls):
            self.calls = calls
            for call in calls:
                call()

        def launch(self):
            elapsed.launches += len(self.calls)

    monkeypatch.setattr(device_clock, "has_clock", lambda: True)
    for module in (device_clock, device_roof):
        monkeypatch.setattr(module, "captured", captured)
    monkeypatch.setattr(device_clock, "elapsed", elapsed)
    return launched


def test_an_emulated_gpu_yields_no_time():
    with pytest.raises(DeviceError, match="has no clock: nothing is timed on it"):
        device_clock.elapsed(lambda: None)
    with pytest.raises(DeviceError, match="has no clock"):
        device_roof.measure("float32", 1)


def test_a_launch_is_the_difference_of_two_graphs(clock):
    """What a replay costs beyond its launches is in neither time."""
    calls = [partial(cuda.launch, "roof.cuh", "nothing", 1, 1)] * 3
    contender = device_clock.DeviceContender("mine", calls[0], calls=calls)
    assert contender.turn(1) == pytest.approx(1e-3)
    assert contender.launches == 2  # enough of a launch that takes a millisecond


def test_a_quick_kernel_uses_each_set_as_often_as_the_others(clock, monkeypatch):
    monkeypatch.setattr(device_clock, "elapsed", lambda work: 1e-5)
    calls = [partial(cuda.launch, "roof.cuh", "nothing", 1, 1)] * 3
    contender = device_clock.DeviceContender("mine", calls[0], calls=calls)
    contender.turn(1)
    assert contender.launches == 33


def test_what_no_graph_can_hold_is_launched_by_python(clock):
    def refuse(calls):
        raise cuda.NotCapturable("it calls cuBLAS")

    calls = [partial(cuda.launch, "roof.cuh", "nothing", 1, 1)]
    contender = device_clock.DeviceContender("mine", calls[0], calls=calls, make=refuse, fewest=2)
    contender.turn(1)
    assert contender.eager
    assert len(clock) == 2 + 2 * (2 + 4)  # two to see how long it takes, a turn thrown away, and one that counts


def test_cold_takes_more_than_three_caches(monkeypatch):
    monkeypatch.setattr(device_clock, "l2_bytes", lambda: 60_000_000)
    assert device_clock.sets_for(16_800_000) == 12
    assert 11 * 16_800_000 > 3 * 60_000_000
    assert device_clock.sets_for(1000) == 0  # nothing small can be cold this way


def test_the_roof_of_a_precision(clock, monkeypatch):
    monkeypatch.setattr(device_roof, "ROUNDS", dict.fromkeys(device_roof.ROUNDS, 1))
    monkeypatch.setattr(device_roof, "LARGE", 1 << 12)
    monkeypatch.setattr(device_roof, "SMALL", 1 << 10)
    monkeypatch.setattr(device_roof, "THREADS", 32)
    monkeypatch.setattr(device_roof, "CHAIN", 2)
    monkeypatch.setattr(device_clock, "l2_bytes", lambda: 1 << 12)
    monkeypatch.setattr(device_roof, "HOST_LAUNCHES", 2)
    roof = device_roof.measure("float32", 2)
    threads = 8 * cuda.properties().multiprocessors * 32
    assert roof.peak("full") == pytest.approx(256 * threads / 1e-3 / 1e9)
    assert roof.peak("tf32") == pytest.approx(8192 * threads / 32 / 1e-3 / 1e9)
    assert roof.peak("3xtf32") == pytest.approx(roof.peak("tf32") / 3)
    assert roof.bandwidth("cold") == pytest.approx(2 * (1 << 12) / 1e-3 / 1e9)
    assert roof.node == pytest.approx([1e-3] * 2)
    assert len(roof.since(1).peaks["bf16"]) == 1
    assert set(roof.record()["peaks_gflops"]) == {"full", "tf32", "bf16"}


STILL = DeviceRoof(
    "float32", "a GPU", {"full": [10.0], "tf32": [80.0], "bf16": [160.0]}, {"cold": [2.0], "hot": [6.0]}, [1e-6], [4e-6]
)


def test_attainable_is_that_of_the_kernels_own_precision_and_place():
    assert STILL.attainable(100, 10, "full", "cold") == 10
    assert STILL.attainable(100, 10, "tf32", "cold") == 20  # memory
    assert STILL.attainable(100, 10, "tf32", "hot") == 60  # the cache
    assert STILL.attainable(1000, 10, "3xtf32", "hot") == pytest.approx(80 / 3)


@pytest.fixture
def doubled(own_kernels):
    """Two right kernels of relu on the GPU, and one that is wrong."""

    def enter(name, factor, **declared):
        @kernel("relu", name, device="cuda", **declared)
        def relu(x, *, out):
            cuda.module().maximum(x, 0, out=out)
            out *= factor

    enter("one", 1)
    enter("two", 1, precision="tf32")
    enter("wrong", 2)


def test_a_run_on_a_gpu(clock, doubled, monkeypatch, tmp_path):
    """From settings to the file and the figure; the wrong kernel has no time."""
    monkeypatch.setattr(device_roof, "measure", lambda dtype: dataclasses.replace(STILL))
    monkeypatch.setattr(DeviceRoof, "sample", lambda self: None)
    monkeypatch.setattr(device, "sets_for", lambda each: 2)
    said = []
    settings = Settings(
        ("relu",), ("one", "two", "wrong"), ("resnet20",), batch=1, repeats=2, seconds=0.01, device="cuda"
    )
    bench = measure.measure_all(settings, said.append)
    assert bench.stopped is None
    assert {(row.kernel, row.mode) for row in bench.rows} == {(k, m) for k in ("one", "two") for m in ("cold", "hot")}
    assert {refusal.kernel for refusal in bench.refused} == {"wrong"}
    row = next(row for row in bench.rows if (row.kernel, row.mode) == ("two", "hot"))
    assert row.precision == "tf32"
    assert row.attainable == pytest.approx(row.operations / row.traffic * 6)
    assert list(lines([row]))
    record.write(bench, tmp_path / "bench.json")
    again = record.read(tmp_path / "bench.json")
    assert [row.key for row in again.rows] == [row.key for row in bench.rows]
    assert again.entries["machine"]["gpu"]["name"] == "emulated on the CPU"
    assert again.machine[-1] == "emulated on the CPU"


def test_buffers_are_apart_and_alike():
    problem = Problem("conv2d", Layer("conv", 5, 3, 4, 3), ("resnet20",), 2, "float32")
    first, second = device.sets(problem, 2)
    for a, b in zip(first[0], second[0], strict=True):
        assert a.data.ptr != b.data.ptr
        assert a.get().tobytes() == b.get().tobytes()
    assert first[1].data.ptr != second[1].data.ptr


PEER = '''
"""Halves and doubles: right for relu, on the GPU's own arrays, replayed by a graph of its own."""
from tinyres.kernels import cuda

NAME, PRECISION = "peer", "tf32"
graphs = []


def prepare(op, arrays, params):
    if op != "relu":
        return None
    (x,) = arrays
    return lambda: cuda.module().maximum(x, 0), lambda y: y.get()


class graph:
    def __init__(self, calls):
        graphs.append(len(calls))
        self.calls = calls

    def launch(self):
        for call in self.calls:
            call()
'''


def test_a_peer_on_a_gpu_is_checked_and_replayed_by_its_own_graph(clock, doubled, monkeypatch, tmp_path):
    (tmp_path / "peer.py").write_text(PEER)
    monkeypatch.setattr(device_roof, "measure", lambda dtype: dataclasses.replace(STILL))
    monkeypatch.setattr(DeviceRoof, "sample", lambda self: None)
    monkeypatch.setattr(device, "sets_for", lambda each: 3)
    settings = Settings(("relu",), ("one",), ("resnet20",), batch=1, repeats=2, seconds=0.01, device="cuda",
                        peer=tmp_path / "peer.py")  # fmt: skip
    bench = measure.measure_all(settings, lambda text: None)
    assert bench.stopped is None
    peers = [row for row in bench.rows if row.kernel == "peer"]
    assert {row.mode for row in peers} == {"cold", "hot"}
    assert {row.precision for row in peers} == {"tf32"}
    assert {row.reference for row in bench.rows} == {"peer"}
    broken = PEER.replace("maximum(x, 0), lambda", "maximum(x, 1), lambda")
    (tmp_path / "peer.py").write_text(broken)
    assert "peer" in {refusal.kernel for refusal in measure.measure_all(settings, lambda text: None).refused}


@pytest.mark.slow
def test_steps_on_a_gpu(clock, monkeypatch):
    """As a graph and eagerly, each held against the gradient of the CPU."""
    monkeypatch.setattr(steps, "SIZE", 8)
    monkeypatch.setattr(device_roof, "measure", lambda dtype: dataclasses.replace(STILL))
    monkeypatch.setattr(DeviceRoof, "sample", lambda self: None)
    settings = Settings(steps=("resnet8",), kernels=("cupy.igemm",), batch=2, repeats=1, seconds=0.01, device="cuda")
    bench = measure.measure_all(settings, lambda text: None)
    assert (bench.stopped, bench.refused) == (None, [])
    assert [(row.kernel, row.mode) for row in bench.rows] == [("cupy.igemm", "graph"), ("cupy.igemm", "eager")]
    assert max(row.error for row in bench.rows) < 1e-4


@pytest.mark.slow
def test_a_step_with_another_gradient_is_refused_on_a_gpu(clock, own_kernels, monkeypatch):
    @kernel("global_avg_pool", "mine", device="cuda")
    def global_avg_pool(x, *, out):
        out[...] = 2 * x.mean((1, 2))

    monkeypatch.setattr(steps, "SIZE", 8)
    refused = []
    settings = Settings(steps=("resnet8",), kernels=("cupy.igemm",), batch=2, repeats=1, seconds=0.01, device="cuda")
    monkeypatch.setattr(steps, "_choices", lambda *_: {"mine": {"global_avg_pool": "mine"}})
    assert list(steps.time_steps(settings, {}, dataclasses.replace(STILL), refused.append, "cuda")) == []
    assert "a step with 'mine' has another gradient than with 'the CPU'" in refused[0].reason


def test_a_kernel_that_python_launches_stands_with_the_others(clock, doubled, monkeypatch):
    @kernel("relu", "three", device="cuda", graphable=False)
    def relu(x, *, out):
        cuda.module().maximum(x, 0, out=out)

    monkeypatch.setattr(device_roof, "measure", lambda dtype: dataclasses.replace(STILL))
    monkeypatch.setattr(DeviceRoof, "sample", lambda self: None)
    settings = Settings(("relu",), ("one", "three"), ("resnet20",), batch=1, repeats=1, seconds=0.01, device="cuda")
    bench = measure.measure_all(settings, lambda text: None)
    assert {row.kernel for row in bench.rows if row.eager} == {"three"}
    assert all(len(group) == 2 for group in groups(bench.rows))
    (said,) = lines([row for row in bench.rows if row.eager][:1])
    assert said.endswith("(launched by Python)")


def test_noise_larger_than_the_launches_gives_no_time_below_zero(monkeypatch):
    answers = iter([3e-3, 2e-3])
    monkeypatch.setattr(device_clock, "elapsed", lambda work: next(answers))
    nobody = device_clock.Eager([])
    assert device_clock.difference(nobody, nobody, 10) == pytest.approx(1e-4)


def test_steps_on_an_emulated_gpu_are_checked_and_not_timed(monkeypatch):
    monkeypatch.setattr(steps, "SIZE", 8)
    said = []
    settings = Settings(steps=("resnet20",), kernels=("cupy.igemm",), batch=2, device="cuda")
    bench = measure.measure_all(settings, said.append)
    assert (bench.rows, bench.roof, bench.refused) == ([], None, [])
    assert said[-1].startswith("right  step  resnet20, 8 layers of it, cupy.igemm: gradient ")
    assert said[-1].endswith(" from that of the CPU")
