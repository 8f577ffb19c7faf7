# task: order.reachable
# way: wave after wave, a dictionary by order
# slip: the starts themselves are not among what is found
# right: found = {node.order: node for node in wave}
# wrong: found = {}


def reachable(starts, behind):
    wave = list(starts)
    found = {}
    while wave:
        before = {node.order: node for user in wave for node in behind(user)}
        wave = [node for order, node in before.items() if order not in found]
        found.update(before)
    return [found[order] for order in sorted(found)]
