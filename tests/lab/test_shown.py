"""What README.md shows of a check is what a check prints."""

from __future__ import annotations

import re
from pathlib import Path

from tinyres.lab import catalogue, check, start, tell

TAPS_LAST = """

def im2col(x, window, stride, padding):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), window, axis=(1, 2))[:, ::stride, ::stride]
    return windows.reshape(-1, window[0] * window[1] * x.shape[3])
"""


def test_the_example_of_the_readme(tmp_path):
    readme = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    shown = re.search(r"```text\n(FAIL conv\.im2col.*?)\n```", readme, re.DOTALL)
    assert shown
    seed = int(re.findall(r"--seed (\d+)", shown[1])[0])
    lab = catalogue.lab("2")
    (tmp_path / "columns.py").write_text(start.solutions(lab)["columns.py"] + TAPS_LAST, encoding="utf-8")
    report = check.check(lab, tmp_path, seed=seed, keys=("conv.im2col",))
    assert tell.task(lab, report.tasks[0], seed) == shown[1]
