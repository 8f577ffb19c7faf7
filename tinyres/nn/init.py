"""Initial weights, drawn from a seeded generator in the order in which the layers are built."""

from __future__ import annotations

import math

import numpy as np

DEFAULT_DTYPE = np.float32


def he_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal with variance 2 / fan_in, which keeps the variance of activations through layers of ReLU.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        Filters [R, S, C, F] (fan_in = R*S*C) or a matrix [C, F] (fan_in = C).

    Returns
    -------
    ndarray of float32, of that shape

    Notes
    -----
    Source: He, Zhang, Ren, Sun, "Delving deep into rectifiers", 2015, equation 10. They count fan_in; counting fan_out
    instead changes the layers of stride 2 by a factor of sqrt(2).
    """
    fan_in = math.prod(shape[:-1])
    return (rng.standard_normal(shape) * math.sqrt(2 / fan_in)).astype(DEFAULT_DTYPE)


def linear_normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Normal with variance 1 / (3 C), for the matrix [C, F] of a layer that no ReLU follows.

    The variance of the usual uniform distribution on +-1/sqrt(C). He's factor of 2 makes up for a ReLU; without one it
    would only make the first logits, and with them the first losses, large.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        C and F.

    Returns
    -------
    ndarray of float32, of that shape
    """
    return (rng.standard_normal(shape) / math.sqrt(3 * shape[0])).astype(DEFAULT_DTYPE)
