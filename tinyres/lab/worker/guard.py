"""The process above the worker: it stays until nothing that the worker has started is alive.

It is a "child subreaper" (prctl(2), Linux): a process that the submission detaches (fork, setsid, the parent exits)
becomes the guard's own child instead of init's. So "the guard has no children" means that nothing is left over. It
ends everything when the worker ends, when it is told to, and when the grading process has died, since then the control
pipe closes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import time

SUBREAPER, DEATH_SIGNAL = 36, 1  # of prctl(2)
PATIENCE = 5.0  # seconds in which killed processes have to be gone


def prctl(option: int, value: int) -> bool:
    """Ask the kernel for something about this process; False where it cannot (macOS)."""
    try:
        return ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0  # type: ignore[no-any-return]
    except (OSError, AttributeError):
        return False


def start() -> tuple[int, int]:
    """Fork. In the guard (its id, a pipe that wakes up when a child ends), in the worker (0, -1)."""
    prctl(SUBREAPER, 1)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    worker = os.fork()
    if worker:
        return worker, woken
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(woken)
    os.close(wake)
    os.setsid()
    prctl(DEATH_SIGNAL, signal.SIGKILL)
    return 0, -1


def watch(worker: int, woken: int, control: int, report: int) -> None:
    """Tell the worker's id, wait for its end or for a word of the parent, end everything, tell how the worker ended."""
    _tell(report, {"worker": worker})
    poll = select.poll()
    poll.register(woken, select.POLLIN)
    poll.register(control, select.POLLIN)
    status: int | None = None
    while status is None:
        if control in [fd for fd, _ in poll.poll()]:
            break
        with contextlib.suppress(BlockingIOError):
            os.read(woken, 512)
        status = _ended(worker)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker, signal.SIGKILL)
    _tell(report, {"status": status, "left": end_all()})


def _tell(report: int, what: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(report, json.dumps(what).encode() + b"\n")


def _ended(worker: int) -> int | None:
    """Bury whoever has died; the worker's wait status if it is among them.

    A worker that makes this process its debugger (PTRACE_TRACEME) is told of when it stops, too: it has not ended.
    """
    found = None
    with contextlib.suppress(ChildProcessError):
        while (dead := os.waitpid(-1, os.WNOHANG))[0]:
            found = dead[1] if dead[0] == worker and not os.WIFSTOPPED(dead[1]) else found
    return found


def end_all() -> int:
    """Kill every descendant until this process has no child; how many could not be ended."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return 0
        alive = descendants(os.getpid())
        if time.monotonic() > until:
            return len(alive)
        for pid in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def descendants(root: int) -> list[int]:
    """Processes below `root`, by the parents that /proc tells; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:
                state, parent = stat.read().rpartition(b")")[2].split()[:2]
                if state != b"Z":
                    children.setdefault(int(parent), []).append(int(name))
    found = list(children.get(root, []))
    for pid in found:  # grows while it is walked
        found += children.get(pid, [])
    return found


def alone(guard: int, worker: int) -> bool:
    """Whether guard and worker have no other children; True also where the kernel does not list them."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for pid in (guard, worker):
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as children:
                    found |= set(children.read().split())
    return found <= {str(worker)}
