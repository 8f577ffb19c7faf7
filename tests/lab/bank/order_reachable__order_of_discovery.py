# task: order.reachable
# way: breadth first, one generation after the other
# slip: the nodes come back in the reverse of the order in which they were found, which is not that of their making
# right: sorted(known.values(), key=lambda node: node.order)
# wrong: list(known.values())[::-1]


def reachable(starts, behind):
    known = {node.order: node for node in starts}
    generation = list(known.values())
    while generation:
        fresh = {}
        for node in generation:
            for maker in behind(node):
                if maker.order not in known:
                    fresh[maker.order] = maker
        known.update(fresh)
        generation = list(fresh.values())
    return list(known.values())[::-1]


def leading_to(nodes, wanted, orders_behind):
    raise NotImplementedError("order.needed is not written yet")


def walk_back(starts, visit):
    raise NotImplementedError("order.walk_back is not written yet")
