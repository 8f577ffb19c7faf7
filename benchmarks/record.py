"""What every benchmark notes beside its numbers: when, on which machine, with which versions."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

# Read by the libraries when NumPy is loaded, so set before that.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def set_threads(threads: int) -> int:
    """Have every library of this process, and of those it starts, use so many threads (0: as many as cores)."""
    threads = threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    return threads


def surroundings(libraries: Iterable[str]) -> dict[str, Any]:
    """Date, machine, BLAS and versions, as JSON entries."""
    import tinyres
    from tinyres import machine

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": machine.processor(), "cores": machine.cores(), "system": platform.platform()},
        "blas": asdict(machine.blas()),
        "versions": {"tinyres": tinyres.__version__, "python": platform.python_version()}
        | {name: version(name) for name in libraries},
    }


def write(path: Path, record: dict[str, Any]) -> None:
    """Write a record as JSON and say where it lies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}", flush=True)


def run(main: Callable[[T], None], arguments: type[T]) -> None:
    """Call a benchmark with what the command line says; a mistake there costs a sentence, not a traceback."""
    import tyro  # not above: a GPU suite on a bare machine notes its surroundings without it

    given = tyro.cli(arguments)
    try:
        main(given)
    except Exception as error:
        from tinyres.errors import TinyresError  # not above: NumPy is imported after `set_threads`

        if not isinstance(error, TinyresError):
            raise
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
