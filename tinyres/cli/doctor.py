"""`tinyres doctor`: this machine and this installation as plain text, to read or to paste into a report.

It changes nothing and compiles nothing. Under each heading stand aligned lines of name and fact; a `note:` says what
could be better and how.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tinyres import machine
from tinyres.cli.doctor_gpu import gpu
from tinyres.cli.kernels import device_of, why
from tinyres.errors import KernelError
from tinyres.kernels import compiling, registry
from tinyres.kernels.backends import usual

REQUIRED = ("numpy", "numba", "matplotlib", "scikit-learn", "Pillow", "safetensors", "tyro", "tqdm", "pooch")
OPTIONAL = {"tensorboardX": "tensorboard"}  # those for a GPU stand under it
ENVIRONMENT = (
    "TINYRES_KERNELS",
    "TINYRES_GPU",
    "TINYRES_CACHE",
    "TINYRES_DEBUG",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMBA_DISABLE_JIT",
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
    "NUMBA_CACHE_DIR",
    "NPY_DISABLE_CPU_FEATURES",
    "CUDA_VISIBLE_DEVICES",
    "CUPY_CACHE_DIR",
    "CUPY_TF32",
    "NUMBA_ENABLE_CUDASIM",
)
Lines = Iterator[tuple[str, str]]


@dataclass
class Arguments:
    """Describe this machine and installation: versions, cores, vectors, BLAS, GPU, data, kernels."""


def run(arguments: Arguments) -> int:
    """Print the report."""
    parts = {
        "versions": versions(),
        "processor": processor(),
        "gpu": gpu(),
        "data": data(),
        "kernels": kernels_by_backend(),
        "environment": environment(),
    }
    for heading, lines in parts.items():
        print(heading)
        for name, fact in lines:
            print(f"  {name:<22}{fact}")
    return 0


def versions() -> Lines:
    """Python, tinyres and what it stands on."""
    import tinyres

    yield "tinyres", tinyres.__version__
    yield "python", f"{platform.python_version()} ({sys.implementation.name}), {platform.system()} {platform.release()}"
    for name in REQUIRED:
        yield name, _version(name) or "missing: python -m pip install --upgrade tinyres"
    for name, extra in OPTIONAL.items():
        yield name, _version(name) or f'not installed; for it: python -m pip install "tinyres[{extra}]"'


def processor() -> Lines:
    """Cores, vector extensions, who multiplies matrices, and the threads of the kernels.

    tinyres never sets OPENBLAS_CORETYPE. OpenBLAS reads it when NumPy is loaded, which is over before a line of tinyres
    runs in a person's program; last digits of sums change with it; and it concerns only matrix products, on which the
    kernels of the backend `numpy` stand, not those of `numba`. So the report says what it would bring, and how.

    Nor does it set thread counts. Threads of BLAS and of the Numba kernels never work at the same time: the product of
    a linear layer, the only one in a training step with these kernels, is too small for OpenBLAS to wake another
    thread.
    """
    yield "name", machine.processor()
    yield "cores to use", f"{machine.cores()} of {os.cpu_count()}"
    extensions, blas = machine.simd(), machine.blas()
    yield "vectors (numpy)", " ".join(extensions)
    yield from _llvm()
    yield "blas", f"{blas.name} {blas.version}"
    if blas.kernel is None:
        yield "blas kernel", "unknown: this BLAS does not say"
    else:
        yield "blas kernel", f"{blas.kernel}, {blas.threads} thread{'s' * (blas.threads != 1)}"
    if machine.blas_wastes_vectors(blas, extensions):
        yield "note:", f"this processor has AVX-512, and OpenBLAS chose its {blas.kernel} kernels, whose vectors"
        yield "", "are at most half as wide: matrix products run at about half the speed they could. That"
        yield "", "concerns the kernels of `numpy`, not those of `numba`. To choose others, before Python starts:"
        yield "", "OPENBLAS_CORETYPE=SkylakeX tinyres train --kernels all=numpy. (tinyres does not set it: it is"
        yield "", "read when NumPy is loaded, and sums are then taken in another order, so last digits differ.)"


def _llvm() -> Lines:
    try:
        reason = registry.backend("numba").missing()
        threads = registry.backend("numba").threads.thread_count()
    except KernelError as error:
        yield "numba kernels", str(error)
        return
    if reason is not None:
        yield "numba", reason
        return
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    vectors = [name for name in features if features[name] and name.startswith(("avx", "fma", "amx", "neon", "sve"))]
    yield "vectors (numba)", f"{llvm.get_host_cpu_name()}: {' '.join(sorted(vectors)) or 'none'}"
    source = "NUMBA_NUM_THREADS" if "NUMBA_NUM_THREADS" in os.environ else "the cores; NUMBA_NUM_THREADS changes it"
    yield "kernel threads", f"{threads} ({source})"
    from tinyres.kernels.on_numba import cache

    if compiling.compiled.kept:
        yield "kernels kept in", str(cache.folder())
    else:
        yield "kernels kept in", "no folder: compiled anew by each process, because neither the folder of tinyres nor"
        yield "", "the cache of the user can be written to; set NUMBA_CACHE_DIR to a folder that can"


def data() -> Lines:
    """What can be trained on without a download, and where downloads go."""
    from tinyres.data import cache, catalogue

    for name in catalogue.names():
        if name == "digits":
            digits = catalogue.load(name)
            yield name, f"{len(digits.train) + len(digits.test):,} images, from scikit-learn"
        else:
            found = catalogue.locate(name)
            yield name, str(found or "not in the cache: downloaded when first asked for, or give --root FOLDER")
    yield "cache", str(cache.cache_folder())


def kernels_by_backend() -> Lines:
    """How many ops each backend covers, of how many it is the default, and why kernels are missing."""
    try:
        rows = registry.table()
    except KernelError as error:
        yield "none", str(error)
        return
    yield "ops", str(len({row["op"] for row in rows}))
    for name in dict.fromkeys(row["kernel"] for row in rows):
        own = [row for row in rows if row["kernel"] == name]
        there = [row for row in own if row["missing"] is None]
        default = sum(usual(row["op"], device_of(row))[:1] == (name,) for row in there)
        yield name, f"{len(there)} ops" + (f", default of {default}" if default else "")
        for reason, count in Counter(why(row["missing"]) for row in own if row["missing"]).items():
            yield "", f"{count} missing: {reason}"


def environment() -> Lines:
    """The variables that change speed or results, as they are set."""
    for name in ENVIRONMENT:
        if name in os.environ:
            yield name, os.environ[name]
    if not any(name in os.environ for name in ENVIRONMENT):
        yield "", f"none of {', '.join(ENVIRONMENT[:5])} ... is set"


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
