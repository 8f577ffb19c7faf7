# task: sgd.update
# way: an interpolation between velocity and gradient
# slip: the velocity is a running average: the gradient enters with 1 - momentum, as in Adam, instead of whole
# right: velocity = momentum * v + gradient
# wrong: velocity = momentum * v + (1 - momentum) * gradient

from tinyres.kernels.registry import kernel


@kernel("sgd", "student")
def sgd(w, v, g, *, lr, momentum, weight_decay, nesterov, out):
    gradient = g + weight_decay * w
    velocity = momentum * v + (1 - momentum) * gradient
    ahead = momentum * velocity + gradient
    step = ahead if nesterov else velocity
    new_w = w - lr * step
    out[0][...], out[1][...] = new_w, velocity
