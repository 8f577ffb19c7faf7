"""What later papers and notes say about residual nets: rules from logs to verdicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from claims import HOLDS, NOT_HERE, ONLY, WRONG, Claim, Logs, last, percent, pick, plainly


def blocks(logs: Logs, log: str, net: str) -> list[dict[str, Any]]:
    """Runs of one net in a log of blocks, a seed each."""
    return [run for key, run in logs[log]["runs"].items() if key.rsplit(" ", 1)[0] == net]


def identity(logs: Logs) -> Claim:
    found = {
        (units, factors): last(
            pick(logs["identity"], kind="factors", shortcut=factors[0], units=units, lr=0.1), "train_error"
        )
        for units in (20, 54)
        for factors in ((0.9, 1.0), (0.5, 0.5))
    }
    whole = {units: last(pick(logs["depth"], net="residual", units=units, lr=0.1), "train_error") for units in (20, 54)}
    deep, shallow = found[54, (0.5, 0.5)], found[20, (0.5, 0.5)]
    fails = min(deep) > max(whole[54]) + 0.1
    verdict = ONLY if fails and max(shallow) < 0.1 else HOLDS if fails else WRONG
    said = "; ".join(
        f"{units} units: identity {percent(whole[units])}, 0.9 h + F {percent(found[units, (0.9, 1.0)])}, 0.5 h "
        f"+ 0.5 F "
        f"{percent(found[units, (0.5, 0.5)])}"
        for units in (20, 54)
    )
    return Claim(
        3, "He et al. 2016, table 1", "The shortcut must be the identity",
        verdict, f"clean training error, {said}.", "10_identity", ("identity", "depth"),
        when="the net is deep, for a factor acts to the power of the depth: 0.9 still works at 54 units, 0.5 does not"
        if verdict == ONLY
        else "",
    )  # fmt: skip


def gates(logs: Logs) -> Claim:
    found = {
        (exclusive, bias): last(runs, "train_error")
        for exclusive in (True, False)
        for bias in (0.0, -6.0)
        if (runs := pick(logs["identity"], kind="gate", exclusive=exclusive, bias=bias))
    }
    half, opened = (
        {exclusive: values for (exclusive, bias), values in found.items() if bias == wanted} for wanted in (0.0, -6.0)
    )
    verdict = ONLY if all(min(half[e]) > max(opened[e]) + 0.05 for e in opened) else NOT_HERE
    where = {True: "a gate on both paths", False: "a gate on the shortcut alone"}
    said = "; ".join(f"{where[e]}, half open at first {percent(half[e])}, open {percent(opened[e])}" for e in opened)
    return Claim(
        3, "He et al. 2016; highway networks", "A gate can stand in for the identity shortcut",
        verdict, f"30 units, clean training error: {said} (biases 0 and -6).", "10_identity", ("identity",),
        when="it begins nearly as the identity" if verdict == ONLY else "",
    )  # fmt: skip


def parts(logs: Logs, net: str) -> tuple[list[float], list[float], float]:
    """Branch's part of the gradient over the shortcut's, median of the blocks: at the start, later; the sum's error."""
    runs = [run for key, run in logs["gradient_flow"]["runs"].items() if key.startswith(net) and "block" in run]
    ratios = [np.array(run["split_branch_norm"]) / np.array(run["split_shortcut_norm"]) for run in runs]
    start, later = ([float(np.median(r[part])) for r in ratios] for part in (slice(0, 1), slice(1, None)))
    return start, later, max(float(np.max(run["split_error"])) for run in runs)


def large_plus_small(logs: Logs) -> Claim:
    start, later, error = parts(logs, "resnet56")
    small_start, small_later, _ = parts(logs, "resnet20")
    verdict = HOLDS if max(start + small_later) < 0.5 else ONLY if max(later) < 0.5 else WRONG
    return Claim(
        3, "reading notes", "A block's gradient is a large part, by the shortcut, plus a small number, by the branch",
        verdict,
        "norm of the branch's part over that of the shortcut's, median of the blocks: ResNet-56 "
        f"{plainly(start)} before training and {plainly(later)} later, ResNet-20 {plainly(small_start)} and "
        f"{plainly(small_later)}. The two sum to the whole within {error:.0e}.",
        "06_gradient_flow", ("gradient_flow",),
        when="the net is deep and training has begun; in ResNet-20 the two parts stay of one size"
        if verdict == ONLY
        else "",
    )  # fmt: skip


def short_paths(logs: Logs) -> Claim:
    runs = blocks(logs, "dense_blocks", "residual-54")
    spans = [run["paths"]["span"][1] for run in runs]
    start = [run["paths_at_start"]["span"][1] for run in runs]
    error = max(run["paths"]["error"] for run in runs)
    return Claim(
        3, "Veit et al. 2016", "The gradient comes through short paths",
        HOLDS if max(spans) <= 15 else WRONG,
        f"residual net of 54 units: 95 % of the norm is in paths through at most {max(spans)} branches after "
        f"training "
        f"({max(start)} before), where the most numerous ones have 27; the parts sum to the gradient within "
        f"{error:.0e}.",
        "08_path_lengths", ("dense_blocks",),
    )  # fmt: skip


def deleting(logs: Logs) -> Claim:
    plain = [min(run["lesions"]["each"]) for run in blocks(logs, "dense_blocks", "plain-10")]
    deep = [
        float(np.median(np.array(run["lesions"]["each"]) - run["lesions"]["whole"]))
        for run in blocks(logs, "dense_blocks", "residual-54")
    ]
    worst = [max(run["lesions"]["each"]) for run in blocks(logs, "dense_blocks", "residual-54")]
    holds = min(plain) > 0.5 and max(map(abs, deep)) <= 0.01
    return Claim(
        3, "Veit et al. 2016", "A residual net hardly notices a missing block, a plain net is lost without any layer",
        HOLDS if holds else WRONG,
        f"test error of plain-10 without its least important layer {percent(plain)}; change in the residual net "
        f"of 54 "
        f"units without one unit, median of the units {percent(deep)}; without its most important one (the "
        f"first) it is "
        f"{percent(worst)}.",
        "09_lesion", ("dense_blocks",),
    )  # fmt: skip


def late_layers(logs: Logs) -> Claim:
    shares = []
    for run in blocks(logs, "dense_blocks", "residual-54"):
        errors = np.array(run["lesions"]["truncate"])
        enough = int(np.flatnonzero(errors <= errors[-1] + 0.01)[0])
        shares.append(enough / (len(errors) - 1))
    verdict = ONLY if max(shares) < 0.9 else WRONG
    return Claim(
        3, "reading notes", "Late layers are useless: of 1,000 only the first 100 matter",
        verdict,
        "cut off all units after the k-th of 54, without training: the test error is back within 1 point once "
        f"{plainly([100 * share for share in shares], 0)} % of the units are kept.",
        "09_lesion", ("dense_blocks",),
        when="the net is deeper than its task needs: then the last units can go, once training is over"
        if verdict == ONLY
        else "",
    )  # fmt: skip


def shattering(logs: Logs) -> Claim:
    def lag1(net: str, units: int) -> list[float]:
        return [r["lag1"] for r in logs["gradients"]["agreement"] if (r["net"], r["units"]) == (net, units)]

    plain, residual = lag1("plain, batch norm", 24), lag1("residual, batch norm", 50)
    bare = lag1("plain, no batch norm", 24)
    verdict = ONLY if max(map(abs, plain)) < 0.2 < 0.5 < min(residual) and min(bare) > 0.5 else NOT_HERE
    return Claim(
        3, "Balduzzi et al. 2017", "Gradients of deep plain nets are white noise, those of residual nets are not",
        verdict,
        f"autocorrelation of neighbouring slopes: plain, batch norm, 24 layers {plainly(plain)}; residual, "
        f"batch norm, "
        f"50 layers {plainly(residual)}; plain without batch norm, 24 layers {plainly(bare)}.",
        "07_shattered", ("gradients",),
        when="there is batch norm: without it the plain net's units stop reacting first" if verdict == ONLY else "",
    )  # fmt: skip


def without_norm(logs: Logs) -> Claim:
    bare, skip, scaled = (
        [run["train_error"] for run in blocks(logs, "dense_blocks", net)]
        for net in ("bare-54", "skipinit-54", "scaled-54")
    )
    ratios = [float(np.median(run["ratio"])) * 54**0.5 for run in blocks(logs, "dense_blocks", "residual-54")]
    holds = min(bare) > 0.8 and max(*skip, *scaled) < 0.05
    return Claim(
        3, "De and Smith 2020", "Batch norm helps a residual net by keeping its branches small; a factor does as well",
        HOLDS if holds else WRONG,
        f"54 units without batch norm, clean training error: no factor {percent(bare)}, factor 1/sqrt(L) "
        f"{percent(scaled)}, SkipInit {percent(skip)}. With batch norm: branch / stream = {plainly(ratios)} / "
        f"sqrt(L).",
        "11_response", ("dense_blocks",),
    )  # fmt: skip


def landscape(logs: Logs) -> Claim:
    rows = logs["dense_curvature"]["eigenvalues"]

    def size(net: str) -> list[float]:
        found = [r for r in rows if (r["net"], r["units"], r["method"]) == (net, 30, "second order")]
        return [max(r["largest"], -r["smallest"]) for r in found]

    def rise(net: str) -> float:
        found = [r for r in logs["dense_curvature"]["slices"] if r["net"] == net]
        return float(np.mean([np.interp([-0.25, 0.25], r["a"], r["loss"]) for r in found]))

    plain, residual = size("plain"), size("residual")
    verdict = HOLDS if min(plain) > 100 * max(residual) else NOT_HERE
    return Claim(
        3, "Li et al. 2018", "Shortcuts make the loss smooth",
        verdict,
        f"largest eigenvalue of the Hessian in size, 30 units, before training: plain {np.median(plain):.1e}, "
        f"residual "
        f"{np.median(residual):.1f}. Slices through trained nets of 20 units are not chaotic, though: loss a "
        f"quarter of "
        f"a filter's length away, plain {rise('plain'):.2f}, residual {rise('residual'):.2f}.",
        "12_curvature", ("dense_curvature",),
    )  # fmt: skip


RULES = (identity, gates, large_plus_small, short_paths, deleting, late_layers, shattering, without_norm, landscape)
