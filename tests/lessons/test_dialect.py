"""The lessons are written so that one file is a script, a page of the gallery (reST) and a notebook (Markdown).

Both markups must read it alike: headings underlined, ``code``, *em*, **strong**, $formulas$, lists, bare addresses.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

LESSONS = sorted((Path(__file__).parents[2] / "lessons").glob("[0-9][0-9]_*.py"))
LAST = "What does not show at this scale"


def cells(text: str) -> list[tuple[str, list[str]]]:
    """Kind ("", "markdown") and lines of each cell; text without its comment signs or quotes."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("# %%"):
            found.append((line.removeprefix("# %%").strip(" []"), []))
        else:
            found[-1][1].append(line)
    plain = []
    for position, (kind, lines) in enumerate(found):
        if kind == "markdown" and position == 0:
            body = "\n".join(lines).strip()
            body = body.removeprefix("r").removeprefix('"""').removesuffix('"""')
            lines = body.splitlines()
        elif kind == "markdown":
            lines = [line[2:] if line.startswith("# ") else line[1:] for line in lines if line]
        plain.append((kind, lines))
    return plain


def faults(text: str) -> list[str]:
    """What keeps a file from being a lesson."""
    found = []
    if not re.match(r'# %% \[markdown\]\nr?"""\n', text):
        return ["begins otherwise than with `# %% [markdown]` and a docstring whose text starts on its second line"]
    if text.startswith('# %% [markdown]\n"""') and "\\" in text.split('"""')[1]:
        found.append('a docstring with backslashes begins with r"""')
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# %%") and line not in ("# %%", "# %% [markdown]"):
            found.append(f"{number}: a cell begins with `# %%` or `# %% [markdown]`, nothing else")
        if line.startswith("# %%") and number > 1 and text.splitlines()[number - 2]:
            found.append(f"{number}: a cell begins after an empty line, or the gallery takes it for text")
        if line.startswith("#?") or (line.startswith("# %") and not line.startswith("# %%")):
            found.append(f"{number}: Jupytext takes this comment for a magic")
        if line.startswith("########"):
            found.append(f"{number}: the gallery takes this line for a cell")
    for position, (kind, lines) in enumerate(cells(text)):
        if kind != "markdown":
            continue
        if position and (raw := [x for x in raw_cells(text)[position] if x and not x.startswith("#")]):
            found.append(f"text cell {position} has a line of code: {raw[0]!r}")
        found += text_faults(lines)
    return found + structure_faults(text)


def raw_cells(text: str) -> list[list[str]]:
    parts = re.split(r"^# %%.*\n", text, flags=re.MULTILINE)[1:]
    return [part.splitlines() for part in parts]


def text_faults(lines: list[str]) -> list[str]:
    found = []
    for above, line in zip(["", *lines], lines, strict=False):
        said = f"{line[:60]!r}"
        bare = re.sub(r"``[^`]+``", "", line)
        if re.fullmatch(r"=+|-+", line) and (len(line) != len(above) or len(line) < 3):
            found.append(f"{said}: an underline is as long as its heading")
        if line.startswith("#"):
            found.append(f"{said}: headings are underlined")
        if "`" in bare:
            found.append(f"{said}: program text stands between double backticks")
        if "](" in bare:
            found.append(f"{said}: a link is a bare address")
        if re.match(r"\s*\||\.\. ", line) or re.search(r":\w+:`", line):
            found.append(f"{said}: a table, a directive or a role")
        if line.startswith("    "):
            found.append(f"{said}: indented, which Markdown takes for code")
        formula = re.fullmatch(r"\$\$[^$]+\$\$", line)
        if "$$" in line and not formula:
            found.append(f"{said}: a display formula has a line of its own")
        if not formula and bare.count("$") % 2:
            found.append(f"{said}: a formula begins and ends on one line")
        if re.search(r"(?<=[\w)])\$[^$]+\$|\$[^$]+\$(?=\w)", bare) and not formula and glued(bare):
            found.append(f"{said}: a formula needs a space or a sign of punctuation on either side")
    return found


def glued(line: str) -> bool:
    """Whether a letter or digit touches a formula from outside."""
    outside = re.split(r"\$[^$]*\$", line)
    return any(part and part[-1].isalnum() for part in outside[:-1]) or any(
        part and part[0].isalnum() for part in outside[1:]
    )


def structure_faults(text: str) -> list[str]:
    """Title, last section, an assertion in the last cell of code, and no figure left open to a window."""
    found = []
    every = cells(text)
    title = [line for line in every[0][1] if line][:2]
    if len(title) < 2 or set(title[1]) != {"="}:
        found.append("the docstring begins with a title underlined by =")
    if every[-1][0] != "markdown" or LAST not in every[-1][1]:
        found.append(f"the last cell is the section {LAST!r}")
    code = ["\n".join(lines) for kind, lines in every if kind != "markdown"]
    if not code or not any(isinstance(node, ast.Assert) for node in ast.parse(code[-1]).body):
        found.append("the last cell of code asserts the claim")
    if not re.search(r"[Rr]uns in|[Rr]un time", "\n".join(every[0][1])):
        found.append("the docstring says how long it runs")
    return found


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_dialect(path):
    assert faults(path.read_text(encoding="utf-8")) == []


GOOD = '''# %% [markdown]
"""
A title
=======

What is $2^n$? Runs in 1 s.
"""

# %%
x = 1

# %% [markdown]
# A section
# ---------
# - *one*: ``y = f(x)``
#
# $$y = x$$

# %%
assert x == 1

# %% [markdown]
# What does not show at this scale
# --------------------------------
# Much.
'''


def test_the_rules_can_fail():
    assert faults(GOOD) == []
    for before, after in (
        ('# %% [markdown]\n"', '"'),
        ("=======", "====="),
        ("$2^n$", r"$\pi$"),
        ("$2^n$", "$2^n"),
        ("$2^n$", "the$2^n$"),
        ("``y = f(x)``", "`y = f(x)`"),
        ("*one*", "[one](two)"),
        ("$$y = x$$", "and $$y = x$$"),
        ("# A section\n# ---------", "# # A section"),
        ("# Much.", "# :math:`x`"),
        ("# Much.", "# | a | b |"),
        ("# Much.", "y = 2"),
        ("assert x == 1", "x = 2"),
        ("# %%\nx = 1", "# %% now\nx = 1"),
        ("# $$y = x$$\n\n# %%", "# $$y = x$$\n# %%"),
        ("# What does not show at this scale\n# --------------------------------\n", ""),
        ("Runs in 1 s.", ""),
        ("x = 1", "#?x = 1"),
    ):
        assert before in GOOD
        assert faults(GOOD.replace(before, after, 1)), (before, after)
