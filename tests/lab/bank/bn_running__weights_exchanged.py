# task: bn.running
# way: np.average of the two with weights
# slip: momentum is the part of the old average that is kept, instead of the part that the batch gets
# right: weights=[1 - momentum, momentum]
# wrong: weights=[momentum, 1 - momentum]

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("running_averages", "student")
def running_averages(running_mean, running_var, mean, variance, *, momentum, scale, out):
    old, new = np.stack([running_mean, running_var]), np.stack([mean, variance * scale])
    both = np.average([old, new], axis=0, weights=[momentum, 1 - momentum])
    out[0][...], out[1][...] = both
