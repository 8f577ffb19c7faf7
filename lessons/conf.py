"""The site of the lessons: `python -m sphinx -W lessons build/lessons`, then open build/lessons/index.html.

Each lesson is run, its figures are taken, and it can be downloaded as a script and as a notebook. Formulas are written
`$...$`, as notebooks have them; here they become MathML, which browsers draw by themselves, so that the site needs no
network.
"""

from __future__ import annotations

import os
import re
import sys
from html import escape
from pathlib import Path

from docutils.nodes import Element, SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # tinyres of this checkout
os.environ.setdefault("MPLBACKEND", "Agg")

project = "tinyres"
author = "the tinyres authors"
copyright = author
extensions = ["sphinx_gallery.gen_gallery"]
exclude_patterns = [
    "logs",
    "experiments",
    "GALLERY_HEADER.rst",
    "sg_execution_times.rst",
    "gallery/sg_execution_times.rst",
]
suppress_warnings = ["sphinx_gallery.duplicate_filename"]  # gallery/ of an earlier build lies among the lessons
html_theme = "alabaster"
html_title = "tinyres: lessons"
html_static_path = ["static"]
html_css_files = ["lessons.css"]
html_theme_options = {
    "description": "Residual networks from scratch, and what a shortcut does",
    "page_width": "1120px",
    "sidebar_width": "215px",
    "fixed_sidebar": True,
    "show_powered_by": False,
}
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
html_show_sourcelink = False
html_math_renderer = "mathml"
sphinx_gallery_conf = {
    "examples_dirs": ".",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\d\d_\w+\.py$",
    "ignore_pattern": r"(?:^|/)(?!\d\d_)[^/]*\.py$",
    "within_subsection_order": "FileNameSortKey",
    "nested_sections": False,
    "copyfile_regex": r"(?!)",  # index.rst here is the site's, not the gallery's
    "image_srcset": ["2x"],
    "abort_on_example_error": True,
    "show_signature": False,
    "show_memory": False,
    "min_reported_time": 1,
}


def dollars(app: Sphinx, docname: str, source: list[str]) -> None:
    """Turn a formula between dollars into reST: alone on its line between two of them a display, else inline."""
    lines = []
    for line in source[0].splitlines():
        if line.startswith("    "):  # program text
            lines.append(line)
        elif formula := re.fullmatch(r"\$\$(.+)\$\$", line.strip()):
            lines += ["", f".. math:: {formula[1]}", ""]
        else:
            lines.append(re.sub(r"\$([^$]+)\$", r":math:`\1`", line))
    source[0] = "\n".join(lines) + "\n"


def mathml(node: Element, block: bool) -> str:
    """MathML of a formula; a warning, with the formula, where docutils does not know a command."""
    formula = node.astext().replace(r"\dots", r"\ldots")
    try:
        return str(tex2mathml(formula, as_block=block))
    except MathError as error:
        logging.getLogger(__name__).warning("%s in the formula %s", error, formula, location=node)
        return f"<code>{escape(formula)}</code>"


def inline(self: HTML5Translator, node: Element) -> None:
    self.body.append(mathml(node, False))
    raise SkipNode


def display(self: HTML5Translator, node: Element) -> None:
    self.body.append(f'<div class="math">{mathml(node, True)}</div>')
    raise SkipNode


def claims_page(app: Sphinx) -> None:
    """Write claims.rst from claims.md, whose Markdown is headings, lists, bold, code and links to lessons."""
    text = (HERE / "claims.md").read_text(encoding="utf-8")
    text = re.sub(r"`([^`]+)`", r"``\1``", text)
    text = re.sub(r"\[(\w+)\]\(\1\.py\)", r":doc:`gallery/\1`", text)
    lines = []
    for line in text.splitlines():
        marks, _, title = line.partition(" ")
        if marks and not marks.strip("#"):
            lines += [title, "=-~"[len(marks) - 1] * len(title)]
        else:
            lines.append(line)
    (HERE / "claims.rst").write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", claims_page)
    app.connect("source-read", dollars)
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
