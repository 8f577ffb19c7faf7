# task: loss.value
# way: np.logaddexp.reduce and the logits at the labels by index
# slip: the index takes for each sample the labels of all samples
# right: right = logits[np.arange(len(labels)), labels]
# wrong: right = logits[:, labels]

import numpy as np


def softmax_cross_entropy(logits, labels, *, out):
    right = logits[:, labels]
    out[...] = np.logaddexp.reduce(logits.astype(np.float64), axis=1).mean() - right.mean(dtype=np.float64)
