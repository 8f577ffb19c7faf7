# %% [markdown]
r"""
The paper's recipe: rates, warm-up, augmentation
================================================

**Question.** Which parts of the training recipe does a residual net need, and how would one notice?

The recipe of He et al. 2015 for CIFAR-10 is short. Stochastic gradient descent with momentum 0.9 and weight decay
0.0001, batches of 128, a learning rate of 0.1 that is divided by 10 after half and after three quarters of the steps,
images padded and cropped at random, mirrored at random, no dropout. For 110 layers: first a rate of 0.01, until the
training error is below 80 %. Write $\eta(t)$ for the rate at step $t$ of $T$:

$$\text{steps: } \eta(t) = 0.1 \cdot 10^{-k}, \; k \text{ milestones passed}$$

$$\text{cosine: } \eta(t) = 0.05 \, ( 1 + \cos( \pi t / T ) )$$

A high rate makes progress and keeps the weights in motion; a low one lets them settle. Whoever lowers the rate too
early settles wherever the net happens to be.

**What to expect.** On digits, less than one might hope, and the lesson says so. What shows clearly is augmentation:
measured on augmented batches the training error lies above the validation error, measured on clean images it does
not. Of the schedule only the extremes show: a rate that falls in the first epoch falls too early, and one that never
falls leaves training restless. Whether ResNet-110 needs its warm-up depends on the first weights.

Runs in 10 s on a laptop, no GPU, no network. Comparisons over seeds, and all convolutional nets, replay logs.
"""

# %%
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from tinyres.flow.logs import read_log
from tinyres.flow.testbed import digits_arrays, train
from tinyres.models.dense import DenseNet
from tinyres.optim.schedules import Cosine, LinearWarmup, MultiStep, PaperWarmup

plt.style.use("tinyres.flow.lesson")
PLAIN, RESIDUAL = "#D55E00", "#0072B2"

# %% [markdown]
# Four schedules
# --------------
# The paper's warm-up does not count steps, it watches the training error. Here it is shown the running error of a real
# run, that of a plain net of 18 units, which hesitates at first. A schedule must *compute* each rate from the base
# rate. Code that multiplies a stored rate by 0.1, and by 10 again later, has left a well-known public ResNet-110 at
# 0.01 for good.

# %%
digits = digits_arrays()
slow = train(DenseNet(18, shortcut=0.0, seed=0), digits, epochs=8, every=8)
steps = len(slow.step_error)
schedules = {
    "steps": MultiStep(0.1, [steps // 2, 3 * steps // 4]),
    "cosine": Cosine(0.1, steps),
    "linear warm-up, then cosine": LinearWarmup(Cosine(0.1, steps, start=30), 30),
    "paper's warm-up, then steps": PaperWarmup(MultiStep(0.1, [steps // 2, 3 * steps // 4]), window=20),
}
rates: dict[str, list[float]] = {name: [] for name in schedules}
for step, error in enumerate(slow.step_error):
    for name, schedule in schedules.items():
        rates[name].append(schedule.lr(step))
        schedule.after_step(step, float(error))

figure, (above, below) = plt.subplots(2, 1, figsize=(7.2, 4.6), sharex=True, height_ratios=(1, 2))
above.plot(100 * slow.step_error, color="#999999", lw=0.9)
above.axhline(80, color="#999999", lw=0.8, ls="--")
above.set(ylabel="running error (%)", title="What the schedules are shown: plain net, 18 units, seed 0")
for name, style in zip(rates, ("-", "--", "-.", ":"), strict=True):
    below.plot(rates[name], ls=style, label=name)
below.set(xlabel="step", ylabel="learning rate")
below.legend(fontsize=8.5)
plt.show()
warm = int(np.argmax(np.array(rates["paper's warm-up, then steps"]) > 0.05))
print(f"the paper's warm-up ends after {warm} of {steps} steps")

# %% [markdown]
# When to lower the rate
# ----------------------
# From here on logs. ``python lessons/experiments/recipe.py``: a residual net of 20 units and a plain one of 18, three
# seeds, 15 epochs. The rate is divided by 10 once, after the given part of the steps; 100 % means never.

# %%
log = read_log("recipe")
print(log["made_by"], "on", log["date"][:10], "seeds", log["seeds"], log["data"])
runs = list(log["runs"].values())


def pick(**wanted: Any) -> list[dict[str, Any]]:
    """The runs with these settings, a seed each."""
    return [run for run in runs if all(run.get(name) == value for name, value in wanted.items())]


def final(error: str, **wanted: Any) -> np.ndarray:
    """An error at the end of each of these runs."""
    return np.array([run[error][-1] for run in pick(**wanted)])


drops = (0.05, 0.25, 0.5, 0.75, 1.0)
figure, panels = plt.subplots(1, 2, figsize=(9.6, 3.6))
for axes, net, colour in zip(panels, ("plain", "residual"), (PLAIN, RESIDUAL), strict=True):
    for error, style in (("train_error", "-"), ("test_error", "--")):
        found = [100 * final(error, net=net, part="schedule", drop=drop) for drop in drops]
        label = {"train_error": "clean training error", "test_error": "test error"}[error]
        axes.plot(
            [100 * drop for drop in drops], [np.median(values) for values in found], style, color=colour, label=label
        )
        for drop, values in zip(drops, found, strict=True):
            axes.plot([100 * drop] * len(values), values, "o", color=colour, ms=3, alpha=0.5)
    axes.set(xlabel="rate divided by 10 after (% of the steps)", title=f"{net} net, {log['nets'][net]} units")
    axes.set_ylim(bottom=-0.2)
panels[0].set_ylabel("error at the end (%)")
panels[0].legend()
plt.show()
for net in ("plain", "residual"):
    for drop in (0.75, 1.0, "cosine"):
        said = {0.75: "divided at 75 %", 1.0: "constant", "cosine": "cosine"}[drop]
        found = final("running_error", net=net, part="schedule", drop=drop)
        print(f"{net:8}, {said:16}: running training error of the last epoch {np.round(100 * found, 1)} %")

# %% [markdown]
# Augmentation, and which training error is meant
# -----------------------------------------------
# With augmentation the paper's curves show training errors *above* validation errors, and readers wonder. The reason
# is what is counted. The running training error is that of augmented, and so harder, images, taken while the weights
# still moved. The clean one is measured afterwards, on the images as they are. Here digits are moved by up to one pixel
# (a lot, for 8 by 8), in the residual net of 20 units.

# %%
figure, panels = plt.subplots(1, 2, figsize=(9.6, 3.6), sharey=True)
sets = (("as they are", {"part": "schedule", "drop": 0.75}), ("moved at random", {"part": "augmentation"}))
for axes, (said, settings) in zip(panels, sets, strict=True):
    for error, style, label in (
        ("running_error", "-", "running training error"),
        ("train_error", "--", "clean training error"),
        ("validation_error", ":", "validation error"),
    ):
        curves = np.array([run[error] for run in pick(net="residual", **settings)])
        axes.plot(np.arange(1, 16), 100 * np.median(curves, axis=0), ls=style, label=label)
    axes.set(xlabel="epoch", title=f"training images {said}", ylim=(0, 40))
panels[0].set_ylabel("error, median of 3 seeds (%)")
panels[0].legend()
plt.show()
augmented = {
    e: final(e, net="residual", part="augmentation") for e in ("running_error", "train_error", "validation_error")
}
print("with augmentation:", {name: f"{np.median(values):.1%}" for name, values in augmented.items()})

# %% [markdown]
# Dropout
# -------
# The paper uses none: batch norm already makes each answer depend on the rest of the batch. The same residual net with
# dropout before its last layer:

# %%
without = final("test_error", net="residual", part="schedule", drop=0.75)
dropped = {p: final("test_error", part="dropout", p=p) for p in (0.2, 0.5)}
print(f"test error without dropout {np.round(100 * without, 1)} %")
for p, values in dropped.items():
    print(f"test error with p = {p}     {np.round(100 * values, 1)} %")

# %% [markdown]
# Warm-up for 110 layers
# ----------------------
# The paper's words: with 0.1 from the start ResNet-110 "starts converging (<90 % error) after several epochs, but still
# reaches similar accuracy". The log of ``python lessons/experiments/conv.py`` has ResNet-110 on the digits, 12 epochs,
# with the paper's warm-up and without. Twelve epochs are 252 steps, so "several epochs" of standing still is most of
# them: with two of three seeds the net without warm-up has hardly begun. With the third it needs none.

# %%
conv = read_log("conv")
print(conv["made_by"], "on", conv["date"][:10])
warmups = {
    w: [r for r in conv["runs"].values() if r["part"] == "warm-up" and r["warmup"] == w] for w in ("paper", "none")
}
figure, axes = plt.subplots(figsize=(7.2, 3.4))
for (name, found), colour in zip(warmups.items(), (RESIDUAL, PLAIN), strict=True):
    for run in found:
        said = {"paper": "paper's warm-up", "none": "none"}[name]
        label = said if run is found[0] else None
        axes.plot(np.array(run["step"]) / 21, 100 * np.array(run["train_error"]), "o-", color=colour, label=label)
        print(f"ResNet-110, {said:15}, seed {run['seed']}: clean training error {run['clean_train_error'][-1]:.1%}")
axes.set(xlabel="epoch", ylabel="running training error (%)", title="ResNet-110 on digits", ylim=(0, 100))
axes.legend(title="warm-up")
plt.show()

# %%
assert 0 < warm < steps // 2
assert rates["paper's warm-up, then steps"][-1] == rates["steps"][-1]
early, late = (final("test_error", net="residual", part="schedule", drop=drop) for drop in (0.05, 0.75))
restless, calm = (final("running_error", net="residual", part="schedule", drop=drop) for drop in (1.0, 0.75))
assert early.min() > late.max()
assert restless.min() > calm.max()
assert augmented["running_error"].min() > augmented["validation_error"].max()
assert augmented["train_error"].max() < augmented["running_error"].min()
assert abs(np.median(augmented["train_error"]) - np.median(augmented["validation_error"])) < 0.02
ends = {name: [run["clean_train_error"][-1] for run in found] for name, found in warmups.items()}
assert max(ends["paper"]) < 0.4 < 0.6 < max(ends["none"])
assert min(np.median(values) for values in dropped.values()) > np.median(without) - 0.01

# %% [markdown]
# What does not show at this scale
# --------------------------------
# Most of it. Digits are learnt in 300 steps; the paper's schedule has 64,000, and what a long phase at a high rate is
# worth cannot show in one epoch. Mirroring digits makes no sense, so half of the paper's augmentation is missing. And
# on ImageNet with very large batches Goyal et al. (2017) found a *constant* warm-up like the paper's worse than none,
# and a linear ramp better. The CIFAR-10 run of this library with the paper's recipe (13 epochs of ResNet-20 so far) is
# in benchmarks/results/cifar10_13_epochs.
