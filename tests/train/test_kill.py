"""SIGKILL at any moment, then --resume: the same tensors, byte for byte, and the same lines as a run never stopped.

A process kills itself at a drawn line of the code (within an epoch, or while a checkpoint is written), with half
of a checkpoint's bytes written, or is killed from outside after a drawn time. The moments are printed (`pytest -s`).
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinyres.train.folder import checkpoints

CHILD = """
import json, os, signal, sys
import numpy as np
from tinyres.data import from_arrays
from tinyres.train import Config, checkpoint, fit, folder, loop, metrics, start

resume, runs, plan = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
rng = np.random.default_rng(3)
labels = np.arange(44) % 3
images = (rng.integers(0, 120, (44, 8, 8, 1)) + 60 * labels[:, None, None, None]).astype(np.uint8)
data = from_arrays(images, labels, images[:20], labels[:20], name="tiny")
loop.draw_curves = lambda folder, title: None
state = {"count": 0}

def die(where):
    print("killed", where, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

def watch(functions, number):  # die before the `number`-th line that is run in any of these functions
    codes = {function.__code__ for function in functions}
    def line(frame, event, _):
        if event == "line" and frame.f_code in codes:
            state["count"] += 1
            if state["count"] == number:
                die(f"before {os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_qualname}")
        return line
    sys.settrace(lambda frame, event, _: line if frame.f_code in codes else None)

OWN = loop.Training
EPOCH = (OWN.step, OWN.update, OWN.took, OWN._go_on, OWN.evaluate)
RESUMING = (start._continue, start.Run.restore, metrics.Log.cut, folder.write_atomically)
SAVING = (start.Run.save, checkpoint.write, folder.write_atomically, checkpoint.prune, metrics.Log.append)
if plan["kind"] == "epoch":
    watch(EPOCH, plan["number"])
elif plan["kind"] == "checkpoint":
    watch(SAVING, plan["number"])
elif plan["kind"] == "resume":
    watch(RESUMING, plan["number"])
elif plan["kind"] == "half":
    class Half:
        def __init__(self, path, mode):
            self.path, self.file = path, open(path, mode)
        def __enter__(self):
            return self
        def __exit__(self, *_):
            self.file.close()
        def fileno(self):
            return self.file.fileno()
        def flush(self):
            self.file.flush()
        def write(self, content):
            state["count"] += "checkpoint" in self.path.name
            if state["count"] == plan["number"]:
                self.file.write(content[: len(content) // 2])
                self.file.flush()
                die(f"with half of {self.path.name.strip('.')} written")
            self.file.write(content)
    folder.open = Half
config = Config(resume=resume) if resume else Config(
    model="resnet8", epochs=6, batch=16, augment=True, validation=0.25, warmup="paper", milestones=(0.5,),
    checkpoint_every=2, runs=runs, name="run",
)
result = fit(config, data)
print("lines", state["count"], "trained", result.trained, flush=True)
"""
WHOLE = {"kind": "none"}


def start(runs: Path, plan: dict[str, Any], resume: Path | None = None) -> subprocess.Popen[str]:
    arguments = [str(resume or ""), str(runs), json.dumps(plan)]
    return subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True)


def run(runs: Path, plan: dict[str, Any], resume: Path | None = None) -> tuple[int, str]:
    process = start(runs, plan, resume)
    told, _ = process.communicate(timeout=300)
    return process.returncode, told.strip()


def killed_after(runs: Path, seconds: float) -> str:
    """Start a run and kill it from outside, a while after its folder is complete."""
    process = start(runs, WHOLE)
    while not (runs / "run" / "config.json").exists():
        time.sleep(0.005)
    time.sleep(seconds)
    process.kill()
    process.communicate()
    return f"from outside after {seconds:.3f} s"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    code, told = run(tmp_path / "whole", WHOLE)
    assert code == 0, told
    return tmp_path / "whole" / "run"


def kill_and_resume(
    tmp_path: Path, whole: Path, plans: list[dict[str, Any]], same_run: Callable[[Path, Path], None]
) -> None:
    for number, plan in enumerate(plans):
        runs = tmp_path / f"killed{number}"
        if plan["kind"] == "time":
            moment = killed_after(runs, plan["seconds"])
        else:
            code, moment = run(runs, plan)
            assert (code, moment[:6]) == (-signal.SIGKILL, "killed"), moment
        kept = list(checkpoints(runs / "run"))
        if "then" in plan:
            code, again = run(runs, plan["then"], resume=runs / "run")
            assert (code, again[:6]) == (-signal.SIGKILL, "killed"), again
            moment += f"; resumed and {again}"
        code, told = run(runs, WHOLE, resume=runs / "run")
        assert code == 0, told
        print(f"{plan['kind']:<10} {moment}; checkpoints {kept}; resumed: {told.split('trained ')[1]} steps")
        assert not list((runs / "run").glob(".*.partial"))
        same_run(runs / "run", whole)


@pytest.mark.slow
def test_killed_in_an_epoch_and_in_a_checkpoint(
    tmp_path: Path, whole: Path, same_run: Callable[[Path, Path], None]
) -> None:
    plans = [{"kind": "epoch", "number": 211}, {"kind": "checkpoint", "number": 140}, {"kind": "half", "number": 4}]
    kill_and_resume(tmp_path, whole, plans, same_run)


@pytest.mark.slow
def test_killed_at_twenty_random_moments(tmp_path: Path, whole: Path, same_run: Callable[[Path, Path], None]) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"\nseed {seed}")
    draw = random.Random(seed)
    total = {kind: lines_run(tmp_path / f"count {kind}", kind) for kind in ("epoch", "checkpoint", "half")}
    plans = [{"kind": "epoch", "number": draw.randint(1, total["epoch"])} for _ in range(6)]
    plans += [{"kind": "checkpoint", "number": draw.randint(1, total["checkpoint"])} for _ in range(5)]
    plans += [{"kind": "half", "number": draw.randint(1, total["half"])} for _ in range(3)]
    plans += [{"kind": "time", "seconds": draw.uniform(0, 0.4)} for _ in range(4)]
    again = [{"kind": "resume", "number": draw.randint(1, 40)} for _ in range(2)]  # killed while it is being resumed
    plans += [{"kind": "epoch", "number": draw.randint(1, total["epoch"]), "then": then} for then in again]
    kill_and_resume(tmp_path, whole, plans, same_run)


def lines_run(runs: Path, kind: str) -> int:
    """How many moments of a kind a whole run has."""
    code, told = run(runs, {"kind": kind, "number": -1})
    assert code == 0, told
    return int(told.split()[1])
