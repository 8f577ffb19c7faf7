# task: rate.warm_up
# way: a product with a share that is clipped at 1
# slip: the first step gets the rate 0: the share is step / steps instead of (step + 1) / steps
# right: (step + 1) / steps
# wrong: step / steps


def warm_up(step, rate, steps):
    return rate * min(1.0, step / steps) if steps else rate


def multi_step(step, base, milestones, divisor=10.0):
    raise NotImplementedError("rate.multi_step is not written yet")


def cosine(step, base, total, start=0):
    raise NotImplementedError("rate.cosine is not written yet")
