# %% [markdown]
r"""
Shattered gradients
===================

**Question.** The gradients of a deep plain net with batch norm have a healthy size. Why do they not help?

Because they agree with nobody. The gradient at one input says nothing about the gradient at the input next to it. It
looks like white noise. To measure that, take a net of one number, $f(x)$, and 256 inputs on a line. Let $g_i$ be the
slope of $f$ at the input $x_i$, and compare each slope with the slope $k$ places further on:

$$\mathrm{acf}(k) = \frac{\sum_i (g_i - m)(g_{i+k} - m)}{\sum_i (g_i - m)^2}$$

where $m$ is the mean slope. White noise has $\mathrm{acf}(1) = 0$. Brown noise, the running sum of white noise, has
$\mathrm{acf}(1)$ near 1: its neighbours are alike. Source: Balduzzi et al. 2017, "The shattered gradients problem".

**What to expect.** With depth, the slopes of a plain net turn from brown to white, but only *with batch norm*. Without
it they stay brown, for a sad reason: most of its units have stopped reacting. A residual net with batch norm
stays far browner at twice the depth. On real images and convolutional nets the picture is the same.

Runs in 10 s on a laptop, no GPU, no network.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyres import models
from tinyres.flow.measures.coactivation import coactivation
from tinyres.flow.measures.shattered import neighbours, shattering
from tinyres.flow.testbed import digits_arrays
from tinyres.models.dense import DenseNet

plt.style.use("tinyres.flow.lesson")
SEEDS = (0, 1, 2)

# %% [markdown]
# A line of inputs
# ----------------
# An input is a pair $(x, 1)$. The constant 1 carries the bias of the first layer, so that its units switch on and off
# at different places. Only the slope along $x$ counts. The nets have 200 units a layer and He's initial weights; they
# are not trained. The statistics of batch norm are those of all 256 points, held constant.

# %%
points = np.linspace(-2, 2, 256, dtype=np.float32)
line = np.stack([points, np.ones_like(points)], axis=1)
KINDS = {
    "plain, no batch norm": {"shortcut": 0.0, "batch_norm": False},
    "plain, batch norm": {"shortcut": 0.0},
    "residual, batch norm": {"shortcut": 1.0},
}
COLOURS = dict(zip(KINDS, ("#CC79A7", "#D55E00", "#0072B2"), strict=True))


def net_of(kind: str, units: int, seed: int) -> DenseNet:
    return DenseNet(units, width=200, inputs=2, num_classes=1, seed=seed, **KINDS[kind])


DEPTHS = {"plain, no batch norm": (24,), "plain, batch norm": (1, 5, 10, 24), "residual, batch norm": (24, 50)}
found = {
    (kind, units): [shattering(net_of(kind, units, seed), line, along=[1, 0]) for seed in SEEDS]
    for kind, depths in DEPTHS.items()
    for units in depths
}
lag1 = {key: float(np.mean([each.acf[1] for each in results])) for key, results in found.items()}
for (kind, units), value in lag1.items():
    print(f"{kind:22} {units:3} layers: acf(1) = {value:5.2f}")

# %% [markdown]
# Look at the slopes first
# ------------------------
# One layer: a staircase, with a step wherever a unit switches on or off. After 24 plain layers with batch norm hardly
# two neighbours agree. The residual net of 50 layers is rough, but you can still see where it is going.

# %%
shown = [
    ("plain, batch norm", 1),
    ("plain, batch norm", 24),
    ("plain, no batch norm", 24),
    ("residual, batch norm", 50),
]
figure, panels = plt.subplots(2, 2, figsize=(8.4, 4.8), sharex=True)
for axes, (kind, units) in zip(panels.ravel(), shown, strict=True):
    slope = found[kind, units][0].gradients[:, 0]
    axes.plot(points, slope / np.abs(slope).max(), lw=0.9, color=COLOURS[kind])
    axes.set_title(f"{kind}, {units} layer{'s' * (units > 1)}")
for axes in panels[1]:
    axes.set_xlabel("input x")
for axes in panels[:, 0]:
    axes.set_ylabel("slope / largest slope")
plt.show()

# %% [markdown]
# From brown to white
# -------------------
# The same in numbers, between the curves of the two noises.

# %%
figure, axes = plt.subplots()
one = found["plain, batch norm", 1][0]
axes.plot(one.lag, one.brown, color="#8B5A2B", lw=5, alpha=0.35, label="brown noise")
axes.plot(one.lag, one.white, color="#BBBBBB", lw=5, alpha=0.6, label="white noise")
for colour, units in zip(("#FDBE85", "#FD8D3C", "#D55E00", "#7F2704"), DEPTHS["plain, batch norm"], strict=True):
    acf = np.mean([each.acf for each in found["plain, batch norm", units]], axis=0)
    axes.plot(one.lag, acf, "--", color=colour, label=f"plain, batch norm, {units}")
for key, dashes in ((("residual, batch norm", 50), "-"), (("plain, no batch norm", 24), "--")):
    acf = np.mean([each.acf for each in found[key]], axis=0)
    axes.plot(one.lag, acf, dashes, color=COLOURS[key[0]], label=f"{key[0]}, {key[1]}")
axes.set(xlabel="lag k (in points)", ylabel="autocorrelation", ylim=(-0.15, 1.05))
axes.set_title("Slopes of nets on a line of 256 inputs; mean over 3 seeds")
axes.legend(fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
plt.show()

# %% [markdown]
# Why batch norm is needed
# ------------------------
# A well-known course notebook tries this experiment without batch norm, finds nothing, and asks its readers for help.
# Here is the answer. Look at the ReLUs. A unit that is on for all 256 inputs, or off for all of them, is *constant*: it
# bends nothing. Without batch norm the share of constant units grows with depth, because all inputs drift towards one
# common direction. A net whose units do not switch is nearly linear, and a linear net has the same slope everywhere.
#
# Batch norm forbids that. It puts the zero of each unit into the middle of the inputs, so that every unit is on for
# about half of them and off for the others. Now take two *neighbours* on the line. As long as they look alike to a
# unit, both switch it on half of the time. When they have become strangers to it, each tosses a coin of its own, and
# both switch it on with probability $1/2 \cdot 1/2 = 1/4$. That share is called *co-activation*.

# %%


def neighbours_share(kind: str) -> np.ndarray:
    """Layer by layer, how often two neighbours on the line both switch a unit on."""
    net, on = net_of(kind, 24, 0), []
    for _, unit in net.units.children():
        layer = unit.branch[0]
        if hasattr(layer, "bn"):
            layer.bn.register_forward_hook(lambda module, inputs, active: on.append(active.numpy() > 0))
        else:
            layer.register_forward_hook(lambda module, inputs, output: on.append(inputs[0].numpy() > 0))
    net(line)
    return np.array([(each[1:] & each[:-1]).mean() for each in on])


counted = {kind: coactivation(net_of(kind, 24, 0), line, statistics="batch") for kind in KINDS}
together = {kind: neighbours_share(kind) for kind in KINDS}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), sharex=True)
for kind, counts in counted.items():
    dashes, colour = "-" if "residual" in kind else "--", COLOURS[kind]
    layers = np.arange(1, 25)
    left.plot(layers, counts.constant[:24], dashes, color=colour, label=kind)
    right.plot(layers, together[kind], dashes, color=colour)
for height, text in ((0.25, "strangers"), (0.5, "alike")):
    right.axhline(height, color="#BBBBBB", lw=1)
    right.annotate(text, (1.02, height), xycoords=("axes fraction", "data"), color="#777777", fontsize=8.5, va="center")
left.set(xlabel="layer", ylabel="share of the units", ylim=(-0.02, 1), title="units that never switch")
right.set(
    xlabel="layer", ylabel="share of the units", ylim=(0.2, 0.55), title="units that two neighbours both switch on"
)
left.legend(fontsize=8.5)
plt.show()
for kind, counts in counted.items():
    print(f"{kind:22} last layer: {counts.constant[-1]:4.0%} constant, neighbours share {together[kind][-1]:.2f}")

# %% [markdown]
# Real images, real nets
# ----------------------
# Take 64 digits. From each go to the most similar other one in five steps, and compare the gradient of the logit on
# the way with the gradient at the start, by the cosine between them:
#
# $$\cos(t) = \frac{\langle g(a), \, g(a + t (b - a)) \rangle}{|g(a)| \, |g(a + t (b - a))|}$$
#
# The nets are the convolutional ones of He et al. 2015 with 20 and 56 layers, before training.

# %%
digits = digits_arrays(flat=False)
images, labels = digits.x[:64], digits.y[:64]
cosines = {}
for name in ("plain20", "plain56", "resnet20", "resnet56"):
    nets = [models.create(name, in_channels=1, seed=seed) for seed in SEEDS]
    cosines[name] = np.mean([neighbours(net, images, labels, steps=6).table()["median"] for net in nets], axis=0)
fraction = np.linspace(0, 1, 6)
figure, axes = plt.subplots()
for (name, values), colour in zip(cosines.items(), ("#E69F00", "#D55E00", "#56B4E9", "#0072B2"), strict=True):
    axes.plot(fraction, values, "--" if "plain" in name else "-", marker="o", color=colour, label=name)
axes.axhline(0, color="#BBBBBB", lw=1)
axes.set(xlabel="way from a digit to the most similar one, t", ylabel="cosine of the gradients (median)")
axes.set_title("Input gradients of untrained nets on digits; 64 images, mean over 3 seeds")
axes.legend()
plt.show()
for name, values in cosines.items():
    print(f"{name:9} cosine a fifth of the way on: {values[1]:5.2f}")

# %% [markdown]
# A fifth of the way to its nearest neighbour, a plain net's gradient has forgotten where it came from. For gradient
# descent that means: what one image asks the early layers to do, the next one does not want. Their sum is noise. The
# shortcut carries a part of the gradient past all ReLUs, the same for all images, and so keeps them talking.
#
# What was claimed
# ----------------

# %%
assert lag1["plain, batch norm", 1] > 0.9
assert lag1["plain, batch norm", 1] > lag1["plain, batch norm", 5] > lag1["plain, batch norm", 10] + 0.2
assert abs(lag1["plain, batch norm", 24]) < 0.15
assert lag1["residual, batch norm", 50] > 0.5
assert lag1["plain, no batch norm", 24] > 0.75
assert counted["plain, no batch norm"].constant[-1] > 0.6 > 0.05 > counted["plain, batch norm"].constant[-1]
assert together["plain, batch norm"][0] > 0.45 > 0.35 > together["plain, batch norm"][-1] > 0.24
assert together["residual, batch norm"][-1] > together["plain, batch norm"][-1] + 0.05
assert max(abs(cosines[name][1]) for name in ("plain20", "plain56")) < 0.15
assert cosines["resnet20"][1] > 0.35
assert cosines["resnet56"][1] > 0.15

# %% [markdown]
# What does not show at this scale
# --------------------------------
# These are nets before their first step. White gradients make a start hard; they do not prove that a net cannot be
# trained, and plain nets of 18 such layers do learn the digits (lesson 4). The theory has rates for very wide nets: a
# correlation of $1/2^L$ for plain nets, of $1/\sqrt{L}$ for residual ones with batch norm. A width of 200 and three
# seeds do not settle such exponents. And a shortcut is not all: residual nets lose correlation with depth as well, only
# more slowly.
