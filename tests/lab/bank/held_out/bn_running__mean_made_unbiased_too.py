# task: bn.running
# way: both averages as the rows of one matrix, and one line for all
# slip: the factor that makes the variance unbiased stands at the mean too
# right: batch = np.stack([mean, variance]) * np.array([[1.0], [scale]])
# wrong: batch = np.stack([mean, variance]) * np.array([[scale], [scale]])

import numpy as np


def running_averages(running_mean, running_var, mean, variance, *, momentum, scale, out):
    batch = np.stack([mean, variance]) * np.array([[scale], [scale]])
    kept = np.stack([running_mean, running_var])
    out[0][...], out[1][...] = np.average([kept, batch], axis=0, weights=[1 - momentum, momentum])
