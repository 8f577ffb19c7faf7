"""What a student is told of an error: the own line with its number, what is wrong with it, and no foreign traceback."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinyres.lab.sandbox import Sandbox

from .conftest import CASE, LAB, SHAPES, SHAPES_OF_TWO, TASK, TWO

ERRORS = {
    "an error": ("def f(x, *, k, out):\n    x @ x", "error", "f.py, line 2, `x @ x`: ValueError: matmul"),
    "in a helper's lambda": ("g = lambda: {}['ä']\ndef f(x, *, k, out): g()", "error", "line 1, `g = lambda"),
    "within NumPy": (
        "import numpy as np\ndef f(x, *, k, out):\n    np.einsum('ab,bc', x, x)",
        "error",
        "line 3, `np.einsum('ab,bc', x, x)`: ValueError",
    ),
    "syntax": ("def f(x:\n  pass", "error", "f.py, line 1, `def f(x:`: SyntaxError: '(' was never closed"),
    "zero bytes": ("x = 1\0", "error", "SyntaxError"),
    "nested without end": ("x = " + "(" * 500, "error", "SyntaxError"),
    "at import": ("import numpy as np\nnp.nothing", "error", "f.py, line 2, `np.nothing`: AttributeError"),
    "an unprintable error": (
        "class E(Exception):\n    def __str__(self): return 1 / 0\ndef f(x, *, k, out): raise E",
        "error",
        "line 3, `def f(x, *, k, out): raise E`: E",
    ),
    "not written": (
        "def f(x, *, k, out): raise NotImplementedError('t.f is not written yet')",
        "missing",
        "t.f is not",
    ),
    "not there": ("def g(): pass", "missing", "f is not in f.py"),
    "no function": ("f = 3", "missing", "f is not in f.py"),
    "other parameters": ("def f(x): return x", "contract", "unexpected keyword argument 'k'"),
    "nothing": ("def f(x, *, k): pass", "contract", "f returned nothing for y, not an array"),
    "nothing into out": ("def f(x, *, k, out): pass", "contract", "f returned nothing and left `out` NaN: either"),
    "added to out": (
        "def f(x, *, k, out):\n    out[...] += k * x",
        "contract",
        "added to (`+=`) as if it came with zeros",
    ),
    "past out that holds zeros": (
        "def f(x, *, k, out):\n    out[...] = 0\n    return x + 1",
        "contract",
        "f returned its result, and `out` holds zeros only: write into it",
    ),
    "past out": ("def f(x, *, k, out): return x", "contract", "left `out` as it was"),
    "objects": ("import numpy as np\ndef f(x, *, k): return x.astype(object)", "contract", "an array of object for y"),
    "a list": ("def f(x, *, k): return x.tolist()", "contract", "f returned a list for y"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """One worker, a file for each error, a task for each file."""
    files = {f"f{number}.py": source for number, (source, _, _) in enumerate(ERRORS.values())}
    with Sandbox(LAB, tmp_path_factory.mktemp("told"), text=files) as sandbox:
        answers = [sandbox.call(replace(TASK, file=file), CASE, SHAPES) for file in files]
        return dict(zip(ERRORS, answers, strict=True)), sandbox.printed


@pytest.mark.parametrize(("name", "file"), [(name, f"f{number}.py") for number, name in enumerate(ERRORS)])
def test_what_a_student_is_told(told, name, file):
    _, kind, said = ERRORS[name]
    answer, printed = told[0][name], told[1]
    assert (answer.kind, answer.results) == (kind, None), answer
    assert said.replace("f.py", file) in answer.problem
    assert answer.problem.count(file) <= 1
    assert "\n" not in answer.problem
    assert "Traceback" not in answer.problem + printed


def test_the_number_of_results(run):
    assert (
        "returned 3 results, not the 2 arrays y, z"
        in run("def f(x, *, k): return x, x, x", task=TWO, shapes=SHAPES_OF_TWO).last.problem
    )
    assert "not the 2 arrays y, z" in run("def f(x, *, k): return x", task=TWO, shapes=SHAPES_OF_TWO).last.problem


def test_after_a_call_that_hung_no_other_task_has_time_to_compile(tmp_path):
    limits = replace(LAB.limits, first=1.0, call=0.3)
    two, endless = replace(TASK, key="t.g"), {"f.py": "def f(x, *, k, out):\n    while True: pass\n"}
    with Sandbox(replace(LAB, tasks=(TASK, two), limits=limits), tmp_path, text=endless) as sandbox:
        said = [sandbox.call(task, CASE, SHAPES).problem for task in (TASK, two)]
    assert ["was not done after 1 s" in said[0], "was not done after 0.3 s" in said[1]] == [True, True]
