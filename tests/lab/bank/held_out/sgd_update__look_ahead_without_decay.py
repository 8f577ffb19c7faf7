# task: sgd.update
# way: the new velocity and the direction as matrices times the stacked (w, v, g)
# slip: Nesterov's direction has the gradient without the weight decay
# right: direction = fresh + momentum * faster if nesterov else faster
# wrong: direction = np.array([0.0, 0.0, 1.0]) + momentum * faster if nesterov else faster

import numpy as np


def sgd(w, v, g, *, lr, momentum, weight_decay, nesterov, out):
    stacked = np.stack([w, v, g]).astype(np.float64)
    fresh = np.array([weight_decay, 0.0, 1.0])
    faster = fresh + np.array([0.0, momentum, 0.0])
    direction = np.array([0.0, 0.0, 1.0]) + momentum * faster if nesterov else faster
    step = np.array([1.0, 0.0, 0.0]) - lr * direction
    out[0][...], out[1][...] = np.tensordot(np.stack([step, faster]), stacked, axes=1)
