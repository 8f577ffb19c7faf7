# task: rate.cosine
# way: the square of a cosine of half the angle
# slip: the part that is done is divided by the total, not by what lies between start and total
# right: done = min(max((step - start) / (total - start), 0.0), 1.0)
# wrong: done = min(max((step - start) / total, 0.0), 1.0)

import math


def cosine(step, base, total, start=0):
    if step >= total:
        return 0.0
    done = min(max((step - start) / total, 0.0), 1.0)
    return base * math.cos(math.pi / 2 * done) ** 2
