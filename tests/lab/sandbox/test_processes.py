"""Nothing is left running, whoever dies first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tinyres.lab import processes
from tinyres.lab.processes import DEAF, how_it_ended
from tinyres.lab.worker import guard, serve

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and child subreapers")
DETACH = (
    "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(60)\n    os._exit(0)\n"
)


def test_both_sides_know_the_code():
    assert serve.DEAF == DEAF


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (0, "died", "exit code 0"),
        (3 << 8, "died", "exit code 3"),
        (DEAF << 8, "fence", "closed the pipes"),
        (signal.SIGKILL, "memory", "ended by the system"),
        (signal.SIGXCPU, "timeout", "processor time"),
        (signal.SIGSEGV | 0x80, "died", "crashed the process (SIGSEGV)"),
    ],
)
def test_how_it_ended(status, kind, said):
    assert how_it_ended(status)[0] == kind
    assert said in how_it_ended(status)[1]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds=3.0):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


@linux
def test_contained_in_a_process_of_its_own(tmp_path):
    """A detached grandchild is ended on leaving, and so is one that is not detached."""
    source = f"""
import os, subprocess, sys, time
from tinyres.lab.processes import contained
from tinyres.lab.worker import guard
with contained():
    subprocess.Popen(["sleep", "60"])
    subprocess.run([sys.executable, "-c", {DETACH!r}], check=True)
    for _ in range(200):
        before = guard.descendants(os.getpid())
        if len(before) == 2: break
        time.sleep(0.01)
print(len(before), guard.descendants(os.getpid()), [p for p in before if os.path.exists(f"/proc/{{p}}")])
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "2 [] []\n"


@linux
def test_end_takes_a_child_with_all_below_it_and_no_other():
    other = subprocess.Popen(["sleep", "60"])
    child = subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60"])
    try:
        assert wait_for(lambda: len(guard.descendants(child.pid)) == 2)
        below = guard.descendants(child.pid)
        processes.end(child)
        assert child.returncode == -signal.SIGKILL
        assert not any(alive(pid) for pid in below)
        assert other.poll() is None
        processes.end(child)  # once more is no harm
    finally:
        other.kill()
        other.wait()


GRADING = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from conftest import CASE, LAB, SHAPES, TASK
from tinyres.lab.sandbox import Sandbox
source = "import os\\ndef f(x, *, k, out):\\n    print(os.getpid(), flush=True)\\n    out[...] = 1\\n"
sandbox = Sandbox(LAB, Path("/nowhere/mine"), text={{"f.py": source}})
assert not sandbox.call(TASK, CASE, SHAPES).problem
print(sandbox.printed, sandbox._worker._process.pid, sandbox._scratch, flush=True)
time.sleep(60)
"""


@linux
def test_a_killed_grading_process_takes_its_workers_along():
    import shutil

    source = GRADING.format(tests=str(Path(__file__).parent))
    grading = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    worker, above = int(grading.stdout.readline()), grading.stdout.readline().split()
    assert alive(worker)
    assert alive(int(above[0]))
    grading.kill()
    grading.wait()
    grading.stdout.close()
    assert wait_for(lambda: not alive(worker) and not alive(int(above[0])))
    shutil.rmtree(above[1])


@linux
def test_a_guard_that_dies_takes_its_worker_along(tmp_path):
    """Not possible for a submission where Landlock fences signals in; where it is not, the worker ends all the same."""
    from tinyres.lab.sandbox import Sandbox

    from .conftest import CASE, LAB, SHAPES, TASK, processes_of

    with Sandbox(LAB, tmp_path, text={"f.py": "def f(x, *, k, out): out[...] = x"}) as sandbox:
        assert not sandbox.call(TASK, CASE, SHAPES).problem
        worker, scratch = sandbox._worker, sandbox._scratch
        os.kill(worker._process.pid, signal.SIGKILL)
        assert wait_for(lambda: not alive(worker._process.pid))
        answer = sandbox.call(TASK, CASE, SHAPES)
        assert (answer.kind, answer.problem) == ("fence", "ended the process that watches over it")
        assert processes_of(scratch) == []
        assert not sandbox.call(TASK, CASE, SHAPES).problem


@linux
def test_what_a_process_holds():
    assert 1 << 20 < processes.resident(os.getpid()) < 1 << 36
    assert processes.resident(1 << 30) == 0
