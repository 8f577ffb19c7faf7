# task: order.walk_back
# way: a sorted list of orders, and bisect
# slip: a gradient is added in place, into an array that somebody else holds
# right: sums[index] = sums[index] + gradient
# wrong: sums[index] += gradient

from bisect import insort


def walk_back(starts, visit):
    waiting, orders = {}, []

    def send(pairs):
        for edge, gradient in pairs:
            owner, index = edge if isinstance(edge, tuple) else (edge, 0)
            if owner.order not in waiting:
                insort(orders, owner.order)
                waiting[owner.order] = owner, [None] * getattr(owner, "results", 1)
            sums = waiting[owner.order][1]
            if sums[index] is None:
                sums[index] = gradient
            else:
                sums[index] += gradient

    send(starts)
    while orders:
        send(visit(*waiting.pop(orders.pop())))
