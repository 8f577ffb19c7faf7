"""scikit-learn's 1,797 handwritten digits: real data without a download, 8 by 8 pixels, grey values 0 to 16.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998 (its test part).
The split into 1,437 training and 360 test images is drawn once, with seed 0, and is the same everywhere.
"""

from __future__ import annotations

import numpy as np

from tinyres.data.order import split_indices
from tinyres.data.sets import Dataset, Split

TEST_IMAGES = 360
SPLIT_SEED = 0


def load_digits() -> Dataset:
    """Digits as [1437, 8, 8, 1] and [360, 8, 8, 1] bytes, ten classes, scale 1/16."""
    from sklearn import datasets

    bunch = datasets.load_digits()
    every = Split(bunch.images.astype(np.uint8)[..., None], bunch.target.astype(np.int64))
    train, test = split_indices(len(every), TEST_IMAGES, SPLIT_SEED)
    return Dataset("digits", every.take(train), every.take(test), tuple("0123456789"), 1 / 16)
