"""Kernels of the GPU."""

from __future__ import annotations

from tinyres.kernels import cuda

DEVICE = "cuda"
MODULES: dict[str, str] = {}


def missing() -> str | None:
    """Why this backend cannot run here."""
    return cuda.missing()
