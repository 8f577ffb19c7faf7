"""What a submission may not do, noticed where it does it, by Python's audit events (PEP 578).

An audit hook cannot be removed. It names the student's own line, which no fence of the kernel could; what goes around
Python meets the kernel's fence alone. Whatever is noticed is remembered, so that swallowing the exception is no help.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from os.path import realpath
from sys import _getframe
from typing import Any

import numpy as np

STANDARD = realpath(os.path.dirname(os.__file__))
HERE = os.path.dirname(__file__)
PACKAGES = os.sep + "site-packages" + os.sep
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
ANYWHERE = ("/dev/null", "/dev/zero", "/dev/full", "/dev/nvidia")


class Trespass(PermissionError):
    """Something that no lab needs. `kind` is "fence" for what costs the case, "refused" for what costs everything."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass
class Fence:
    """Where a submission lives, and what was noticed: (kind, text, file, line)."""

    scratch: str
    package: str
    own: dict[str, str]  # path of a student's file -> its name
    noticed: list[tuple[str, str, str, int]] = field(default_factory=list)

    def place(self, mine: bool = False) -> tuple[str, int]:
        """Path and line of the student's that is being executed; with `mine`, only if it called no other package."""
        frame = _getframe(1)
        while frame is not None:
            path = frame.f_code.co_filename
            if path in self.own:
                return path, frame.f_lineno
            foreign = PACKAGES in path or not path.startswith((STANDARD, HERE, "<frozen"))
            if mine and foreign:
                break
            frame = frame.f_back  # type: ignore[assignment]
        return "", 0

    def notice(self, kind: str, text: str, mine: bool = False) -> None:
        """Remember it, and stop it."""
        path, number = self.place(mine)
        if path or not mine:
            self.noticed.append((kind, text, self.own.get(path, ""), number))
        raise Trespass(kind, text)

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """The audit hook."""
        if event in HANDLERS:
            HANDLERS[event](self, event, args)

    def _opened(self, event: str, args: tuple[Any, ...]) -> None:
        path, flags = args[0], args[2]
        if isinstance(path, int) or path is None:
            return
        if flags & WRITES:
            self._written(event, (path,))
        elif _inside(path, self.package):
            self.notice("refused", f"reads the library's own source, {os.path.basename(os.fsdecode(path))}")

    def _written(self, event: str, args: tuple[Any, ...]) -> None:
        for path in args:
            named = isinstance(path, str | bytes | os.PathLike)
            if named and not (_inside(path, self.scratch) or os.fsdecode(path).startswith(ANYWHERE)):
                self.notice("fence", f"writes outside its folder: {os.fsdecode(path)}", mine=True)

    def _process(self, event: str, args: tuple[Any, ...]) -> None:
        self.notice("fence", f"starts another process ({event}); a lab needs none", mine=True)

    def _network(self, event: str, args: tuple[Any, ...]) -> None:
        self.notice("fence", f"uses the network ({event}); a lab needs none", mine=True)

    def _signal(self, event: str, args: tuple[Any, ...]) -> None:
        if args[0] != os.getpid():
            self.notice("fence", f"sends a signal to another process ({event})", mine=True)

    def _limited(self, event: str, args: tuple[Any, ...]) -> None:
        if args[0] not in (0, os.getpid()):
            self.notice("fence", f"reaches for the limits of another process ({event})", mine=True)


def _inside(path: Any, folder: str) -> bool:
    real = realpath(os.fsdecode(path))
    return real == folder or real.startswith(folder + os.sep)


_PATHS = "remove rmdir mkdir truncate chmod chown chflags utime setxattr removexattr"
_PROCESSES = "os.fork os.forkpty os.posix_spawn os.spawn os.exec os.system subprocess.Popen pty.spawn"
_NETWORK = "socket.connect socket.bind socket.getaddrinfo socket.gethostbyname socket.gethostbyaddr socket.sendto"
HANDLERS: dict[str, Callable[[Fence, str, tuple[Any, ...]], None]] = {
    "open": Fence._opened,
    **{f"os.{name}": lambda fence, event, args: fence._written(event, args[:1]) for name in _PATHS.split()},
    **{f"os.{name}": lambda fence, event, args: fence._written(event, args[:2]) for name in ("rename", "link")},
    "os.symlink": lambda fence, event, args: fence._written(event, args[1:2]),
    **dict.fromkeys(_PROCESSES.split(), Fence._process),
    **dict.fromkeys(_NETWORK.split(), Fence._network),
    "os.kill": Fence._signal,
    "os.killpg": Fence._signal,
    "resource.prlimit": Fence._limited,
}


class Unpatched:
    """Notices functions of NumPy that were exchanged. That helps nobody, since results are compared elsewhere."""

    def __init__(self) -> None:
        self._were = [
            (module, name, value) for module in (np, np.linalg, np.testing) for name, value in _functions(module)
        ]

    def exchanged(self) -> list[str]:
        """Full names of those that are others now; each is told once."""
        found = [(module, name) for module, name, value in self._were if module.__dict__.get(name) is not value]
        self._were = [each for each in self._were if each[:2] not in found]
        return [f"{module.__name__}.{name}" for module, name in found]


def _functions(module: Any) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
