# %% [markdown]
r"""
Autograd in one page
====================

**Question.** How does a program differentiate a program, and why must it walk back in a particular order?

A net is a graph: numbers at the nodes, one operation at each. Call the answer $L$ and the gradient of a node
$\bar v = \partial L / \partial v$. If $v$ is used by the nodes $u_1, u_2, \dots$, the chain rule says

$$\bar v = \sum_i \bar u_i \, \frac{\partial u_i}{\partial v}$$

There are two ways to use it. *Path by path*: walk from $L$ down every path and add up what arrives. *Node by node*:
wait at each node until all its users have delivered, then hand on the sum, once.

**What to expect.** Both give the same numbers. But a net with $n$ shortcuts has $2^n$ paths and only about $3n$ nodes:
thirty shortcuts make a billion paths. Node by node needs an order in which every user comes before what it uses, a
topological order; visiting each node once in another order gives wrong gradients.

Runs in 3 s on a laptop, no GPU, no network.
"""

# %%
from __future__ import annotations

import time

import matplotlib.pyplot as plt
import numpy as np

import tinyres

plt.style.use("tinyres.flow.lesson")

# %% [markdown]
# The engine
# ----------
# A node keeps its value, the nodes it was made from, and the slope with respect to each of them. That is a graph that
# records itself while the program runs. Nothing else is needed for scalars.

# %%


class Node:
    """A number that knows what it was made from."""

    def __init__(self, value: float, inputs: tuple[tuple[Node, float], ...] = ()) -> None:
        self.value, self.inputs, self.gradient = value, inputs, 0.0

    def __add__(self, other: Node) -> Node:
        return Node(self.value + other.value, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other: Node) -> Node:
        return Node(self.value * other.value, ((self, other.value), (other, self.value)))

    def tanh(self) -> Node:
        y = float(np.tanh(self.value))
        return Node(y, ((self, 1 - y * y),))


def path_by_path(node: Node, gradient: float = 1.0) -> int:
    """Add what arrives along every path; returns the number of visits."""
    node.gradient += gradient
    return 1 + sum(path_by_path(source, gradient * slope) for source, slope in node.inputs)


def topological(root: Node) -> list[Node]:
    """All nodes below the root, each after everything that uses it."""
    order: list[Node] = []
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((source, False) for source, _ in node.inputs)
    return order[::-1]


def node_by_node(root: Node, order: list[Node]) -> int:
    """Hand on each node's gradient once, in the given order; returns the number of visits."""
    root.gradient = 1.0
    for node in order:
        for source, slope in node.inputs:
            source.gradient += node.gradient * slope
    return len(order)


# %% [markdown]
# A chain of shortcuts
# --------------------
# Take $h \leftarrow h + \tanh(w h)$, $n$ times, with one weight $w$ for all layers. Every layer uses $h$ twice, so the
# number of paths doubles at every layer.

# %%


def net(layers: int, x: float = 0.3, w: float = 0.2) -> tuple[Node, Node, Node]:
    start, weight = Node(x), Node(w)
    h = start
    for _ in range(layers):
        h = h + (weight * h).tanh()
    return start, weight, h


def same_with_tinyres(layers: int, x: float = 0.3, w: float = 0.2) -> tuple[float, float]:
    start, weight = (tinyres.Tensor(np.array(v), requires_grad=True) for v in (x, w))
    h = start
    for _ in range(layers):
        h = h + tinyres.ops.tanh(weight * h)
    h.backward()
    return float(start.grad.numpy()), float(weight.grad.numpy())


layers = np.arange(1, 16)
visits: dict[str, list[int]] = {"path by path": [], "node by node": []}
for n in layers:
    start, weight, h = net(int(n))
    visits["path by path"].append(path_by_path(h))
    by_paths = start.gradient, weight.gradient
    start, weight, h = net(int(n))
    visits["node by node"].append(node_by_node(h, topological(h)))
    by_nodes = start.gradient, weight.gradient
    assert np.allclose(by_paths, by_nodes, rtol=1e-12)

print("gradients of x and w through 15 layers")
print("  path by path", by_paths)
print("  node by node", by_nodes)
print("  tinyres     ", same_with_tinyres(15))

# %%
figure, axes = plt.subplots()
for (label, counts), marker in zip(visits.items(), "os", strict=True):
    axes.semilogy(layers, counts, marker=marker, label=label)
axes.semilogy(layers, 2.0**layers, color="#999999", lw=1, ls="--", label="$2^n$")
axes.set(xlabel="shortcuts n", ylabel="visits of nodes in the backward pass", title="The same gradient, two walks")
axes.legend()
plt.show()

# %% [markdown]
# A thousand layers
# -----------------
# Node by node the cost grows like the number of nodes. A loop over a list does not care about depth; a recursion would
# run into Python's limit long before. tinyres keeps the nodes in a heap by the time at which they were made: whatever
# uses a result was made after it, so "latest made first" is a topological order that costs nothing to find.

# %%
begin = time.perf_counter()
start, weight, h = net(1000, w=0.001)
many = node_by_node(h, topological(h))
print(f"1000 shortcuts: {many} visits in {time.perf_counter() - begin:.3f} s, 2^1000 = {2.0**1000:.1e} paths")

# %% [markdown]
# The wrong order
# ---------------
# Visit each node once, but nearest to the answer first (breadth first). Take $y = x \cdot x \cdot x + x$ with
# $x = v + v$. The node $x$ is a neighbour of the answer, so it has its turn early, and hands on to $v$ what it has got
# so far. The part that comes through $x \cdot x$ arrives later, and is lost.

# %%


def breadth_first(root: Node) -> list[Node]:
    order, seen = [root], {id(root)}
    for node in order:
        for source, _ in node.inputs:
            if id(source) not in seen:
                seen.add(id(source))
                order.append(source)
    return order


def polynomial() -> tuple[Node, Node]:
    leaf = Node(2.0)
    x = leaf + leaf  # an inner node, 2 * leaf
    return leaf, (x * x) * x + x


answers = {}
for name, order_of in (("topological", topological), ("breadth first", breadth_first)):
    leaf, y = polynomial()
    node_by_node(y, order_of(y))
    answers[name] = leaf.gradient
on_paper = 2 * (3 * 4.0**2 + 1)  # y = x^3 + x with x = 2 * leaf
print("on paper", on_paper, answers)

# %% [markdown]
# What was claimed
# ----------------

# %%
assert np.allclose(by_nodes, same_with_tinyres(15), rtol=1e-12)
assert visits["path by path"][-1] > 2**15
assert visits["node by node"][-1] <= 3 * 15 + 2
assert many <= 3 * 1000 + 2
assert answers["topological"] == on_paper
assert answers["breadth first"] != on_paper

# %% [markdown]
# What does not show at this scale
# --------------------------------
# Scalars hide two things. With arrays a "slope" is a matrix that nobody writes down; each operation knows how to
# multiply by its transpose instead (lesson 2 does it for a convolution). And memory, not time, is the limit of deep
# nets: every node keeps what its slope needs until the backward pass has used it. The number of paths comes back in
# lesson 8, where the gradient of a real residual net is sorted by path length, exactly, without walking the paths.
