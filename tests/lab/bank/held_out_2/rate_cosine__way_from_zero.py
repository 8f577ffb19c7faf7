# task: rate.cosine
# way: the square of a sine, the way clipped
# slip: the way from start to total is taken to be total steps long
# right: (step - start) / (total - start)
# wrong: (step - start) / total

import math


def cosine(step, base, total, start=0):
    if step >= total:
        return 0.0
    way = max(0.0, (step - start) / total)
    return base * math.sin(math.pi / 2 * (1 - way)) ** 2
