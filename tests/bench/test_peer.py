"""Peers: PyTorch's results are those of our ops, and somebody who computes something else is not timed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tinyres import cli
from tinyres.bench.layers import MEASURED, chosen
from tinyres.bench.outside import load_peer
from tinyres.bench.problems import Problem
from tinyres.kernels.backends import usual

TORCH = Path(__file__).parents[2] / "benchmarks" / "torch_peer.py"
PEER = """
import numpy as np

NAME = "theirs"


def prepare(op, arrays, params):
    if op != "relu":
        return None
    (x,) = arrays
    return lambda: np.maximum(x, {floor}), lambda y: y
"""


def bench(path, capsys, *options):
    argv = ["bench", "--ops", "relu", "add", "--kernels", "numpy", "--batch", "2", "--repeats", "2"]
    code = cli.main([*argv, "--peer", str(path), "--out", str(path.parent / "out"), *options])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_peer_is_timed_in_turns_with_ours(tmp_path, capsys, quick_roof):
    path = tmp_path / "peer.py"
    path.write_text(PEER.format(floor=0))
    code, out, _ = bench(path, capsys)
    assert code == 0
    record = json.loads((tmp_path / "out" / "bench.json").read_text())
    rows = {(row["op"], row["kernel"]): row for row in record["rows"]}
    assert set(rows) == {("relu", "numpy"), ("relu", "theirs"), ("add", "numpy")}  # it has no add
    ours, theirs = rows["relu", "numpy"], rows["relu", "theirs"]
    assert ours["reference"] == "theirs"
    assert theirs["ratio"] == 1
    assert len(ours["seconds"]) == len(theirs["seconds"]) == 2
    assert f"{ours['ratio']:.2f} theirs" in out


def test_a_peer_that_computes_something_else_is_refused(tmp_path, capsys, quick_roof):
    path = tmp_path / "peer.py"
    path.write_text(PEER.format(floor=0.5))
    code, out, _ = bench(path, capsys)
    assert code == 1
    assert re.search(r"REFUSED theirs of relu, 16 @32, batch 2: result 0 at \[0, 0, 0, \d\] is 0.5, expected", out), out
    rows = json.loads((tmp_path / "out" / "bench.json").read_text())["rows"]
    assert {row["kernel"] for row in rows} == {"numpy"}


def test_a_peer_that_fails_shows_its_line(tmp_path, capsys, quick_roof):
    path = tmp_path / "peer.py"
    path.write_text(PEER.format(floor="nothing"))
    code, out, _ = bench(path, capsys)
    assert code == 1
    assert "return lambda: np.maximum(x, nothing)" in out
    assert "NameError" in out


def test_a_file_that_is_no_peer(tmp_path, capsys):
    path = tmp_path / "peer.py"
    path.write_text("x = 1\n")
    code, out, err = bench(path, capsys)
    assert code == 2
    assert "has no function prepare" in err
    assert out == ""


@pytest.mark.torch
@pytest.mark.parametrize("op", [op for op in MEASURED if usual(op, "cpu")])  # others are fusions of a GPU
def test_torch_computes_the_same(op):
    pytest.importorskip("torch")
    peer = load_peer(TORCH)
    layers = [layer for _, layer, _ in chosen(("all",), (op,))]
    kinds = {(layer.kind, layer.window, layer.stride): layer for layer in layers}  # one of each
    compared = 0
    for layer in kinds.values():
        small = replace(
            layer, size=min(layer.size, 9), channels=min(layer.channels, 24), filters=min(layer.filters, 20)
        )
        problem = Problem(op, small, (), 3, "float32")
        pair = peer.prepare(op, problem.case.arrays, problem.case.params)
        if pair is not None:
            call, read = pair
            problem.compare(peer.name, read(call()))
            compared += 1
    assert compared == (0 if op in WITHOUT else len(kinds))


WITHOUT = {
    "pad_shortcut", "pad_shortcut_gradient", "max_pool2d_gradient", "global_avg_pool_gradient",
    "softmax_cross_entropy_gradient", "sgd", "augment",
}  # fmt: skip
