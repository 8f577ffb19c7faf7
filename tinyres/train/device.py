"""Where a run computes and how precisely: the device, the precision of its convolutions, the kernels that follow.

A precision is a choice of kernels for the four ops of convolution. It lies beneath all that somebody chose by name
(`--kernels`, `use`, TINYRES_KERNELS): a kernel that was chosen runs, and a fusion that would run in its place does not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

from tinyres.errors import ConfigError
from tinyres.kernels import cuda, registry
from tinyres.kernels.cuda.driver import TENSOR_CORES

if TYPE_CHECKING:
    from tinyres.train.recipe import Config

Precision = Literal["fp32", "3xtf32", "tf32", "bf16"]
CONVOLUTIONS = ("conv2d", "conv2d_input", "conv2d_weight", "conv2d_stats")
KERNELS: Mapping[Precision, str] = {
    "fp32": "cupy.igemm",
    "3xtf32": "cupy.igemm_3xtf32",
    "tf32": "cupy.igemm_tf32",
    "bf16": "cupy.igemm_bf16",
}
FULL = {"float32": "fp32", "float64": "fp64"}


def check_device(config: Config) -> None:
    """Refuse a GPU that is not there, and a precision that the device does not have.

    Raises
    ------
    DeviceError
        There is no GPU to use, and why.
    ConfigError
        The precision; and which one can be had.
    """
    if config.device == "cuda":
        cuda.module()
    precision_of(config)


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


def kernels_of(config: Config) -> Mapping[str, str]:
    """The explicit choices of kernels under which a run computes, op -> kernel."""
    chosen = {**registry.in_force(), **registry.expand(registry.parse(config.kernels))}
    if config.device != "cuda" or config.precision is None:
        return chosen
    beneath = dict.fromkeys(CONVOLUTIONS, KERNELS[config.precision])
    if any(part in chosen for part in registry.FUSED["conv2d_stats"]):
        del beneath["conv2d_stats"]  # in its place run its parts, with the kernel that was chosen
    return {**beneath, **chosen}


@contextmanager
def computing(config: Config) -> Iterator[None]:
    """Compute as the settings say inside a `with` block: their kernels, and on a GPU the stream of training."""
    with registry.restored(kernels_of(config)):
        if config.device == "cuda":
            cuda.synchronize()  # what went before, on the default stream
        with cuda.stream() if config.device == "cuda" else nullcontext():
            yield


def described(config: Config) -> str:
    """What to call the device in a title, with the precision of the kernels that run: nothing for the CPU."""
    if config.device != "cuda":
        return ""
    with registry.restored(kernels_of(config)):
        kernels = [registry.resolve(op, config.dtype, "cuda") for op in CONVOLUTIONS[:3]]
    precisions = dict.fromkeys(FULL[config.dtype] if k.precision == "full" else k.precision for k in kernels)
    return f", {cuda.properties().name}, {' and '.join(precisions)}"


def tell(text: str) -> None:
    """Say something once to the person at the command line."""
    print(f"tinyres: {text}", file=sys.stderr, flush=True)
