"""Submissions that mean harm, or do it by accident: each is contained, with a message of its own."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import pytest

import tinyres
from tinyres.lab.task import Limits

HEAD = "import ctypes, gc, os, subprocess, sys, threading, time\nimport numpy as np\n"
DEF = "def f(x, *, k, out):\n    out[...] = k * x\n    "
PACKAGE = os.path.dirname(tinyres.__file__)
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
FORK = "libc = ctypes.PyDLL(None)\n"
DETACH = """
    if libc.fork() == 0:
        os.setsid()
        if libc.fork() == 0:
            time.sleep(60)
        os._exit(0)
    time.sleep(0.1)
"""

# name: (source, kind of the problem, what its message says)
HOSTILE = {
    "endless loop": (DEF + "while True: pass", "timeout", "f.py, line 5, `while True: pass`: was not done after 0.5 s"),
    "memory bomb": (DEF + "kept = []\n    while True: kept.append(np.ones(1 << 20))", "memory", "100 MB of memory"),
    "os._exit(0)": (DEF + "os._exit(0)", "died", "ended the process (exit code 0) instead of returning"),
    "sys.exit": (DEF + "sys.exit(0)", "error", "`sys.exit(0)`: SystemExit: 0"),
    "interrupt": (DEF + "raise KeyboardInterrupt", "error", "KeyboardInterrupt"),
    "always equal": (
        "class Liar:\n    __eq__ = lambda *a: True\n    __array__ = None\ndef f(x, *, k): return Liar()",
        "contract",
        "f returned a Liar for y, not an array",
    ),
    "patched numpy.allclose": (
        "np.allclose = np.array_equal = lambda *a, **k: True\ndef f(x, *, k, out): out[...] = 0",
        "fence",
        "exchanges numpy.allclose",
    ),
    "10 MB of output": (DEF + "print('x' * 10_000_000)", "printed", "printed more than 64 KB in one call"),
    "10 MB of output, raw": (DEF + "while True: os.write(2, bytes(1000))", "printed", "printed more than 64 KB"),
    "forked child": (DEF + "os.fork()", "fence", "line 5, `os.fork()`: starts another process (os.fork)"),
    "shell": (DEF + "os.system('true')", "fence", "starts another process (os.system)"),
    "subprocess": (DEF + "subprocess.run(['true'])", "fence", "starts another process (subprocess.Popen)"),
    "swallowed": (
        DEF + "\n    try: os.fork()\n    except Exception: pass",
        "fence",
        "`try: os.fork()`: starts another process",
    ),
    "writing outside its folder": (DEF + "open('/tmp/f.txt', 'w')", "fence", "writes outside its folder: /tmp/f.txt"),
    "np.save outside": (DEF + "np.save('../f.npy', x)", "fence", "writes outside its folder"),
    "removing a file": (DEF + "os.remove('/tmp/f.txt')", "fence", "writes outside its folder"),
    "network": (DEF + "import socket\n    socket.create_connection(('127.0.0.1', 9))", "fence", "uses the network"),
    "kill": (DEF + "os.kill(os.getppid(), 9)", "fence", "sends a signal to another process"),
    "import of torch": ("import torch\n" + DEF, "refused", "line 3, `import torch`: imports torch"),
    "hidden import of torch": (DEF + "__import__('to' + 'rch')", "refused", "imports torch"),
    "import of tinyres.kernels": (
        "from tinyres.kernels.on_numpy import conv\n" + DEF,
        "refused",
        "imports tinyres.kernels.on_numpy: that is the library's own work",
    ),
    "hidden import of tinyres": (DEF + "__import__('tiny' + 'res.ops')", "refused", "imports tinyres.ops: that"),
    "the finder is removed": (
        DEF + "import importlib\n    open('jax.py', 'w').close()\n    sys.path.insert(0, os.getcwd())"
        "\n    del sys.meta_path[0]\n    importlib.import_module('ja' + 'x')",
        "refused",
        "imports jax",
    ),
    "reading the installed source": (
        DEF + f"open({PACKAGE!r} + '/kernels/naive.py').read()",
        "refused",
        "reads the library's own source, naive.py",
    ),
    "reading it with NumPy": (DEF + f"np.fromfile({PACKAGE!r} + '/tensor.py')", "refused", "own source, tensor.py"),
    "the parent's limits": (
        DEF + "import resource\n    resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3))",
        "fence",
        "reaches for the limits of another process",
    ),
    "a full disk": (
        DEF + "for k in range(99):\n        with open(str(k), 'wb') as file: file.write(bytes(8 << 20))\n"
        "    time.sleep(60)",
        "fence",
        "wrote more than 128 MB into its folder",
    ),
    "many files": (
        DEF + "for k in range(9999): open(str(k), 'wb').close()\n    time.sleep(60)",
        "fence",
        "wrote more than 4000 files into its folder",
    ),
    "the guard as a debugger": (  # who is told of a stop, which is no end
        DEF + "ctypes.CDLL(None).ptrace(0, 0, 0, 0)\n    os.kill(os.getpid(), 15)",
        "timeout",
        "was not done after 0.5 s",
    ),
    "an endless number in its stack": (
        DEF + "frame = sys._getframe()\n    while 'stack' not in frame.f_locals: frame = frame.f_back\n"
        """    os.write(frame.f_locals['stack'], b'File "f.py", line %s in f\\n' % (b'9' * 6000))\n    os._exit(1)""",
        "died",
        "ended the process (exit code 1)",
    ),
    "pipes closed": (DEF + "os.closerange(3, 64)", "fence", "closed the pipes of its worker process"),
    "garbage in the pipes": (
        DEF
        + "\n    for fd in range(3, 256):\n        try: os.write(fd, b'garbage!' * 9)\n        except OSError: pass",
        "fence",
        "into the pipe of its answers",
    ),
    "a lying frame": (
        DEF
        + "\n    for fd in range(3, 256):\n        try: os.write(fd, (1 << 50).to_bytes(8, 'little'))"
        + "\n        except OSError: pass",
        "fence",
        "a header of 1125899906842624 bytes",
    ),
    "a huge result": ("def f(x, *, k): return np.zeros((1 << 11, 1 << 12))", "contract", "expected (2, 3)"),
    "crash": (DEF + "ctypes.string_at(0)", "died", "`ctypes.string_at(0)`: crashed the process (SIGSEGV)"),
    "stack overflow": (
        "def g(n): return g(n + 1)\ndef f(x, *, k, out): g(0)",
        "error",
        "line 3, `def g(n): return g(n + 1)`: RecursionError",
    ),
    "endless import": ("while True: pass\n" + DEF, "timeout", "`while True: pass`: was not done after 0.6 s"),
    "exit at import": ("sys.exit(1)\n" + DEF, "error", "`sys.exit(1)`: SystemExit: 1"),
}
CONTAINED = Limits(start=0.6, first=0.5, call=0.5, memory=100, printed=1 << 12)


# The others are variations of these.
PROMPT = (
    "endless loop", "memory bomb", "os._exit(0)", "always equal", "patched numpy.allclose", "10 MB of output",
    "forked child", "swallowed", "writing outside its folder", "import of torch", "import of tinyres.kernels",
    "hidden import of tinyres", "reading the installed source", "pipes closed", "garbage in the pipes",
    "a lying frame", "crash", "endless import",
)  # fmt: skip
MARKED = [name if name in PROMPT else pytest.param(name, marks=pytest.mark.slow) for name in HOSTILE]


@linux
@pytest.mark.parametrize("name", MARKED)
def test_contained(run, name):
    source, kind, said = HOSTILE[name]
    limits = CONTAINED if kind == "timeout" else replace(CONTAINED, start=20.0, first=20.0)
    outcome = run(HEAD + source, limits=limits)
    assert (outcome.last.kind, outcome.last.results) == (kind, None), outcome.last
    assert said in outcome.last.problem
    assert bool(outcome.refused) == (kind == "refused")
    assert outcome.seconds < 4 or os.getloadavg()[0] > 2
    assert outcome.left == []


@linux
def test_a_detached_child_is_found_and_ended(run):
    """Started around Python, where no hook sees it."""
    outcome = run(HEAD + FORK + DEF + DETACH)
    assert (outcome.last.kind, outcome.left) == ("fence", [])
    assert "has started another process" in outcome.last.problem


@linux
def test_forked_children_are_found_before_the_time_is_up(run):
    forks = "\n    for _ in range(5):\n        if libc.fork() == 0: time.sleep(60)\n    while True: pass"
    outcome = run(HEAD + FORK + DEF + forks, limits=replace(CONTAINED, start=20.0, first=20.0))
    assert (outcome.last.kind, outcome.left) == ("fence", [])
    assert outcome.seconds < 15


@linux
def test_a_detached_child_of_a_worker_that_ends_is_ended_too(run):
    outcome = run(HEAD + FORK + DEF + DETACH.replace("    time.sleep(0.1)\n", "    os._exit(3)\n"))
    assert outcome.last.kind in ("died", "fence")  # whichever is seen first
    assert outcome.left == []


def test_what_is_nested_deeper_than_python_looks_is_removed_too(run):
    """The scratch folder is gone after it; `run` looks."""
    source = DEF + "for k in range(1200):\n        os.mkdir('d')\n        os.chdir('d')\n    os.chmod('.', 0)"
    assert run(HEAD + source).last.kind == ""


def test_open_files_and_their_size_are_limited(run):
    """Files without a name (memfd) count for no limit of memory."""
    source = DEF + "try:\n        while True: os.pipe()\n    except OSError as error: print(error.errno)\n"
    source += "    os.closerange(40, 64)\n    with open('large', 'wb') as file:\n"
    source += "        file.seek(1 << 26)\n        file.write(b'x')"
    outcome = run(HEAD + source)
    assert outcome.printed == "24\n"
    assert "File too large" in outcome.last.problem


def test_a_forbidden_import_is_seen_before_anything_runs(run):
    outcome = run("print('it runs')\ndef f(x, *, k, out): out[...] = k * x\ndef unused():\n    from torch import nn\n")
    assert outcome.refused.startswith("f.py, line 4, `from torch import nn`: imports torch")
    assert outcome.printed == ""


def test_threads_left_behind_hold_nothing_up(run):
    source = HEAD + DEF + "threading.Thread(target=time.sleep, args=(60,)).start()"
    outcome = run(source, calls=2)
    assert [answer.kind for answer in outcome.answers] == ["", ""]
    assert outcome.seconds < 30
    assert outcome.left == []


def test_the_expected_values_are_not_there(run):
    """Whatever arrays the worker's process holds, the right result is not among them."""
    source = """
import sys
import numpy as np
def arrays(held, depth=0):
    if isinstance(held, np.ndarray):
        yield held
    elif isinstance(held, dict | list | tuple) and depth < 6:
        for value in held.values() if isinstance(held, dict) else held:
            yield from arrays(value, depth + 1)
    elif hasattr(held, "__dict__") and not isinstance(held, type(sys)) and depth < 6:
        yield from arrays(vars(held), depth + 1)
def f(x, *, k, out):
    frame, held = sys._getframe(1), []
    while frame is not None:
        held += arrays(dict(frame.f_locals))
        frame = frame.f_back
    assert any(a is x for a in held)
    assert not any(a.shape == x.shape and np.array_equal(a, k * x) for a in held)
    out[...] = 1
"""
    assert run(source).last.kind == ""


@pytest.mark.parametrize(("id", "said"), [("header['id']", "an answer of its own"), ("7777", "to another question")])
def test_an_answer_of_its_own_is_no_better_than_a_result(run, id, said):
    """A frame of the right form, written by the submission: its arrays are checked like any others."""
    source = """
import json, os, sys
def f(x, *, k, out):
    frame = sys._getframe()
    while "answer" not in frame.f_locals or "request" not in frame.f_locals:
        frame = frame.f_back
    header = frame.f_locals["header"]
    said = json.dumps({"id": ID, "arrays": [], "notes": []}).encode()
    os.write(frame.f_locals["answer"], len(said).to_bytes(8, "little") + said)
"""
    outcome = run(source.replace("ID", id))
    assert outcome.last.kind == "fence"
    assert said in outcome.last.problem


def test_later_calls_get_a_fresh_worker(run):
    outcome = run("def f(x, *, k, out):\n    if k == 2: raise SystemExit\n", calls=2)
    assert [answer.kind for answer in outcome.answers] == ["error", "error"]
    source = "import os\nseen = []\ndef f(x, *, k, out):\n    out[...] = len(seen)\n    seen.append(1)\n    "
    outcome = run(source + "if len(seen) == 2: os._exit(1)", calls=3)
    assert [answer.kind for answer in outcome.answers] == ["", "died", ""]
    assert outcome.last.results["y"].max() == 0
