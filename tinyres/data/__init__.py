"""Real images by name or folder, their split, and batches that are pure functions of (seed, epoch, batch)."""

from tinyres.data.catalogue import load, locate, names
from tinyres.data.loader import Loader
from tinyres.data.order import permutation
from tinyres.data.sets import Dataset, Split, from_arrays, hold_out, pixel_mean
from tinyres.kernels.streams import crops_and_flips

__all__ = [
    "Dataset",
    "Loader",
    "Split",
    "crops_and_flips",
    "from_arrays",
    "hold_out",
    "load",
    "locate",
    "names",
    "permutation",
    "pixel_mean",
]
