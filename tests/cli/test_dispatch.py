"""The door: which command runs, and with which exit code and words a run ends."""

from __future__ import annotations

import errno
import importlib
import subprocess
import sys
from dataclasses import dataclass, fields, is_dataclass
from types import ModuleType

import pytest

import tinyres
from tinyres import cli
from tinyres.errors import CheckpointError, ConfigError


@dataclass
class Arguments:
    """Do nothing, or fail."""

    batch: int = 64


@pytest.fixture
def command(monkeypatch):
    """A command `fake`; its `run` is for the test to set."""
    module = ModuleType("tinyres.cli.fake")
    module.Arguments = Arguments
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cli.COMMANDS, "fake", "a command of the tests")
    return module


def raising(error):
    def run(arguments):
        raise error

    return run


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_usage_lists_every_command(argv, capsys):
    assert cli.main(argv) == 0
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert lines == list(cli.COMMANDS)


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"tinyres {tinyres.__version__}\n"


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_is_there(name):
    module = importlib.import_module(f"tinyres.cli.{name}")
    assert is_dataclass(module.Arguments)
    assert module.Arguments.__doc__
    assert callable(module.run)


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_help_of_every_command(name, capsys):
    assert cli.main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"usage: tinyres {name}" in out
    for field in fields(importlib.import_module(f"tinyres.cli.{name}").Arguments):
        assert field.name.replace("_", "-") in out.lower().replace("_", "-"), field.name


@pytest.mark.parametrize(
    ("name", "offer"),
    [("trian", "did you mean 'train'?"), ("--versoin", "did you mean '--version'?"), ("xyz", "known: ")],
)
def test_unknown_command(name, offer, capsys):
    assert cli.main([name]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert repr(name) in captured.err
    assert offer in captured.err


def test_options_reach_the_command(command):
    seen = []
    command.run = lambda arguments: seen.append(arguments.batch) or 0
    assert cli.main(["fake", "--batch", "7"]) == 0
    assert seen == [7]


@pytest.mark.parametrize("option", [["--batsch", "7"], ["--batch", "seven"]])
def test_wrong_option_is_wrong_usage(command, option, capsys):
    command.run = raising(AssertionError("must not run"))
    assert cli.main(["fake", *option]) == 2
    assert option[-2] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ConfigError("batch 0 is no batch."), 2, "tinyres: batch 0 is no batch.\n"),
        (CheckpointError("a.safetensors is damaged."), 1, "tinyres: a.safetensors is damaged.\n"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/a"), 1, "tinyres: runs/a: no space left on device.\n"),
        (MemoryError("Unable to allocate 9 TiB"), 1, "tinyres: not enough memory (Unable to allocate 9 TiB); "),
        (MemoryError(), 1, "tinyres: not enough memory (no details); "),
        (KeyboardInterrupt(), 130, "tinyres: interrupted.\n"),
    ],
)
def test_how_a_failure_ends(command, error, code, text, capsys):
    command.run = raising(error)
    assert cli.main(["fake"]) == code
    err = capsys.readouterr().err
    assert err.startswith(text)
    assert err.count("\n") == 1


def test_debug_shows_the_traceback(command, monkeypatch):
    monkeypatch.setenv("TINYRES_DEBUG", "1")
    command.run = raising(ConfigError("batch 0 is no batch."))
    with pytest.raises(ConfigError, match="batch 0"):
        cli.main(["fake"])


def test_a_fault_of_the_program_is_not_hidden(command):
    command.run = raising(ZeroDivisionError("a fault"))
    with pytest.raises(ZeroDivisionError):
        cli.main(["fake"])


def test_reader_that_goes_away():
    """`tinyres ... | head -1` says nothing on the error stream, not even while the interpreter shuts down."""
    many = "from tinyres import cli; cli._usage = lambda: 'line\\n' * 100_000; raise SystemExit(cli.main([]))"
    process = subprocess.Popen([sys.executable, "-c", many], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    with process.stderr as stream:
        err = stream.read()
    assert process.wait() == 1
    assert err == b""


def test_python_dash_m():
    done = subprocess.run([sys.executable, "-m", "tinyres", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"tinyres {tinyres.__version__}\n"
