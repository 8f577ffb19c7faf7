# task: rate.cosine
# way: the square of a cosine of half the angle
# slip: the way is measured from step 0 instead of from start
# right: (step - start) / (total - start)
# wrong: step / total

import math


def cosine(step, base, total, start=0):
    if step <= start or step >= total:
        return base if step <= start else 0.0
    way = step / total
    return base * math.cos(math.pi * way / 2) ** 2


def multi_step(step, base, milestones, divisor=10.0):
    raise NotImplementedError("rate.multi_step is not written yet")


def warm_up(step, rate, steps):
    raise NotImplementedError("rate.warm_up is not written yet")
