"""Layers and what they are made of. A network is a Module whose attributes are Parameters, arrays and other Modules."""

from tinyres.nn.blocks import BasicBlock
from tinyres.nn.flat import Flat
from tinyres.nn.layers import BatchNorm2d, Conv2d, Dropout, Flatten, GlobalAvgPool, Linear, MaxPool2d, ReLU, Sequential
from tinyres.nn.module import Module, Parameter
from tinyres.nn.recompute import RecomputedSequential, recompute

__all__ = [
    "BasicBlock",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flat",
    "Flatten",
    "GlobalAvgPool",
    "Linear",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "RecomputedSequential",
    "Sequential",
    "recompute",
]
