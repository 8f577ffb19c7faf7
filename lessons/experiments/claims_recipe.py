"""The claims about the recipe: schedule, warm-up, augmentation, dropout. Rules from logs to verdicts."""

from __future__ import annotations

import numpy as np
from claims import HOLDS, NOT_HERE, ONLY, WRONG, Claim, Logs, last, percent, pick


def above(higher: list[float], lower: list[float]) -> bool:
    """Whether the ranges over the seeds do not overlap."""
    return min(higher) > max(lower)


def schedule(logs: Logs, net: str, drop: float | str, error: str) -> list[float]:
    """An error at the end of the runs with one schedule."""
    return last(pick(logs["recipe"], net=net, part="schedule", drop=drop), error)


def late_drops(logs: Logs) -> Claim:
    tests = {
        (net, drop): schedule(logs, net, drop, "test_error")
        for net in ("residual", "plain")
        for drop in (0.05, 0.25, 0.75)
    }
    first, quarter = (above(tests["residual", drop], tests["residual", 0.75]) for drop in (0.05, 0.25))
    verdict = HOLDS if first and quarter else ONLY if first else NOT_HERE
    said = "; ".join(
        f"{net} {percent(tests[net, 0.05])}, {percent(tests[net, 0.25])}, {percent(tests[net, 0.75])}"
        for net in ("residual", "plain")
    )
    return Claim(
        2, "Section 3.4; reading notes", "Do not lower the learning rate too early",
        verdict,
        f"test error with the rate divided by 10 after 5, 25 and 75 % of 15 epochs, {said}. Between the seeds of the "
        "plain net (18 units) the differences are too large to tell.",
        "14_recipe", ("recipe",),
        when='"too early" is the first epoch: for the residual net (20 units) a quarter of the steps is late enough'
        if verdict == ONLY
        else "",
    )  # fmt: skip


def any_drop(logs: Logs) -> Claim:
    drops: dict[float | str, str] = {0.75: "divided by 10 at 75 %", "cosine": "cosine", 1.0: "constant"}
    running, tests = (
        {drop: schedule(logs, "residual", drop, name) for drop in drops} for name in ("running_error", "test_error")
    )
    lower = above(running[1.0], running[0.75]) and above(running[1.0], running["cosine"])
    same = abs(float(np.median(tests["cosine"]) - np.median(tests[0.75]))) <= 0.01
    said = "; ".join(f"{name} {percent(running[drop])} and {percent(tests[drop])}" for drop, name in drops.items())
    return Claim(
        2, "Section 4.2; later practice", "Lowering the rate at the end calms training; steps or cosine is the same",
        HOLDS if lower and same else NOT_HERE,
        f"residual net of 20 units, running training error and test error: {said}.",
        "14_recipe", ("recipe",),
    )  # fmt: skip


def augmentation(logs: Logs) -> Claim:
    said, running_above, clean_above = [], [], []
    for net, units in logs["recipe"]["nets"].items():
        runs = pick(logs["recipe"], net=net, part="augmentation")
        running, clean, validation = (last(runs, f"{name}_error") for name in ("running", "train", "validation"))
        running_above.append(above(running, validation))
        clean_above.append(above(clean, validation))
        said.append(
            f"{net}, {units} units, last epoch: running {percent(running)}, clean {percent(clean)}, validation "
            f"{percent(validation)}"
        )
    verdict = WRONG if not all(running_above) else HOLDS if all(clean_above) else ONLY
    return Claim(
        2, "Figures 4 and 6; reading notes", "With augmentation the training error lies above the validation error",
        verdict, "; ".join(said) + " (digits moved by up to one pixel).", "14_recipe", ("recipe",),
        when="the training error is the running one, on augmented batches: the clean one does not"
        if verdict == ONLY
        else "",
    )  # fmt: skip


def dropout(logs: Logs) -> Claim:
    without = last(pick(logs["recipe"], net="residual", part="schedule", drop=0.75), "test_error")
    found = {p: last(pick(logs["recipe"], part="dropout", p=p), "test_error") for p in (0.2, 0.5)}
    gain = float(np.median(without)) - min(float(np.median(values)) for values in found.values())
    verdict = HOLDS if gain <= 0.005 else WRONG
    said = ", ".join(f"with p = {p} {percent(values)}" for p, values in found.items())
    return Claim(
        2, "Section 3.4", "Dropout is not needed beside batch norm",
        verdict, f"test error of the residual net of 20 units: without {percent(without)}, {said}.",
        "14_recipe", ("recipe",),
    )  # fmt: skip


def warm_up(logs: Logs) -> Claim:
    found = {w: pick(logs["conv"], part="warm-up", warmup=w) for w in ("paper", "none")}
    clean = {w: last(runs, "clean_train_error") for w, runs in found.items()}
    tests = {w: last(runs, "test_error") for w, runs in found.items()}
    ends = {w: {run["seed"]: run["clean_train_error"][-1] for run in runs} for w, runs in found.items()}
    seeds = sorted(ends["paper"].keys() & ends["none"].keys())
    fine = [seed for seed in seeds if ends["none"][seed] <= ends["paper"][seed] + 0.05]
    verdict = HOLDS if not fine else ONLY if len(fine) < len(seeds) else NOT_HERE
    return Claim(
        2, "Section 4.2, 110 layers", "ResNet-110 needs a warm-up at a small rate before 0.1",
        verdict,
        f"12 epochs on digits, {len(clean['paper'])} seeds: clean training error with the paper's warm-up "
        f"{percent(clean['paper'])}, without {percent(clean['none'])}; test error {percent(tests['paper'])} and "
        f"{percent(tests['none'])}. (The paper says that without it training starts late, and arrives at the same.)",
        "14_recipe", ("conv",),
        when=f"the first weights are unlucky: with seed {', '.join(map(str, fine))} it trains as well without"
        if verdict == ONLY
        else "",
    )  # fmt: skip


def too_deep(logs: Logs) -> Claim:
    found = {u: pick(logs["depth"], net="residual", units=u, lr=0.1) for u in (54, 100)}
    tests, trains = ({u: last(runs, name) for u, runs in found.items()} for name in ("test_error", "train_error"))
    worse = float(np.median(tests[100]) - np.median(tests[54]))
    verdict = HOLDS if worse > 0.005 and max(trains[100]) < 0.02 else NOT_HERE
    return Claim(
        2, "Section 4.2, 1202 layers", "A far too deep residual net still trains, but overfits",
        verdict,
        f"dense residual nets of 54 and 100 units: clean training error {percent(trains[54])} and "
        f"{percent(trains[100])}, test error {percent(tests[54])} and {percent(tests[100])}. It trains; "
        f"overfitting by "
        "depth is not seen.",
        "04_depth", ("depth",),
    )  # fmt: skip


RULES = (late_drops, any_drop, augmentation, dropout, warm_up, too_deep)
