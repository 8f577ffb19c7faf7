"""Lab 5: the residual block, its shortcuts, and what they do to the gradient."""
