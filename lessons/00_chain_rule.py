# %% [markdown]
r"""
The chain rule with three scalars, on paper
===========================================

**Question.** Why does it matter so much whether a layer computes $f(x)$ or $x + f(x)$?

You need a pencil and one rule of school calculus. A net is a chain of functions: $a$ goes into $f$, the result $b$ goes
into $g$, the result $c$ is the answer. How much does $c$ move when $a$ moves a little?

$$\frac{dc}{da} = \frac{dc}{db} \, \frac{db}{da}$$

The slopes along a chain are multiplied. That is all that "backpropagation" computes, from the last factor to the first.

**What to expect.** Fifty slopes of one half make a product so small that in single precision a weight of size 1 does
not notice it. Fifty slopes of $1 + 0.01$ make a product near 1.6. A shortcut turns the first kind of chain into the
second.

Runs in 1 s on a laptop, no GPU, no network.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyres

plt.style.use("tinyres.flow.lesson")

# %% [markdown]
# Three scalars
# -------------
# Take $b = 3a$, $c = b^2$ at $a = 2$. Then $b = 6$ and $c = 36$. On paper: $db/da = 3$, $dc/db = 2b = 12$, so
# $dc/da = 36$. The same by machine, and once more by moving $a$ a little, which needs no calculus at all.

# %%
a = tinyres.Tensor(np.array(2.0), requires_grad=True)
b = a * 3.0
c = b * b
c.backward()


def chain(a: float) -> float:
    return (3 * a) ** 2


step = 1e-6
moved = (chain(2 + step) - chain(2 - step)) / (2 * step)
print(f"on paper 36, by backpropagation {float(a.grad.numpy()):.6f}, by moving a {moved:.6f}")

# %% [markdown]
# Fifty layers
# ------------
# Now let every layer be $x \mapsto 0.5 x$: a chain with 50 slopes of 0.5. The slope of the whole is
#
# $$0.5^{50} = 8.9 \times 10^{-16}$$
#
# A weight in the first layer hardly moves the answer, so gradient descent hardly moves that weight. If the slopes were
# 1.5 instead, the product would be $1.5^{50} = 6.4 \times 10^{8}$: it explodes. A chain of products is comfortable only
# where every slope is close to 1.
#
# A layer with a shortcut computes $x + f(x)$. Its slope is $1 + f'(x)$. If $f$ is small, with slope 0.01, then
#
# $$(1 + 0.01)^{50} = 1.64$$
#
# Note what the shortcut has done: it has moved the slope from "near 0" to "near 1". It has not made gradients larger as
# such. With a branch of slope 0.5 it makes things worse: $1.5^{50}$ explodes. So a shortcut wants branches that are
# small; lesson 11 shows how small they are in trained nets, and lesson 5 that He's initial weights alone do not do it.

# %%
depth = np.arange(51)
chains = {
    "slope 0.5: $0.5^L$": 0.5**depth,
    "shortcut and slope 0.01: $1.01^L$": 1.01**depth,
    "shortcut and slope 0.5: $1.5^L$": 1.5**depth,
}
figure, axes = plt.subplots()
for label, product in chains.items():
    axes.semilogy(depth, product, label=label)
axes.axhline(float(np.finfo(np.float32).eps), color="#BBBBBB", lw=1, ls="--")
axes.annotate("relative precision of float32", (0.5, 2e-7), color="#777777", fontsize=8.5)
axes.set(xlabel="number of layers L", ylabel="slope of the whole chain", title="Slopes along a chain multiply")
axes.legend()
plt.show()

# %% [markdown]
# The same with a machine
# -----------------------
# Backpropagation gives exactly these numbers. It multiplies from the last layer to the first; nothing else happens.

# %%


def slope(layers: int, factor: float, shortcut: bool) -> float:
    """Slope of a chain of layers x -> factor*x, or x -> x + factor*x."""
    x = tinyres.Tensor(np.array(1.0), requires_grad=True)
    h = x
    for _ in range(layers):
        h = h + h * factor if shortcut else h * factor
    h.backward()
    return float(x.grad.numpy())


for factor, shortcut in ((0.5, False), (0.01, True), (0.5, True)):
    print(
        f"50 layers, factor {factor}, {'with' if shortcut else 'without'} shortcut: {slope(50, factor, shortcut):.3e}"
    )

# %% [markdown]
# The sum has many terms
# ----------------------
# Multiply out three layers with shortcuts, whose branches have slopes $p$, $q$, $r$:
#
# $$(1 + p)(1 + q)(1 + r) = 1 + (p + q + r) + (pq + pr + qr) + pqr$$
#
# Each term is a path through the net: at every layer it takes either the shortcut (factor 1) or the branch. Fifty
# layers have $2^{50}$ such paths. The term 1 is the path that takes all shortcuts, and it is there however small the
# branches are. Lesson 8 sorts the gradient of a real net by the length of its paths.

# %%
p, q, r = 0.3, -0.2, 0.1
by_length = [1.0, p + q + r, p * q + p * r + q * r, p * q * r]
print("paths with 0, 1, 2, 3 branches:", np.round(by_length, 4), "sum", round(sum(by_length), 6))

# %% [markdown]
# Exercises
# ---------
# Do them on paper. The answers are computed below.
#
# 1. $b = 2a + 1$ and $c = b^3$, at $a = 1$. What is $dc/da$?
# 2. $c = a b$ with $b = 3a$. What is $dc/da$ at $a = 2$? (Two ways lead from $a$ to $c$: add them up.)
# 3. How many layers of slope 0.5 does it take to fall below one millionth?
# 4. A chain of 100 layers with shortcuts ends with slope 2. All branches have the same slope. Which?
# 5. $c = \max(b, 0)$ and $b = -a$, at $a = 3$. What is $dc/da$? And with a shortcut, $c = a + \max(-a, 0)$?
#
# Answers
# -------
# 1. $dc/db = 3 b^2 = 27$ at $b = 3$, $db/da = 2$: 54.
# 2. Directly: $b = 6$. Through $b$: $3 a = 6$. Together 12. (And $c = 3a^2$, so $6a = 12$.)
# 3. 20, for $2^{20} = 1048576$.
# 4. $2^{1/100} - 1 = 0.00696$: small branches suffice to do something, if there are many.
# 5. 0: the layer is dead there, and no gradient passes. With the shortcut: 1.

# %%


def derivative(f, a: float) -> float:
    x = tinyres.Tensor(np.array(a), requires_grad=True)
    f(x).backward()
    return float(x.grad.numpy()) + 0.0  # no -0.0


answers = {
    1: derivative(lambda a: (a * 2.0 + 1.0) ** 3, 1.0),
    2: derivative(lambda a: a * (a * 3.0), 2.0),
    3: int(np.ceil(np.log(1e-6) / np.log(0.5))),
    4: 2 ** (1 / 100) - 1,
    5: (
        derivative(lambda a: tinyres.ops.relu(a * -1.0), 3.0),
        derivative(lambda a: a + tinyres.ops.relu(a * -1.0), 3.0),
    ),
}
for number, answer in answers.items():
    print(f"{number}. {answer}")

# %% [markdown]
# What was claimed
# ----------------

# %%
assert float(a.grad.numpy()) == 36.0
assert abs(moved - 36) < 1e-6
assert slope(50, 0.5, False) == 0.5**50 < 1e-15
assert abs(slope(50, 0.01, True) - 1.01**50) < 1e-12
assert 1.6 < 1.01**50 < 1.7
assert abs(sum(by_length) - (1 + p) * (1 + q) * (1 + r)) < 1e-12
assert (answers[1], answers[2], answers[3], answers[5]) == (54.0, 12.0, 20, (0.0, 1.0))

# %% [markdown]
# What does not show at this scale
# --------------------------------
# Scalars have a slope, layers have a matrix. A matrix can shrink one direction and stretch another, and products of
# matrices behave less simply than powers of 0.5: with He's initial weights a plain net keeps the size of its gradients
# on average, and with batch norm they even grow (lesson 5). So "plain nets fail because gradients vanish" does not
# follow from this page; what does go wrong is the subject of lessons 4 to 12.
