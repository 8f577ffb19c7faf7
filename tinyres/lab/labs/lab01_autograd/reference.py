"""What the tasks of lab 1 shall yield: sums written out, in float64.

Graphs come as arrays, see `adapter`. Row k is the owner of order k and whatever uses it has a larger order, so counting
down is a right order for the pass back, and counting up one for the pass forward: no walk is needed here.
"""

from __future__ import annotations

import numpy as np

from tinyres.lab.labs.lab01_autograd.adapter import listed
from tinyres.lab.task import Case, Results


def reachable(case: Case) -> Results:
    """Orders of all nodes behind the starts, increasing."""
    results, edges = case.arrays["results"], case.arrays["edges"]
    seen = np.zeros(len(results), bool)
    seen[case.arrays["starts"]] = True
    for user, owner, _ in edges[np.argsort(-edges[:, 0], kind="stable")]:
        seen[owner] |= seen[user]
    return {"found": listed(np.flatnonzero(seen & (results > 0)).tolist(), len(results))}


def needed(case: Case) -> Results:
    """Which orders lead to what is wanted."""
    wanted = np.zeros(len(case.arrays["results"]), np.int64)
    wanted[case.arrays["wanted"]] = 1
    useful = wanted.copy()
    edges = case.arrays["edges"]
    for user, owner, _ in edges[np.argsort(edges[:, 0], kind="stable")]:
        useful[user] |= useful[owner]
    return {"useful": useful, "wanted_after": wanted}


def walk_back(case: Case) -> Results:
    """Orders of all owners that a gradient reaches, decreasing, and the gradients of their results [K, R, D]."""
    a = case.arrays
    size, edges, weights = len(a["results"]), a["edges"], a["weights"]
    gradients = np.zeros((size, weights.shape[1], a["cotangents"].shape[1]))
    reached = np.zeros(size, bool)
    for (owner, index), cotangent in zip(a["roots"], a["cotangents"], strict=True):
        gradients[owner, index] += cotangent
        reached[owner] = True
    for row in np.argsort(-edges[:, 0], kind="stable"):  # all that uses a node comes before what the node uses
        user, owner, index = edges[row]
        if reached[user]:
            gradients[owner, index] += weights[row] @ gradients[user]
            reached[owner] = True
    return {"visits": listed(np.flatnonzero(reached)[::-1].tolist(), size), "gradients": gradients}


def walk_forward(case: Case) -> Results:
    """Orders of the nodes that change and that an end depends on, increasing, and the tangents of the ends [Q, D]."""
    a = case.arrays
    size, edges, weights = len(a["results"]), a["edges"], a["weights"]
    behind = np.zeros(size, bool)
    behind[a["ends"][:, 0]] = True
    for user, owner, _ in edges[np.argsort(-edges[:, 0], kind="stable")]:
        behind[owner] |= behind[user]
    tangents = np.zeros((size, weights.shape[1], a["changes"].shape[1]))
    moves = np.zeros(size, bool)
    tangents[a["leaves"], 0], moves[a["leaves"]] = a["changes"], True
    for row in np.argsort(edges[:, 0], kind="stable"):
        user, owner, index = edges[row]
        if moves[owner]:
            tangents[user] += weights[row][:, None] * tangents[owner, index]
            moves[user] = True
    pushed = np.flatnonzero(behind & moves & (a["results"] > 0)).tolist()
    return {"pushes": listed(pushed, size), "tangents": np.stack([tangents[owner, i] for owner, i in a["ends"]])}


def sum_to(case: Case) -> Results:
    """Each value of x is added to the place that was copied there."""
    x, shape = case.arrays["x"], tuple(case.params["shape"])
    places = np.broadcast_to(np.arange(np.prod(shape, dtype=int)).reshape(shape), x.shape)
    y = np.zeros(np.prod(shape, dtype=int))
    np.add.at(y, places.ravel(), x.ravel())
    return {"y": y.reshape(shape)}


def product(case: Case) -> Results:
    """By the rule of the product."""
    dy, a, b = (case.arrays[name] for name in ("dy", "a", "b"))
    return _wanted(case, dy * b, dy * a)


def quotient(case: Case) -> Results:
    """By the rule of the quotient."""
    dy, a, b = (case.arrays[name] for name in ("dy", "a", "b"))
    return _wanted(case, dy / b, -dy * a / b**2)


def _wanted(case: Case, da: np.ndarray, db: np.ndarray) -> Results:
    """A gradient that is not wanted is 0 here."""
    return {"da": da * case.params["needs"][0], "db": db * case.params["needs"][1]}


def softmax(case: Case) -> Results:
    """Each row of dx is dy times the matrix of derivatives, diag(y) - y y^T."""
    axis = case.params["axis"]
    dy, y = (np.moveaxis(case.arrays[name], axis, -1) for name in ("dy", "y"))
    dx = np.empty(y.shape)
    for row in np.ndindex(y.shape[:-1]):
        dx[row] = dy[row] @ (np.diag(y[row]) - np.outer(y[row], y[row]))
    return {"dx": np.moveaxis(dx, -1, axis)}
