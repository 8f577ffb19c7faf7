# %% [markdown]
r"""
Is it vanishing gradients?
==========================

**Question.** Deep plain nets do not train. Is it because their gradients vanish?

That is what most notes say, and it is wrong for the nets of the paper. He et al. wrote so themselves: "We argue that
this optimization difficulty is unlikely to be caused by vanishing gradients. These plain networks are trained with BN
[...]. We also verify that the backward propagated gradients exhibit healthy norms with BN." Let us measure instead of
arguing. Let $h_l$ be the stream of the net after layer $l$, and

$$q = \frac{|\partial\, \text{loss} / \partial h_{l-1}|^2}{|\partial\, \text{loss} / \partial h_l|^2}$$

the factor by which the squared norm of the gradient changes from one layer to the one before it. Gradients vanish
toward the input if $q < 1$, explode if $q > 1$, and keep their size if $q = 1$.

**The mathematics.** Take weights $s$ times as large as He's. A layer $F(h) = W\,\text{relu}(h)$ passes on half of the
signal (the other half meets a ReLU that is off) times $2 s^2$ (that is He's rule). So

$$\text{plain: } q = s^2 \qquad \text{with a shortcut: } q = 1 + s^2$$

With batch norm before the ReLU, $s$ drops out: whatever the weights multiply, the next batch norm divides by. What is
left is not 1, though. Batch norm keeps the signal at variance 1, but half of that variance is lost in the ReLU's mean,
which carries no gradient. For wide nets of layers of this kind the theory (Yang et al. 2019) gives

$$q = \frac{\pi}{\pi - 1} = 1.467$$

**What to expect.** Gradients of plain nets with batch norm do not vanish, they explode. A shortcut tames this. Without
batch norm a shortcut makes an explosion worse. Gradients vanish where weights are small and nothing else helps.

Runs in 9 s on a laptop, no GPU, no network.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyres import models
from tinyres.flow.logs import read_log
from tinyres.flow.measures.initial import InitialGradients, initial_gradients
from tinyres.flow.testbed import digits_arrays
from tinyres.models.dense import DenseNet

plt.style.use("tinyres.flow.lesson")
COLOURS = {False: "#D55E00", True: "#0072B2"}  # shortcut?
WORDS = {
    (False, False): "plain, no batch norm",
    (False, True): "plain, batch norm",
    (True, False): "residual, no batch norm",
    (True, True): "residual, batch norm",
}
SEEDS = (0, 1, 2)


def growth(found: InitialGradients, shortcut: bool, batch_norm: bool, scale: float) -> np.ndarray:
    """The factor q of a setting, for each seed: least squares on the logarithms of the squared norms."""
    settings = zip(found.shortcut, found.batch_norm, found.scale, strict=True)
    chosen: np.ndarray = found.growth[[each == (shortcut, batch_norm, scale) for each in settings]]
    return chosen


# %% [markdown]
# Fifty layers, before any training
# ---------------------------------
# Dense nets of 50 units, 256 wide, with He's weights, on random inputs: the setting of the theory. Three seeds each.

# %%
rng = np.random.default_rng(0)
noise, labels = rng.standard_normal((128, 256)).astype(np.float32), rng.integers(0, 10, 128)
wide = initial_gradients(
    lambda shortcut, seed: DenseNet(50, width=256, inputs=256, shortcut=float(shortcut), seed=seed),
    noise, labels, scales=(1.0,), seeds=SEEDS,
)  # fmt: skip
figure, axes = plt.subplots()
for shortcut, normed, run in zip(wide.shortcut, wide.batch_norm, wide.runs, strict=True):
    axes.semilogy(run.depth, run.norm / run.norm[-1], "-" if normed else "--", color=COLOURS[shortcut], lw=1)
for (shortcut, normed), words in WORDS.items():
    factors = growth(wide, shortcut, normed, 1.0)
    axes.plot([], [], "-" if normed else "--", color=COLOURS[shortcut], label=f"{words}: q = {factors.mean():.2f}")
    print(f"{words:24} q = {', '.join(f'{factor:.3f}' for factor in factors)} (seeds 0, 1, 2)")
axes.set(xlabel="depth (weighted layers up to here)", ylabel="gradient norm / that at the last layer")
axes.set_title("Dense nets of 50 units, 256 wide, He's initial weights, random inputs")
axes.legend()
plt.show()

# %% [markdown]
# Read it from right to left, as the gradient travels. The plain net *without* batch norm, the one everybody is warned
# of, keeps its gradient: that is what He's weights are made for. The plain net *with* batch norm explodes: its first
# layers get a gradient ten thousand times as large as its last ones. The shortcut takes most of this away.
#
# But look at the residual net without batch norm: its gradient doubles its square at every layer. A shortcut is no cure
# by itself. Its signal doubles on the way forward too; lesson 11 is about what keeps that in bounds.
#
# All scales, with and without batch norm, with and without shortcuts
# -------------------------------------------------------------------
# Now from half to one and a half times He's weights: dense nets of 50 units, 64 wide, and the paper's convolutional
# nets of 56 layers, both on digits, before training. The dotted lines are the formulas above.

# %%
digits, images = digits_arrays(), digits_arrays(flat=False)
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5)
dense = initial_gradients(
    lambda shortcut, seed: DenseNet(50, shortcut=float(shortcut), seed=seed),
    digits.x[:128], digits.y[:128], scales=SCALES, seeds=SEEDS,
)  # fmt: skip
conv = initial_gradients(
    lambda shortcut, seed: models.create("resnet56" if shortcut else "plain56", in_channels=1, seed=seed),
    images.x[:16], images.y[:16], scales=(0.5, 1.0, 1.5), seeds=SEEDS,
)  # fmt: skip

figure, panels = plt.subplots(1, 2, figsize=(9.8, 4.2), sharey=True)
for axes, found, title in zip(panels, (dense, conv), ("dense, 50 units", "convolutional, 56 layers"), strict=True):
    scales = sorted(set(found.scale))
    for (shortcut, normed), words in WORDS.items():
        seeds, colour = [growth(found, shortcut, normed, scale) for scale in scales], COLOURS[shortcut]
        axes.plot(scales, [f.mean() for f in seeds], "o-" if normed else "o--", color=colour, label=words)
        axes.fill_between(scales, [f.min() for f in seeds], [f.max() for f in seeds], color=colour, alpha=0.2)
    axes.axhline(1, color="#666666", lw=0.8)
    axes.set(xlabel="initial scale s (1 is He's)", title=title, yscale="log", yticks=[0.25, 0.5, 1, 2, 4])
    axes.set_yticklabels(["1/4", "1/2", "1", "2", "4"])
    axes.minorticks_off()
line = np.linspace(0.5, 1.5, 50)
for curve in (line**2, 1 + line**2, 0 * line + np.pi / (np.pi - 1)):
    panels[0].plot(line, curve, ":", color="#000000", lw=1.2, zorder=5)
panels[0].set_ylabel("q: factor of the squared norm,\na layer toward the input")
panels[0].text(0.52, 0.82, "below 1: vanishing", color="#666666", fontsize=8.5)
panels[1].legend(fontsize=8.5)
plt.show()
for shortcut, normed in WORDS:
    said = [f"s = {scale:g}: {growth(conv, shortcut, normed, scale).mean():.2f}" for scale in (0.5, 1.0, 1.5)]
    print(f"convolutional, {WORDS[shortcut, normed]:24} q at {', '.join(said)}")

# %% [markdown]
# So gradients vanish in one corner only: plain, without batch norm, weights smaller than He's. At half of He's scale
# the norm halves at each layer, $0.5^{50} = 10^{-15}$ over the net. Here a shortcut does what the notes say it does.
#
# In the other corners the trouble is explosion. With batch norm the shortcut tames it, from 1.46 to 1.1. Without, it
# makes things worse: where the plain net explodes, at 1.5 of He's scale, the residual net explodes more, and where the
# plain net is in order, at He's scale, the residual net explodes. $1 + s^2$ is always larger than $s^2$.
#
# One thing in the right panel is new. At He's scale the plain convolutional net without batch norm *does* vanish a
# little. It is the border: images of 8, 4 and 2 pixels are padded with zeros, and where a filter hangs over the edge a
# part of its weights meets nothing. On an image of $n$ pixels a side a 3x3 filter has, in each direction, $(3n - 2)/n$
# of its 3 weights inside, so that
#
# $$q = s^2 \left( \frac{3n - 2}{3n} \right)^2$$
#
# which is 0.84, 0.69 and 0.44 in the three stages. Larger images have less border. Let us see.

# %%
border: dict[int, float] = {}
for factor in (1, 2, 4):
    enlarged = images.x[:4].repeat(factor, axis=1).repeat(factor, axis=2)
    found = initial_gradients(
        lambda shortcut, seed: models.create("plain20", in_channels=1, seed=seed),
        enlarged, images.y[:4], scales=(1.0,), batch_norm=(False,), shortcut=(False,), seeds=SEEDS,
    )  # fmt: skip
    border[8 * factor] = float(found.growth.mean())
    sides = [8 * factor // halvings for halvings in (1, 2, 4)]
    theory = np.prod([((3 * n - 2) / (3 * n)) ** 2 for n in sides]) ** (1 / 3)
    print(f"plain-20, no batch norm, {8 * factor:2} pixels: q = {border[8 * factor]:.2f}, by the border {theory:.2f}")

# %% [markdown]
# Does a healthy norm help?
# -------------------------
# The plain net without batch norm starts with the best norms of all, $q = 1$. If vanishing or exploding gradients were
# the trouble, it should train. From the log of ``python lessons/experiments/vanishing.py``: 54 units, 15 epochs on
# digits, three seeds, five learning rates.

# %%
log = read_log("vanishing")
print(log["made_by"], "on", log["date"][:10], "seeds", log["seeds"], log["data"])
trained = {rate: [run["train_error"] for run in log["runs"] if run["lr"] == rate] for rate in log["rates"]}
for rate, errors in trained.items():
    print(f"rate {rate}: training error {', '.join(f'{error:.0%}' for error in errors)}")

# %%
for factors, low, high in (
    (growth(wide, False, True, 1.0), 1.35, 1.55),
    (growth(wide, False, False, 1.0), 0.95, 1.05),
    (growth(wide, True, True, 1.0), 1.0, 1.12),
    (growth(wide, True, False, 1.0), 1.9, 2.1),
    (growth(conv, False, True, 1.0), 1.25, 1.45),
    (growth(conv, True, True, 1.0), 1.0, 1.15),
    (growth(conv, False, False, 1.0), 0.6, 0.8),
    (growth(conv, True, False, 1.0), 1.1, 1.4),
):
    assert low <= factors.min() <= factors.max() <= high, (factors, low, high)
for scale in SCALES:
    assert np.allclose(growth(dense, False, False, scale), scale**2, rtol=0.1)
    assert np.allclose(growth(dense, True, False, scale), 1 + scale**2, rtol=0.1)
    assert np.allclose(growth(dense, False, True, scale), np.pi / (np.pi - 1), rtol=0.05)
    assert growth(dense, True, True, scale).max() < 1.15
for scale in (0.5, 1.0, 1.5):  # without batch norm a shortcut always adds to the gradient
    assert growth(conv, True, False, scale).min() > growth(conv, False, False, scale).max()
    assert growth(conv, True, True, scale).max() < growth(conv, False, True, scale).min()
assert border[8] < border[16] < border[32]
assert all(len(errors) == 3 and min(errors) > 0.5 for errors in trained.values())

# %% [markdown]
# What does not show at this scale
# --------------------------------
# Norms before training say where a net starts, not whether it learns: the net with the healthiest norms does not train
# at any of five rates. Why not is the subject of lesson 7 (gradients that agree with nobody) and of lesson 12 (rank and
# curvature). What training does to the norms comes next, in lesson 6.
#
# The factor of 1.467 is a limit for wide layers and large batches; narrow convolutional layers on 2 x 2 pixels are far
# from it, and show 1.33. On the images of CIFAR-10, 32 pixels a side, the border matters less.
