# task: bn.statistics
# way: image by image, moments merged as they come (Chan et al.)
# slip: when two groups are merged, the square of the distance of their means is weighted by the new group alone
# right: m2 += ((part - fresh) ** 2).sum(0) + distance**2 * seen * count / (seen + count)
# wrong: m2 += ((part - fresh) ** 2).sum(0) + distance**2 * count

import numpy as np


def statistics(x, *, out):
    mean, variance = out
    seen, centre, m2 = 0, np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
    for image in x:
        part = image.reshape(-1, x.shape[-1]).astype(np.float64)
        count, fresh = len(part), part.mean(0)
        distance = fresh - centre
        m2 += ((part - fresh) ** 2).sum(0) + distance**2 * count
        centre = centre + distance * count / (seen + count)
        seen += count
    mean[...], variance[...] = centre, m2 / seen
