# task: derive.softmax
# way: the product of y and dy once, and its sum
# slip: the sum is subtracted as it is, the factor y in front of it forgotten
# right: return both - y * both.sum(axis=axis, keepdims=True)
# wrong: return both - both.sum(axis=axis, keepdims=True)


def softmax(dy, y, axis):
    both = dy * y
    return both - both.sum(axis=axis, keepdims=True)
