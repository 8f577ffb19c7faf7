# task: sgd.update
# way: decay and step apart from each other
# slip: the decay shrinks the weights beside the velocity (as AdamW does) instead of entering the gradient
# right: np.copyto(u, momentum * v + g + decay)
# wrong: np.copyto(u, momentum * v + g)
# right: lr * (g + decay + momentum * u if nesterov else u)
# wrong: lr * ((g + momentum * u if nesterov else u) + decay)

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("sgd", "student")
def sgd(w, v, g, *, lr, momentum, weight_decay, nesterov, out):
    decay = weight_decay * w
    u = np.empty_like(v)
    np.copyto(u, momentum * v + g)
    np.copyto(out[0], w - lr * ((g + momentum * u if nesterov else u) + decay))
    np.copyto(out[1], u)
