# task: flow.norms
# way: two lists that grow, one forward and one from the end
# slip: a layer's gradient is taken at what came out of the layer, not at what went in
# right: for h, w in zip(states[-2::-1], weights[::-1], strict=False):
# wrong: for h, w in zip(states[::-1], weights[::-1], strict=False):

import numpy as np


def gradient_norms(x, weights, dy, forward, backward, *, shortcut):
    states = [x]
    for w in weights:
        states.append(forward(states[-1], w) + (states[-1] if shortcut else 0))
    gradients = [dy]
    for h, w in zip(states[::-1], weights[::-1], strict=False):
        gradients.append(backward(gradients[-1], h, w) + (gradients[-1] if shortcut else 0))
    return np.array([np.linalg.norm(gradient) for gradient in reversed(gradients)])
