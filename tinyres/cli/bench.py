"""`tinyres bench`: kernels, and whole training steps, against the clock and the roof of this machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tinyres.bench.settings import Settings

if TYPE_CHECKING:
    from tinyres.bench.measure import Bench
    from tinyres.bench.record import Record

Arguments = Settings
FILE = "bench.json"


def run(arguments: Settings) -> int:
    """Measure, or read a file; print the table or what changed; write the file and the figure."""
    from tinyres.bench import against, record

    arguments.check()
    old = record.read(arguments.against) if arguments.against else None
    code, new = (0, record.read(arguments.read)) if arguments.read else _measure(arguments)
    if new and old:
        print()
        for line in against.report(old, new):
            print(line)
    elif new and arguments.read:
        _show(new, arguments.out or arguments.read.parent)
    return code


def _measure(settings: Settings) -> tuple[int, Record | None]:
    """Run, and leave what was measured in a folder, whatever ends it."""
    from tinyres.bench.measure import measure_all
    from tinyres.lab import own

    if settings.out:
        settings.out.mkdir(parents=True, exist_ok=True)  # or it fails after the measurement
    bench = measure_all(settings, partial(print, flush=True), own.enter)
    interrupted = isinstance(bench.stopped, KeyboardInterrupt)
    if bench.refused:
        print(f"\nrefused: {len(bench.refused)}.")
    new = _keep(bench, settings) if bench.rows else None
    if new is None:
        print("stopped before anything was measured." if bench.stopped else "nothing was timed.")
    if bench.stopped is not None and not interrupted:
        raise bench.stopped
    return 130 if interrupted else 1 if bench.refused else 0, new


def _keep(bench: Bench, settings: Settings) -> Record:
    """Write the file and the figure, and say where."""
    from tinyres.bench import record
    from tinyres.train.folder import new_folder, stamped

    folder = settings.out or new_folder(Path("runs"), stamped("bench"))
    record.write(bench, folder / FILE)
    print("\nstopped; what was measured:" if bench.stopped else "", flush=True)
    print(folder / FILE)
    new = record.read(folder / FILE)
    _draw(new, folder)
    return new


def _show(new: Record, folder: Path) -> None:
    from tinyres.bench import results

    for line in results.table(new.rows):
        print(line)
    for refusal in new.entries["refused"]:
        print(f"REFUSED {refusal['reason']}")
    folder.mkdir(parents=True, exist_ok=True)
    _draw(new, folder)


def _draw(new: Record, folder: Path) -> None:
    from tinyres.bench import figure

    roof, of = new.entries["roof"], new.entries["machine"]
    if roof is None:  # nothing was timed
        return
    where = of["gpu"]["name"] if "gpu" in of else f"{of['processor']}, {roof['threads']} threads"
    title = f"Roofline: {where}, {roof['dtype']}; {new.entries['date'][:10]}"
    for file in figure.draw(new.rows, roof, title, folder):
        print(file)
