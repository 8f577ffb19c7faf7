# %% [markdown]
r"""
What a shortcut does to the gradient
====================================

**Question.** What do the gradients of the real convolutional nets look like while they train, and what does the
shortcut bring to them?

A residual block computes $h' = A\,h + F(h)$, with $A$ the identity, mostly. On the way back the gradient $g'$ at its
output becomes, at its input,

$$g = s + b \qquad s = A^T g' \qquad b = J_F^T g'$$

one part $s$ that came along the shortcut, as it was, and one part $b$ that came through the two layers of the branch.
Reading notes like to write this as "one plus a small number": the shortcut brings the large part, and whatever the
branch does to its part, the gradient gets through. Two vectors add up by their lengths and the angle between them,

$$|g|^2 = |s|^2 + |b|^2 + 2\,|s|\,|b| \cos(s, b)$$

so all of it can be measured: how long is each part, and do the two point the same way?

**What to expect.** Before training the picture of lesson 5: plain nets explode, residual nets hardly. The branch's
part is *not* small then, and at a right angle to the shortcut's. A few steps later the explosion is over. The plain
net of 56 layers then has gradients of the healthiest size, and does not learn.

Runs in 8 s on a laptop, no GPU, no network. The nets of 56 layers replay a log.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyres import flow, models
from tinyres.flow.logs import read_log
from tinyres.flow.testbed import digits_arrays, train

plt.style.use("tinyres.flow.lesson")
COLOURS = {"plain": "#D55E00", "residual": "#0072B2"}


def by_depth(record: flow.Record) -> tuple[np.ndarray, np.ndarray]:
    """Depths [D], and the norm of the gradient at the output of the last layer of each depth [steps, D]."""
    depths = np.unique(record.depth)
    last = [np.flatnonzero(record.depth == depth)[-1] for depth in depths]
    return depths, record.gradient_norm[:, last]


# %% [markdown]
# Recording a net
# ---------------
# A recorder listens to a training loop and changes nothing in it: the weights come out the same, byte for byte. Here it
# looks at every sixth step of two nets of 20 layers, for 40 steps. ``tinyres train --flow`` does so for a whole run.

# %%
digits = digits_arrays(flat=False).hold_out(157)
live = {}
for name in ("plain20", "resnet20"):
    net = models.create(name, in_channels=1, seed=0)
    with flow.Recorder(net, every=6, meta={"data": "digits", "seed": 0}) as recorder:
        train(net, digits, epochs=2, batch=64, every=2, watch=lambda step: recorder.step(updated=False))
    live[name] = recorder.record
    print(live[name])

figure, panels = plt.subplots(1, 2, figsize=(9.8, 3.7), sharey=True)
for axes, (name, record) in zip(panels, live.items(), strict=True):
    depths, norms = by_depth(record)
    for row, step in enumerate(record.step):
        axes.semilogy(depths, norms[row], color=plt.get_cmap("viridis")(0.9 * row / len(norms)), label=f"step {step}")
    axes.set(xlabel="depth (weighted layers up to here)", xticks=[1, 5, 10, 15, 20], title=f"{name} on digits, seed 0")
panels[0].set_ylabel("norm of the gradient at a layer's output")
panels[1].legend(fontsize=8.5)
plt.show()

# %% [markdown]
# At step 0 the plain net's gradient grows toward the input, as lesson 5 has it. That is over within six steps. Both
# nets of 20 layers learn.
#
# Fifty-six layers, through training
# ----------------------------------
# From here on the log of ``python lessons/experiments/gradient_flow.py``: 12 epochs at rate 0.03, divided by 10 at
# 75 %, three seeds. Each line is the median over the seeds at the first step of an epoch.

# %%
log = read_log("gradient_flow")
runs = log["runs"]
SEEDS = log["seeds"]
print(log["made_by"], "on", log["date"][:10], "seeds", SEEDS, log["data"])


def of(name: str, what: str) -> np.ndarray:
    """An array of the log, one for each seed, stacked."""
    return np.array([runs[f"{name} {seed}"][what] for seed in SEEDS])


figure, panels = plt.subplots(1, 2, figsize=(9.8, 4.2), sharey=True)
for axes, (name, title) in zip(
    panels, (("plain56", "plain, 56 layers"), ("resnet56", "residual, 56 layers")), strict=True
):
    depths, norms = of(name, "depth")[0], np.median(of(name, "gradient_norm"), axis=0)
    for row, step in enumerate(of(name, "step")[0]):
        said = f"step {step}" if row in (0, 1, 2, 5, 8, 11) else None
        axes.semilogy(depths, norms[row], color=plt.get_cmap("viridis")(0.95 * row / len(norms)), label=said)
    error = 100 * np.median(of(name, "train_error"))
    axes.set(xlabel="depth (weighted layers up to here)", title=f"{title}: training error {error:.0f} % at the end")
panels[0].set_ylabel("norm of the gradient at a layer's output")
panels[0].legend(fontsize=8.5)
figure.suptitle(
    "Gradients on digits, median of 3 seeds, loss = mean over the batch of 64, rate 0.03, 12 epochs of 23 steps",
    fontsize=9, color="#666666",
)  # fmt: skip
plt.show()


def growth(name: str) -> np.ndarray:
    """Factor of the squared norm from a layer to the one before it [seeds, steps], as in lesson 5."""
    depths, norms = of(name, "depth")[0][:-1], of(name, "gradient_norm")[..., :-1]
    slopes = [[np.polyfit(depths, 2 * np.log(row), 1)[0] for row in seed] for seed in norms]
    return np.exp(-np.array(slopes))


factor = {name: growth(name) for name in ("plain20", "resnet20", "plain56", "resnet56")}
for name, q in factor.items():
    said = ", ".join(f"{error:.1%}" for error in of(name, "train_error"))
    print(f"{name:9} q at step 0: {q[:, 0].mean():.2f}, later {np.median(q[:, 1:]):.2f}; training error {said}")
for name in ("plain56", "resnet56"):
    at_higher = [runs[f"{name} {seed} at {log['higher']}"]["train_error"] for seed in SEEDS]
    print(f"{name} at rate {log['higher']}: training error {', '.join(f'{error:.1%}' for error in at_higher)}")

# %% [markdown]
# The first gradient of the plain net is thousands of times as large in its first layers as in its last ones. The steps
# that follow tear the first layers out of their initial state, and the explosion is over. For an epoch or two the
# gradient sags in the middle of the net, by a factor of twenty: the one piece of vanishing in these pictures, and it
# comes *after* an explosion. From then on the norms are healthy, as He et al. reported: $q$ is 1.0, the first layer
# gets what the last one gets. The residual net keeps its mild growth of 5 % a layer. By its norms you would bet on the
# plain net. But it ends with half or more of its own training images wrong, the residual net with none. The size of
# gradients is not what tells the two nets apart.
#
# What the shortcut brings
# ------------------------
# Now the two parts, at the input of each of the 27 blocks of ResNet-56. Left: before training. Middle: their ratio
# through training. Right: the cosine between them.

# %%
block, step = np.arange(1, 28), of("resnet56", "step")[0]
shortcut, branch = of("resnet56", "split_shortcut_norm"), of("resnet56", "split_branch_norm")
ratio, cosine = branch / shortcut, of("resnet56", "split_cosine")
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10.6, 3.8))
left.semilogy(block, np.median(shortcut, axis=0)[0], color="#0072B2", label="shortcut part |s|")
left.semilogy(block, np.median(branch, axis=0)[0], color="#D55E00", label="branch part |b|")
left.semilogy(block, np.median(of("resnet56", "split_total_norm"), axis=0)[0], "k:", label="whole |g|")
left.set(xlabel="block", ylabel="norm at the block's input", title="ResNet-56, step 0")
left.legend(fontsize=8.5)
for axes, values in ((middle, ratio), (right, cosine)):
    for row in (0, 1, 3, 6, 11):
        colour = plt.get_cmap("viridis")(0.95 * row / 11)
        axes.plot(block, np.median(values, axis=0)[row], color=colour, label=f"step {step[row]}")
    axes.set_xlabel("block")
middle.plot(block, 2 / np.sqrt(block), "k:", lw=1.2, label="2 / sqrt(block)")
middle.set(title="branch part / shortcut part", yscale="log")
middle.legend(fontsize=7.5)
right.axhline(0, color="#666666", lw=0.8)
right.set(title="cosine between the parts", ylim=(-0.2, 0.5))
plt.show()
for name in ("resnet20", "resnet56"):
    parts, angles = of(name, "split_branch_norm") / of(name, "split_shortcut_norm"), of(name, "split_cosine")
    for said, rows in (("at step 0", slice(0, 1)), ("later", slice(1, None))):
        print(
            f"{name} {said}: branch / shortcut {np.median(parts[:, rows]):.2f}, "
            f"cosine {np.median(angles[:, rows]):+.3f} (medians over blocks, steps and seeds)"
        )

# %% [markdown]
# "One plus a small number" is not quite what happens. In the first blocks the branch brings *more* than the shortcut.
# Before training its share falls like $2/\sqrt{l}$ with the number $l$ of the block. Lesson 11 shows why: the stream
# grows like $\sqrt{l}$, and batch norm divides the branch by it. The two parts stand at a right angle, as two random
# vectors of many numbers do, so their squares add up and $q$ is above 1: the mild explosion of the residual net.
#
# Training makes the saying truer in the deep net. In the median block of ResNet-56 the branch's part goes down to
# about a third of the shortcut's, in the last blocks to a fifth. And the angle closes: the cosine becomes positive, the
# branch now pushes where the shortcut pushes. In ResNet-20 the parts stay about equal: each of its 9 blocks has more to
# do than each of 27.
#
# The check: the two parts must add up to the gradient that the backward pass left there, in every block at every step.

# %%
gaps = {name: float(of(name, "split_error").max()) for name in ("resnet20", "resnet56")}
gaps["resnet20, now"] = float(live["resnet20"].split_error.max())
for name, gap in gaps.items():
    print(f"{name}: largest |g - (s + b)| / |g| over blocks and steps: {gap:.1e}")

# %%
assert max(gaps.values()) < 1e-6
for name, low, high in (
    ("plain20", 1.25, 1.45),
    ("plain56", 1.25, 1.45),
    ("resnet20", 1.1, 1.3),
    ("resnet56", 1, 1.15),
):
    assert low < factor[name][:, 0].min() <= factor[name][:, 0].max() < high, name
first_to_last = of("plain56", "gradient_norm")[:, :, 0] / of("plain56", "gradient_norm")[:, :, -2]
assert first_to_last[:, 0].min() > 1000
assert np.abs(np.median(factor["plain56"][:, 6:], axis=1) - 1).max() < 0.1
assert (np.median(factor["resnet56"][:, 1:], axis=1) > 1).all()
assert of("plain56", "train_error").min() > 0.3
assert of("resnet56", "train_error").max() < 0.02
at_start = ratio[:, 0] * np.sqrt(block)
assert 1.7 < at_start.min() <= at_start.max() < 3.1
assert np.abs(np.median(cosine[:, 0], axis=1)).max() < 0.02
for seed in range(len(SEEDS)):
    assert np.median(ratio[seed, 1:]) < 0.45 < 0.5 < np.median(ratio[seed, 0])
    assert np.median(ratio[seed, 1:, 0]) > 1
    assert np.median(cosine[seed, 1:]) > 0.03
depths, norms = by_depth(live["plain20"])
assert norms[0, 0] / norms[0, -2] > 5 > norms[-1, 0] / norms[-1, -2]

# %% [markdown]
# What does not show at this scale
# --------------------------------
# Twelve epochs of digits are 276 steps; the paper's nets take 64,000. With the paper's rate of 0.1 the residual net of
# 56 layers is at the edge here: see what is printed above. So the common rate of this lesson is 0.03, at which it
# learns with every seed and the plain net with none. Norms and cosines of one batch say nothing about whether the
# gradients of *different* images agree. That is what decides, and it is the subject of lesson 7.
