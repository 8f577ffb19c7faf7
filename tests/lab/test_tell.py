"""What a student reads: gap, cause, again, in this order; one cause is told once; what is hidden is counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinyres.lab import check, tell
from tinyres.lab.results import CaseResult, Report, SpeedResult, TaskResult

FLIPPED = "equals what you get if w is turned by 180 degrees"


def wrong(name, cause=FLIPPED, **options):
    return CaseResult(name, False, gap=f"y[0]: got +1, expected +2 in {name}", cause=cause, **options)


def result(*cases, **options):
    return TaskResult("toy.conv", "The convolution", 6.0, cases, **options)


def test_a_wrong_task(toy):
    text = tell.task(toy, result(CaseResult("a", True), wrong("b"), wrong("c"), wrong("d", "another")), 7)
    assert text.splitlines() == [
        "FAIL toy.conv: The convolution (1 of 4 checks, 1.5 of 6 points)",
        "  case   b",
        "  gap    y[0]: got +1, expected +2 in b",
        f"  cause  {FLIPPED}",
        "  also   c",
        "  case   d",
        "  gap    y[0]: got +1, expected +2 in d",
        "  cause  another",
        "  again  tinyres lab check toy.conv --seed 7",
    ]


def test_a_right_task_takes_one_line(toy):
    assert (
        tell.task(toy, result(CaseResult("a", True)), 7)
        == "ok   toy.conv: The convolution (1 of 1 checks, 6 of 6 points)"
    )


def test_public_and_hidden_cases_are_told_apart(toy):
    both = result(wrong("a"), CaseResult("b", True, hidden=True), wrong("c", hidden=True))
    public, hidden = tell.task(toy, both, 7), tell.task(toy, both, 7, hidden=True)
    assert public.startswith("FAIL toy.conv: The convolution (0 of 1 checks)\n  case   a\n")
    assert hidden.startswith("FAIL toy.conv: The convolution (1 of 2 hidden checks)\n  case   c\n")
    assert "again" not in hidden


def test_what_is_not_written_takes_two_lines(toy):
    cases = [
        CaseResult("a", False, kind="missing", problem="toy.conv is not written yet"),
        CaseResult("b", False, kind="stopped", problem="not run: it is not written yet"),
    ]
    assert tell.task(toy, result(*cases), 7).splitlines() == [
        "---- toy.conv: The convolution (0 of 2 checks, 0 of 6 points)",
        "  to do  toy.py: toy.conv is not written yet",
    ]


def test_what_is_not_written_may_be_what_a_task_calls(toy):
    other = next(task for task in toy.tasks if task.key != "toy.conv")
    empty = result(CaseResult("a", False, kind="missing", problem=f"{other.key} is not written yet"))
    assert f"to do  {other.file}: {other.key} is not written yet" in tell.task(toy, empty, 7)
    earlier = result(CaseResult("a", False, kind="missing", problem="conv.im2col is not written yet"))
    said = " ".join(tell.task(toy, earlier, 7).split())
    assert "to do conv.im2col is not written yet; toy.conv calls it: write it in the folder of its lab" in said
    foot = tell.foot(toy, Report(toy.id, "0", 7, (earlier,)), {})
    assert "next: write conv.im2col, which toy.conv calls" in foot


def test_one_line_that_raises_is_told_once(toy):
    cases = [CaseResult(n, False, kind="error", problem=f"toy.py, line 3, `f(x)`: ValueError: {n}") for n in "abc"]
    assert tell.task(toy, result(*cases), 7).splitlines()[1:] == [
        "  case   a",
        "  error  toy.py, line 3, `f(x)`: ValueError: a",
        "  also   all 2 others",
        "  again  tinyres lab check toy.conv --seed 7",
    ]


def test_what_was_not_run_is_not_what_was_not_written(toy):
    cases = [
        CaseResult("a", False, kind="timeout", problem="it took longer than 5 s"),
        CaseResult("b", False, kind="stopped", problem="not run: a took too long", hidden=True),
        CaseResult("c", False, kind="stopped", problem="not run: a took too long", hidden=True),
    ]
    assert tell.task(toy, result(*cases), 7, hidden=True).splitlines() == [
        "FAIL toy.conv: The convolution (0 of 2 hidden checks)",
        "  stop   2 more were not run: a took too long",
    ]


def test_problems(toy):
    cases = [
        CaseResult("a", False, kind="error", problem="line 3: y = x @ w\nValueError: shapes"),
        CaseResult("b", False, kind="timeout", problem="it took longer than 5 s"),
        CaseResult("c", False, kind="stopped", problem="not run: b took too long"),
    ]
    assert tell.task(toy, result(*cases), 7).splitlines()[1:] == [
        "  case   a",
        "  error  line 3: y = x @ w",
        "           ValueError: shapes",
        "  case   b",
        "  error  it took longer than 5 s",
        "  stop   1 more was not run: b took too long",
        "  again  tinyres lab check toy.conv --seed 7",
    ]


def test_long_lines_are_broken_between_words(toy):
    text = tell.task(toy, result(wrong("a", "equals what you get if " + "the filter is turned " * 20)), 7)
    assert max(map(len, text.splitlines())) <= tell.WIDTH
    assert " ".join(text.split()).count("the filter is turned") == 20


def test_many_causes_are_not_all_told(toy):
    text = tell.task(toy, result(*(wrong(f"case{n}", f"cause {'abcdef'[n]}") for n in range(6))), 7)
    assert "cause c" in text
    assert "cause d" not in text
    assert "  also   3 more, for other causes" in text


def test_causes_that_differ_in_numbers_are_one(toy):
    offs = [wrong(f"case{n}", f"each channel is off by a term of its own (-2.{n}, {n}e-05)") for n in range(4)]
    text = tell.task(toy, result(*offs), 7)
    assert text.count("cause") == 1
    assert "also   all 3 others" in text


def test_speed_is_told(toy):
    speed = SpeedResult(63.1, 2.0, 4.0, "63.1 times as fast")
    text = tell.task(toy, result(CaseResult("a", True), speed=speed), 7)
    assert text.startswith("ok   toy.conv: The convolution (1 of 1 checks, 8 of 10 points)")
    assert text.endswith("\n  speed  63.1 times as fast (2 of 4 points)")


def report(*tasks, **options):
    return Report("02-toy", "somebody", 7, tasks, possible=sum(task.possible for task in tasks), **options)


def test_the_foot(toy):
    right = replace(result(CaseResult("a", True)), key="toy.sums", possible=3.0)
    text = tell.foot(toy, report(result(wrong("a")), right), {"toy.conv": 4, "toy.sums": 3})
    assert text.splitlines() == [
        "[########----------------] 3 of 9 points on public checks",
        "7 more hidden checks run at grading: toy.conv 4, toy.sums 3",
        "next: mend toy.conv in toy.py; a hint: `tinyres lab hint toy.conv`",
    ]


RIGHT = result(CaseResult("a", True))
SUMS = replace(RIGHT, key="toy.sums")
EMPTY = result(CaseResult("a", False, kind="missing"))


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([EMPTY, SUMS], "write toy.conv in toy.py; a hint: `tinyres lab hint toy.conv`"),
        ([RIGHT], "`tinyres lab check` for all of the lab (1 more task)"),
        ([RIGHT, SUMS], "how fast is it? `tinyres lab time`"),
        ([replace(RIGHT, speed=SpeedResult(9, 1, 4)), SUMS], "all done; `tinyres lab list` shows the other labs"),
    ],
)
def test_what_to_do_next(toy, tasks, said):
    assert tell.foot(toy, report(*tasks), {}).splitlines()[-1] == f"next: {said}"


def test_a_refused_submission_and_its_output(toy):
    text = tell.foot(toy, report(result(CaseResult("a", True)), refused="it imports torch", printed="hello\n"), {})
    assert text.splitlines() == [
        "  print  hello",
        "  error  refused, and so worth nothing: it imports torch",
        "[------------------------] 0 of 6 points on public checks",
        "next: take out what is refused, and check again",
    ]


def test_a_real_check_reads_like_this(toy, faked, right, tmp_path):
    """From the answers of a submission to the text, with the case of the issue: one cause for three cases."""

    def turned(case, inputs):
        return right["toy.conv"](case.but({"w": case.arrays["w"][::-1, ::-1]}), inputs)

    faked({**right, "toy.conv": turned})
    told = tell.task(toy, check.check(toy, tmp_path, seed=5, keys=("toy.conv",)).tasks[0], 5).splitlines()
    assert told[0] == "FAIL toy.conv: The convolution (1 of 4 checks, 1.5 of 6 points)"
    assert told[1] == "  case   N2-6x5-C3-F4-k3x2-s1-p0"
    assert told[2].startswith("  gap    y[")
    assert told[3] == f"  cause  {FLIPPED}"
    assert told[4] == "  also   N2-7x8-C3-F4-k3x2-s2-p1, N3-7x8-C2-F4-k2x3-s1-p1"
    assert told[5] == "  again  tinyres lab check toy.conv --seed 5"
