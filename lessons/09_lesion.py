# %% [markdown]
r"""
Taking layers out of a trained net
==================================

**Question.** What happens if one layer of a trained net is removed, without any further training?

In a plain net each layer hands its result to the next. Take one away, and the next receives something that it has never
seen. A residual block adds to a stream,

$$h_{l + 1} = h_l + F_l(h_l)$$

so without $F_l$ the next block still receives $h_l$, which is most of what it expects. Veit et al. (2016) removed
blocks from trained nets and found just this difference: VGG falls to chance whichever layer is lost, ResNet-110 hardly
notices.

Four operations, all on trained nets, all measured by the error on the test images:

- *delete each* block alone; in a plain net the identity takes the layer's place
- *delete k* blocks drawn at random
- *truncate*: keep the first k blocks, delete all that follow
- *shuffle*: exchange blocks of equal shape

**What to expect.** No layer of a plain net can be missed. Of a deep residual net most blocks can, but the first cannot;
error grows gradually with the number of blocks that are lost.

Runs in 7 s on a laptop, no GPU, no network. The deep nets, with three seeds each, replay logs.
"""

# %%
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from tinyres.flow.logs import read_log
from tinyres.flow.measures.lesion import delete_each, shuffle
from tinyres.flow.testbed import digits_arrays, train
from tinyres.models.dense import DenseNet

plt.style.use("tinyres.flow.lesson")
PLAIN, RESIDUAL, DEEP, DEEPEST = "#D55E00", "#56B4E9", "#0072B2", "#CC79A7"

# %% [markdown]
# Ten layers, plain and residual
# ------------------------------
# Two nets of ten units with the same parameters, trained for ten epochs. Both are good. Then each unit is taken out in
# turn, and put back. (The net is the same afterwards, byte for byte; this is asserted at the end.)

# %%
digits = digits_arrays()
nets = {"plain": DenseNet(10, shortcut=0.0, seed=0), "residual": DenseNet(10, seed=0)}
live, untouched = {}, {}
for name, net in nets.items():
    train(net, digits, epochs=10, every=10)
    before = net.state_dict()
    live[name] = delete_each(net, digits.x_test, digits.y_test)
    untouched[name] = all((before[key] == array).all() for key, array in net.state_dict().items())

figure, axes = plt.subplots()
places = np.arange(10)
for name, shift, colour in (("plain", -0.2, PLAIN), ("residual", 0.2, RESIDUAL)):
    axes.bar(places + shift, 100 * live[name].error, 0.38, color=colour, label=f"{name}, one unit missing")
    axes.axhline(100 * live[name].whole_error, color=colour, lw=1, ls="--")
axes.set(xlabel="unit that is missing", ylabel="test error (%)", xticks=places, yticks=range(0, 101, 20), ylim=(0, 120))
axes.set_title("10 units, digits, seed 0 (dashed: nothing missing)")
axes.legend(ncols=2, loc="upper right")
plt.show()
for name, result in live.items():
    print(
        f"{name}: whole {result.whole_error:.1%}; without unit 0, 1, ... {np.round(100 * result.error).astype(int)} %"
    )

# %% [markdown]
# Chance is 90 %. Without any of its layers the plain net knows nothing. The residual net needs its first unit, perhaps
# the second; of the rest each one alone can go.
#
# Deeper, and three seeds
# -----------------------
# The log of ``python lessons/experiments/dense_blocks.py``: 15 epochs, three seeds. Left: each unit of the residual net
# of 54 units, one after the other. Right: k units at once, five draws for each seed.

# %%
log = read_log("dense_blocks")
print(log["made_by"], "on", log["date"][:10], "seeds", log["seeds"], log["data"])
seeds = log["seeds"]


def lesions(name: str) -> list[dict[str, Any]]:
    """What the log says about one net, a seed each."""
    return [log["runs"][f"{name} {seed}"]["lesions"] for seed in seeds]


def by_amount(runs: list[dict[str, Any]], kind: str) -> dict[int, np.ndarray]:
    """Errors of all seeds and draws, by the number of units removed or exchanged."""
    amount, error = (np.concatenate([run[kind][key] for run in runs]) for key in ("amount", "error"))
    return {int(k): error[amount == k] for k in np.unique(amount)}


figure, (left, right) = plt.subplots(1, 2, figsize=(9.8, 3.8))
for run in lesions("residual-54"):
    left.plot(100 * np.array(run["each"]), "o", ms=3.5, color=DEEP, alpha=0.5)
left.set(xlabel="unit that is missing", ylabel="test error (%)", title="residual-54, each unit alone", ylim=(0, 100))
random = {}
for name, colour in (("plain-10", PLAIN), ("residual-10", RESIDUAL), ("residual-54", DEEP)):
    random[name] = by_amount(lesions(name), "random")
    amounts = list(random[name])
    right.plot(amounts, [100 * np.median(errors) for errors in random[name].values()], color=colour, label=name)
    for k, errors in random[name].items():
        right.plot([k] * len(errors), 100 * errors, "o", ms=3, color=colour, alpha=0.3)
right.set(xlabel="units missing, drawn at random", title="k units at once (line: median)", ylim=(0, 100))
right.set_xticks([1, 2, 5, 10, 20])
right.legend()
plt.show()
change = {name: [np.array(r["each"]) - r["whole"] for r in lesions(name)] for name in ("plain-10", "residual-54")}
for seed, units in zip(seeds, change["residual-54"], strict=True):
    print(
        f"residual-54, seed {seed}: median change {100 * np.median(units):+.1f} points, "
        f"{(units > 0.05).sum()} of 54 units matter by more than 5 points, unit 0: {100 * units[0]:+.0f}"
    )
print("residual-54 without k units, median:", {k: f"{np.median(e):.0%}" for k, e in random["residual-54"].items()})
print("residual-10 without k units, median:", {k: f"{np.median(e):.0%}" for k, e in random["residual-10"].items()})

# %% [markdown]
# Is a residual net an ensemble of shallow nets?
# ----------------------------------------------
# Veit et al. read such curves as the behaviour of an ensemble: removing a block removes half of the paths, and the rest
# still vote. There is a simpler reading, and it should be considered first: one branch of a deep net is small against
# the stream (lesson 11), by a factor that falls as $1 / \sqrt{L}$ with depth, so removing it is a small change. The
# residual net of ten units has larger branches, and loses far more from five missing units than the one of 54 does.
# What deletion shows is that the blocks are small changes of one representation. That they are independent voters does
# not follow from it.
#
# Convolutional nets
# ------------------
# The log of ``python lessons/experiments/conv_blocks.py``: plain-20 against ResNet-20, 56 and 110 on the digits. Where
# a stage begins, the image is halved and the channels are doubled (marked by crosses). There the plain net gets option
# A's parameter-free shortcut in place of the missing block.

# %%
conv = read_log("conv_blocks")
print(conv["made_by"], "on", conv["date"][:10])
kinds = {
    name: [run for key, run in conv["runs"].items() if key.split()[0] == name]
    for name in ("plain20", "resnet20", "resnet56", "resnet110")
}
COLOURS = dict(zip(kinds, (PLAIN, RESIDUAL, DEEP, DEEPEST), strict=True))
figure, (left, right) = plt.subplots(1, 2, figsize=(9.8, 3.8))
for name, runs in kinds.items():
    for number, run in enumerate(runs):
        each = 100 * np.array(run["lesions"]["each"])
        place = (np.arange(len(each)) + 0.5) / len(each)
        shape = np.array(run["lesions"]["changes_shape"], bool)
        said = f"{name} ({len(runs)} seeds)" if number == 0 else None
        left.plot(place, each, "o", ms=3.5, color=COLOURS[name], alpha=0.6, label=said)
        left.plot(place[shape], each[shape], "x", ms=9, color=COLOURS[name])
    draws = by_amount([run["lesions"] for run in runs], "random")
    right.plot(list(draws), [100 * np.median(e) for e in draws.values()], marker="o", color=COLOURS[name])
    alone = np.concatenate([np.array(run["lesions"]["each"]) - run["lesions"]["whole"] for run in runs])
    halves = np.concatenate([run["lesions"]["changes_shape"] for run in runs]).astype(bool)
    print(
        f"{name}: test error {', '.join(format(run['test_error'], '.1%') for run in runs)}; a missing block adds "
        f"{100 * np.median(alone):.1f} points (median), at most {100 * alone.max():.0f}; "
        f"where the image is halved {', '.join(f'{100 * value:.0f}' for value in alone[halves])}"
    )
left.set(xlabel="place of the missing block (0 first, 1 last)", ylabel="test error (%)", ylim=(0, 100))
left.set_title("each block alone (cross: changes the shape)")
right.set(xlabel="blocks missing, drawn at random", title="k blocks at once, median", ylim=(0, 100))
right.set_xticks([1, 2, 5, 10, 20])
left.legend(fontsize=8, loc=(0.14, 0.36))
plt.show()

# %% [markdown]
# Do the last layers do anything?
# -------------------------------
# A remark often made about very deep nets: only the first hundred of a thousand layers are useful. Truncation puts it
# to the test: keep the first k blocks, and let the classifier look at the stream after them.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9.8, 3.8))
enough: dict[str, list[float]] = {}
for name, runs, colour in (
    ("residual-10", lesions("residual-10"), RESIDUAL),
    ("residual-54", lesions("residual-54"), DEEP),
    ("plain-10", lesions("plain-10"), PLAIN),
):
    for number, run in enumerate(runs):
        error = np.array(run["truncate"])
        kept = np.arange(len(error)) / (len(error) - 1)
        left.plot(kept, 100 * error, color=colour, alpha=0.7, label=name if number == 0 else None)
        first = int(np.argmax(error <= run["whole"] + 0.02))
        enough.setdefault(name, []).append(first / (len(error) - 1))
for name, runs in kinds.items():
    for number, run in enumerate(runs):
        error = np.array(run["lesions"]["truncate"])
        kept = np.arange(len(error)) / (len(error) - 1)
        right.plot(kept, 100 * error, color=COLOURS[name], alpha=0.7, label=name if number == 0 else None)
        first = int(np.argmax(error <= run["lesions"]["whole"] + 0.02))
        enough.setdefault(name, []).append(first / (len(error) - 1))
left.set(
    xlabel="share of the blocks kept, from the first on", ylabel="test error (%)", title="dense nets", ylim=(0, 100)
)
right.set(xlabel="share of the blocks kept, from the first on", title="convolutional nets", ylim=(0, 100))
left.legend()
right.legend()
plt.show()
for name, shares in enough.items():
    print(
        f"{name}: within 2 points of the whole net with the first {', '.join(f'{s:.0%}' for s in shares)} of its blocks"
    )

# %% [markdown]
# The dense net of 54 units fits the digits with its first third or so; the rest is idle, and can be cut off. The
# convolutional nets need most of their blocks for the full accuracy, although each of the late ones alone can be
# missed. So "late layers do nothing" is true of a net that is much deeper than its task needs, not of residual nets as
# such.
#
# Other orders
# ------------
# Blocks of equal shape can change places, too. Kendall's tau says how much of the order is left: 1 all of it, 0 none.

# %%
moved = shuffle(nets["residual"], digits.x_test, digits.y_test, repeats=8)
stays = np.array([order[0] == 0 for order in moved.order])
print(f"residual, 10 units: median error {np.median(moved.error[stays]):.0%} where the first unit stays in its place,")
print(f"{np.median(moved.error[~stays]):.0%} where another one runs first ({stays.sum()} and {(~stays).sum()} draws)")
figure, axes = plt.subplots()
for name, runs, colour in (
    ("residual-54", lesions("residual-54"), DEEP),
    ("plain-10", lesions("plain-10"), PLAIN),
    ("resnet56", [run["lesions"] for run in kinds["resnet56"]], DEEPEST),
):
    tau, error = (np.concatenate([run["shuffle"][key] for run in runs]) for key in ("tau", "error"))
    axes.plot(tau, 100 * error, "o", color=colour, alpha=0.5, label=name)
axes.set(xlabel="Kendall's tau of the order of the blocks", ylabel="test error (%)", ylim=(0, 100))
axes.legend()
plt.show()

# %% [markdown]
# A plain net is lost after a single exchange. In residual nets the order matters little, as long as the first unit
# stays first: it is the one that turns pixels into features, and all others refine.

# %%
assert all(untouched.values())
assert live["plain"].error.min() > 0.5
assert np.median(live["residual"].change) < 0.05 < live["residual"].change[0]
for run in lesions("plain-10"):
    assert min(run["each"]) >= 0.6
for units in change["residual-54"]:
    assert abs(np.median(units)) <= 0.01
    assert (units > 0.05).sum() <= 5
    assert units.argmax() == 0
assert np.median(random["residual-54"][5]) < np.median(random["residual-10"][5])
assert np.median(random["residual-54"][5]) < np.median(random["residual-54"][20])
for run in kinds["plain20"]:
    assert min(run["lesions"]["each"]) > 0.5
for name in ("resnet20", "resnet56"):
    for run in kinds[name]:
        assert np.median(run["lesions"]["each"]) < run["lesions"]["whole"] + 0.1
assert max(enough["residual-54"]) < 0.6
assert np.median(moved.error[stays]) < np.median(moved.error[~stays])

# %% [markdown]
# What does not show at this scale
# --------------------------------
# On CIFAR-10 Veit et al. find that of ResNet-110 only the blocks that halve the image matter. Here it takes 110 layers
# for one of them to stand out, the second one; with 20 and 56 layers it is the very first blocks that matter most,
# perhaps because an image of 8 by 8 pixels has little to halve. That a deeper net bears the loss of more blocks holds
# for the dense nets; the convolutional ones are too few, and too different from seed to seed, to say so. What can be
# relied on is the gap between plain and residual nets.
