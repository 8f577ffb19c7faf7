"""Networks by name."""

from tinyres.models.catalogue import create, names
from tinyres.models.cifar import CifarNet

__all__ = ["CifarNet", "create", "names"]
