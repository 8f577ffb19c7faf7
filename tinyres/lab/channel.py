"""A worker process seen from the grading process: start it, ask it, watch the clock and its memory, end it.

Pipes: requests and answers; what it prints; the stack of a worker that hangs or crashes (by `faulthandler`); and two to
the guard that stands above the worker (`worker/guard.py`). Nothing here waits without a limit, and whatever the worker
does, `ask` ends with an answer or with `Ended`, after which no process of it is alive.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tinyres.lab import frames
from tinyres.lab.processes import DEAF, how_it_ended, resident
from tinyres.lab.scratch import full
from tinyres.lab.worker import guard

Array = Any
MAIN = Path(guard.__file__).with_name("main.py")
WATCH = 0.05 if os.path.isdir("/proc/self") else 0.5  # seconds between two looks at the worker's memory
LAST_WORDS = 0.3  # seconds in which a worker that hangs may tell where
PRINTS = 16  # times what is kept of the output may be printed by one request
STACK = 1 << 14  # bytes of stacks that are kept
PIECE = 1 << 16
PLACE = re.compile(rb'File "([^"\n]+)", line (\d{1,7}) in')


class Ended(Exception):
    """The worker is gone. `kind` as in CaseResult; `places` are the (path, line) where it was, if it could tell."""

    def __init__(self, kind: str, text: str, places: tuple[tuple[str, int], ...] = ()) -> None:
        super().__init__(text)
        self.kind, self.text, self.places = kind, text, places


class Worker:
    """One worker and its guard.

    Parameters
    ----------
    scratch : Path
        Its working directory, the only place where it may write.
    environment : mapping
        All of its environment.
    memory : int
        Megabytes that it may hold; more than that and it is ended.
    keep : int
        Bytes of its output that are kept.
    packages : str
        Where NumPy is, should Python not find it there by itself.
    """

    def __init__(self, scratch: Path, environment: Mapping[str, str], memory: int, keep: int, packages: str) -> None:
        if not hasattr(os, "fork"):
            raise Ended("died", "no worker process can be started on this system: it needs Linux or macOS")
        self.output, self.stack, self.printed = bytearray(), bytearray(), 0
        self.id = 0  # of the worker, once the guard has told
        self._ours = True  # nothing of the submission runs yet, only our code and what the lab requires
        self._memory, self._keep, self._told, self._watched = memory << 20, keep, b"", 0.0
        self._status: int | None = None  # of its end
        self._scratch = scratch
        request, self._request = os.pipe()
        control, self._control = os.pipe()
        self._answer, answer = os.pipe()
        self._report, report = os.pipe()
        output_of, output = os.pipe()
        stack_of, stack = os.pipe()
        theirs = request, answer, stack, control, report
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-u", str(MAIN), packages, *map(str, theirs)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=scratch,
                env=dict(environment),
                pass_fds=theirs,
                start_new_session=True,
            )
        except OSError as error:
            for fd in (self._request, self._control, self._answer, self._report, output_of, stack_of):
                os.close(fd)
            raise Ended("died", str(error)) from None
        finally:
            for fd in (*theirs, output):
                os.close(fd)
        # Pipes that are listened to, whatever else is waited for.
        self._heard: dict[int, Callable[[bytes], None]] = {
            output_of: self._on_output,
            stack_of: self._on_stack,
            self._report: self._on_report,
        }
        self._open = [self._request, self._answer, *self._heard]
        for fd in self._open:
            os.set_blocking(fd, False)

    def ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, Array], seconds: float, most: int
    ) -> tuple[dict[str, Any], dict[str, Array]]:
        """Send a request and wait for its answer, of at most `most` bytes of arrays; Ended if none comes in time."""
        self._ours = header["op"] == "start"
        until = time.monotonic() + seconds
        unsent = memoryview(frames.pack(header, arrays))
        reader = frames.Reader(most)
        prints = self.printed + PRINTS * self._keep
        try:
            while not reader.whole:
                left = until - time.monotonic()
                if left <= 0:
                    raise self._late(seconds)
                for fd in self._listen(min(left, WATCH), sending=bool(unsent)):
                    if fd == self._request:
                        unsent = unsent[self._write(unsent) :]
                    else:
                        self._receive(reader)
                if self.printed > prints:
                    raise self._end("printed", f"printed more than {PRINTS * self._keep >> 10} KB in one call")
                self._weigh()
            if (reader.header or {}).get("id") != header["id"]:
                raise frames.BadFrame("an answer to another question")
        except frames.BadFrame as error:
            raise self._end("fence", f"wrote {error} into the pipe of its answers") from None
        except BaseException:
            self.close()
            raise
        self._alone()
        return reader.header or {}, reader.arrays

    def _listen(self, seconds: float, sending: bool = False) -> list[int]:
        """Wait for something, take what the side pipes hold, and yield which of the two main pipes are ready."""
        poll = select.poll()
        for fd in (self._answer, *self._heard):
            poll.register(fd, select.POLLIN)
        if sending:
            poll.register(self._request, select.POLLOUT)
        ready = [fd for fd, _ in poll.poll(max(1, round(seconds * 1000)))]
        for fd in ready:
            if fd in self._heard:
                with contextlib.suppress(BlockingIOError):
                    if piece := os.read(fd, PIECE):
                        self._heard[fd](piece)
                    else:
                        del self._heard[fd]
        return [fd for fd in ready if fd in (self._request, self._answer)]

    def _on_output(self, piece: bytes) -> None:
        self.output += piece[: max(0, self._keep - len(self.output))]
        self.printed += len(piece)

    def _on_stack(self, piece: bytes) -> None:
        self.stack += piece[: max(0, STACK - len(self.stack))]

    def _on_report(self, piece: bytes) -> None:
        *lines, self._told = (self._told + piece).split(b"\n")
        for line in lines:
            said = json.loads(line)
            self.id, self._status = said.get("worker", self.id), said.get("status", self._status)

    def _write(self, piece: memoryview) -> int:
        try:
            return os.write(self._request, piece[:PIECE])
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise self._died() from None

    def _receive(self, reader: frames.Reader) -> None:
        with contextlib.suppress(BlockingIOError):
            while not reader.whole:
                piece = os.read(self._answer, min(reader.wants(), 1 << 20))
                if not piece:
                    raise self._died()
                reader.feed(piece)

    def _weigh(self) -> None:
        now = time.monotonic()
        if self.id and now - self._watched >= WATCH:
            self._watched = now
            self._alone()
            if resident(self.id) > self._memory:
                raise self._end("memory", f"took more than {self._memory >> 20} MB of memory")
            if said := full(self._scratch):
                raise self._end("fence", f"wrote {said} into its folder; a lab needs none")

    def _alone(self) -> None:
        """Seen here is what goes around the audit hook; a process that lives on has detached itself, or tried to.

        What a lab requires may start one while it is imported: `numba.cuda` looks for libraries with `ldconfig`.
        """
        if self.id and not self._ours and not guard.alone(self._process.pid, self.id):
            raise self._end("fence", "has started another process, around Python; a lab needs none")

    def _late(self, seconds: float) -> Ended:
        """Too late: ask the worker where it is, wait a moment, and end it."""
        self.stack.clear()
        with contextlib.suppress(OSError):
            if self.id:
                os.kill(self.id, signal.SIGUSR1)
        until = time.monotonic() + LAST_WORDS
        while b" in main\n" not in self.stack and time.monotonic() < until:
            self._listen(0.02)
        return self._end("timeout", f"was not done after {seconds:g} s")

    def _died(self) -> Ended:
        """A pipe was closed: wait for the guard to say how the worker ended."""
        until = time.monotonic() + LAST_WORDS
        while self._status is None and self._report in self._heard and time.monotonic() < until:
            self._listen(0.02)
        if self._status is None and self._report not in self._heard:
            return self._end("fence", "ended the process that watches over it")
        return self._end(*how_it_ended(DEAF << 8 if self._status is None else self._status))

    def _end(self, kind: str, text: str) -> Ended:
        self.close()
        places = PLACE.findall(bytes(self.stack))
        return Ended(kind, text, tuple((os.fsdecode(path), int(line)) for path, line in places))

    def close(self) -> None:
        """End the worker and all it has started; wait until they are gone. May be interrupted, and called again."""
        if not self._open:
            return
        if self._control >= 0:
            control, self._control = self._control, -1
            os.close(control)  # the guard's word to end everything
        until = time.monotonic() + guard.PATIENCE
        while self._heard and time.monotonic() < until:  # the guard and all its children hold these pipes
            self._listen(WATCH)
        if self._report in self._heard or self._process.wait():  # somebody has ended or stopped the guard
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if self.id:
                    os.killpg(self.id, signal.SIGKILL)
        while self._open:
            os.close(self._open.pop())
