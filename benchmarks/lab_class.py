"""Grade a class of 40, good, wrong, hostile and broken, through the command a teacher types.

    python benchmarks/lab_class.py
    python benchmarks/lab_class.py --lab 04 --jobs 4

The class is made from the lab's own files: solutions as folders, zips and what learning platforms make of them; stubs;
solutions with a mistake put around a right function (filters turned, padding on the wrong side, ...) or with one
symbol exchanged; solutions with something hostile in the first function; and what cannot be opened. What is asked: how
long does it take, is anybody missing, is a process left over? Results: lab_class.json.
"""

from __future__ import annotations

import csv
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import record

HERE = Path(__file__).parent
LIBRARIES = ("numpy",)
SLIPS = (
    (" + ", " - "), (" - ", " + "), (" * ", " + "), (" / ", " * "), (" @ ", " * "), ("stride", "1"), ("[::-1]", ""),
    ("top", "left"), ("left", "top"), ("1:3", "2:0:-1"), ("max(0, ", "min(0, "), ("i, j", "j, i"), ("r, s", "s, r"),
    ("axis=0", "axis=1"), (" >= ", " > "), (" > ", " >= "), ("mean", "sum"), ("+=", "="),
)  # fmt: skip
CONV = """
right = conv2d
def conv2d(x, w, *, stride, padding, groups, out):
    top, bottom, left, right_ = padding
    {}
"""
COLUMNS = """
right = im2col
def im2col(x, window, stride, padding):
    (r, s), c = window, x.shape[3]
    columns = right(x, window, stride, padding)
    i, j = positions(x.shape[1:3], window, stride, padding)
    return {}
"""
PAD = """
def pad(x, padding):
    top, bottom, left, right = padding
    return {}
"""
CALL = "right({}, {}, stride=stride, padding={}, groups=groups, out=out)"
SAME = CALL.format("x", "w", "padding")
MISTAKES = {  # of lab 02: file, and what is put at its end
    "02-convolution": (
        ("conv.py", CONV.format(CALL.format("x", "w[::-1, ::-1]", "padding"))),
        ("conv.py", CONV.format(CALL.format("x", "w", "(bottom, top, right_, left)"))),
        ("conv.py", CONV.format(f"{SAME}; out *= 2")),
        ("conv.py", CONV.format(f"{SAME}; out /= len(x)")),
        ("conv.py", CONV.format(CALL.format("x[..., ::-1]", "w", "padding"))),
        ("conv.py", CONV.format("out += 1")),
        ("columns.py", COLUMNS.format("columns.reshape(-1, r, s, c).transpose(0, 3, 1, 2).reshape(columns.shape)")),
        ("columns.py", COLUMNS.format("columns.reshape(-1, r, s, c).transpose(0, 2, 1, 3).reshape(columns.shape)")),
        ("columns.py", COLUMNS.format("columns.reshape(len(x), i, j, -1).swapaxes(1, 2).reshape(columns.shape)")),
        ("columns.py", PAD.format("np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), mode='edge')")),
    )
}
PACKAGE = Path(__file__).resolve().parents[1] / "tinyres"
HOSTILE = {
    "loop": "while True: pass",
    "memory": "kept = [bytearray(1 << 24) for _ in range(10_000)]",
    "exit": "import os; os._exit(0)",
    "prints": "print('x' * 10_000_000)",
    "fork": "import os; os.fork()",
    "detached": "import ctypes, os; ctypes.PyDLL(None).fork() or (os.setsid(), [None for _ in iter(int, 1)])",
    "writes": "open('/tmp/tinyres-was-here', 'w').write('x')",
    "torch": "import torch",
    "library": "from tinyres.kernels import naive",
    "reads": f"open({str(PACKAGE / 'kernels' / 'naive.py')!r}).read()",
    "patched": "import numpy; numpy.allclose = numpy.array_equal = lambda *a, **k: True",
    "signal": "import os; os.kill(os.getppid(), 9)",
}


@dataclass
class Arguments:
    """Grade a class of 40 through `tinyres lab grade`."""

    lab: str = "02"
    """Which lab."""
    jobs: int = 2
    """Submissions at a time."""
    slips: int = 4
    """Submissions with one symbol exchanged, beside those with a mistake that people make."""
    quick: bool = False
    """A class of nine: to see whether it works."""
    out: Path = HERE / "results" / "lab_class.json"
    """Where the figures go."""
    keep: Path | None = None
    """Keep the class and what is written about it in this folder."""


def main(arguments: Arguments) -> None:
    """Make the class, grade it, count, write."""
    from tinyres.lab import catalogue
    from tinyres.lab.worker import guard

    lab = catalogue.lab(arguments.lab)
    with tempfile.TemporaryDirectory() as scratch:
        place = arguments.keep or Path(scratch)
        made = make_class(lab, place / "class", arguments)
        guard.prctl(guard.SUBREAPER, 1)  # what is left over becomes a child of this process
        command = [sys.executable, "-m", "tinyres", "lab", "grade", str(place / "class"), "--lab", lab.id]
        command += ["--out", str(place / "grades"), "--jobs", str(arguments.jobs), "--key", "lab_class"]
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - begin
        left = len(guard.descendants(os.getpid()))
        if done.returncode:
            sys.exit(f"lab_class.py: grading ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
        entries = figures(place / "grades", made)
    entries = {"seconds": round(seconds, 1), "jobs": arguments.jobs, "left_over": left, **entries}
    for name, value in entries.items():
        print(f"{name:<12}{value}")
    record.write(arguments.out, {"lab": lab.id, **entries, **record.surroundings(LIBRARIES)})
    if entries["lost"] or left:
        sys.exit("lab_class.py: somebody or something is left.")


def make_class(lab, folder: Path, arguments: Arguments) -> dict[str, str]:
    """Write the class; the kind of each submission by the name that it will have."""
    from tinyres.lab import start

    made: dict[str, str] = {}
    good, stub = start.solutions(lab), start.stubs(lab)
    slips, hostile, mistakes = arguments.slips, list(HOSTILE.items()), MISTAKES.get(lab.id, ())
    if arguments.quick:
        slips, mistakes, hostile = 1, mistakes[:1], [pair for pair in hostile if pair[0] in ("exit", "torch")]

    def put(name: str, files: dict[str, str], kind: str, known: str = "") -> None:
        made[known or name] = kind
        for file, text in files.items():
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def pack(name: str, files: dict[str, str], kind: str, known: str = "", inside: str = "") -> None:
        made[known or name.removesuffix(".zip")] = kind
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, text in files.items():
                archive.writestr(f"{inside}{file}", text)

    put("Ada Lovelace_1001_assignsubmission_file_", good, "good", "Ada Lovelace_1001")
    pack("turingalan_LATE_1002_77_lab.zip", good, "good", "turingalan_1002", "lab/")
    put("stub", stub, "stub")
    for number, (file, text) in enumerate(mistakes):
        put(f"mistake {number + 1}", {**good, file: good[file] + text}, "mistake")
    for number, files in zip(range(slips), slipped(lab), strict=False):
        put(f"slip {number + 1}", files, "slip")
    for name, line in hostile:
        put(f"hostile {name}", {**good, **planted(lab, line)}, "hostile")
    (folder / "cut.zip").write_bytes((folder / "turingalan_LATE_1002_77_lab.zip").read_bytes()[:200])
    made["cut"] = "broken"
    if not arguments.quick:
        put("Çelik Ünal/mein Ordner", good, "good", "Çelik Ünal")
        put("李雷/lab02", good, "good", "李雷")
        pack("mac.zip", {**{f"lab/{n}": t for n, t in good.items()}, "__MACOSX/lab/._conv.py": "x"}, "good")
        put("half", {name: good[name] if k == 0 else stub[name] for k, name in enumerate(good)}, "half")
        put("notes only", {"notes.txt": "I was ill."}, "broken")
        (folder / "packed.rar").write_bytes(b"Rar!")
        made["packed"] = "broken"
        pack("bomb.zip", {next(iter(good)): "#" * (50 << 20)}, "broken")
        put("syntax", {name: f"def broken(:\n{text}" for name, text in good.items()}, "hostile")
        put("stub again", stub, "stub")
        (folder / "links").mkdir()
        for name in good:
            (folder / "links" / name).symlink_to("/etc/passwd")
        made["links"] = "broken"
        for number in range(40 - len(made)):
            put(f"good {number + 1}", good, "good")
    return made


def slipped(lab) -> Iterator[dict[str, str]]:
    """The lab's files with one slip in one line of a solution, in an order that mixes tasks and kinds."""
    from tinyres.lab import derive, start

    good = start.solutions(lab)
    found = []
    for source in lab.sources:
        lines = derive.source(source.module).splitlines()
        for region in derive.regions("\n".join(lines), source.file):
            for number in region.lines:
                for old, new in SLIPS if not lines[number].lstrip().startswith("#") else ():
                    if old in lines[number]:
                        wrong = [*lines[:number], lines[number].replace(old, new, 1), *lines[number + 1 :]]
                        found.append({**good, source.file: derive.solution("\n".join(wrong))})
    random.Random(0).shuffle(found)
    yield from found


def planted(lab, line: str) -> dict[str, str]:
    """The file of the first task with a line planted where its solution begins."""
    from tinyres.lab import derive

    source = next(source for source in lab.sources if source.file == lab.tasks[0].file)
    lines = derive.source(source.module).splitlines()
    region = next(region for region in derive.regions("\n".join(lines), source.file) if region.key == lab.tasks[0].key)
    at = region.lines.start
    return {source.file: derive.solution("\n".join([*lines[:at], region.indent + line, *lines[at:]]))}


def figures(out: Path, made: dict[str, str]) -> dict[str, object]:
    """Who is there, what each kind earned, how long the slowest took, how many slips were seen and named."""
    with open(out / "grades.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    shares: dict[str, list[float]] = {}
    for name, kind in made.items():
        if name in rows:
            shares.setdefault(kind, []).append(float(rows[name]["percent"]))
    reports = {name: json.loads((out / "results" / f"{name}.json").read_text()) for name in rows}
    cases = {name: [case for task in said["tasks"] for case in task["cases"]] for name, said in reports.items()}
    wrong = {
        kind: [name for name, of in made.items() if of == kind and not all(case["passed"] for case in cases[name])]
        for kind in ("mistake", "slip")
    }
    named = {kind: sum(any(c["recipes"] for c in cases[name]) for name in names) for kind, names in wrong.items()}
    kinds = {kind: {"count": len(values), "percent": statistics.median(values)} for kind, values in shares.items()}
    return {
        "submissions": len(made),
        "lost": sorted(made.keys() - rows.keys()),
        "kinds": kinds,
        "seen": {kind: len(names) for kind, names in wrong.items()},
        "named": named,
        "slowest": [list(pair) for pair in sorted((said["seconds"], name) for name, said in reports.items())[-3:]],
    }


if __name__ == "__main__":
    record.run(main, Arguments)
