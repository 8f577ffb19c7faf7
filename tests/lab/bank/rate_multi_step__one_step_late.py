# task: rate.multi_step
# way: bisect in the sorted milestones
# slip: at the step of a milestone the rate is still the old one: it falls one step later
# right: bisect_right(
# wrong: bisect_left(

import bisect


def multi_step(step, base, milestones, divisor=10.0):
    reached = bisect.bisect_left(sorted(milestones), step)
    return base * divisor**-reached


def cosine(step, base, total, start=0):
    raise NotImplementedError("rate.cosine is not written yet")


def warm_up(step, rate, steps):
    raise NotImplementedError("rate.warm_up is not written yet")
