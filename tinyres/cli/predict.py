"""`tinyres predict IMAGE`: what a saved network sees in an image file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from tinyres.errors import CheckpointError, DataError
from tinyres.function import no_grad
from tinyres.ops import to
from tinyres.train import checkpoint
from tinyres.train.checkpoint import Checkpoint
from tinyres.train.device import computing, on_device
from tinyres.train.folder import newest_run, reason
from tinyres.train.start import restored_model

SHOWN = 5
MODES = {1: "L", 3: "RGB"}  # channels -> Pillow's name
GREY = ("1", "L", "I", "F")


@dataclass(frozen=True)
class Arguments:
    """Say what a saved network sees in an image: the five likeliest classes with their probabilities.

    The image may have any size and any format that Pillow reads; it is cut and resized to what the network knows.
    """

    image: tyro.conf.Positional[str]
    """The image file."""
    model: str | None = None
    """A run folder (its selected checkpoint) or a checkpoint; by default the newest run in --runs."""
    invert: bool = False
    """Exchange dark and light: for dark ink on paper, where the network knows light strokes on black."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to compute, wherever the network was trained."""
    runs: str = "runs"
    """Where the newest run is looked for."""


def run(arguments: Arguments) -> int:
    """Read, fit, predict, print."""
    saved = checkpoint.find(arguments.model or newest_run(Path(arguments.runs)), selected=True)
    pixels, done = read_image(Path(arguments.image), saved.meta.image_shape, arguments.invert)
    chances = probabilities(saved, pixels, arguments.device)
    print(f"{arguments.image}: {done}")
    names = saved.meta.classes
    best = np.argsort(-chances, kind="stable")[:SHOWN]
    width = max(len(names[k]) for k in best)
    for k in best:
        print(f"  {names[k]:<{width}} {chances[k]:7.2%}  {'#' * round(30 * float(chances[k]))}".rstrip())
    return 0


def read_image(path: Path, shape: tuple[int, ...], invert: bool = False) -> tuple[NDArray[np.uint8], str]:
    """Read an image as bytes of `shape` [H,W,C], and say what was done to it.

    The orientation that a camera noted is applied, transparency is laid on white, the middle of the shape of the
    network's images is cut out and resized.

    Raises
    ------
    DataError
        No such file, or none that Pillow can read.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    height, width, channels = shape
    if channels not in MODES:
        raise CheckpointError(f"the network takes images of {channels} channels, and image files are read as 1 or 3.")
    try:
        with Image.open(path) as file:
            image: Any = ImageOps.exif_transpose(file)
            image.load()
    except FileNotFoundError:
        raise DataError(f"there is no file {path}.") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image that Pillow can read; save it as PNG or JPEG.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from None
    done = []
    if image.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8, not scale them
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
        done.append("16 bits reduced to 8")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        done.append("transparency laid on white")
    if image.mode != MODES[channels]:
        if (image.mode in GREY) != (channels == 1):
            done.append("colour made grey" if channels == 1 else "grey made colour")
        image = image.convert(MODES[channels])
    if image.size != (width, height):
        w, h = image.size
        cut = " after cutting out the middle" if w * height != h * width else ""
        done.append(f"resized from {w}x{h} to {width}x{height}{cut}")
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    if invert:
        image = ImageOps.invert(image)
        done.append("dark and light exchanged")
    pixels = np.asarray(image, np.uint8).reshape(height, width, channels)
    return pixels, "; ".join(done) or f"{width}x{height}, taken as it is"


def probabilities(
    saved: Checkpoint, pixels: NDArray[np.uint8], device: Literal["cpu", "cuda"] = "cpu"
) -> NDArray[np.float64]:
    """Softmax probabilities [K] of an image [H,W,C] of full bytes."""
    config = dataclasses.replace(on_device(saved.config, device), kernels="")
    x = (pixels / 255 - saved.tensors["data.mean"]).astype(saved.config.dtype)
    with computing(config), no_grad():
        logits = restored_model(saved, device)(to(x[None], device)).numpy()[0].astype(np.float64)
    weights = np.exp(logits - logits.max())
    chances: NDArray[np.float64] = weights / weights.sum()
    return chances
