"""Lab 3: the two gradients of a convolution."""
