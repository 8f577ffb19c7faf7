"""Landlock: a process gives up rights over files and the network, for itself and all it starts, for ever.

Linux 5.13 and later, without privileges (landlock(7), Documentation/userspace-api/landlock.rst). Everything may be read
but for some folders; written is in the scratch folder only; no program is started, no connection made, and no
process outside gets a signal, as far as the kernel knows these rules. A rule names a folder by its descriptor, and
covers what is below it. There are no exceptions from a rule, so "everything but P" is said by naming P's siblings.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls, of the same number on every architecture
VERSION_FLAG, PATH_BENEATH, NO_NEW_PRIVILEGES = 1, 1, 38
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
READ = READ_FILE | READ_DIR
FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}  # rights over files that each version knows
EVERY_FILE = FILES[3]  # version 5 adds ioctl of devices, which a GPU's driver needs
NETWORK, SCOPES = 3, 3  # bind and connect (version 4); abstract sockets and signals (version 6)
LATER = {4: "connections are", 6: "signals to other processes are"}  # the version that came with it
ONLY_FOLDERS = READ_DIR | (EVERY_FILE & ~(EXECUTE | WRITE_FILE | READ_FILE | 1 << 14))
DEVICES = ("/dev/null", "/dev/zero", "/dev/full")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def restrict(unread: Iterable[str], read: Iterable[str], written: Iterable[str]) -> str:
    """Put the fence up around this process; what is missing of it on this machine, or "".

    Parameters
    ----------
    unread : paths that cannot be read, nor anything below them
    read : exceptions from that
    written : folders in which everything may be done
    """
    version = -1
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)
    if version < 1:
        return "Landlock is missing here: reading and writing outside its folder is noticed, not prevented"
    handled = FILES.get(version, EVERY_FILE)
    said = _Ruleset(handled, NETWORK if version >= 4 else 0, SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(said), ctypes.c_size_t(size), 0)
    unread = [os.path.realpath(path) for path in unread]
    read = [os.path.realpath(path) for path in read]
    for path in _but("/", unread, read):
        _allow(libc, ruleset, path, READ)
    for path in written:
        _allow(libc, ruleset, path, handled & ~EXECUTE)
    for path in DEVICES:
        _allow(libc, ruleset, path, READ_FILE | WRITE_FILE)
    for name in os.listdir("/dev"):
        if name.startswith("nvidia"):
            _allow(libc, ruleset, f"/dev/{name}", READ | WRITE_FILE)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    failed = libc.syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    if failed:
        return f"Landlock refused: {os.strerror(ctypes.get_errno())}"
    lacks = [what for since, what in LATER.items() if version < since]
    return f"Landlock is of version {version} here: {', '.join(lacks)} noticed, not prevented" if lacks else ""


def _but(path: str, unread: list[str], read: list[str], forbidden: bool = False) -> list[str]:
    """Paths at and below `path` that together cover it but for those unread, of which those read are excepted."""
    forbidden = path in unread or (forbidden and path not in read)
    below = path.rstrip("/") + "/"
    inside = [each for each in [*unread, *read] if each.startswith(below) and each != path]
    if not inside:
        return [] if forbidden else [path]
    ways = sorted({each[len(below) :].split("/")[0] for each in inside})  # if forbidden, only those to the exceptions
    names = ways if forbidden else _names(path)
    children = [below + name for name in names]
    return [each for child in children if not os.path.islink(child) for each in _but(child, unread, read, forbidden)]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rights &= -1 if os.path.isdir(path) else ~ONLY_FOLDERS
    rule = _Beneath(rights, folder)
    libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
    os.close(folder)
