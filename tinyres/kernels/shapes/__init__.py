"""Per op: what its arrays must look like, and the shape and dtype of each of its results.

A rule takes the op's arrays and parameters and returns [(shape, dtype), ...]; what does not fit raises one sentence
with the op, the argument, both shapes and the remedy. Shape letters, here and everywhere:

    N batch   H, W height and width   C channels in   F channels out (filters)   R, S kernel height and width
    I, J height and width of the output   K classes
"""

from tinyres.kernels.shapes import basic, layers, step  # noqa: F401 - they enter their rules
from tinyres.kernels.shapes.rules import LOOK_AT_VALUES, RULES, VIEWS, axes_of, out_size

__all__ = ["LOOK_AT_VALUES", "RULES", "VIEWS", "axes_of", "out_size"]
