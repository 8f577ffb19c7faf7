"""Faults planted in the text of the convolutions: a barrier less, a guard less, an index off by one. Each must be seen.

So the emulation is worth something: a kernel that passes there has its barriers and its edges. What it cannot see, a
race between blocks, is named here too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tinyres.kernels import cuda
from tinyres.kernels.cuda.emulation import build
from tinyres.kernels.cuda.sources import FOLDER

pytestmark = pytest.mark.skipif(build.compiler() is None, reason="needs a C++ compiler: install g++")
PLANTING = Path(__file__).with_name("planting.py")
BARRIER = re.compile(r"^.*__syncthreads\(\);.*$", re.MULTILINE)


def barriers(file):
    """Every barrier in a file, by its line."""
    return [match[0].strip() for match in BARRIER.finditer((FOLDER / file).read_text(encoding="utf-8"))]


OF_STATISTICS, OF_CONV, OF_WEIGHT = map(barriers, ("conv_statistics.cuh", "conv.cuh", "conv_weight.cuh"))
# The emulation does not miss this one: its blocks run one after another, and see all that was written before them.
UNSEEN = "__syncthreads();  // and what all of its threads wrote"
CONV = {
    **{line: (line, "") for line in (*OF_STATISTICS, *OF_CONV)},
    "the last column of tiles": (" && j < w.count", ""),
    "the last row of tiles": ("i < h.count && ", ""),
    "the last image": ("n < images && i < h.count", "i < h.count"),
    "the image's left and right edge": (" & (unsigned(j) < unsigned(in_w))", ""),
    "the last filter": ("e < min(4, left_over)", "e < 4"),
    "a channel off by one": ("channels + channel + quad", "channels + channel + quad + 1"),
    "a tap off by one": ("s < columns; s++", "s < columns - 1; s++"),
    "a word off by one": ("k < words; k += 8", "k < words - 8; k += 8"),
}
WEIGHT = {
    **{line: (line, "") for line in OF_WEIGHT},
    "a pixel beyond the tile": ("if (place >= 0) read_some", "read_some"),
    "the last channel": ("f < width && c < depth", "f < width"),
    "the last part": ("part + e * 8 < parts", "part + e * 8 < parts - 1"),
}
FAULTS = {
    (file, what): change
    for file, faults in (("conv.cuh", CONV), ("conv_weight.cuh", WEIGHT))
    for what, change in (faults | {"nothing": ("", "")}).items()
}
QUICK = (
    ("conv.cuh", "__syncthreads();  // the tile before this one is no longer read"),
    ("conv.cuh", "the last column of tiles"),
    ("conv.cuh", "a tap off by one"),
    ("conv_weight.cuh", "__syncthreads();  // pixels and errors are there"),
)
SLOW = tuple(key for key in FAULTS if key not in QUICK)


def planted(folder, file, what, number):
    """Write a text with a fault into a folder of its own."""
    proper, instead = FAULTS[file, what]
    text = cuda.text(file)
    assert not proper or text.count(proper) in (1, 2), f"{what}: there are {text.count(proper)} of {proper!r}"
    path = folder / str(number) / file
    path.parent.mkdir(parents=True)
    path.write_text(text.replace(proper, instead) if proper else text, encoding="utf-8")


def run(folder, **environment):
    """What `planting.py` says of the faults in a folder, and what it says on the side."""
    done = subprocess.run(
        [sys.executable, "-c", PLANTING.read_text(encoding="utf-8"), folder],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Whether a fault changes the results; those that are asked for together are compiled, in a hurry, together."""

    @cache
    def together(group):
        folder = tmp_path_factory.mktemp("faults")
        for number, key in enumerate(group):
            planted(folder, *key, number)
        found, _ = run(folder, TINYRES_EMULATION_FLAGS="-O1")
        return {key: found[str(number)] for number, key in enumerate(group)}

    return lambda key: together(QUICK if key in QUICK else SLOW)[key]


def test_every_barrier_says_what_it_is_for():
    assert [len(found) for found in (OF_STATISTICS, OF_CONV, OF_WEIGHT)] == [4, 5, 6]
    lines = [*OF_STATISTICS, *OF_CONV, *OF_WEIGHT]
    assert all("//" in line for line in lines)
    assert UNSEEN in lines


@pytest.mark.parametrize(
    "key",
    [*QUICK, *(pytest.param(key, marks=pytest.mark.slow) for key in SLOW)],
    ids=lambda key: f"{key[0]}: {key[1].removeprefix('__syncthreads();  // ')}",
)
def test_a_fault_is_seen(seen, key):
    assert seen(key) == (key[1] not in (UNSEEN, "nothing"))


@pytest.mark.slow
def test_an_index_off_by_one_under_address_sanitizer(tmp_path):
    """The word behind the shared memory is nobody's: the sanitizer names the line of the kernel that writes there."""
    library = subprocess.run(
        [build.compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(library).is_absolute():
        pytest.skip("the C++ compiler has no AddressSanitizer")
    text = cuda.text("conv.cuh")
    proper = "of_tap = rows * (KB / 4), all = taps.rows * taps.columns * of_tap"
    assert text.count(proper) == 1
    for name, planted in (("proper", text + "\n"), ("fault", text.replace(proper, f"{proper} + 1"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "conv.cuh").write_text(planted, encoding="utf-8")
    found, said = run(
        tmp_path,
        TINYRES_EMULATION_FLAGS="-O1 -g -fsanitize=address",
        LD_PRELOAD=library,
        ASAN_OPTIONS="detect_leaks=0",
    )
    assert found == {"proper": False, "fault": True}
    assert "heap-buffer-overflow" in said
    assert re.search(r"load_filters.*kernel:\d+", said), said
