"""The report: one file that holds all it needs, and in a real browser a slider that changes the picture."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tinyres.errors import ConfigError
from tinyres.flow.record import AXES
from tinyres.flow.report import EVERYTHING, page, write_report

found = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
chromium = importlib.util.module_from_spec(found)
found.loader.exec_module(chromium)


@pytest.fixture
def records(made_up):
    steps = tuple(range(0, 100, 10))
    plain = made_up("plain8", "none", steps=steps, growth=1.5)
    plain.gradient_norm[5, 3], plain.gradient_norm[5, 5], plain.gradient_nonfinite[5, 5] = 0, np.nan, 1
    return [made_up(steps=steps), plain]


class Outside(HTMLParser):
    """Collects what a page would load."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, name, value) for name, value in attrs if name in ("src", "href", "action")]


def test_page_holds_all_it_needs(records):
    text = page(records)
    seen = Outside()
    seen.feed(text)
    assert seen.found == [("link", "href", "data:,")]
    assert "@import" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    for each in EVERYTHING:
        assert each.array in AXES
        assert json.dumps(each.definition, ensure_ascii=False)[1:-1] in text, "definitions are on the page"


def test_numbers_are_those_of_the_record(records):
    data = json.loads(re.search(r'id="data">(.*?)</script>', page(records), re.DOTALL)[1])
    residual, plain = data["runs"]
    assert residual["step"] == records[0].step.tolist()
    assert np.allclose(residual["values"]["gradient"], records[0].gradient_norm, rtol=1e-4)
    assert residual["trouble"] is None
    assert plain["trouble"].startswith("step 50: the gradient of bn3 is not finite (1 values)")
    assert plain["values"]["gradient"][5][3] == 0
    assert plain["values"]["gradient"][5][5] is None
    assert "split-branch" in residual["values"]
    assert "split-branch" not in plain["values"]


def test_a_name_cannot_leave_its_place(made_up, tmp_path):
    text = page([made_up("</script><script>alert(1)</script>{{DATA}}")])
    assert "<script>alert" not in text
    assert len(re.findall("</script>", text)) == len(re.findall("<script", text))


def test_long_runs_are_thinned(made_up):
    data = json.loads(re.search(r'id="data">(.*?)</script>', page([made_up(steps=tuple(range(1000)))]), re.DOTALL)[1])
    steps = data["runs"][0]["step"]
    assert len(steps) == 200
    assert (steps[0], steps[-1]) == (0, 999)


def test_without_plotly(records, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ConfigError, match=r'pip install "tinyres\[report\]"'):
        write_report(records, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


LINE = "return document.querySelector('#depth .scatterlayer .trace path.js-line').getAttribute('d')"
MOVE = (
    "const slider = document.getElementById('step'); slider.value = arguments[0];"
    "slider.dispatchEvent(new Event('input')); return document.getElementById('at').textContent"
)
CHOOSE = (
    "const select = document.getElementById(arguments[0]); select.value = arguments[1];"
    "select.dispatchEvent(new Event('change'));"
)
TRACES = "return document.querySelectorAll(arguments[0] + ' .scatterlayer .trace').length"


@pytest.mark.skipif(not (chromium.DRIVER and chromium.BROWSER), reason="needs Chromium and chromedriver")
def test_in_a_browser(records, tmp_path):
    path = write_report(records, tmp_path / "report.html")
    with chromium.browser() as shown:
        shown.open(path)
        assert shown.run("return document.getElementById('at').textContent") == "step 0 of 90"
        first, picture = shown.run(LINE), shown.picture()
        assert shown.run(MOVE, 9) == "step 90 of 90"
        assert shown.run(LINE) != first, "the slider changes the picture"
        assert shown.picture() != picture
        assert shown.run(TRACES, "#depth") == 2
        shown.run(MOVE, 5)
        assert shown.run(TRACES, "#depth") == 3, "marks for what is 0 or NaN"
        shown.run("document.querySelector('#runs input').click()")
        assert shown.run(TRACES, "#depth") == 2, "one run, and its marks"
        shown.run("document.querySelector('#runs input').click()")
        span = "return document.getElementById('depth').layout.yaxis.range"
        still = shown.run(span)
        shown.run("document.getElementById('fit').click()")
        assert shown.run(span) != still
        shown.run("document.getElementById('fit').click()")
        assert shown.run(span) == still
        shown.run(CHOOSE, "layers", "bn3")
        assert shown.run("return document.querySelectorAll('#time .legend .traces').length") == 1
        assert shown.run("return document.querySelector('#time .gtitle').textContent").endswith("picked layers")
        for quantity in shown.run("return [...document.getElementById('quantity').options].map((o) => o.value)"):
            shown.run(CHOOSE, "quantity", quantity)
            assert shown.run(TRACES, "#depth") >= 1, quantity
        shown.run(CHOOSE, "kind", shown.run("return document.getElementById('kind').options[0].value"))
        assert shown.log() == []
