# %% [markdown]
r"""
Batch norm, forward, backward, and when training is over
========================================================

**Question.** What does batch norm do to a signal and to its gradient, and why is there a second kind for evaluation?

For each channel, with the mean $\mu$ and the variance $\sigma^2$ over the $M$ values of the batch,

$$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad y = \gamma \hat x + \beta$$

The mean and the variance depend on $x$ too. Going back, that takes two directions out of the gradient $\bar y$:

$$\bar x = s \gamma ( \bar y - \langle \bar y \rangle - \hat x \langle \bar y \hat x \rangle )$$

where $s = 1 / \sqrt{\sigma^2 + \epsilon}$ and $\langle \cdot \rangle$ is the mean over the batch. What is left
has no part along "all values move together" and none along "all values are stretched": moves that batch norm would undo
anyway.

**What to expect.** The formula agrees with finite differences; forgetting the two terms does not. Signals keep their
size through 30 layers whatever the initial weights; without batch norm they do not. And a freshly trained net can be
right in training mode and wrong in evaluation mode, because its running averages have not arrived yet.

Runs in 5 s on a laptop, no GPU, no network.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyres
from tinyres.flow.testbed import digits_arrays, error_of, train
from tinyres.models.dense import DenseNet

plt.style.use("tinyres.flow.lesson")
rng = np.random.default_rng(0)
EPS = 1e-5

# %% [markdown]
# Forward and backward
# --------------------
# ``naive`` is what one gets by treating the mean and the deviation as constants. It is the usual mistake of a first
# implementation, and such a net even trains, badly.

# %%


def forward(x, gamma, beta):
    scale = 1 / np.sqrt(x.var(axis=0) + EPS)
    xhat = (x - x.mean(axis=0)) * scale
    return gamma * xhat + beta, xhat, scale


def backward(dy, xhat, scale, gamma):
    return gamma * scale * (dy - dy.mean(axis=0) - xhat * (dy * xhat).mean(axis=0))


def naive(dy, scale, gamma):
    return gamma * scale * dy


x = 3.0 + 2.0 * rng.standard_normal((16, 4))
gamma, beta = rng.standard_normal((2, 4))
dy = rng.standard_normal(x.shape)
y, xhat, scale = forward(x, gamma, beta)
dx = backward(dy, xhat, scale, gamma)


def difference(direction: np.ndarray, step: float = 1e-5) -> float:
    """Slope of sum(y * dy) along a direction, by moving x."""
    up, down = (np.sum(forward(x + sign * step * direction, gamma, beta)[0] * dy) for sign in (1, -1))
    return float((up - down) / (2 * step))


direction = rng.standard_normal(x.shape)
slopes = {
    "finite differences": difference(direction),
    "the formula": float(np.sum(dx * direction)),
    "mean and deviation as constants": float(np.sum(naive(dy, scale, gamma) * direction)),
}
for name, slope in slopes.items():
    print(f"{name:32} {slope: .6f}")
print("part of dx along 1 and along xhat:", np.abs(dx.mean(axis=0)).max(), np.abs((dx * xhat).mean(axis=0)).max())

tensors = [tinyres.Tensor(v, requires_grad=True) for v in (x, gamma, beta)]
tinyres.ops.batch_norm(*tensors, np.zeros(4), np.ones(4), training=True).backward(dy)

# %% [markdown]
# Scale does not matter, but it sets the size of steps
# ----------------------------------------------------
# Multiply the weights before a batch norm by $a$: the output stays, so the loss stays, so the gradient with respect to
# these weights is divided by $a$ and is perpendicular to them. Large weights learn slowly. That is why weight decay
# acts on a net with batch norm like a learning rate, and why "the best learning rate" of two nets can differ.

# %%
inputs, weights = rng.standard_normal((64, 8)), rng.standard_normal((8, 4))
target = rng.standard_normal((64, 4))


def gradient(a: float) -> tuple[np.ndarray, np.ndarray]:
    z, xhat, scale = forward(inputs @ (a * weights), gamma, beta)
    return z, inputs.T @ backward(target, xhat, scale, gamma)


(z_1, g_1), (z_10, g_10) = gradient(1.0), gradient(10.0)
along = float(np.abs((g_1 * weights).sum(axis=0)).max())
shrunk = float(np.linalg.norm(g_10) / np.linalg.norm(g_1))
print(f"weights times 10: output moves by {np.abs(z_1 - z_10).max():.1e}, gradient times {shrunk:.4f}")
print(f"gradient along the weights: {along:.1e}")

# %% [markdown]
# Signals through depth
# ---------------------
# Thirty plain layers, with He's initial weights multiplied by 0.7, 1 and 1.4. Without batch norm the size of the signal
# is a power of that factor; with it every layer starts afresh. (What this does to gradients is another matter, and not
# all of it is good: lesson 5.)

# %%
digits = digits_arrays()
sizes: dict[tuple[float, bool], list[float]] = {}
for gain in (0.7, 1.0, 1.4):
    for batch_norm in (False, True):
        net = DenseNet(30, shortcut=0.0, batch_norm=batch_norm, gain=gain)
        seen: list[float] = []
        for _, unit in net.units.children():
            unit.register_forward_hook(lambda module, inputs, output: seen.append(output.numpy().std()))  # noqa: B023
        net(digits.x[:256])
        sizes[gain, batch_norm] = seen

figure, axes = plt.subplots()
for (gain, batch_norm), seen in sizes.items():
    colour = {0.7: "#0072B2", 1.0: "#009E73", 1.4: "#D55E00"}[gain]
    label = f"{gain} × He, {'with' if batch_norm else 'without'} batch norm"
    axes.semilogy(range(1, 31), seen, color=colour, ls="-" if batch_norm else "--", label=label)
axes.set(xlabel="layer", ylabel="standard deviation of the output", title="Signals in a plain net before training")
axes.set_ylim(1e-6, 1e10)
axes.legend(ncols=2, fontsize=8.5, loc="upper left")
plt.show()

# %% [markdown]
# Evaluation
# ----------
# In training, the answer for one image depends on the others in its batch. For use that will not do, and a batch of one
# image has no variance at all. So training also keeps running averages,
#
# $$\text{running} \leftarrow 0.9 \, \text{running} + 0.1 \, \text{batch}$$
#
# and evaluation uses these as constants. They begin at mean 0 and variance 1, and after $n$ steps the beginning still
# has the weight $0.9^n$: a tenth after 22 steps. Meanwhile the weights move on. Below, two nets of 20 units after
# every step of their first epoch and a half, judged on 500 training images in both modes.

# %%
x, y = digits.x[:500], digits.y[:500]


def with_batch_statistics(net: DenseNet) -> float:
    """Error with the statistics of all images at once; the running averages are put back afterwards."""
    kept = net.state_dict()
    with tinyres.no_grad():
        wrong = net(x).numpy().argmax(axis=1) != y
    net.load_state_dict(kept)
    return float(wrong.mean())


def two_modes(shortcut: float) -> np.ndarray:
    """Errors with batch statistics and with running averages [2, 36], step by step."""
    net, errors = DenseNet(20, shortcut=shortcut, seed=1), []

    def watch(step: int) -> None:
        if step < 36:
            errors.append((with_batch_statistics(net), error_of(net, x, y)))

    train(net, digits, epochs=2, every=2, watch=watch)
    return np.array(errors).T


modes = {"plain net": two_modes(0.0), "residual net": two_modes(1.0)}
late = {name: errors[:, 12:28].mean(axis=1) for name, errors in modes.items()}

figure, panels = plt.subplots(1, 2, figsize=(9.4, 3.6), sharey=True)
for axes, (name, errors) in zip(panels, modes.items(), strict=True):
    for values, label, style in zip(errors, ("batch statistics", "running averages"), ("-", "--"), strict=True):
        axes.plot(np.arange(36), 100 * values, ls=style, label=label)
    axes.set(xlabel="step", title=f"{name}, 20 units, seed 1", ylim=(0, 100))
    print(f"{name}, steps 12 to 27: error {late[name][0]:.0%} by batch, {late[name][1]:.0%} by running averages")
panels[0].set_ylabel("error on 500 training images (%)")
panels[0].legend()
plt.show()

# %% [markdown]
# The plain net can already do something in training mode while in evaluation mode it guesses. In the residual net the
# two agree: its units change the stream a little at a time, so the averages of a moment ago still fit. A small sign,
# in passing, of what the shortcut does.

# %%
assert abs(slopes["the formula"] - slopes["finite differences"]) < 1e-6
assert abs(slopes["mean and deviation as constants"] - slopes["finite differences"]) > 0.1
assert np.abs(dx.mean(axis=0)).max() < 1e-12
assert np.abs((dx * xhat).mean(axis=0)).max() < 1e-4  # exactly 0 but for epsilon
assert np.allclose(tensors[0].grad.numpy(), dx, atol=1e-12)
assert along < 1e-4
assert abs(shrunk - 0.1) < 1e-4
assert all(0.5 < size < 3 for (_, norm), seen in sizes.items() if norm for size in seen)
assert sizes[0.7, False][-1] < 1e-3
assert sizes[1.4, False][-1] > 1e3
assert late["plain net"][1] > late["plain net"][0] + 0.15
assert abs(late["residual net"][1] - late["residual net"][0]) < 0.05

# %% [markdown]
# What does not show at this scale
# --------------------------------
# On ImageNet the paper's released nets do not use the moving average at all: after training, mean and variance were
# measured once over many images. And with a few images a batch (detection, very large images) the statistics of a
# batch are too noisy to normalise by; digits in batches of 64 never get there. A pixel that is nearly constant over all
# images is a trap that does show: batch norm multiplies its noise by up to $1/\sqrt{\epsilon} = 316$. The nets of these
# lessons have a linear layer before the first batch norm for that reason.
