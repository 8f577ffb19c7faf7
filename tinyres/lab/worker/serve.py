"""The worker's life: it learns what the submission is, puts the fences up, and answers one request after the other.

    {"op": "start"}  -> files, modules, fences          {"notes": what is missing here, "refused": ...}
    {"op": "load"}   -> import one of the files         {}
    {"op": "call"}   -> call a function once or twice   {"twice": ...} and arrays in:NAME out:NAME again:NAME
    {"op": "time"}   -> arrays are there                {}, and after "go", many calls later, {}; then as for a call

An answer in which `kind` stands tells what went wrong instead. Everything here shares its process with the student's
code, which may tamper with it: an answer is a claim, and is checked on the other side.
"""

from __future__ import annotations

import ast
import faulthandler
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from tinyres.lab import frames
from tinyres.lab.worker import calls, fences, imports, landlock, limits

Array = Any
Header = dict[str, Any]
Answer = tuple[Header, dict[str, Array]]
DEAF = 77  # exit code when somebody has closed the pipes
NUDGE = 2.0**-6  # by how much an input differs from one timed call to the next


def serve(request: int, answer: int, stack: int) -> None:
    """Answer requests until the pipe is closed."""
    faulthandler.enable(stack, all_threads=False)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, stack, all_threads=False)
    submission: Submission | None = None
    read, write, leave = os.read, os.write, os._exit
    while True:
        try:
            message = frames.receive(lambda n: read(request, n))
        except OSError:
            leave(DEAF)
        if message is None:
            return
        header, arrays = message
        if submission is None:
            submission = Submission(header)
            said: Answer = submission.hello, {}
        else:
            said = submission.answer(header, arrays)
        left = memoryview(frames.pack({**said[0], "id": header["id"]}, said[1]))
        try:
            while left:
                left = left[write(answer, left) :]
        except OSError:
            leave(DEAF)


class Modules(dict[str, Any]):
    """The student's modules by the names of their files, imported when they are asked for."""

    def __init__(self, texts: list[imports.Text]) -> None:
        super().__init__()
        self.full = {text.name: text.module for text in reversed(texts) if text.own}

    def __missing__(self, name: str) -> Any:
        self[name] = importlib.import_module(self.full[name])
        return self[name]


class Submission:
    """The student's files in this process."""

    def __init__(self, header: Header) -> None:
        self.texts = [imports.Text(**text) for text in header["texts"]]
        self.own = {text.path: text.name for text in self.texts if text.own}
        self.earlier = {text.path for text in self.texts if text.earlier}
        self.fence = fences.Fence(header["scratch"], header["package"], self.own)
        self.adapter: Header = {}
        if header["adapter"]:
            exec(compile(header["adapter"], "adapter.py", "exec", dont_inherit=True), self.adapter)
        shims = self.adapter.get("MODULES", {})
        self.map = imports.Map(self.texts, shims, header["allowed"], self._refuse)
        notes = limits.limit(header["memory"], header["cpu"])
        notes += [landlock.restrict(header["unread"], header["read"], [header["scratch"]])]
        notes += [limits.become(*header["user"])] if header["user"] else []
        self.hello: Header = {"notes": [note for note in notes if note]}
        sentence, name, line = self.map.look()
        if sentence:
            self.hello |= {"kind": "refused", "text": sentence, "file": name, "line": line}
        self.there = self.map.there()  # by the adapter
        imports.install(self.map)
        self.unpatched = fences.Unpatched()
        sys.addaudithook(self.fence.hook)
        self.modules = Modules(self.texts)
        self.waiting: tuple[Header, dict[str, Array]] | None = None

    def _refuse(self, name: str, sentence: str) -> None:
        path = self.fence.place(mine=True)[0]
        if path and not (path in self.earlier and name.split(".")[0] == "tinyres"):
            self.fence.notice("refused", sentence)

    def answer(self, header: Header, arrays: dict[str, Array]) -> Answer:
        """Do as asked; whatever the student's code raises becomes an answer too."""
        self.fence.noticed.clear()
        said: Header = {}
        results: dict[str, Array] = {}
        try:
            said, results = OPS[header["op"]](self, header, arrays)
        except BaseException as error:
            said = self._told(error, header)
        if self.fence.noticed:
            kind, text, name, line = self.fence.noticed[0]
            said, results = {"kind": kind, "text": text, "file": name, "line": line}, {}
        elif found := self.map.there() - self.there:
            said, results = {"kind": "refused", "text": imports.refusal(min(found)), "file": "", "line": 0}, {}
        elif "kind" not in said and (names := self.unpatched.exchanged()):
            text = f"exchanges {names[0]} for something else; results are compared in another process"
            said, results = {"kind": "fence", "text": text, "file": "", "line": 0}, {}
        return said, results

    def _told(self, error: BaseException, header: Header) -> Header:
        name, line = calls.line_of(error, self.own)
        kind, text = "error", calls.text_of(error)
        if isinstance(error, fences.Trespass):
            kind, text = error.kind, str(error)
        elif isinstance(error, NotImplementedError) and str(error):
            kind, text = "missing", str(error)[: calls.TEXT]
        elif isinstance(error, MemoryError):
            kind = "memory"
        elif isinstance(error, calls.Contract):
            kind, text = "contract", f"{header['function']} {error}"
        elif not name:  # the adapter's own words about what it got
            kind, text = "contract", str(error)[: calls.TEXT] or text
        return {"kind": kind, "text": text, "file": name, "line": line}

    def load(self, header: Header, arrays: dict[str, Array]) -> Answer:
        """Import a file."""
        self.modules[header["file"]]
        return {}, {}

    def call(self, header: Header, arrays: dict[str, Array]) -> Answer:
        """Call a function once, and on fresh copies once more if asked."""
        call, inputs, outs = self._prepare(header, arrays)
        results = calls.checked(call(inputs, outs), outs)
        sent = {f"in:{name}": array for name, array in inputs.items()}
        sent |= {f"out:{name}": array.copy() for name, array in results.items()}
        if header["twice"]:
            call, inputs, outs = self._prepare(header, arrays)
            sent |= {f"again:{name}": array for name, array in calls.checked(call(inputs, outs), outs).items()}
        return {}, sent

    def time(self, header: Header, arrays: dict[str, Array]) -> Answer:
        """Wait for "go" with everything in place."""
        self.waiting = header, arrays
        call, inputs, outs = self._prepare(header, arrays)
        for array in _floats(inputs):
            array.flat[0] -= NUDGE  # these are not the inputs whose results are looked at
        calls.checked(call(inputs, outs), outs)  # compiled, and in the cache
        return {}, {}

    def go(self, header: Header, arrays: dict[str, Array]) -> Answer:
        """Many calls. Each but the last gets inputs that differ a little, so that no result can be remembered by them.

        Whoever looks for the difference can tell these calls from the last.
        """
        asked, given = self.waiting or ({}, {})
        call, inputs, outs = self._prepare(asked, given)
        floats = _floats(inputs)
        first = [array.flat[0] for array in floats]
        results: Any = {}
        for k in range(header["count"], 0, -1):
            for array, value in zip(floats, first, strict=True):
                array.flat[0] = value + (k - 1) * NUDGE
            results = call(inputs, outs)
        self.waiting = None
        self.timed = inputs, calls.checked(results, outs)
        return {}, {}

    def results(self, header: Header, arrays: dict[str, Array]) -> Answer:
        """What the last timed call left."""
        inputs, results = self.timed
        sent = {f"in:{name}": array for name, array in inputs.items()}
        return {}, sent | {f"out:{name}": array for name, array in results.items()}

    def _prepare(self, header: Header, arrays: dict[str, Array]) -> tuple[Callable[..., Any], dict[str, Array], Any]:
        """The call as a function of inputs and outs, and fresh ones of both."""
        inputs = {name: calls.laid_out(array, header["layout"]) for name, array in arrays.items()}
        outs = {name: calls.filled(tuple(shape), dtype) for name, shape, dtype in header["outs"]}
        params = ast.literal_eval(header["params"])
        adapted = self.adapter.get("CALLS", {}).get(header["task"])
        if adapted:
            return lambda inputs, outs: adapted(self.modules, inputs, params, outs), inputs, outs
        function = getattr(self.modules[header["file"]], header["function"], None)
        if not callable(function):
            raise NotImplementedError(f"{header['function']} is not in {header['file']}, or is no function")
        has_out = calls.takes_out(function)
        return (
            lambda inputs, outs: calls.invoke(
                function, [inputs[name] for name in header["order"]], params, outs, has_out
            ),
            inputs,
            outs,
        )


def _floats(inputs: dict[str, Array]) -> list[Array]:
    return [array for array in inputs.values() if array.dtype.kind == "f" and array.size]


OPS: dict[str, Callable[[Submission, Header, dict[str, Array]], Answer]] = {
    "load": Submission.load,
    "call": Submission.call,
    "time": Submission.time,
    "go": Submission.go,
    "results": Submission.results,
}
