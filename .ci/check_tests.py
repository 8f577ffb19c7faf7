"""Read pytest's JUnit file: fail if nothing ran, if a test was skipped that .ci/allowed_skips.txt does not list, or if
the tests of the GPU backend took longer than so many seconds (the second argument).
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

lines = (Path(__file__).parent / "allowed_skips.txt").read_text(encoding="utf-8").splitlines()
allowed = [line for line in lines if line and not line.startswith("#")]
cases = list(ElementTree.parse(sys.argv[1]).iter("testcase"))
skips = [(case, mark) for case in cases for mark in case.findall("skipped")]
skipped = [f"{case.get('classname')}::{case.get('name')}: {mark.get('message')}" for case, mark in skips]
unlisted = [test for test in skipped if not any(re.fullmatch(pattern, test) for pattern in allowed)]

print(f"{len(cases)} tests, {len(skipped)} skipped, {len(unlisted)} of those not on the list")
for test in unlisted:
    print(f"  skipped: {test}")
of_gpu = [case for case in cases if re.search("gpu|cuda|emulat", str(case.get("classname")))]
seconds = sum(float(case.get("time", 0)) for case in of_gpu)
print(f"{len(of_gpu)} tests of the GPU backend in {seconds:.0f} s (at most {sys.argv[2]} s)")
sys.exit(1 if unlisted or not of_gpu or seconds > float(sys.argv[2]) else 0)
