# task: sgd.update
# way: the whole step first, temporaries for both results
# slip: Nesterov's look-ahead goes along the velocity of the step before
# right: decayed + momentum * velocity
# wrong: decayed + momentum * v

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("sgd", "student")
def sgd(w, v, g, *, lr, momentum, weight_decay, nesterov, out):
    decayed = g + weight_decay * w
    velocity = momentum * v + decayed
    step = decayed + momentum * v if nesterov else velocity
    np.subtract(w, lr * step, out=out[0])
    np.copyto(out[1], velocity)
