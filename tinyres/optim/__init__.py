"""The optimizer and the schedules of its learning rate."""

from tinyres.optim.sgd import SGD

__all__ = ["SGD"]
