# task: order.walk_back
# way: a dictionary of lists by order; the largest key is visited next
# slip: sums are made in place with +=, which changes an array that was sent to two places
# right: slots[place] = slots[place] + gradient
# wrong: slots[place] += gradient


def walk_back(starts, visit):
    waiting, owners = {}, {}

    def send(edge, gradient):
        owner, place = edge if isinstance(edge, tuple) else (edge, 0)
        owners[owner.order] = owner
        slots = waiting.setdefault(owner.order, [None] * getattr(owner, "results", 1))
        if slots[place] is None:
            slots[place] = gradient
        else:
            slots[place] += gradient

    for edge, gradient in starts:
        send(edge, gradient)
    while waiting:
        latest = max(waiting)
        for edge, gradient in visit(owners[latest], waiting.pop(latest)):
            send(edge, gradient)


def reachable(starts, behind):
    raise NotImplementedError("order.reachable is not written yet")


def leading_to(nodes, wanted, orders_behind):
    raise NotImplementedError("order.needed is not written yet")
