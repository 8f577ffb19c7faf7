# task: order.walk_back
# way: a dictionary from (order, index) to the sum, and max for whose turn it is
# slip: of two starts at one edge the second replaces the first
# right: sums = {key(at): reduce(add, [g for edge, g in starts if key(edge) == key(at)]) for at, _ in starts}
# wrong: sums = {key(edge): gradient for edge, gradient in starts}

from functools import reduce
from operator import add


def key(edge):
    """Of a result of a node, or of a leaf."""
    return (edge[0].order, edge[1]) if isinstance(edge, tuple) else (edge.order, 0)


def owner_of(edge):
    return edge[0] if isinstance(edge, tuple) else edge


def walk_back(starts, visit):
    starts = list(starts)
    sums = {key(edge): gradient for edge, gradient in starts}
    waiting = {owner_of(edge).order: owner_of(edge) for edge, _ in starts}
    while waiting:
        owner = waiting.pop(max(waiting))
        gradients = [sums.pop((owner.order, index), None) for index in range(getattr(owner, "results", 1))]
        for edge, gradient in visit(owner, gradients):
            at = key(edge)
            sums[at] = reduce(add, [sums[at], gradient]) if at in sums else gradient
            waiting[at[0]] = owner_of(edge)
