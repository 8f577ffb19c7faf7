"""More known mistakes of the schedules: counts, lengths, waves and ramps of another form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Recipe


def _passed(name: str, sentence: str, passed: Callable[[int, list[int]], int]) -> Recipe:
    return told(name, sentence, slip(passed=passed))


def _divided(name: str, sentence: str, divided: Callable[[float, float, int], float]) -> Recipe:
    return told(name, sentence, slip(divided=divided))


MORE_MULTI_STEP = (
    _passed(
        "first milestone only", "only the first milestone of the list counts", lambda t, ms: sum(m <= t for m in ms[:1])
    ),
    _passed(
        "last milestone only", "only the last milestone of the list counts", lambda t, ms: sum(m <= t for m in ms[-1:])
    ),
    _passed(
        "last left out", "the last milestone of the list does not count", lambda t, ms: sum(m <= t for m in ms[:-1])
    ),
    _passed(
        "first left out", "the first milestone of the list does not count", lambda t, ms: sum(m <= t for m in ms[1:])
    ),
    _passed(
        "two steps late",
        "a milestone counts two steps after it: step m itself has the lower rate",
        lambda t, ms: sum(m + 2 <= t for m in ms),
    ),
    _passed(
        "after all milestones",
        "nothing is divided before the last milestone",
        lambda t, ms: len(ms) * (t >= max(ms, default=0)),
    ),
    _passed(
        "each multiple", "the rate is divided at each multiple of a milestone", lambda t, ms: sum(t // m for m in ms)
    ),
    _passed(
        "all at once",
        "each milestone that is reached divides by as many as there are",
        lambda t, ms: len(ms) * (t >= min(ms, default=0)),
    ),
    _divided(
        "divided from the start",
        "the rate is divided once before any milestone",
        lambda base, d, k: base / d ** (k + 1),
    ),
    _divided(
        "power exchanged",
        "the base is divided by k to the power divisor: by divisor to the power k",
        lambda base, d, k: base / max(k, 1) ** d,
    ),
    _divided(
        "divided by the number",
        "the base is divided by 1 + k: by divisor to the power k",
        lambda base, d, k: base / (1 + k),
    ),
    _divided(
        "subtracted",
        "base / divisor is subtracted for each milestone: the base is divided",
        lambda base, d, k: base - k * base / d,
    ),
    _divided("divisor squared", "the divisor is squared", lambda base, d, k: base / d ** (2 * k)),
    _divided("base forgotten", "the base is left out: it is what is divided", lambda base, d, k: 1 / d**k),
)


def _part(name: str, sentence: str, part: Callable[[int, int, int], float]) -> Recipe:
    return told(name, sentence, slip(part=part))


def _wave(name: str, sentence: str, wave: Callable[[float], float]) -> Recipe:
    return told(name, sentence, slip(wave=wave))


def _clip(name: str, sentence: str, clip: Callable[[float], float]) -> Recipe:
    return told(name, sentence, slip(clip=clip))


MORE_COSINE = (
    _part(
        "one step behind",
        "the way is that of the step before: step `start` has the whole base, step `total` 0",
        lambda t, a, b: (t - 1 - a) / (b - a),
    ),
    _part(
        "length less 1", "the way is total - start - 1 long: total - start", lambda t, a, b: (t - a) / max(b - a - 1, 1)
    ),
    _part("length plus 1", "the way is total - start + 1 long: total - start", lambda t, a, b: (t - a) / (b - a + 1)),
    _part(
        "start added to the length", "the way is total + start long: total - start", lambda t, a, b: (t - a) / (b + a)
    ),
    _part(
        "total after the start",
        "`total` is counted from `start`: both are counted from step 0",
        lambda t, a, b: (t - a) / b,
    ),
    _part("start added to the step", "start is added to the step: it is subtracted", lambda t, a, b: (t + a) / (b - a)),
    _part(
        "whole numbers", "the way is a division of whole numbers, 0 until `total`", lambda t, a, b: (t - a) // (b - a)
    ),
    _part(
        "way turned over",
        "the way is (total - start) / (step - start): the other way round",
        lambda t, a, b: (b - a) / (t - a) if t != a else 0.0,
    ),
    _clip(
        "0 before the start",
        "the rate is 0 before `start`: it is the base",
        lambda part: 1.0 if part < 0 else min(part, 1.0),
    ),
    _clip(
        "base after the end",
        "the rate is the base after `total`: it stays 0",
        lambda part: 0.0 if part > 1 else max(part, 0.0),
    ),
    _clip(
        "begins again",
        "the wave begins again after `total`: the rate stays 0",
        lambda part: part % 1 if part > 1 else max(part, 0.0),
    ),
    _wave(
        "degrees",
        "the cosine is given degrees: 180 * way where pi * way is meant",
        lambda p: 0.5 * (1 + math.cos(180 * p)),
    ),
    _wave(
        "radians taken for degrees",
        "the angle is turned into radians once more",
        lambda p: 0.5 * (1 + math.cos(math.radians(math.pi * p))),
    ),
    _wave("sine", "sine stands for cosine", lambda p: 0.5 * (1 + math.sin(math.pi * p))),
    _wave("squared", "the wave is squared", lambda p: (0.5 * (1 + math.cos(math.pi * p))) ** 2),
    _wave("quarter, raised", "the angle goes up to pi/2: to pi", lambda p: 0.5 * (1 + math.cos(math.pi * p / 2))),
    _wave("magnitude", "the wave is |cos|: half of 1 + cos", lambda p: abs(math.cos(math.pi * p))),
    _wave("half a cosine", "the wave is half a cosine without the 1", lambda p: 0.5 * math.cos(math.pi * p)),
    _wave("1 not halved", "only the cosine is halved: 1 + cos is", lambda p: 1 + 0.5 * math.cos(math.pi * p)),
    _wave("half added", "1/2 is added to the cosine: half of 1 + cos", lambda p: 0.5 + math.cos(math.pi * p)),
    _wave("1 subtracted", "1 is subtracted from the cosine: it is added", lambda p: 0.5 * (math.cos(math.pi * p) - 1)),
    _wave("parabola", "the rate falls on a parabola", lambda p: (1 - p) ** 2),
)


def _ramp(name: str, sentence: str, ramp: Callable[[int, int], Any]) -> Recipe:
    return told(name, sentence, slip(ramp=ramp))


MORE_WARM_UP = (
    _ramp("whole numbers", "the ramp is a division of whole numbers: 0 until its last step", lambda t, n: (t + 1) // n),
    _ramp("zero", "the rate is 0 while warming up: it rises with the step", lambda t, n: 0.0),
    _ramp("turned over", "the ramp is steps / (step + 1): the other way round", lambda t, n: n / (t + 1)),
    _ramp("root", "the ramp is a root", lambda t, n: math.sqrt((t + 1) / n)),
    _ramp("wave", "the ramp is half a wave: a straight line", lambda t, n: 0.5 * (1 - math.cos(math.pi * (t + 1) / n))),
    _ramp("from 0 by steps + 1", "the ramp is step / (steps + 1): (step + 1) / steps", lambda t, n: t / (n + 1)),
    _ramp("one step ahead", "the ramp is that of the next step: (step + 1) / steps", lambda t, n: (t + 2) / n),
    _ramp("not divided", "the ramp is step + 1: it is divided by `steps`", lambda t, n: t + 1),
    _ramp("from half", "the ramp begins at half the rate: at rate / steps", lambda t, n: 0.5 + 0.5 * (t + 1) / n),
    _ramp("added", "the ramp is added to the whole rate: it multiplies it", lambda t, n: 1 + (t + 1) / n),
    told(
        "rate forgotten",
        "the ramp is not multiplied by the rate",
        lambda case: slip(ramp=lambda t, n: (t + 1) / n / case.params["rate"])(case),
    ),
    told(
        "zero afterwards",
        "the rate is 0 after the warm-up: it is the whole one",
        slip(ramp=lambda t, n: (t + 1) / n if t < n else 0.0, warm=lambda t, n: True),
    ),
)
