# %% [markdown]
r"""
Which path lengths matter
=========================

**Question.** A net of 54 residual blocks offers the gradient $2^{54}$ ways back, most of them through about 27 blocks.
Which of them does it take?

A block computes $h + F(h)$. On the way back its Jacobian is $I + B$, with $B$ the Jacobian of the branch $F$. Over $n$
blocks the gradient at the input is a product, and a product of sums is a sum over all choices:

$$g = (I + B_1)^T (I + B_2)^T \cdots (I + B_n)^T g_{out} = g_0 + g_1 + \dots + g_n$$

Here $g_k$ collects all paths that go through exactly $k$ branches and take the shortcut at the other blocks. There are
$\frac{n!}{k! \, (n - k)!}$ of them. Veit et al. (2016) drew this picture and estimated the parts by sampling paths. No
sampling is needed: carry one vector for each length, and at each block

$$g_k \leftarrow g_k + B^T g_{k-1}$$

That is the same polynomial arithmetic as multiplying out $(1 + z)^n$. It costs $n$ times a backward pass, not $2^n$,
and it is exact.

**What to expect.** The parts add up to the gradient, to the last digits. Long paths are many, but a single one carries
next to nothing; what arrives in the end came through few branches.

Runs in 8 s on a laptop, no GPU, no network. Trained nets with three seeds, and the convolutional nets, replay logs.
"""

# %%
import itertools
import math

import matplotlib.pyplot as plt
import numpy as np

from tinyres import models
from tinyres.flow.logs import read_log
from tinyres.flow.measures.paths import path_lengths
from tinyres.flow.testbed import digits_arrays, train
from tinyres.models.dense import DenseNet

plt.style.use("tinyres.flow.lesson")
START, TRAINED = "#E69F00", "#0072B2"

# %% [markdown]
# All paths of a small product
# ----------------------------
# Ten blocks that are ten random matrices: 1,024 paths can still be listed. One by one and added up by length they are
# the same vectors as those of the recursion, which touches each matrix once.

# %%
rng = np.random.default_rng(0)
size, n = 6, 10
jacobians = [rng.standard_normal((size, size)) / 4 for _ in range(n)]
out = rng.standard_normal(size)

listed = np.zeros((n + 1, size))
for choices in itertools.product((0, 1), repeat=n):
    vector = out
    for jacobian, branch in zip(reversed(jacobians), choices, strict=True):
        vector = jacobian.T @ vector if branch else vector
    listed[sum(choices)] += vector

parts = np.zeros((n + 1, size))
parts[0] = out
for jacobian in reversed(jacobians):
    parts[1:] += parts[:-1] @ jacobian  # row k is g_k; the right side is computed before anything is written

gradient = out
for jacobian in reversed(jacobians):
    gradient = gradient + jacobian.T @ gradient
print(f"1024 paths against 10 steps: largest difference {abs(listed - parts).max():.1e}")
print(f"sum of the parts against the gradient: {abs(parts.sum(0) - gradient).max():.1e}")

# %% [markdown]
# The same on real nets
# ---------------------
# ``path_lengths`` does this on the graph of any net: where a sum ends a block, parts go on along the branch with their
# number raised by one. First ResNet-110 of the paper, fresh, on a batch of digits: 54 blocks of two convolutions.

# %%
images = digits_arrays(flat=False)
deep = path_lengths(models.create("resnet110", in_channels=1), images.x[:32], images.y[:32])
print(f"{deep.blocks} blocks, {sum(deep.paths):.3g} paths, sum of the parts against the gradient: {deep.error:.1e}")

# %% [markdown]
# Now a net that learns: 54 units of one layer, before and after five epochs of training.

# %%
digits = digits_arrays()
net = DenseNet(54, seed=0)
fresh = path_lengths(net, digits.x[:64], digits.y[:64])
history = train(net, digits, epochs=5, every=5)
learnt = path_lengths(net, digits.x[:64], digits.y[:64])
print(f"training error after five epochs: {history.train_error[-1]:.1%}")

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11.5, 3.7))
lengths = np.arange(55)
left.bar(lengths, np.array(learnt.paths, float) / 2.0**54, color="#BBBBBB", width=0.9)
left.set(xlabel="branches on the path", title="share of the paths")
for result, colour, label in ((fresh, START, "fresh"), (learnt, TRAINED, "trained")):
    middle.semilogy(lengths[:31], result.per_path[:31], color=colour, label=label)
    right.plot(lengths[:31], result.norm[:31] / result.norm.sum(), color=colour, label=label)
    low, high = result.span()
    print(
        f"{label}: 90 % of the summed norms come from lengths {low} to {high}, "
        f"which are {sum(result.paths[low : high + 1]) / 2**54:.2g} of all paths"
    )
middle.set(xlabel="branches on the path", title="norm of one path of this length")
right.set(xlabel="branches on the path", title="share of all paths of this length")
middle.legend()
figure.suptitle("54 units, digits, seed 0", fontsize=10, x=0.02, ha="left")
plt.show()

# %% [markdown]
# Left: half of the paths have 27 branches or more. Middle: each further branch makes a single path weaker by nearly
# the same factor, almost a straight line on the logarithmic axis. Right: the product of the two. It peaks early, at a
# handful of branches, and training moves it further to the left.
#
# Three seeds
# -----------
# The log of ``python lessons/experiments/dense_blocks.py``: the same net, trained for 15 epochs, three seeds.

# %%
log = read_log("dense_blocks")
print(log["made_by"], "on", log["date"][:10], "seeds", log["seeds"], log["data"])
runs = {seed: log["runs"][f"residual-54 {seed}"] for seed in log["seeds"]}
factors = {}
for seed, run in runs.items():
    single = np.array(run["paths"]["per_path"])
    factors[seed] = float((single[7] / single[1]) ** (1 / 6))
    print(
        f"seed {seed}: training error {run['train_error']:.1%}, lengths {run['paths_at_start']['span']} at the start, "
        f"{run['paths']['span']} trained; one more branch: x {factors[seed]:.3f}; error {run['paths']['error']:.1e}"
    )

# %% [markdown]
# Norms are not contributions
# ---------------------------
# A warning that the literature often leaves out. The norms of the parts add up to *more* than the norm of the gradient,
# because the parts point in different directions and cancel. The share of a norm is therefore not a share of the
# gradient. What adds up to 1 is the projection of each part on the whole,
#
# $$c_k = \frac{\langle g_k, g \rangle}{\langle g, g \rangle} \qquad c_0 + c_1 + \dots + c_n = 1$$
#
# and it can be negative. Here both tell the same story, which was not to be taken for granted.

# %%
figure, axes = plt.subplots()
for seed, run in runs.items():
    paths = run["paths"]
    norm, contribution = np.array(paths["norm"]), np.array(paths["contribution"])
    axes.plot(norm[:16] / norm.sum(), color=TRAINED, alpha=0.6, label="share of the norms" if seed == 0 else None)
    axes.plot(contribution[:16], "--", color="#D55E00", alpha=0.8, label="contribution" if seed == 0 else None)
    print(
        f"seed {seed}: summed norms / norm of the gradient {paths['cancellation']:.2f}, "
        f"contributions add up to {contribution.sum():.6f}, the smallest is {contribution.min():.3f}"
    )
axes.axhline(0, color="#BBBBBB", lw=0.8)
axes.set(xlabel="branches on the path", title="two readings of the same parts, 54 units trained, three seeds")
axes.legend()
plt.show()

# %% [markdown]
# The convolutional nets
# ----------------------
# The log of ``python lessons/experiments/conv_blocks.py``: ResNet-20, 56 and 110 trained on the digits, 20 epochs (110
# layers: 30), the two deeper ones with a warm-up. A path of $k$ branches passes $2 k$ convolutions.

# %%
conv = read_log("conv_blocks")
print(conv["made_by"], "on", conv["date"][:10])
figure, axes = plt.subplots()
spans: dict[str, list[tuple[list[int], list[int], int]]] = {}
for name, colour in (("resnet20", "#009E73"), ("resnet56", "#0072B2"), ("resnet110", "#CC79A7")):
    seeds = [run for key, run in conv["runs"].items() if key.split()[0] == name]
    for run in seeds:
        blocks = len(run["paths"]["paths"]) - 1
        for kind, style in (("paths_at_start", ":"), ("paths", "-")):
            norm = np.array(run[kind]["norm"])
            said = f"{name}, {'trained' if kind == 'paths' else 'fresh'}" if run is seeds[0] else None
            axes.plot(np.arange(blocks + 1)[:26], (norm / norm.sum())[:26], style, color=colour, label=said)
        spans.setdefault(name, []).append((run["paths_at_start"]["span"], run["paths"]["span"], blocks))
        print(
            f"{name}: training error {run['train_error']:.1%}, of {blocks} blocks {run['paths_at_start']['span']} at "
            f"the start, {run['paths']['span']} trained"
        )
axes.set(xlabel="branches on the path", ylabel="share of the norms", title="the paper's nets on digits")
axes.legend(fontsize=8.5)
plt.show()

# %% [markdown]
# So a residual net of 110 layers is trained mainly by gradients that saw few of its layers. That is one way to say why
# it can be trained: the difficult products of many Jacobians are there, but they hardly count. It does not say that
# long paths are useless: their sum is small, not zero, and it is a different question whether the net *computes* with
# short paths (lesson 9 takes blocks away and looks).

# %%
assert abs(listed - parts).max() < 1e-9
assert abs(parts.sum(0) - gradient).max() < 1e-9
assert deep.error < 1e-5
assert deep.paths[27] == math.comb(54, 27)
assert learnt.error < 1e-5
assert abs(learnt.contribution.sum() - 1) < 1e-5
assert learnt.span()[1] <= 15 < 27
for run in runs.values():
    assert run["train_error"] < 0.02
    assert run["paths"]["error"] < 1e-5
    assert run["paths"]["span"][1] <= 15
    assert run["paths"]["cancellation"] > 1
    assert abs(sum(run["paths"]["contribution"]) - 1) < 1e-5
assert max(factors.values()) < 0.3
for seeds in spans.values():
    for start, trained, blocks in seeds:
        assert trained[1] < start[1] <= blocks

# %% [markdown]
# What does not show at this scale
# --------------------------------
# Veit et al. report for ResNet-110 on CIFAR-10 that paths of 5 to 17 blocks carry the gradient. On the digits the
# lengths are shorter still, because the task is easy and a trained net needs few of its blocks: a number from here is
# no prediction for CIFAR-10. They count paths from the loss to the first layer, as is done here; batch norm is counted
# with its dependence on the batch, and the ReLU after a convolutional block's sum belongs to shortcut and branch alike.
