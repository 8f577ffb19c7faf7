# task: loss.value
# way: probabilities first, then their logarithm
# slip: 1e-7 is added to the probability so that the logarithm does not see 0
# right: top - np.log(total)
# wrong: np.log(np.exp(top) / total + 1e-7)

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("softmax_cross_entropy", "student")
def softmax_cross_entropy(logits, labels, *, out):
    z = logits - logits.max(1, keepdims=True)
    total = np.exp(z).sum(1)
    top = z[range(len(z)), labels]
    out[...] = -(np.log(np.exp(top) / total + 1e-7)).mean()


def softmax_cross_entropy_gradient(dloss, logits, labels, *, out):
    raise NotImplementedError("loss.gradient is not written yet")
