# task: loss.value
# way: a one-hot matrix, logaddexp.reduce, vdot
# slip: the losses of the samples are added, not averaged
# right: np.vdot(onehot, logp) / len(logits)
# wrong: np.vdot(onehot, logp)

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("softmax_cross_entropy", "student")
def softmax_cross_entropy(logits, labels, *, out):
    logp = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    onehot = np.equal.outer(labels, np.arange(logits.shape[1]))
    out[...] = -np.vdot(onehot, logp)


def softmax_cross_entropy_gradient(dloss, logits, labels, *, out):
    raise NotImplementedError("loss.gradient is not written yet")
