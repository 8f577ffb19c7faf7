# task: sgd.update
# way: a loop over single parameters
# slip: Nesterov's step uses the gradient without the decay of the weights
# right: else d + momentum * u
# wrong: else c + momentum * u

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("sgd", "student")
def sgd(w, v, g, *, lr, momentum, weight_decay, nesterov, out):
    ws, vs = np.empty_like(w), np.empty_like(v)
    for k, (a, b, c) in enumerate(zip(w.ravel(), v.ravel(), g.ravel(), strict=True)):
        d = c + weight_decay * a
        u = momentum * b + d
        step = u if not nesterov else c + momentum * u
        ws.flat[k], vs.flat[k] = a - lr * step, u
    out[0][...], out[1][...] = ws, vs
