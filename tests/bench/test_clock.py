"""The clock and the roof: turns, ratios, and a roof that this machine can stand under."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tinyres.bench import clock, roof
from tinyres.bench.clock import Contender, interleaved, ratio


def test_contenders_take_turns_each_with_a_call_before_the_timed_one(monkeypatch):
    monkeypatch.setattr(clock, "SAMPLE", 1e-9)
    calls = []
    contenders = [Contender(name, lambda name=name: calls.append(name)) for name in "ab"]
    sampled = []
    times = interleaved(contenders, 4, 60.0, lambda: sampled.append(len(calls)))
    turn = ["a", "a", "b", "b"]
    assert calls == turn * 5  # once to see how long a call takes, then four rounds
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4}
    assert sampled == [4, 16]  # before the first round and before the fourth


def test_quick_calls_are_timed_many_at_a_time():
    calls = []
    interleaved([Contender("quick", lambda: calls.append(0))], 1, 60.0, lambda: None)
    assert len(calls) > 100


def test_no_new_round_when_the_time_is_up():
    times = interleaved([Contender("slow", lambda: time.sleep(0.003))], 50, 0.001, lambda: None)
    assert len(times["slow"]) == clock.FEWEST


def test_a_slow_contender_is_measured_as_slow():
    times = interleaved(
        [Contender("one", lambda: time.sleep(0.004)), Contender("three", lambda: time.sleep(0.012))],
        5,
        60.0,
        lambda: None,
    )
    assert 2 < ratio(times["three"], times["one"]) < 4
    assert np.median(times["one"]) >= 0.004


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(roof, "SMALLEST", 1 << 20)
    monkeypatch.setattr(roof, "LARGEST", 1 << 20)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_roof(small, dtype):
    found = roof.measure(dtype, samples=2)
    assert found.array_bytes == 1 << 20
    assert len(found.peaks) == len(found.bandwidths) == 2
    assert 1 < found.peak < 1e5
    assert 0.1 < found.bandwidth < 1e4
    assert found.attainable(1, 1e9) == pytest.approx(found.bandwidth / 1e9)
    assert found.attainable(1e9, 1) == found.peak


def test_no_product_is_faster_than_the_peak(small):
    """NumPy's matrix product on the same cores stays below it, but for noise."""
    found = roof.measure("float32", samples=6)
    a = np.ones((512, 512), np.float32)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    assert 2 * 512**3 / min(seconds) / 1e9 < 1.6 * found.peak


def test_the_arithmetic_is_not_folded_away(small):
    """The sums are what the multiply-adds make of their first values: near 2, none of them exactly."""
    out = np.zeros((2, roof.CHAINS * roof.VECTOR_BYTES // 4), np.float32)
    roof._multiply_add(0, 1, out, 1)  # s <- s / 2 + 1, four times, from 3, 4, 5 ...
    first = out[0].reshape(roof.CHAINS, -1)[:, 0]
    np.testing.assert_allclose(first, [2 + (1 + k) / 2**roof.UNROLLED for k in range(roof.CHAINS)])
    assert not out[1].any()


def test_later_samples_alone():
    found = roof.Roof("float32", 1, 0, [9.0, 5.0, 6.0], [3.0, 1.0, 2.0])
    assert (found.peak, found.bandwidth) == (9.0, 3.0)
    assert (found.since(1).peak, found.since(1).bandwidth) == (6.0, 2.0)
    assert found.since(3).peak == 9.0  # none later: all


def test_triad_is_right(small):
    arrays = tuple(np.full(roof.PAGE + 7, value, np.float32) for value in (0, 1, 2))
    assert roof._triad(arrays) > 0
    np.testing.assert_array_equal(arrays[0], 7)  # 1 + 3 * 2


def test_sizes_of_caches_are_read(tmp_path, monkeypatch):
    for number, text in enumerate(("48K", "2048K", "33M\n")):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}" / "size").write_text(text)
    monkeypatch.setattr(roof, "CACHES", tmp_path)
    assert roof.last_cache() == 33 << 20
    monkeypatch.setattr(roof, "CACHES", tmp_path / "none")
    assert roof.last_cache() == 0
