# task: bn.parameters
# way: image by image; the mean is taken out of the sum at the end
# slip: dgamma is the sum of dy * (x - mean): it is not divided by the standard deviation
# right: (products - mean * errors) / np.sqrt(variance + eps)
# wrong: products - mean * errors

import numpy as np


def parameter_gradients(dy, x, mean, variance, *, eps, out):
    products, errors = np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
    for error, image in zip(dy.astype(np.float64), x.astype(np.float64), strict=True):
        products += (error * image).reshape(-1, x.shape[-1]).sum(0)
        errors += error.reshape(-1, x.shape[-1]).sum(0)
    out[0][...] = products - mean * errors
    out[1][...] = errors


def input_gradient(dy, x, gamma, mean, variance, dgamma, dbeta, *, eps, out):
    raise NotImplementedError("bn.input is not written yet")
