# task: order.walk_back
# way: two dictionaries by (order, index), a sorted list of orders
# slip: where a second gradient comes to the same result it replaces the first instead of being added
# right: total[key] = total[key] + gradient if key in total else gradient
# wrong: total[key] = gradient

from bisect import insort


def walk_back(starts, visit):
    total, owners, orders = {}, {}, []
    arriving = list(starts)
    while True:
        for edge, gradient in arriving:
            owner, index = edge if type(edge) is tuple else (edge, 0)
            key = (owner.order, index)
            total[key] = gradient
            if owner.order not in owners:
                owners[owner.order] = owner
                insort(orders, owner.order)
        if not orders:
            return
        owner = owners.pop(orders.pop())
        count = getattr(owner, "results", 1)
        arriving = list(visit(owner, [total.pop((owner.order, k), None) for k in range(count)]))


def reachable(starts, behind):
    raise NotImplementedError("order.reachable is not written yet")


def leading_to(nodes, wanted, orders_behind):
    raise NotImplementedError("order.needed is not written yet")
