"""Run every lesson as a reader would, `python lessons/NN_name.py`, and as the notebook that Jupytext makes of it.

`pytest lessons`. A lesson promises 12 s on two idle cores; the limit here leaves room for a busy machine and for the
first compilation of the kernels.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LESSONS = sorted(HERE.glob("[0-9][0-9]_*.py"))
SECONDS = 12
SLACK = 2  # for machines slower than the one that the promise was made on
TOGETHER = 300
taken: dict[str, float] = {}


def environment() -> dict[str, str]:
    return os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(HERE.parent)}


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Compile the kernels once, so that no lesson is charged for it."""
    code = (
        "from tinyres.flow.testbed import digits_arrays, train\n"
        "from tinyres.models import create\nfrom tinyres.models.dense import DenseNet\n"
        "train(DenseNet(2), digits_arrays(), epochs=1)\n"
        "train(create('resnet20', in_channels=1), digits_arrays(flat=False).hold_out(1373), epochs=1)\n"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True, timeout=300)


def seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_it_runs_and_its_claims_hold(path: Path, tmp_path: Path) -> None:
    """In a fresh process, elsewhere, without a window; the fewer of processor and clock seconds counts."""
    clock, processor = time.perf_counter(), seconds_of_children()
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    clock, processor = time.perf_counter() - clock, seconds_of_children() - processor
    taken[path.stem] = min(clock, processor)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == [], "a lesson leaves nothing behind"
    assert taken[path.stem] <= SLACK * SECONDS


def test_all_together_take_less_than_five_minutes() -> None:
    print("\n".join(f"{name:24} {seconds:5.1f} s" for name, seconds in taken.items()))
    assert sum(taken.values()) <= TOGETHER


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_it_is_a_notebook_too(path: Path) -> None:
    jupytext = pytest.importorskip("jupytext")
    text = path.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    import nbformat

    nbformat.validate(notebook)
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    title, underline = first.source.strip().splitlines()[:2]
    assert set(underline) == {"="}
    assert len(underline) == len(title)
    for cell in notebook.cells:
        assert cell.source.strip(), "an empty cell"
        if cell.cell_type == "code":
            compile(cell.source, path.name, "exec")
    assert sum(line == "# %%" for line in text.splitlines()) == sum(c.cell_type == "code" for c in notebook.cells)
    assert '"""' not in first.source
    assert "\\\\" not in first.source, "a formula with its backslashes doubled"


def test_there_are_lessons() -> None:
    assert [path.stem[:2] for path in LESSONS] == [f"{number:02d}" for number in range(len(LESSONS))]
