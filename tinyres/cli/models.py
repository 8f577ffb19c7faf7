"""`tinyres models`: the networks by name, with what they hold."""

from __future__ import annotations

from dataclasses import dataclass

from tinyres import models


@dataclass
class Arguments:
    """List the networks with their layers and parameters (3 input channels, 10 classes, default shortcut)."""


def run(arguments: Arguments) -> int:
    """Print the list."""
    print(f"{'name':<12}{'shortcut':<10}{'layers':>7}{'parameters':>13}")
    for name in models.names():
        shortcut = "A" if name.startswith("resnet") else "none"
        count = sum(p.size for p in models.create(name).parameters())
        print(f"{name:<12}{shortcut:<10}{name.lstrip('resntplai'):>7}{count:>13,}")
    print("\nAny other depth of 6n + 2 works too, as in resnet26. Shortcuts of a resnet: A, B, C, none.")
    return 0
