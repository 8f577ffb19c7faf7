# task: derive.softmax
# way: the product first, then its sum
# slip: the sum along the axis is taken away without its factor y
# right: weighted - y * weighted.sum(axis, keepdims=True)
# wrong: weighted - weighted.sum(axis, keepdims=True)


def softmax(dy, y, axis):
    weighted = dy * y
    return weighted - weighted.sum(axis, keepdims=True)
