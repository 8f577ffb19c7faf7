"""Read pytest's JUnit file: fail if nothing ran, or if a test was skipped that .ci/allowed_skips.txt does not list."""

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
sys.exit(1 if unlisted or not cases else 0)
