# task: order.walk_back
# way: a list of owners that wait, kept in order by bisect
# slip: whoever was sent something first is visited first, whether or not more is still to come
# right: owner = queue.pop(queue.index(max(queue, key=lambda each: each.order)))
# wrong: owner = queue.pop(0)


def walk_back(starts, visit):
    queue, sums = [], {}
    todo = list(starts)
    while todo or queue:
        for edge, gradient in todo:
            owner, index = edge if isinstance(edge, tuple) else (edge, 0)
            if owner not in sums:
                sums[owner] = [None] * (owner.results if isinstance(edge, tuple) else 1)
                queue.append(owner)
            known = sums[owner][index]
            sums[owner][index] = gradient if known is None else known + gradient
        owner = queue.pop(0)
        todo = list(visit(owner, sums.pop(owner)))


def reachable(starts, behind):
    raise NotImplementedError("order.reachable is not written yet")


def leading_to(nodes, wanted, orders_behind):
    raise NotImplementedError("order.needed is not written yet")
