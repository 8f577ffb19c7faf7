"""Where a run computes and how precisely: the device, the precision of its convolutions, the kernels that follow.

A precision is a name of kernels that come before the defaults. What somebody chose (`--kernels`, `use`, the
environment) runs all the same.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tinyres.conformance import NonconformingError, check_kernel
from tinyres.errors import ConfigError, TinyresError
from tinyres.kernels import cuda, files, registry
from tinyres.kernels.cuda.driver import TENSOR_CORES

if TYPE_CHECKING:
    from tinyres.train.recipe import Config

Precision = Literal["fp32", "3xtf32", "tf32", "bf16"]
KERNELS: Mapping[Precision, str] = {
    "fp32": "cupy.igemm",
    "3xtf32": "cupy.igemm_3xtf32",
    "tf32": "cupy.igemm_tf32",
    "bf16": "cupy.igemm_bf16",
}
FULL = {"float32": "fp32", "float64": "fp64"}


def check_device(config: Config) -> None:
    """Refuse a GPU that is not there, a precision that the device does not have, and kernels in force of another one.

    Raises
    ------
    DeviceError
        There is no GPU to use, and why.
    ConfigError
        The precision, and which one can be had; a kernel, and which device it wants.
    """
    if config.device == "cuda":
        cuda.module()
    precision_of(config)
    device = config.device or "cpu"
    for op, name in registry.in_force().items():
        if name != registry.COMPOSED and (wanted := registry.find(op, name).device) != device:
            raise ConfigError(
                f"kernel {name!r} of {op} is one of device {wanted}, and this is to run on {device}; add --device "
                f"{wanted}, or choose another kernel."
            )


def check_own(config: Config) -> None:
    """Hold kernels out of a person's file against the oracle before a run begins; a wrong one is told of, and trains.

    Raises
    ------
    KernelError
        The file or a kernel of it fails: where.
    """
    for key, file in registry.parse(config.kernels).items():
        if Path(file).suffix not in files.SUFFIXES:
            continue
        for op, name in files.chosen({key: file}).items():
            try:
                check_kernel(op, name, config.dtype)
            except NonconformingError as wrong:
                tell(f"{str(wrong).rstrip('.')}; the run goes on with it.")
            except TinyresError:
                raise
            except Exception as error:
                if (where := files.told(error, Path(file), own=True)) is None:
                    raise
                raise files.OutsideError(where) from None


def on_device(config: Config, device: Literal["cpu", "cuda"], precision: Precision | None = None) -> Config:
    """The settings of a run for another device than it may have been on, checked; its own precision where it fits."""
    own = config.precision if (config.device or "cpu") == device else None
    config = dataclasses.replace(config, device=device, precision=precision or own)
    check_device(config)
    return dataclasses.replace(config, precision=precision_of(config))


def precision_of(config: Config) -> Precision:
    """The precision of a run's convolutions: what the settings say, else the fastest that is as good as float32."""
    asked = config.precision
    if config.device != "cuda":
        if asked not in (None, "fp32"):
            raise ConfigError(
                f"precision {asked!r} is one of tensor cores, and the CPU computes in full; add --device cuda, or "
                "leave --precision away."
            )
        return "fp32"
    if config.dtype == "float64":
        if asked not in (None, "fp32"):
            raise ConfigError(f"precision {asked!r} is for float32, and the run has dtype float64; leave one of them.")
        return "fp32"
    if cuda.capability() >= TENSOR_CORES:
        return asked or "tf32"
    if asked not in (None, "fp32"):
        major, minor = cuda.capability()
        raise ConfigError(
            f"precision {asked!r} wants a GPU of compute capability {TENSOR_CORES[0]}.{TENSOR_CORES[1]} or newer, and "
            f"{cuda.properties().name} has {major}.{minor}; use --precision fp32."
        )
    return "fp32"


def choosing(kernels: str) -> AbstractContextManager[None]:
    """Choose kernels as `--kernels` says, by name or by a file of one's own, inside a `with` block."""
    return registry.use(**files.chosen(registry.parse(kernels)))


@contextmanager
def computing(config: Config) -> Iterator[None]:
    """Compute as the settings say inside a `with` block: their kernels, and on a GPU the stream of training."""
    with choosing(config.kernels), precisely(config):
        if config.device == "cuda":
            cuda.synchronize()  # what went before, on the default stream
        with cuda.stream() if config.device == "cuda" else nullcontext():
            yield


def described(config: Config) -> str:
    """What to call the device in a title, with the precision of the kernels that run: nothing for the CPU."""
    if config.device != "cuda":
        return ""
    with choosing(config.kernels), precisely(config):
        kernels = [registry.resolve(op, config.dtype, "cuda") for op in registry.GROUPS["conv"]]
    precisions = dict.fromkeys(FULL[config.dtype] if k.precision == "full" else k.precision for k in kernels)
    return f", {cuda.properties().name}, {' and '.join(precisions)}"


def precisely(config: Config) -> AbstractContextManager[None]:
    """Prefer kernels of the precision of a run on a GPU inside a `with` block."""
    if config.device != "cuda" or config.precision is None:
        return nullcontext()
    return registry.preferring(KERNELS[config.precision])


def tell(text: str) -> None:
    """Say something once to the person at the command line."""
    print(f"tinyres: {text}", file=sys.stderr, flush=True)
