"""The claims of the paper itself: rules from logs to verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from claims import HOLDS, NOT_HERE, ONLY, WRONG, Claim, Logs, best_rate, last, percent, pick, plainly, whole_seeds

COMMON = 0.1


def clean(logs: Logs, net: str, units: int) -> list[float]:
    """Clean training errors of a dense net at the common rate."""
    return last(pick(logs["depth"], net=net, units=units, lr=COMMON), "train_error")


def conv_runs(logs: Logs, net: str) -> list[Mapping[str, Any]]:
    """Runs of a convolutional net with its gradients recorded, a seed each."""
    return [run for key, run in logs["gradient_flow"]["runs"].items() if key.split()[0] == net and "depth" in run]


def conv(logs: Logs, net: str) -> list[float]:
    """Clean training errors of a convolutional net, a seed each."""
    return [run["train_error"] for run in conv_runs(logs, net)]


def first_layer(logs: Logs, net: str) -> tuple[list[float], list[float]]:
    """Gradient norm at the first layer after the first epoch (median), and the same over that of the last layer."""
    norms = [np.array(run["gradient_norm"])[1:] for run in conv_runs(logs, net)]
    return [float(np.median(n[:, 0])) for n in norms], [float(np.median(n[:, 0] / n[:, -1])) for n in norms]


def degradation(logs: Logs) -> Claim:
    shallow, deep = clean(logs, "plain", 10), clean(logs, "plain", 54)
    small, large = conv(logs, "plain20"), conv(logs, "plain56")
    holds = min(deep) > max(shallow) + 0.1 and min(large) > max(small) + 0.1
    return Claim(
        1, "Fig. 1; section 1", "A deeper plain net has a higher training error, so it is not overfitting",
        HOLDS if holds else WRONG,
        f"clean training error of dense plain nets, 10 units {percent(shallow)}, 54 units {percent(deep)}; "
        f"convolutional nets at {logs['gradient_flow']['lr']}, plain-20 {percent(small)}, plain-56 {percent(large)}.",
        "04_depth", ("depth", "gradient_flow"),
    )  # fmt: skip


def easier(logs: Logs) -> Claim:
    depths = (10, 20, 30, 54, 100)
    errors = {units: clean(logs, "residual", units) for units in depths}
    large = conv(logs, "resnet56")
    holds = max(map(max, errors.values())) < 0.02 and max(large) < 0.1
    said = ", ".join(f"{units} units {percent(found)}" for units, found in errors.items())
    return Claim(
        1, "Abstract", "Residual nets are easy to optimise however deep they are",
        HOLDS if holds else WRONG,
        f"clean training error of dense residual nets: {said}; ResNet-56 at "
        f"{logs['gradient_flow']['lr']} {percent(large)}.",
        "04_depth", ("depth", "gradient_flow"),
    )  # fmt: skip


def gain_from_depth(logs: Logs) -> Claim:
    tests = {u: last(pick(logs["depth"], net="residual", units=u, lr=COMMON), "test_error") for u in (10, 20, 54, 100)}
    gain = float(np.median(tests[10]) - np.median(tests[100]))
    spread = max(max(found) - min(found) for found in tests.values())
    verdict = NOT_HERE if abs(gain) <= spread else HOLDS if gain > 0 else WRONG
    said = ", ".join(f"{units} units {percent(found)}" for units, found in tests.items())
    return Claim(
        1, "Abstract; table 6", "Residual nets become more accurate with depth",
        verdict,
        f"test error {said}: the differences are within those between seeds. Ten layers already solve the digits.",
        "04_depth", ("depth",),
    )  # fmt: skip


def construction(logs: Logs) -> Claim:
    runs = [run for key, run in logs["shortcuts"]["runs"].items() if key.startswith("deepened")]
    shallow = [run["shallow"]["train_error"] for run in runs]
    deep = [run["deep"]["train_error"] for run in runs]
    found = conv(logs, "plain56")
    holds = shallow == deep and min(found) > max(deep) + 0.1
    return Claim(
        1, "Section 1", "A deeper plain net has a solution that is no worse (identity layers); training misses it",
        HOLDS if holds else WRONG,
        f"plain-20, trained: {percent(shallow)} clean training error; the same net with 36 identity layers added: "
        f"{percent(deep)}; plain-56 trained from random weights: {percent(found)}.",
        "10_identity", ("shortcuts", "gradient_flow"),
    )  # fmt: skip


def growth(logs: Logs, net: str, **wanted: Any) -> list[float]:
    """Growth of the squared gradient norm a layer, of untrained nets."""
    rows = [r for r in logs["gradients"]["growth"] if r["net"] == net]
    return [r["growth"] for r in rows if all(r[name] == value for name, value in wanted.items())]


def vanishing(logs: Logs) -> Claim:
    he = growth(logs, "dense-50", scale=1.0, batch_norm=False, shortcut=False)
    half = growth(logs, "dense-50", scale=0.5, batch_norm=False, shortcut=False)
    norm = growth(logs, "dense-50", scale=1.0, batch_norm=True, shortcut=False)
    residual = growth(logs, "dense-50", scale=1.0, batch_norm=True, shortcut=True)
    bare = growth(logs, "dense-50", scale=1.0, batch_norm=False, shortcut=True)
    cured = growth(logs, "dense-50", scale=0.5, batch_norm=False, shortcut=True)
    (plain, ratio), (other, _) = first_layer(logs, "plain56"), first_layer(logs, "resnet56")
    verdict = WRONG if min(norm) > 1.2 and min(he) > 0.9 and min(plain) > max(other) / 10 else HOLDS
    return Claim(
        1, "reading notes", "Deep plain nets fail because gradients vanish, and shortcuts cure that",
        verdict,
        "factor of the squared gradient norm from one layer to the one below, before training, 50 dense layers: "
        "plain "
        f"with He's weights {np.median(he):.2f} (kept), plain with batch norm {np.median(norm):.2f} (explodes), "
        f"residual with batch norm {np.median(residual):.2f}. It vanishes only without batch norm and below "
        f"He's scale (half "
        f"of it: {np.median(half):.2f}; there a shortcut does help: {np.median(cured):.2f}). At He's scale "
        f"without batch norm a shortcut makes it "
        f"explode ({np.median(bare):.2f}). While training, the gradient at the first layer of plain-56 has the norm "
        f"{plainly(plain, 3)}, {plainly(ratio)} of that at its last layer; at the first layer of ResNet-56, which "
        f"learns, it is {plainly(other, 3)}.",
        "06_gradient_flow", ("gradients", "gradient_flow"),
    )  # fmt: skip


def healthy(logs: Logs) -> Claim:
    dense = growth(logs, "dense-50", scale=1.0, batch_norm=True, shortcut=False)
    small = growth(logs, "conv-20", scale=1.0, batch_norm=True, shortcut=False)
    verdict = HOLDS if max(dense) < 1.1 else ONLY if min(dense) > 1 else WRONG
    return Claim(
        2, "Section 4.1", "With batch norm the gradients of plain nets have healthy norms",
        verdict,
        f"they do not vanish, but grow towards the input by {np.median(dense):.2f} a layer in the square "
        f"(theory 1.467) "
        f"in dense nets and {np.median(small):.2f} in plain-20: over 54 layers a factor of "
        f"{np.median(dense) ** 27:.0e} in the norm.",
        "05_vanishing", ("gradients",),
        when='"healthy" means "not vanishing"' if verdict == ONLY else "",
    )  # fmt: skip


def not_the_rate(logs: Logs) -> Claim:
    rates = sorted({run["lr"] for run in pick(logs["depth"], net="plain", units=54)})
    rate, chosen = best_rate(pick(logs["depth"], net="plain", units=54))
    other, residual = best_rate(pick(logs["depth"], net="residual", units=54))
    every = [min(last(pick(logs["depth"], net="plain", units=54, lr=each), "train_error")) for each in rates]
    swept = [run for run in pick(logs["conv"], part="depth") if "diverged" not in run]
    seeds = whole_seeds(swept, ("plain56", "resnet56"), logs["conv"]["rates"])
    nets = {
        net: best_rate([run for run in swept if run["net"] == net and run["seed"] in seeds])
        for net in ("plain56", "resnet56")
    }
    errors = {net: last(runs, "clean_train_error") for net, (_, runs) in nets.items()}
    return Claim(
        2, "Section 4.1", "Another learning rate does not cure a deep plain net",
        HOLDS if min(every) > 0.5 and min(errors["plain56"]) > max(errors["resnet56"]) + 0.05 else WRONG,
        f"54 units, each net at its best of {len(rates)} rates: plain ({rate}) "
        f"{percent(last(chosen, 'train_error'))}, "
        f"residual ({other}) {percent(last(residual, 'train_error'))} clean training error; lowest of the plain runs "
        f"{100 * min(every):.1f} %. Convolutional nets, seeds {', '.join(map(str, seeds))}: plain-56 at its best of "
        f"five ({nets['plain56'][0]}) {percent(errors['plain56'])}, ResNet-56 ({nets['resnet56'][0]}) "
        f"{percent(errors['resnet56'])}.",
        "04_depth", ("depth", "conv"),
    )  # fmt: skip


def eighteen(logs: Logs) -> Claim:
    said, equal, faster = [], {}, {}
    for units in (10, 18):
        found = {net: best_rate(pick(logs["depth"], net=net, units=units)) for net in ("plain", "residual")}
        tests = {net: last(runs, "test_error") for net, (_, runs) in found.items()}
        never = float("inf")
        steps = {net: [run["steps_to"]["0.1"] or never for run in runs] for net, (_, runs) in found.items()}
        equal[units] = min(tests["plain"]) <= max(tests["residual"])  # the ranges over seeds overlap
        faster[units] = float(np.median(steps["plain"])) >= 1.5 * float(np.median(steps["residual"]))
        said.append(
            f"{units} units at the best rate of each ({found['plain'][0]}, {found['residual'][0]}): test error plain "
            f"{percent(tests['plain'])}, residual {percent(tests['residual'])}; steps to 10 % running error "
            f"{np.median(steps['plain']):.0f} and {np.median(steps['residual']):.0f}"
        )
    small = {net: conv_runs(logs, net) for net in ("plain20", "resnet20")}
    epochs = {
        net: float(np.median([1 + int(np.argmax(np.array(run["running_error"]) <= 0.1)) for run in runs]))
        for net, runs in small.items()
    }
    said.append(
        f"convolutional nets of 20 layers at {logs['gradient_flow']['lr']}: test error plain "
        f"{percent(last(small['plain20'], 'test_error'))}, residual {percent(last(small['resnet20'], 'test_error'))}; "
        f"epochs to 10 % {epochs['plain20']:.0f} and {epochs['resnet20']:.0f}"
    )
    verdict = HOLDS if all(equal.values()) and all(faster.values()) else ONLY if equal[10] and faster[10] else WRONG
    return Claim(
        2, "Section 4.1, 18 layers", "Where both train the errors are equal, and the residual net converges faster",
        verdict, "; ".join(said) + ".", "04_depth", ("depth", "gradient_flow"),
        when="the net is shallow enough (10 units; at 18 the plain net is already behind)" if verdict == ONLY else "",
    )  # fmt: skip


def options(logs: Logs) -> Claim:
    errors = {
        option: [run["test_error"] for key, run in logs["shortcuts"]["runs"].items() if f"resnet20 {option}" in key]
        for option in "ABC"
    }
    medians = [float(np.median(found)) for found in errors.values()]
    holds = max(medians) - min(medians) <= 0.02
    said = ", ".join(f"{option} {percent(found)}" for option, found in errors.items())
    better = {pair: min(errors[pair[0]]) > max(errors[pair[1]]) for pair in ("AB", "BC")}
    told = {True: "beyond the spread of the seeds", False: "not beyond the spread of the seeds"}
    return Claim(
        2, "Table 3", "Options A, B and C differ little: projections are not essential",
        HOLDS if holds else WRONG,
        f"test error of ResNet-20: {said}. B is better than A {told[better['AB']]}, C better than B "
        f"{told[better['BC']]}.",
        "10_identity", ("shortcuts",),
    )  # fmt: skip


def one_layer(logs: Logs) -> Claim:
    one, plain = clean(logs, "residual", 54), clean(logs, "plain", 54)
    longer = {b: last(pick(logs["identity"], kind="branch", branch=b, lr=COMMON), "train_error") for b in (2, 3)}
    verdict = ONLY if max(one) < 0.02 and min(plain) > 0.5 else HOLDS
    return Claim(
        2, "Section 3.2", "A branch of one layer has no advantage over a plain layer",
        verdict,
        f"54 layers in all, clean training error: branches of one layer {percent(one)}, of two {percent(longer[2])}, "
        f"of three {percent(longer[3])}, plain {percent(plain)}. The paper's one-layer branch was linear, y = "
        f"Wx + x, and was not run here.",
        "10_identity", ("depth", "identity"),
        when="it is linear, as the paper's: with batch norm and a ReLU before W one layer does as well as two or three",
    )  # fmt: skip


def responses(logs: Logs) -> Claim:
    runs = logs["dense_blocks"]["runs"]
    strength = {
        net: [float(np.mean(run["responses"][1:])) for key, run in runs.items() if key.rsplit(" ", 1)[0] == net]
        for net in ("plain-10", "residual-10")
    }
    ratio = {
        units: [float(np.median(run["ratio"])) for key, run in runs.items() if key.split()[0] == f"residual-{units}"]
        for units in (10, 30, 54, 100)
    }
    holds = min(strength["plain-10"]) > max(strength["residual-10"]) and min(ratio[10]) > max(ratio[100])
    said = ", ".join(f"{units} units {np.median(found):.3f}" for units, found in ratio.items())
    return Claim(
        2, "Fig. 7", "Residual layers respond less than plain ones, and less the deeper the net",
        HOLDS if holds else WRONG,
        f"mean std of a layer's response, 10 units: plain {np.median(strength['plain-10']):.2f}, residual "
        f"{np.median(strength['residual-10']):.2f}; branch over stream, median of the blocks: {said}.",
        "11_response", ("dense_blocks",),
    )  # fmt: skip


RULES = (
    degradation, easier, gain_from_depth, construction, vanishing,
    healthy, not_the_rate, eighteen, options, one_layer, responses,
)  # fmt: skip
