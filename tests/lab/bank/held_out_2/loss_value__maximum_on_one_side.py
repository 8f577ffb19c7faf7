# task: loss.value
# way: logaddexp, row by row
# slip: the largest logit is taken away in the sum of exponentials, but not at the label
# right: - z[label]
# wrong: - row[label]

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("softmax_cross_entropy", "student")
def softmax_cross_entropy(logits, labels, *, out):
    losses = []
    for row, label in zip(logits.astype(float), labels, strict=True):
        z = row - max(row)
        losses.append(np.logaddexp.reduce(z) - row[label])
    out[...] = sum(losses) / len(losses)
