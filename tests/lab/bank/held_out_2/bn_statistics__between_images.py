# task: bn.statistics
# way: each image's mean and variance, put together
# slip: the variance of the images' means is forgotten
# right: within.mean(0) + ((means - middle) ** 2).mean(0)
# wrong: within.mean(0)


def statistics(x, *, out):
    mean, variance = out
    pixels = x.reshape(len(x), -1, x.shape[-1]).astype(float)
    means = pixels.mean(1)
    within = ((pixels - means[:, None]) ** 2).mean(1)
    middle = means.mean(0)
    mean[...] = middle
    variance[...] = within.mean(0)
