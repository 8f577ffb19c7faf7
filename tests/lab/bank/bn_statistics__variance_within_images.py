# task: bn.statistics
# way: the moments of each image, then those of the batch from them
# slip: the variance is the mean of the images' own variances; how far their means lie apart is missing
# right: inner.mean(0) + means.var(0)
# wrong: inner.mean(0)

import numpy as np


def statistics(x, *, out):
    pixels = x.reshape(len(x), -1, x.shape[-1])
    means = pixels.mean(1, dtype=np.float64)
    inner = np.square(pixels - means[:, None]).mean(1)
    out[0][...] = means.mean(0)
    out[1][...] = inner.mean(0)
