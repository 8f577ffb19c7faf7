"""The backends that come with tinyres, and the names of their kernels: `backend`, or `backend.variant`.

A backend is a module that lists its ops in static maps, so that nothing is imported before it is asked for: `MODULES`,
op -> module, and, where it has variants, `VARIANTS`, variant -> op -> module. A variant exists for some ops only; its
kernel takes every input that its op allows.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import cast

BACKENDS = {
    "naive": "tinyres.kernels.naive",
    "numpy": "tinyres.kernels.on_numpy",
    "numba": "tinyres.kernels.on_numba",
    "cupy": "tinyres.kernels.on_cupy",
    "numba_cuda": "tinyres.kernels.on_numba_cuda",
}
# What runs unless chosen otherwise: the first of these names that the op has and that can run here.
DEFAULTS = {"cpu": ("numba.winograd", "numba", "numpy"), "cuda": ("cupy.igemm", "cupy")}


def backend_of(name: str) -> str:
    """The backend in a kernel's name: the part before the dot."""
    return name.partition(".")[0]


def backend(name: str) -> ModuleType:
    """The module of a backend: its `MODULES`, its `VARIANTS` if it has any, `DEVICE` and `missing()`."""
    return importlib.import_module(BACKENDS[name])


def modules(name: str) -> Mapping[str, str]:
    """Op -> module of the kernels of that name; empty for a name that does not come with tinyres."""
    own, _, variant = name.partition(".")
    if own not in BACKENDS:
        return {}
    found = getattr(backend(own), "VARIANTS", {}).get(variant, {}) if variant else backend(own).MODULES
    return cast(Mapping[str, str], found)


def own_names() -> tuple[str, ...]:
    """The names of all kernels that come with tinyres, each backend followed by its variants."""
    variants = {own: getattr(backend(own), "VARIANTS", ()) for own in BACKENDS}
    return tuple(name for own in BACKENDS for name in (own, *(f"{own}.{variant}" for variant in variants[own])))


def usual(op: str, device: str) -> tuple[str, ...]:
    """The default names of an op on a device, those whose backend can run here; the first one runs."""
    return tuple(
        name for name in DEFAULTS[device] if op in modules(name) and backend(backend_of(name)).missing() is None
    )
