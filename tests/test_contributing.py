"""The page that follows a convolution through the engine names definitions that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (
    (ROOT / "CONTRIBUTING.md")
    .read_text(encoding="utf-8")
    .partition("## Life of a convolution")[2]
    .partition("\n## ")[0]
)
ROWS = re.findall(r"^\| `([\w.]+)` \| `([\w./]+)` \|", PAGE, re.MULTILINE)


def definitions(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
            for inner in getattr(node, "body", []):
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}"
                    yield inner.name


def test_the_page_has_its_rows():
    assert len(ROWS) >= 15


@pytest.mark.parametrize(("name", "file"), ROWS)
def test_what_it_says_to_read_is_there(name, file):
    assert name in set(definitions(ROOT / file))
