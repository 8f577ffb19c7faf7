# task: order.reachable
# way: level by level, a dictionary from order to node
# slip: only what is behind another node is found, not the starts themselves
# right: found = {node.order: node for node in level}
# wrong: found = {}


def reachable(starts, behind):
    level = list(starts)
    found = {}
    while level:
        before = {node.order: node for here in level for node in behind(here)}
        level = [node for order, node in before.items() if order not in found]
        found.update(before)
    return [found[order] for order in sorted(found)]
