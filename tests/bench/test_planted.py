"""The bank of planted faults: a wrong kernel is refused with the place of the first difference, and never timed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tinyres import cli

KERNELS = (Path(__file__).parent / "right_kernels.py").read_text(encoding="utf-8")

END, END_WEIGHT, START = "    # end of conv2d\n", "    # end of conv2d_weight\n", "    out[...] = 0\n"
TAPS = "out[..., to] += part[..., g * c : (g + 1) * c] @ w["
BEHIND = "    np.lib.stride_tricks.as_strided(out, (out.size + 1,), (out.itemsize,))[-1] = 0.5\n"
RACE = """
    if len(x) == 1:
        return
    total = [np.zeros_like(out)]

    def add(n):
        part = np.zeros_like(out)
        one = x[n : n + 1], dy[n : n + 1]
        conv2d_weight(*one, shape=shape, stride=stride, padding=padding, groups=groups, out=part)
        seen = total[0]
        time.sleep(0.002)  # another thread adds meanwhile, and its part is lost
        total[0] = seen + part

    threads = [threading.Thread(target=add, args=(n,)) for n in range(len(x))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out[...] = total[0]
"""
RETURNS = """

right = conv2d


@kernel("conv2d", "mine")
def returning(x, w, *, stride, padding, groups):
    size = [(n + a + b - r) // stride + 1 for n, a, b, r in zip(x.shape[1:], padding[::2], padding[1::2], w.shape)]
    out = np.empty((len(x), *size, w.shape[3]), x.dtype)
    right(x, w, stride=stride, padding=padding, groups=groups, out=out)
    return out.astype(np.{})
"""
VALUE = r"result 0 at \[[\d, ]+\] is \S+, expected \S+, the first of [\d,]+ wrong values of [\d,]+"
CONV, WEIGHT = "conv2d", "conv2d_weight"
# name: op, piece of the right file, what stands there instead, what the refusal says
FAULTS = {
    "flipped filter": (CONV, TAPS + "r, s", TAPS + "-1 - r, -1 - s", VALUE),
    "stride ignored": (CONV, "part = xp[:, *slices(r, s, stride, *out", "part = xp[:, *slices(r, s, 1, *out", VALUE),
    "one border row lost": (CONV, END, "    out[:, -1] = 0\n", VALUE),
    "one tap lost": (
        CONV, "for r, s in np.ndindex(w.shape[:2])", "for r, s in list(np.ndindex(w.shape[:2]))[1:]",
        VALUE,
    ),
    "padding swapped": (CONV, "top, bottom, left, right = p", "bottom, top, right, left = p", VALUE),
    "sides for top and bottom": (CONV, "top, bottom, left, right = p", "left, right, top, bottom = p", VALUE),
    "groups ignored": (CONV, "part[..., g * c : (g + 1) * c] @", "part[..., :c] @", VALUE),
    "a write behind the result": (CONV, END, BEHIND, "wrote outside its result"),
    "input changed": (CONV, END, "    x *= 2\n", "changed its inputs"),
    "filters changed": (CONV, END, "    w[0] = 0\n", "changed its inputs"),
    "never cleared": (CONV, START, "", "is nan, expected"),
    "last image never written": (
        CONV, START, "    out, x = (out[:-1], x[:-1]) if len(x) > 1 else (out, x)\n" + START,
        r"at \[1, 0, 0, 0\] is nan",
    ),
    "only the first image": (CONV, END, "    out[1:] = out[:1]\n", r"at \[1, 0, 0, 0\]"),
    "a NaN": (CONV, END, "    out.flat[5] = np.nan\n", "is nan, expected"),
    "half precision": (CONV, END, "    out[...] = out.astype(np.float16)\n", VALUE),
    "other each time": (
        CONV, END, "    out *= 1 + np.float32(3e-7) * np.random.random()\n",
        "two runs on the same inputs",
    ),
    "remembers by shape": (
        CONV, END,
        "    key = x.shape, w.shape, stride\n    conv2d.known = k = getattr(conv2d, 'known', {})\n"
        "    out[...] = k.setdefault(key, out.copy())\n",
        VALUE,
    ),
    "wrong in a large batch": (
        CONV, END, "    if len(x) >= 6: out[-1, -1, -1, -1] += 1\n",
        r"batch 6.*at \[5, 31, 31, 15\] is \S+, expected \S+, the first of 1 wrong values of 98,304 ",
    ),
    "wrong in a large image": (
        CONV, END, "    if x.shape[1] > 16: out[0, 17, 3, 1] = 0\n",
        r"batch 6.*at \[0, 17, 3, 1\] is 0",
    ),
    "returns float64": (CONV, END, RETURNS.format("float64"), "returns float64 for float32 arrays"),
    "returns integers": (CONV, END, RETURNS.format("int32"), VALUE),
    "returns another shape": (
        CONV, "groups, out):\n    out[...] = 0", "groups):\n    return x\n    out = 0", "returned shape",
    ),
    "returns nothing": (
        CONV, "groups, out):\n    out[...] = 0", "groups):\n    return None\n    out = 0",
        "returned None",
    ),
    "returns beside out": (CONV, END, "    return out.copy()\n", "returned something else"),
    "fails": (
        CONV, END, "    raise RuntimeError('not\\nyet')\n",
        r"line \d+, in conv2d:\n    raise RuntimeError.*\nRuntimeError: not",
    ),
    "only some shapes": (
        CONV, START, "    assert stride == 1, 'stride'\n" + START,
        "line .*\n.*assert stride == 1.*\nAssert",
    ),
    "threads race": (WEIGHT, END_WEIGHT, RACE, f"{VALUE}|two runs .* differ: result 0 at \\[[\\d, ]+\\] is .*, then"),
    "its first image lost": (WEIGHT, START, "    if len(x) > 1: x, dy = x[1:], dy[1:]\n" + START, VALUE),
    "its last row lost": (WEIGHT, START, "    dy = dy.copy()\n    dy[:, -1] = 0\n" + START, VALUE),
    "its filters turned": (WEIGHT, END_WEIGHT, "    out[...] = out[::-1, ::-1].copy()\n", VALUE),
    "its stride ignored": (WEIGHT, "*slices(r, s, stride, *dy", "*slices(r, s, 1, *dy", VALUE),
    "its sums in half precision": (WEIGHT, END_WEIGHT, "    out[...] = out.astype(np.float16)\n", VALUE),
}  # fmt: skip


def planted(op, old, new):
    """The right file with one piece of one of its functions exchanged; of what both use, for conv2d."""
    forward, middle, weight = KERNELS.partition('@kernel("conv2d_weight"')
    assert old in (forward if op == CONV else weight)
    if op == CONV:
        return forward.replace(old, new, 1) + middle + weight
    return forward + middle + weight.replace(old, new, 1)


def bench(path, capsys, *options):
    """Exit code and what was printed."""
    argv = ["bench", "--mine", str(path), "--kernels", "numpy", "--batch", "6", "--repeats", "1", "--nets", "resnet20"]
    code = cli.main([*argv, "--out", str(path.parent / "out"), *options])
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, captured.out


@pytest.mark.parametrize("name", FAULTS)
def test_refused(name, tmp_path, capsys, own_kernels, quick_roof):
    op, old, new, said = FAULTS[name]
    path = tmp_path / "kernels_of_mine.py"
    path.write_text(planted(op, old, new), encoding="utf-8")
    code, out = bench(path, capsys, "--ops", op)
    assert code == 1
    refusals = [line for line in out.splitlines() if line.startswith("REFUSED")]
    assert refusals
    assert all(f"'mine' of {op}" in line for line in refusals)
    assert re.search(said, out), out
    record = record_of(path)
    wrong = {refusal["layer"] for refusal in record.get("refused", [{"layer": ""}])}
    timed = {f"{row['layer']}, batch 6" for row in record.get("rows", []) if row["kernel"] == "mine"}
    assert not timed & wrong
    assert not timed or "" not in wrong  # refused on the contract's samples: nowhere timed
    assert "Traceback" not in out


def record_of(path):
    file = path.parent / "out" / "bench.json"
    return json.loads(file.read_text()) if file.exists() else {}


def test_a_right_kernel_is_accepted(tmp_path, capsys, own_kernels, quick_roof):
    path = tmp_path / "kernels_of_mine.py"
    path.write_text(KERNELS, encoding="utf-8")
    code, out = bench(path, capsys)
    assert code == 0
    assert "REFUSED" not in out
    rows = record_of(path)["rows"]
    timed = {(row["op"], row["layer"]) for row in rows if row["kernel"] == "mine"}
    assert timed == {(row["op"], row["layer"]) for row in rows if row["kernel"] == "numpy"}
    assert {op for op, _ in timed} == {"conv2d", "conv2d_weight"}
    assert len(timed) == 12


def test_the_bank_is_a_bank_of_single_faults():
    """Each fault changes the file, and only the function that it is a fault of."""
    for op, old, new, _ in FAULTS.values():
        assert planted(op, old, new) != planted(op, old, old)
