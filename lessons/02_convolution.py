# %% [markdown]
r"""
A convolution is a matrix product
=================================

**Question.** What does a convolution layer compute, and where do its two gradients come from?

A filter $w$ slides over the image $x$. At each place it is multiplied with the pixels below it, and all is added up:

$$y_{ijf} = \sum_{r,s,c} x_{i+r,\, j+s,\, c} \; w_{rscf}$$

For each output pixel the sum runs over one patch of $x$, the part below the filter. Write every patch as one row of a
matrix $X$ (this is called *im2col*) and the filters as the columns of a matrix $W$. Then

$$Y = X W$$

and the layer is a matrix product. For $Y = XW$ the gradients are those of school: with $\bar Y$ the gradient of $Y$,

$$\bar W = X^T \bar Y, \qquad \bar X = \bar Y W^T$$

$\bar X$ has a row for each patch. A pixel that lies in nine patches appears nine times in $X$, so its nine gradients
are added up where they belong (*col2im*).

**What to expect.** Three short functions that agree with tinyres' compiled kernels to rounding, and the answer to two
riddles: why the input gradient is a convolution with the filter turned round, and why a test that uses
``y.sum().backward()`` lets wrong gradients pass.

Runs in 3 s on a laptop, no GPU, no network.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyres
from tinyres.data.digits import load_digits

plt.style.use("tinyres.flow.lesson")
rng = np.random.default_rng(0)

# %% [markdown]
# Patches as rows
# ---------------
# Four axes, channels last: images are ``[N, H, W, C]``, filters ``[R, S, C, F]``. All sizes below are different on
# purpose: a mix-up of two axes then fails loudly instead of giving plausible numbers.

# %%


def im2col(x: np.ndarray, size: tuple[int, int], stride: int, padding: int) -> np.ndarray:
    """[N, H, W, C] -> [N, I, J, R, S, C]: for every output pixel the patch it looks at."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))[:, ::stride, ::stride]
    return windows.transpose(0, 1, 2, 4, 5, 3)


def conv(x: np.ndarray, w: np.ndarray, stride: int = 1, padding: int = 0) -> np.ndarray:
    """One matrix product: [N*I*J, R*S*C] @ [R*S*C, F]."""
    patches = im2col(x, w.shape[:2], stride, padding)
    rows = patches.reshape(-1, w[..., 0].size)
    return (rows @ w.reshape(-1, w.shape[-1])).reshape(*patches.shape[:3], -1)


def conv_weight(x: np.ndarray, dy: np.ndarray, size: tuple[int, int], stride: int, padding: int) -> np.ndarray:
    """The product X^T dY: [R*S*C, N*I*J] @ [N*I*J, F]."""
    patches = im2col(x, size, stride, padding)
    rows = patches.reshape(np.prod(patches.shape[:3]), -1)
    return (rows.T @ dy.reshape(len(rows), -1)).reshape(*size, x.shape[-1], -1)


def conv_input(dy: np.ndarray, w: np.ndarray, shape: tuple[int, ...], stride: int, padding: int) -> np.ndarray:
    """The product dY W^T, each patch added back to where it was cut out (col2im)."""
    n, height, width, channels = shape
    rows = (dy @ w.reshape(-1, w.shape[-1]).T).reshape(*dy.shape[:3], *w.shape[:3])
    dx = np.zeros((n, height + 2 * padding, width + 2 * padding, channels))
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            top, left = i * stride, j * stride
            dx[:, top : top + w.shape[0], left : left + w.shape[1]] += rows[:, i, j]
    return dx[:, padding : padding + height, padding : padding + width]


# %% [markdown]
# Against the library
# -------------------
# The comparison uses a *random* cotangent ``dy``, in float64, with sizes that are pairwise different, with a stride and
# with padding.

# %%
x = rng.standard_normal((2, 9, 7, 3))
w = rng.standard_normal((3, 2, 3, 5))
settings = {"stride": 2, "padding": 1}
y = tinyres.ops.conv2d(
    tx := tinyres.Tensor(x, requires_grad=True), tw := tinyres.Tensor(w, requires_grad=True), **settings
)
dy = rng.standard_normal(y.shape)
y.backward(dy)
gaps = {
    "y": np.abs(conv(x, w, **settings) - y.numpy()).max(),
    "dw": np.abs(conv_weight(x, dy, w.shape[:2], **settings) - tw.grad.numpy()).max(),
    "dx": np.abs(conv_input(dy, w, x.shape, **settings) - tx.grad.numpy()).max(),
}
print("largest difference from tinyres:", {name: f"{gap:.1e}" for name, gap in gaps.items()})

# %% [markdown]
# The matrix itself
# -----------------
# Seen from the image, a convolution is linear: $y = K x$ with one big matrix $K$, which is mostly zeros and repeats the
# same few weights along its diagonals. The picture shows it for an 8 by 8 digit and one 3 by 3 filter. Its transpose
# takes $\bar y$ to $\bar x$. Transposing turns each band of weights round its diagonal: that is why the input gradient
# is again a convolution, with the filter turned by half a turn.

# %%
digit = load_digits().train.images[3].astype(np.float64)[None] / 16  # [1, 8, 8, 1]
edge = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]).reshape(3, 3, 1, 1)
units = np.eye(64).reshape(64, 8, 8, 1)
matrix = conv(units, edge, padding=1).reshape(64, 64).T  # column p: what the filter makes of pixel p alone
filtered = conv(digit, edge, padding=1)
upstream = rng.standard_normal((1, 8, 8, 1))
turned_round = conv(upstream, edge[::-1, ::-1], padding=1)

figure, panels = plt.subplots(1, 3, figsize=(9.4, 3.3))
for axes, picture, title in zip(
    panels, (digit[0, :, :, 0], filtered[0, :, :, 0], matrix), ("x: a digit", "y: its vertical edges", "K: y = K x"),
    strict=True,
):  # fmt: skip
    bound = np.abs(picture).max()
    axes.imshow(picture, cmap="PuOr_r", vmin=-bound, vmax=bound)
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
plt.show()

# %% [markdown]
# Why a test with ones is not enough
# ----------------------------------
# Many a test computes ``y.sum().backward()``. Then $\bar Y$ is all ones, and whatever permutes or turns $\bar Y$ is
# invisible. Here is a wrong input gradient: the filter is *not* turned round. Away from the border it passes the test
# with ones, exactly. A random cotangent catches it at once.

# %%


def wrong(dy: np.ndarray) -> np.ndarray:
    return conv(dy, edge_like, padding=1)


edge_like = rng.standard_normal((3, 3, 1, 1))
inside = (slice(None), slice(2, -2), slice(2, -2))
missed, caught = (
    float(np.abs(wrong(g) - conv_input(g, edge_like, g.shape, 1, 1))[inside].max())
    for g in (np.ones((1, 8, 8, 1)), rng.standard_normal((1, 8, 8, 1)))
)
print(f"wrong gradient, difference with a cotangent of ones {missed:.1e}, with a random one {caught:.2f}")

# %% [markdown]
# What it costs
# -------------
# The matrix $X$ repeats every pixel up to nine times. For a layer of ResNet-20 with 128 images of 32 by 32 pixels and
# 16 channels that is
#
# $$128 \cdot 32 \cdot 32 \cdot 9 \cdot 16 \cdot 4 \text{ bytes} = 75 \text{ MB}$$
#
# for one layer. So tinyres never builds the whole of it: its readable kernel takes a few images at a time, and the
# compiled ones go over the patches without writing them down. What is kept for the backward pass is $x$, nine times
# smaller.

# %%
assert max(gaps.values()) < 1e-12
assert np.allclose(matrix @ digit.ravel(), filtered.ravel())
assert np.allclose(matrix.T @ upstream.ravel(), turned_round.ravel())
assert missed < 1e-12 < 0.5 < caught
assert 128 * 32 * 32 * 9 * 16 * 4 == 75_497_472

# %% [markdown]
# What does not show at this scale
# --------------------------------
# Speed. As a matrix product a convolution runs at the speed of matrix products only where they are large; with 16
# channels they are not, and most of the time goes into moving patches. ``tinyres bench`` measures the kernels of this
# library, layer by layer, beside PyTorch's.
