"""Training: settings, the loop, checkpoints, measurements and figures."""

from tinyres.train.comparison import Comparison, compare
from tinyres.train.loop import Result, fit
from tinyres.train.recipe import Config

__all__ = ["Comparison", "Config", "Result", "compare", "fit"]
