"""Named exceptions. Each text says what was wrong, with the op, the argument and the shapes, and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TinyresError(Exception):
    """Base of every error that tinyres raises on purpose; its text is written for the person who made the mistake."""


class ShapeError(TinyresError, ValueError):
    """Arrays whose shapes do not fit an op, a layer or a file."""


class DtypeError(TinyresError, TypeError):
    """An array of a type that an op cannot take, or two types mixed."""


class DeviceError(TinyresError, TypeError):
    """Arrays of two devices in one op, or a device that this machine lacks."""


class KernelError(TinyresError, LookupError):
    """A kernel that is unknown, or known and not available here."""


class GradientError(TinyresError, RuntimeError):
    """A backward pass that cannot be made, or a gradient that is wrong."""


class ConfigError(TinyresError, ValueError):
    """A setting, a name or a command that makes no sense."""


class DataError(TinyresError, ValueError):
    """A data set that is missing, damaged or not what it claims to be."""


class CheckpointError(TinyresError, ValueError):
    """A saved file that is damaged, foreign, or of another model."""


class TrainingError(TinyresError, RuntimeError):
    """A training run that cannot go on, such as one whose loss is no longer a number."""


class FlowError(TinyresError, ValueError):
    """A record of gradient flow that is missing, damaged or empty, or a network that cannot be recorded."""


class LabError(TinyresError, ValueError):
    """A lab, a task, a submission or a folder of one that is missing, damaged or of another version."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The half sentence that ends a message about an unknown name: `; did you mean 'resnet20'?`, or the known names."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
