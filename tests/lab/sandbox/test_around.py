"""Submissions that go around Python, or exchange the worker's machinery: the kernel's fence is all that is left."""

from __future__ import annotations

import os
import sys

import pytest

from .test_hostile import DEF, HEAD, PACKAGE

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

AROUND = """
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.open({source!r}.encode(), 0) == -1, "the source was opened"
    assert libc.open(b"{tmp}/stolen", 0o101, 0o600) == -1, "something was written"
    assert libc.kill(os.getppid(), 9) == -1, "the guard was killed"
    libc.system(b"true > {tmp}/stolen")
"""


@linux
def test_the_kernel_stops_what_goes_around_python(run, tmp_path):
    source = HEAD + DEF + AROUND.format(source=PACKAGE + "/tensor.py", tmp=tmp_path)
    outcome = run(source)
    if any("Landlock" in note for note in outcome.notes):
        pytest.skip(outcome.notes[0])
    assert outcome.last.kind == "", outcome.last.problem
    assert not (tmp_path / "stolen").exists()


@linux
def test_the_environment_of_the_grading_process_is_not_read(run):
    """Where a teacher, or a service, may keep keys; around Python, and of the guard too."""
    source = DEF + f"for pid in ({os.getpid()}, os.getppid()):\n        for what in ('environ', 'maps', 'cmdline'):\n"
    source += "            assert ctypes.CDLL(None).open(f'/proc/{pid}/{what}'.encode(), 0) == -1, (pid, what)\n"
    outcome = run(HEAD + source + "    assert open('/proc/self/environ').read() and open('/proc/cpuinfo').read()")
    if any("Landlock" in note for note in outcome.notes):
        pytest.skip(outcome.notes[0])
    assert outcome.last.kind == "", outcome.last.problem


def test_no_framework_is_read_by_who_exchanges_the_machinery(run):
    """The finder and the hook gone, the names taken away again: the kernel has no file of it to give."""
    from importlib.machinery import PathFinder

    if not PathFinder.find_spec("sklearn"):
        pytest.skip("no framework is installed")
    source = """
import importlib, sys
def f(x, *, k, out):
    frame = sys._getframe()
    while "submission" not in frame.f_locals:
        frame = frame.f_back
    frame.f_globals["fences"].HANDLERS.clear()
    sys.meta_path.remove(frame.f_locals["submission"].map)
    try:
        importlib.import_module("skl" + "earn")
        out[...] = 7
    except PermissionError:
        out[...] = 1
    for name in [name for name in sys.modules if name.startswith("skl" + "earn")]:
        del sys.modules[name]
"""
    outcome = run(source)
    if any("Landlock" in note for note in outcome.notes):
        pytest.skip(outcome.notes[0])
    assert outcome.last.results["y"].max() == 1, outcome.last
