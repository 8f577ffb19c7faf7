"""`tinyres bench`: kernels, and whole training steps, against the clock and the roof of this machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tinyres.bench.settings import Settings

if TYPE_CHECKING:
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
    """Run, and leave what was measured in a folder."""
    from tinyres.bench import record
    from tinyres.bench.measure import measure_all
    from tinyres.train.folder import new_folder, stamped

    if settings.out:
        settings.out.mkdir(parents=True, exist_ok=True)  # or it fails after the measurement
    bench = measure_all(settings, partial(print, flush=True))
    code = 130 if bench.interrupted else 1 if bench.refused else 0
    if bench.refused:
        print(f"\nrefused: {len(bench.refused)}.")
    if not bench.rows:
        print("stopped before anything was measured." if bench.interrupted else "nothing was timed.")
        return code, None
    folder = settings.out or new_folder(Path("runs"), stamped("bench"))
    record.write(bench, folder / FILE)
    new = record.read(folder / FILE)
    print("\nstopped; what was measured:" if bench.interrupted else "", flush=True)
    print(folder / FILE)
    _draw(new, folder)
    return code, new


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
    title = f"Roofline: {of['processor']}, {roof['threads']} threads, {roof['dtype']}; {new.entries['date'][:10]}"
    for file in figure.draw(new.rows, roof, title, folder):
        print(file)
