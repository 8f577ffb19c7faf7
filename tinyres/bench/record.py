"""The file of a run, bench.json: what was measured, where and with what, and back again.

schema      "tinyres-bench-1"
date        UTC
settings, machine, threads, versions
roof        GFLOP/s, GB/s and their samples; null where nothing was timed
rows        `results.Row`, all times included, with what is derived from them
refused     kernels that were not timed, and why
complete    false if it was stopped, by Ctrl-C or a fault
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tinyres import machine
from tinyres.bench.measure import Bench
from tinyres.bench.results import Row
from tinyres.errors import ConfigError
from tinyres.kernels import cuda
from tinyres.kernels.cuda import driver
from tinyres.kernels.on_numba.threads import thread_count
from tinyres.train.folder import write_atomically
from tinyres.train.start import versions

SCHEMA = "tinyres-bench-1"
MORE_VERSIONS = ("numba", "llvmlite", "torch", *driver.CUPY, *driver.WHEELS)
VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Record:
    """What is read from a file: the rows, and the rest as it stands there."""

    path: Path
    rows: list[Row]
    entries: dict[str, Any]

    @property
    def machine(self) -> tuple[Any, ...]:
        """What has to be the same for times to be comparable."""
        return (
            *(self.entries["machine"].get(name) for name in ("processor", "cores")),
            *([self.entries["machine"]["gpu"]["name"]] if "gpu" in self.entries["machine"] else []),
        )


def write(bench: Bench, path: Path) -> None:
    """Write a run to a file, whole or not at all."""
    blas = machine.blas()
    entries = {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": bench.settings.record(),
        "machine": {
            "processor": machine.processor(),
            "cores": machine.cores(),
            "system": platform.platform(),
            "vectors": machine.simd(),
            "blas": asdict(blas),
        }
        | ({"gpu": _gpu()} if bench.on_gpu else {}),
        "threads": {"blas": blas.threads, "kernels": thread_count()}
        | {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "versions": versions() | _more_versions(),
        "roof": bench.roof.record() if bench.roof else None,
        "rows": [row.record() for row in bench.rows],
        "refused": [asdict(refusal) for refusal in bench.refused],
        "complete": bench.stopped is None,
    }
    write_atomically(path, (json.dumps(entries, indent=1) + "\n").encode())


def read(path: Path) -> Record:
    """Read a file that `write` has written.

    Raises
    ------
    ConfigError
        It is not there, no JSON, of another kind, or damaged.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON file ({error}); name a bench.json that `tinyres bench` wrote.") from None
    schema = entries.get("schema") if isinstance(entries, dict) else None
    if schema != SCHEMA:
        said = f"is of schema {schema!r}" if schema else "has no schema"
        raise ConfigError(f"{path} {said}, and {SCHEMA!r} is wanted; name a bench.json of this version.")
    try:
        rows = [_row(entry) for entry in entries["rows"]]
        if not all(row.median > 0 for row in rows):
            raise ValueError("a time is not above 0")
        record = Record(path, rows, entries)
        _ = record.machine, entries["date"], entries["versions"].items(), entries["roof"]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ConfigError(f"{path} is damaged ({type(error).__name__}: {error}); measure again.") from None
    return record


def _row(entry: dict[str, Any]) -> Row:
    """A row as it stands in a file; `nets` and what follows it may be missing in an older one."""
    optional = {f.name for f in fields(Row) if f.name not in entry and f.default is not MISSING}
    return Row(**{f.name: entry[f.name] for f in fields(Row) if f.name not in optional})


def _gpu() -> dict[str, Any]:
    """The GPU that was measured, with its driver."""
    found, known = cuda.properties(), driver.cuda_of_driver()
    return {
        "name": found.name,
        "capability": ".".join(map(str, found.capability)),
        "multiprocessors": found.multiprocessors,
        "memory": found.memory,
        "driver_cuda": ".".join(map(str, known)) if known else None,
    }


def _more_versions() -> dict[str, str]:
    found = {}
    for name in MORE_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
