"""The run folder: made new for each run, written atomically, found again by eval, predict and --resume.

It is called after model, data and time, `runs/resnet20-digits-20250131-142530`, and holds

    config.json                the settings, all filled in (`tinyres.train.recipe.Config`)
    metrics.jsonl              one object a line, one line an evaluation
    checkpoint-*.safetensors   the last two, and the selected one
    curves.png
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from pathlib import Path

from tinyres.errors import CheckpointError, ConfigError
from tinyres.train.recipe import Config

CHECKPOINT = re.compile(r"checkpoint-(\d{8,})\.safetensors")
PARTIAL = ".partial"  # suffix of a file that is being written


def new_folder(parent: Path, name: str) -> Path:
    """Make the folder `parent/name`, or `parent/name-2`, `-3` ... if it exists: nothing is ever overwritten."""
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
        except OSError as error:
            if parent.exists() and not parent.is_dir():
                raise ConfigError(f"{parent} is a file; say with --runs in which folder runs are kept.") from None
            raise ConfigError(
                f"cannot make the folder {folder}: {reason(error)}; choose another with --runs."
            ) from None


def stamped(name: str) -> str:
    """`name` with date and time, in local time."""
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that afterwards is there whole or not at all, whatever happens in between.

    The bytes go to a temporary file in the same folder and reach the disk before that file takes the name of the real
    one. A write that fails removes the temporary file and leaves what was there before.
    """
    partial = path.with_name(f".{path.name}{PARTIAL}")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name reaches the disk with its folder
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_config(folder: Path, config: Config) -> None:
    """Write config.json."""
    write_atomically(folder / "config.json", (json.dumps(config.to_json(), indent=2) + "\n").encode())


def read_config(folder: Path) -> Config:
    """The settings of a run folder."""
    path = folder / "config.json"
    try:
        return Config(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} is not a run folder: it holds no config.json.") from None
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read: {reason(error)}.") from None


def checkpoints(folder: Path) -> dict[int, Path]:
    """Step -> file of the checkpoints in a folder, in the order of their steps."""
    found = [(CHECKPOINT.fullmatch(path.name), path) for path in folder.iterdir()]
    return dict(sorted((int(match[1]), path) for match, path in found if match))


def newest_run(runs: Path) -> Path:
    """The run in `runs` that was begun last and has a checkpoint."""
    made = [path for path in runs.glob("**/config.json") if checkpoints(path.parent)] if runs.is_dir() else []
    if not made:
        raise CheckpointError(f"no trained run in {runs}; train one with `tinyres train`, or name one.")
    return max(made, key=lambda path: (path.stat().st_mtime_ns, str(path))).parent


def reason(error: BaseException) -> str:
    """What the system says about a failure, in a few words."""
    words = (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().rstrip(".")
    return " ".join(words.split())
