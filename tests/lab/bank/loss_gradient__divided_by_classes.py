# task: loss.gradient
# way: a one-hot matrix from np.eye
# slip: the mean divides by the number of classes instead of by that of samples
# right: / logits.shape[0]
# wrong: / logits.shape[1]

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("softmax_cross_entropy_gradient", "student")
def softmax_cross_entropy_gradient(dloss, logits, labels, *, out):
    e = np.exp(logits - logits.max(axis=1)[:, None])
    p = e / np.einsum("nk->n", e)[:, None]
    out[...] = dloss * (p - np.eye(logits.shape[1])[labels]) / logits.shape[1]


def softmax_cross_entropy(logits, labels, *, out):
    raise NotImplementedError("loss.value is not written yet")
