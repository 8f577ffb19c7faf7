"""What the site's configuration does to the text of a lesson; the build itself is a command of its own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def conf() -> Any:
    pytest.importorskip("sphinx_gallery")
    sys.path.insert(0, str(HERE))
    try:
        yield importlib.import_module("conf")
    finally:
        sys.path.remove(str(HERE))


def through(conf: ModuleType, text: str) -> str:
    source = [text]
    conf.dollars(None, "page", source)
    return source[0]


def test_formulas_become_math_and_code_stays(conf: ModuleType) -> None:
    text = 'Take $x^2$ and $y$.\n\n$$z = x + y$$\n\n.. code-block:: Python\n\n    label = "$10^{-3}$"\n'
    found = through(conf, text)
    assert "Take :math:`x^2` and :math:`y`." in found
    assert "\n.. math:: z = x + y\n" in found
    assert '    label = "$10^{-3}$"' in found


def test_every_formula_of_the_lessons_can_be_drawn(conf: ModuleType) -> None:
    import re

    from docutils.utils.math.latex2mathml import tex2mathml

    for path in sorted(HERE.glob("[0-9][0-9]_*.py")):
        text = path.read_text(encoding="utf-8")
        told = [line[2:] for line in text.splitlines() if line.startswith("# ")] + text.split('"""')[1].splitlines()
        formulas = re.findall(r"\$+([^$]+)\$+", "\n".join(told))
        for formula in formulas:
            assert "<math" in tex2mathml(formula.replace(r"\dots", r"\ldots")), (path.name, formula)


def test_the_claims_become_a_page(conf: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "claims.md").write_text("# Claims\n\n### 1. It `works`\n\n- Figure: [04_depth](04_depth.py)\n")
    monkeypatch.setattr(conf, "HERE", tmp_path)
    conf.claims_page(None)
    found = (tmp_path / "claims.rst").read_text(encoding="utf-8")
    assert found.startswith("Claims\n======\n")
    assert "1. It ``works``\n~~~~~~~~~~~~~~~" in found
    assert ":doc:`gallery/04_depth`" in found
