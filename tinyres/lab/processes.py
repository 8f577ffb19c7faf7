"""Processes: what their end means, what memory they hold, and how to leave none behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator

from tinyres.lab.worker import guard

DEAF = 77  # exit code of a worker whose pipes were closed; see `worker/serve.py`


def how_it_ended(status: int) -> tuple[str, str]:
    """(kind, sentence) for the wait status of a worker that ended by itself."""
    code = os.waitstatus_to_exitcode(status)
    if code == DEAF:
        return "fence", "closed the pipes of its worker process: leave file descriptors alone"
    if code >= 0:
        return "died", f"ended the process (exit code {code}) instead of returning"
    if -code == signal.SIGKILL:
        return "memory", "was ended by the system, as a process is that takes too much memory or processor time"
    if -code == signal.SIGXCPU:
        return "timeout", "used up its processor time"
    return "died", f"crashed the process ({signal.Signals(-code).name})"


def resident(process: int) -> int:
    """Bytes of memory that a process holds; 0 if nobody tells."""
    try:
        with open(f"/proc/{process}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return 0
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=False).stdout
    return int(told.strip() or 0) << 10


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Inherit what the descendants of this process leave behind, and on leaving end all that is below it.

    For a process that does nothing else: children that it wants to keep are ended too. Where the system has no
    subreaper (macOS) only the children themselves are found.
    """
    guard.prctl(guard.SUBREAPER, 1)
    try:
        yield
    finally:
        guard.end_all()
        guard.prctl(guard.SUBREAPER, 0)


def end(child: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Kill a child with everything below it, and bury it; other children of this process are left alone.

    The child is stopped first, so that it starts nothing more while what is below it is killed.
    """
    if child.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGSTOP)
    until = time.monotonic() + guard.PATIENCE
    while (alive := guard.descendants(child.pid)) and time.monotonic() < until:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)
    child.kill()
    child.wait()
