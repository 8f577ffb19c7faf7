"""Stubs out of the library: what is taken out, what stays, and what must not reach a student."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tinyres.errors import LabError
from tinyres.lab import catalogue, derive, start

FILE = '''"""A file."""

from tinyres.kernels.registry import kernel


@kernel("conv2d", "numpy", strided=True)
def conv2d(x, w, *, out):
    """Shapes."""
    columns = x + 1
    # BEGIN SOLUTION conv.forward
    # STEP multiply
    total = columns @ w  # in one go
    out[...] = total
    # END SOLUTION


def other(x):
    # BEGIN SOLUTION conv.other
    if x:
        # STEP and here
        return x
    # END SOLUTION
'''


def test_what_stands_between_the_markers_is_gone():
    text = derive.stub(FILE, "conv.py")
    assert "total" not in text
    assert "SOLUTION" not in text
    assert '    raise NotImplementedError("conv.forward is not written yet")\n' in text
    assert "    # YOUR CODE HERE  [conv.forward]\n    # STEP multiply\n" in text
    assert '@kernel("conv2d", "student", strided=True)' in text
    ast.parse(text)


def test_outside_the_regions_stub_and_source_agree_line_by_line():
    kept = [line for line in derive.stub(FILE, "conv.py").splitlines() if line in FILE.splitlines()]
    gone = {*range(10, 14), *range(18, 23)}
    outside = [line for number, line in enumerate(FILE.splitlines()) if number not in gone and "@kernel" not in line]
    assert [line for line in kept if "STEP" not in line] == [line for line in outside if "SOLUTION" not in line]


def test_a_solution_is_the_file_without_its_markers():
    text = derive.solution(FILE)
    assert "SOLUTION" not in text
    assert "total = columns @ w" in text
    assert '"student"' in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# BEGIN SOLUTION a\n# BEGIN SOLUTION b\n# END SOLUTION\n", "line 2: a solution begins inside that of a"),
        ("# BEGIN SOLUTION a\nx = 1\n", "begun in line 1, never ends"),
        ("x = 1\n# END SOLUTION\n", "line 2: a solution ends that never began"),
        ("# BEGIN SOLUTION\n# END SOLUTION\n", "does not say of which task"),
        ("x = (1,\n# BEGIN SOLUTION a\n2)\n# END SOLUTION\n", "it is no Python"),
    ],
)
def test_markers_that_do_not_pair(text, said):
    with pytest.raises(LabError, match=r"conv\.py.*") as caught:
        derive.stub(text, "conv.py")
    assert said in str(caught.value)


def test_no_file_for_a_module():
    with pytest.raises(LabError, match=r"tinyres\.nowhere"):
        derive.source("tinyres.nowhere")


def sources() -> list[tuple[str, str, str]]:
    """Lab, file and text of every source of every lab."""
    return [(lab.id, source.file, derive.source(source.module)) for lab in catalogue.labs() for source in lab.sources]


@pytest.mark.parametrize(("lab", "file", "text"), sources(), ids=lambda value: value if len(str(value)) < 40 else "")
def test_stub_and_library_agree_outside_the_solutions(lab, file, text):
    """Line by line: every line of the source that no region holds is in the stub, in its place, and nothing more is."""
    lines, inside = text.splitlines(), set()
    found = derive.regions(text, file)
    assert found, "nothing to write in this file"
    for region in found:
        inside |= {region.lines.start - 1, *region.lines, region.lines.stop}
    outside = [line for number, line in enumerate(lines) if number not in inside]
    written = ("# YOUR CODE HERE", "raise NotImplementedError(", derive.STEP)
    kept = [line for line in derive.stub(text, file).splitlines() if not line.lstrip().startswith(written)]
    assert [renamed.replace('"numpy"', '"student"') for renamed in outside if "@kernel" not in renamed] == [
        line for line in kept if "@kernel" not in line
    ]
    assert len(outside) == len(kept)


def test_no_line_of_a_solution_reaches_a_student():
    answers = {line: (lab, file) for lab, file, text in sources() for line in derive.solution_lines(text, file)}
    assert len(answers) > 40
    leaks = []
    for lab in catalogue.labs():
        for name, text in start.files(lab).items():
            for number, line in enumerate(text.splitlines(), 1):
                if (bare := line.split("  #")[0].strip()) in answers:
                    leaks.append(f"{lab.id}/{name}:{number}: {bare}   (a solution of {answers[bare]})")
    assert leaks == []


def test_every_region_is_a_task_and_every_task_a_region():
    for lab in catalogue.labs():
        texts = [(source.file, derive.source(source.module)) for source in lab.sources]
        regions = {(region.key, file) for file, text in texts for region in derive.regions(text, file)}
        assert {key for key, _ in regions} == {task.key for task in lab.tasks}
        assert {(task.key, task.file) for task in lab.tasks} <= regions


def test_the_solution_of_a_lab_names_the_kernels_of_a_student():
    for lab in catalogue.labs():
        for name, text in start.solutions(lab).items():
            assert '", "numpy"' not in text, f"{lab.id}/{name}"


def test_trivial_lines_are_no_secret():
    assert list(derive.solution_lines(FILE, "conv.py")) == ["total = columns @ w"]


def test_files_of_a_lab_have_no_path_of_ours():
    here = str(Path(derive.__file__).parents[2])
    for lab in catalogue.labs():
        for name, text in start.files(lab).items():
            assert here not in text, name
