"""Figures of gradient flow: depth on x, training step as colour, any number of runs on common axes."""
