"""The claims about the recipe: schedule, warm-up, augmentation, dropout. Rules from logs to verdicts."""

from __future__ import annotations

import numpy as np
from claims import HOLDS, NOT_HERE, ONLY, WRONG, Claim, Logs, last, percent, pick


def late_drops(logs: Logs) -> Claim:
    tests, trains = (
        {drop: last(pick(logs["recipe"], net="plain", part="schedule", drop=drop), name) for drop in (0.05, 0.25, 0.75)}
        for name in ("test_error", "train_error")
    )
    residual = {
        drop: last(pick(logs["recipe"], net="residual", part="schedule", drop=drop), "test_error")
        for drop in (0.05, 0.25, 0.75)
    }
    slow = float(np.median(tests[0.05]) - np.median(tests[0.75])) > 0.01
    easy = float(np.median(residual[0.05]) - np.median(residual[0.75])) > 0.01
    verdict = HOLDS if slow and easy else ONLY if slow else WRONG
    return Claim(
        2, "Section 3.4; reading notes", "Do not lower the learning rate too early",
        verdict,
        f"the rate divided by 10 after 5, 25 and 75 % of 15 epochs: plain, 18 units, test error "
        f"{percent(tests[0.05])}, "
        f"{percent(tests[0.25])}, {percent(tests[0.75])} (clean training error {percent(trains[0.05])}, "
        f"{percent(trains[0.25])}, {percent(trains[0.75])}); residual, 20 units, test error "
        f"{percent(residual[0.05])}, "
        f"{percent(residual[0.25])}, {percent(residual[0.75])}.",
        "14_recipe", ("recipe",),
        when="the net learns slowly: for the residual net one epoch at the high rate is enough"
        if verdict == ONLY
        else "",
    )  # fmt: skip


def any_drop(logs: Logs) -> Claim:
    nets = ("plain", "residual")
    found = {
        (net, drop): last(pick(logs["recipe"], net=net, part="schedule", drop=drop), "train_error")
        for net in nets
        for drop in (0.75, 1.0, "cosine")
    }
    better = [float(np.median(found[net, 1.0]) - np.median(found[net, 0.75])) for net in nets]
    equal = [abs(float(np.median(found[net, "cosine"]) - np.median(found[net, 0.75]))) for net in nets]
    verdict = HOLDS if better[0] > 0.01 and max(equal) < 0.05 else NOT_HERE
    said = "; ".join(
        f"{net}: divided at 75 % {percent(found[net, 0.75])}, cosine {percent(found[net, 'cosine'])}, constant "
        f"{percent(found[net, 1.0])}"
        for net in nets
    )
    return Claim(
        2, "Section 4.2; later practice", "Lowering the rate at the end matters, its exact shape hardly",
        verdict, f"clean training error after 15 epochs, {said}.", "14_recipe", ("recipe",),
    )  # fmt: skip


def augmentation(logs: Logs) -> Claim:
    said, above, clean_above = [], [], []
    for net, units in logs["recipe"]["nets"].items():
        runs = pick(logs["recipe"], net=net, part="augmentation")
        running, clean, validation = (last(runs, f"{name}_error") for name in ("running", "train", "validation"))
        above.append(float(np.median(running)) > float(np.median(validation)))
        clean_above.append(float(np.median(clean)) > float(np.median(validation)))
        said.append(
            f"{net}, {units} units, last epoch: running {percent(running)}, clean {percent(clean)}, validation "
            f"{percent(validation)}"
        )
    verdict = ONLY if any(above) and not all(clean_above) else WRONG if not any(above) else HOLDS
    which = [net for net, higher in zip(logs["recipe"]["nets"], above, strict=True) if higher]
    return Claim(
        2, "Figures 4 and 6; reading notes", "With augmentation the training error lies above the validation error",
        verdict, "; ".join(said) + " (digits moved by up to one pixel).", "14_recipe", ("recipe",),
        when=f"the training error is the running one, on augmented batches ({' and '.join(which)} net here); the clean "
        "one is below"
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
    verdict = HOLDS if float(np.median(clean["none"])) > float(np.median(clean["paper"])) + 0.1 else NOT_HERE
    return Claim(
        2, "Section 4.2, 110 layers", "ResNet-110 needs a warm-up at a small rate before 0.1",
        verdict,
        f"12 epochs on digits, {len(clean['paper'])} seeds: clean training error with the paper's warm-up "
        f"{percent(clean['paper'])}, without {percent(clean['none'])}; test error {percent(tests['paper'])} and "
        f"{percent(tests['none'])}. (The paper says that without it training starts late, and arrives at the same.)",
        "14_recipe", ("conv",),
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
