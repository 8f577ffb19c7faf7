# task: order.needed
# way: who uses whom in a dictionary, then up from what is wanted, one generation after the other
# slip: only nodes with a wanted input of their own count, not those that depend on such a node
# right: while fresh:
# wrong: if fresh:


def leading_to(nodes, wanted, orders_behind):
    users = {}
    for node in nodes:
        for order in orders_behind(node):
            users.setdefault(order, []).append(node.order)
    found, fresh = set(wanted), set(wanted)
    if fresh:
        fresh = {user for order in fresh for user in users.get(order, ())} - found
        found |= fresh
    return found


def reachable(starts, behind):
    raise NotImplementedError("order.reachable is not written yet")


def walk_back(starts, visit):
    raise NotImplementedError("order.walk_back is not written yet")
