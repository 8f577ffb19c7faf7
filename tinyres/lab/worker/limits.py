"""Limits of the system on the worker, which it puts on itself before the student's code is imported."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np

from tinyres.lab.worker import guard

LINUX = sys.platform.startswith("linux")  # by a name, so that both ways are checked by types
MEGABYTE = 1 << 20
FILE_BYTES = 16 * MEGABYTE  # the largest file
OPEN_FILES = 64  # at a time, those in memory (memfd) included; a GPU's driver needs more


def limit(memory: int, cpu: float) -> list[str]:
    """Limits of the system on this process: megabytes beyond what it has now (0: none), seconds. What is missing."""
    try:
        import resource
    except ImportError:
        return ["this system has no limits on memory and processor time: only the clock is watched"]
    wanted = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CPU, max(1, round(cpu))),
    ]
    if memory:
        wanted.append((resource.RLIMIT_NOFILE, OPEN_FILES))
    if memory and LINUX:  # elsewhere the limit is accepted and ignored
        wanted.append((resource.RLIMIT_AS, address_space() + memory * MEGABYTE))
    for what, most in wanted:
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # Soft before hard: the first signal of used up processor time says what it is, the second is SIGKILL.
        last = most + 1 if what == resource.RLIMIT_CPU and most + 1 <= (hard % (1 << 63)) else most
        resource.setrlimit(what, (most, last))
    if LINUX:
        return []
    return [
        "memory is watched by the grading process, not limited by the system",
        "a process that a submission detaches is not found: the system has no child subreaper",
    ]


def address_space() -> int:
    """Bytes of address space that this process has taken (Linux)."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")


def become(user: int, group: int) -> str:
    """Change to another user for good, if the packages can be read by it; what stands against it, or ""."""
    os.setgroups([])
    os.setegid(group)
    os.seteuid(user)
    folders = os.path.dirname(os.__file__), os.path.dirname(np.__file__)
    readable = all(os.access(folder, os.R_OK | os.X_OK, effective_ids=True) for folder in folders)
    os.seteuid(0)
    os.setegid(0)
    if not readable:
        return "the worker does not run as another user: that one cannot read the installed packages"
    os.setgid(group)
    os.setuid(user)
    guard.prctl(guard.DEATH_SIGNAL, signal.SIGKILL)  # a change of user has cleared it
    return ""
