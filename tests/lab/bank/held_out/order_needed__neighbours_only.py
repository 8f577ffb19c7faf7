# task: order.needed
# way: a set comprehension for each node, and the two sets joined at the end
# slip: asks whether an input is wanted itself, not whether it leads there
# right: if not found.isdisjoint(orders_behind(node)):
# wrong: if not wanted.isdisjoint(orders_behind(node)):


def leading_to(nodes, wanted, orders_behind):
    found = set(wanted)
    for node in nodes:
        if not wanted.isdisjoint(orders_behind(node)):
            found |= {node.order}
    return found
