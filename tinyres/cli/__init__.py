"""The command line: `tinyres COMMAND ...`, one module a command.

A command is a module of this package with a dataclass `Arguments`, whose fields are its options and whose docstring is
its help (read by tyro), and a function `run(arguments) -> exit code`. It is imported only when it is called.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. A mistake of the person who typed costs one sentence on
the error stream and no traceback; `TINYRES_DEBUG=1` shows that too.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from tinyres.errors import ConfigError, TinyresError, nearest

COMMANDS = {
    "train": "train a network (resnet20 on handwritten digits unless told otherwise), or resume a run",
    "eval": "test a saved network: top-1, top-5, confusion matrix",
    "predict": "say what a saved network sees in an image",
    "flow": "draw gradients through depth and training; lesions, paths, Jacobians, curvature; an interactive report",
    "bench": "time kernels or training steps, yours too, against the roof of this machine",
    "lab": "course labs: write kernels and autograd yourself, checked with the cause named, timed, trained, graded",
    "kernels": "list every op with its kernels: which is the default, which cannot run here and why",
    "models": "list the networks with their depths and parameter counts",
    "selftest": "check every kernel against the float64 oracle, and every gradient",
    "doctor": "describe this machine and installation, to paste into a report",
}
DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; `argv` is what follows `tinyres` on the command line."""
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()  # a reader that has gone away shows here, not in the interpreter's last breath
        return code
    except BrokenPipeError:  # `tinyres kernels | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        print("tinyres: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except (TinyresError, OSError, MemoryError) as error:
        if os.environ.get("TINYRES_DEBUG", "0") not in ("", "0"):
            raise
        print(f"tinyres: {_sentence(error)}", file=sys.stderr)
        return USAGE if isinstance(error, ConfigError) else FAILED


def _dispatch(argv: list[str]) -> int:
    name = argv[0] if argv else "--help"
    if name in ("--help", "-h"):
        print(_usage())
        return DONE
    if name == "--version":
        print(f"tinyres {_version()}")
        return DONE
    if name not in COMMANDS:
        kind = "option" if name.startswith("-") else "command"
        raise ConfigError(f"there is no {kind} {name!r}{nearest(name, [*COMMANDS, '--help', '--version'])}.")
    return _call(name, argv[1:])


def _call(name: str, options: list[str]) -> int:
    import tyro

    command = importlib.import_module(f"tinyres.cli.{name}")
    try:
        arguments = tyro.cli(command.Arguments, prog=f"tinyres {name}", args=options)
    except SystemExit as stop:  # tyro has printed the help (0) or what is wrong with an option (2)
        return int(stop.code or DONE)
    return int(command.run(arguments))


def _usage() -> str:
    commands = "\n".join(f"  {name:<10}{text}" for name, text in COMMANDS.items())
    return (
        f"tinyres {_version()}: residual networks from scratch\n\n"
        f"usage: tinyres COMMAND [OPTION ...]\n\n{commands}\n\n"
        "`tinyres COMMAND --help` lists the options of a command.\n"
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."
    )


def _version() -> str:
    import tinyres

    return tinyres.__version__


def _sentence(error: BaseException) -> str:
    """What to tell a person about an error that is not a fault of the program."""
    if isinstance(error, MemoryError):
        return f"not enough memory ({str(error).rstrip('.') or 'no details'}); a smaller batch or network needs less."
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fspath(error.filename)}: " if isinstance(error.filename, (str, os.PathLike)) else ""
        return f"{where}{error.strerror[0].lower()}{error.strerror[1:]}."
    return str(error)
