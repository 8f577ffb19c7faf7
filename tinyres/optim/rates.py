"""The formulas of the learning-rate schedules: the rate of a step as plain arithmetic, steps counted from 0.

    multi-step  base / divisor^k,  k = number of milestones m with m <= step            (He et al. 2015, section 4.2)
    cosine      base/2 * (1 + cos(pi * (step - start) / (total - start)))               (Loshchilov & Hutter 2016)
    warm-up     rate * (step + 1) / steps  for the first `steps` steps                  (Goyal et al. 2017)

`tinyres.optim.schedules` composes them and remembers what training has shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def multi_step(step: int, base: float, milestones: Sequence[int], divisor: float = 10.0) -> float:
    """`base`, divided by `divisor` once for each milestone that is reached; they stand in any order."""
    # BEGIN SOLUTION rate.multi_step
    # STEP how many milestones are reached: step number m is the first with the lower rate
    passed = sum(milestone <= step for milestone in milestones)
    return base / divisor**passed
    # END SOLUTION


def cosine(step: int, base: float, total: int, start: int = 0) -> float:
    """Half a cosine wave from `base` at step `start` to 0 at step `total`; `base` before it and 0 after it."""
    # BEGIN SOLUTION rate.cosine
    # STEP which part of the way from start to total is done, from 0 to 1
    part = min(max((step - start) / (total - start), 0.0), 1.0)
    return 0.5 * base * (1.0 + math.cos(math.pi * part))
    # END SOLUTION


def warm_up(step: int, rate: float, steps: int) -> float:
    """`rate` times `(step + 1) / steps` for the first `steps` steps, `rate` afterwards; 0 steps: no warm-up."""
    # BEGIN SOLUTION rate.warm_up
    # STEP the first step has rate/steps, not 0, and step number `steps` - 1 has the whole rate
    return rate * (step + 1) / steps if step + 1 < steps else rate
    # END SOLUTION
