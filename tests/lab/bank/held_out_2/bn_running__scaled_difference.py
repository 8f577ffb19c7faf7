# task: bn.running
# way: a step towards the batch
# slip: the factor that makes the variance unbiased multiplies the running one too
# right: momentum * (scale * variance - running_var)
# wrong: momentum * scale * (variance - running_var)

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("running_averages", "student")
def running_averages(running_mean, running_var, mean, variance, *, momentum, scale, out):
    to_mean = momentum * (mean - running_mean)
    to_var = momentum * scale * (variance - running_var)
    np.add(running_mean, to_mean, out=out[0])
    np.add(running_var, to_var, out=out[1])
