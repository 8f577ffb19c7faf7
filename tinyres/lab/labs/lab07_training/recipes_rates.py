"""Known mistakes of the schedules."""

from __future__ import annotations

import math

from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Case


def _first_and_last(case: Case) -> Case:
    """The milestones as if they stood in order, and none after the first one ahead were looked at."""

    def passed(t: int, milestones: list[int]) -> int:
        count = 0
        for m in milestones:
            if m > t:
                break
            count += 1
        return count

    return slip(passed=passed)(case)


MULTI_STEP = (
    told(
        "one step late",
        "a milestone counts from the step after it: step m itself has the lower rate",
        slip(passed=lambda t, milestones: sum(m < t for m in milestones)),
    ),
    told(
        "one step early",
        "a milestone counts one step before it: step m is the first with the lower rate",
        slip(passed=lambda t, milestones: sum(m <= t + 1 for m in milestones)),
    ),
    told(
        "divided at the milestone alone",
        "the rate is divided at the milestone itself and is back afterwards: it stays divided",
        slip(passed=lambda t, milestones: sum(m == t for m in milestones)),
    ),
    told(
        "divided once",
        "the rate is divided once, however many milestones are reached: once for each",
        slip(passed=lambda t, milestones: min(1, sum(m <= t for m in milestones))),
    ),
    told(
        "division accumulates",
        "the rate is divided again at every step after a milestone: each step's rate follows from the base",
        slip(passed=lambda t, milestones: sum(t - m + 1 for m in milestones if m <= t)),
    ),
    told(
        "in order only",
        "the milestones are looked at up to the first that is ahead: they stand in any order",
        _first_and_last,
    ),
    told(
        "divisor times the number",
        "the base is divided by divisor * k: by divisor to the power k",
        slip(divided=lambda base, divisor, passed: base / (divisor * passed) if passed else base),
    ),
    told("never divided", "the rate stays the base", slip(passed=lambda t, milestones: 0)),
    told("always 10", "the divisor is taken for 10", slip(divided=lambda base, divisor, passed: base / 10.0**passed)),
    told(
        "multiplied",
        "the base is multiplied by the divisor: it is divided",
        slip(divided=lambda base, divisor, passed: base * divisor**passed),
    ),
    told(
        "step times milestones",
        "the milestones that are still ahead are counted",
        slip(passed=lambda t, milestones: sum(m > t for m in milestones)),
    ),
)

COSINE = (
    told(
        "start forgotten",
        "the wave begins at step 0: it begins at `start`",
        slip(part=lambda t, start, total: t / total),
    ),
    told(
        "way from step 0",
        "after `start`, the way is step / total: it is measured from `start`, and total - start long",
        slip(part=lambda t, start, total: t / total if t > start else 0.0),
    ),
    told(
        "way from step 0, at the start too",
        "from `start` on, the way is step / total: it is measured from `start`, and total - start long",
        slip(part=lambda t, start, total: t / total if t >= start else 0.0),
    ),
    told(
        "length from 0",
        "the way is (step - start) / total: it is total - start long",
        slip(part=lambda t, start, total: (t - start) / total if t <= total else 1.0),
    ),
    told(
        "start not taken from the step",
        "the way is step / (total - start): start is taken from the step as well",
        slip(part=lambda t, start, total: t / (total - start) if start <= t < total else float(t >= total)),
    ),
    told(
        "one step ahead",
        "the way is that of the next step: step `start` has the whole base",
        slip(part=lambda t, start, total: (t + 1 - start) / (total - start)),
    ),
    told(
        "up again",
        "the wave goes on after `total`: the rate stays 0 there",
        slip(clip=lambda part: max(part, 0.0)),
    ),
    told(
        "down before the start",
        "the wave runs before `start` too: the rate is the base there",
        slip(clip=lambda part: min(part, 1.0)),
    ),
    told("not bounded", "the wave runs before `start` and after `total`", slip(clip=lambda part: part)),
    told("constant", "the rate stays the base", slip(wave=lambda part: 1.0)),
    told(
        "not halved",
        "1 + cos is not halved: the base is its largest value",
        slip(wave=lambda part: 1 + math.cos(math.pi * part)),
    ),
    told("1 forgotten", "the wave is cos alone, which goes below 0", slip(wave=lambda part: math.cos(math.pi * part))),
    told(
        "quarter wave",
        "the wave is cos of a quarter turn: it is half a turn, raised and halved",
        slip(wave=lambda part: math.cos(math.pi * part / 2)),
    ),
    told(
        "whole wave",
        "the wave is a whole turn, which is back at the base",
        slip(wave=lambda part: 0.5 * (1 + math.cos(2 * math.pi * part))),
    ),
    told("pi forgotten", "pi is left out of the cosine", slip(wave=lambda part: 0.5 * (1 + math.cos(part)))),
    told("straight line", "the rate falls on a straight line", slip(wave=lambda part: 1 - part)),
    told("upwards", "the rate rises from 0 to the base", slip(wave=lambda part: 0.5 * (1 - math.cos(math.pi * part)))),
)

WARM_UP = (
    told(
        "from 0",
        "the ramp is step / steps: the first step has rate / steps, or nothing would be learned in it",
        slip(ramp=lambda t, steps: t / steps),
    ),
    told(
        "one step too long",
        "step number `steps` is still warming up, above the rate: the ramp has `steps` steps",
        slip(warm=lambda t, steps: steps > 0 and t <= steps),
    ),
    told(
        "by steps + 1",
        "the ramp is (step + 1) / (steps + 1): its last step has the whole rate",
        slip(ramp=lambda t, steps: (t + 1) / (steps + 1)),
    ),
    told(
        "by steps - 1",
        "the ramp is step / (steps - 1): the first step has rate / steps",
        slip(ramp=lambda t, steps: t / max(steps - 1, 1)),
    ),
    told("never ends", "the ramp goes on after `steps` steps", slip(warm=lambda t, steps: steps > 0)),
    told("no warm-up", "there is no warm-up", slip(warm=lambda t, steps: False)),
    told(
        "constant",
        "the warm-up has the rate / steps all along: it rises with the step",
        slip(ramp=lambda t, steps: 1 / steps),
    ),
    told("a tenth", "the warm-up is a tenth of the rate: it rises with the step", slip(ramp=lambda t, steps: 0.1)),
    told("downwards", "the ramp falls from the rate", slip(ramp=lambda t, steps: 1 - t / steps)),
    told("square", "the ramp is a square", slip(ramp=lambda t, steps: ((t + 1) / steps) ** 2)),
)
