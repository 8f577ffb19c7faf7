# task: bn.running
# way: a step towards the batch: running + momentum * (batch - running)
# slip: the difference to the running variance is made unbiased instead of the batch's variance
# right: momentum * (scale * variance - running_var)
# wrong: momentum * scale * (variance - running_var)

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("running_averages", "student")
def running_averages(running_mean, running_var, mean, variance, *, momentum, scale, out):
    np.copyto(out[0], running_mean + momentum * (mean - running_mean))
    np.copyto(out[1], running_var + momentum * scale * (variance - running_var))
