"""Shattered gradients: how alike are the gradients of a net's output at inputs that are near each other?

    g_i = d f(x_i) / d x                      of points x_1 ... x_N on a line
    acf(k) = sum_i <g_i - m, g_{i+k} - m> / sum_i <g_i - m, g_i - m>,     m the mean of the g_i

Beside it stand the same numbers for white noise, whose values have nothing to do with each other, and for brown noise,
their running sums. Where acf(k) looks white, the gradient at one image says nothing about the gradient at the next.
Source: Balduzzi et al. 2017, "The shattered gradients problem", section 2 and figures 1 and 2 (256 points of [-2, 2],
nets with 200 units a layer). For images, the cosine between the gradients at two neighbours and at points between them:

    cos(t) = <g(a), g(a + t(b - a))> / |g(a)| |g(a + t(b - a))|

Batch norm has the statistics of the whole batch, held constant ("batch", see `measures.state`); in the reading
"training" the gradient at one point also holds what it does to all the others through the statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tinyres.autograd import grad
from tinyres.errors import ConfigError, GradientError, ShapeError
from tinyres.flow.measures.state import placed, statistics_of
from tinyres.kernels.launch import moved, on_host
from tinyres.nn.module import Module
from tinyres.tensor import Tensor

NOISES = 1000  # samples of white and of brown noise behind their curves


@dataclass(frozen=True, eq=False)
class Shattering:
    """Gradients along a line of inputs, and their autocorrelation.

    Attributes
    ----------
    lag : ndarray of int, shape [K]
        From 0.
    acf, white, brown : ndarray, shape [K]
        Of the gradients, and the means over 1,000 samples of noise of the same length.
    gradients : ndarray, shape [N, D]
        Gradient at each input, as a row.
    """

    lag: np.ndarray
    acf: np.ndarray
    white: np.ndarray
    brown: np.ndarray
    gradients: np.ndarray

    def table(self) -> dict[str, np.ndarray]:
        """One row a lag."""
        return {"lag": self.lag, "acf": self.acf, "white": self.white, "brown": self.brown}


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Cosines between the gradient at an image and those on the way to its nearest neighbour.

    Attributes
    ----------
    fraction : ndarray, shape [T]
        How far on the way, t, from 0 to 1.
    cosine : ndarray, shape [N, T]
        For each image; NaN where one of the two gradients is zero.
    neighbour : ndarray of int, shape [N]
        Which image is nearest.
    distance : ndarray, shape [N]
        How far it is, |b - a|.
    """

    fraction: np.ndarray
    cosine: np.ndarray
    neighbour: np.ndarray
    distance: np.ndarray

    def table(self) -> dict[str, np.ndarray]:
        """One row a fraction: mean, quartiles and median over the images."""
        low, middle, high = np.nanquantile(self.cosine, [0.25, 0.5, 0.75], axis=0)
        return {
            "fraction": self.fraction,
            "mean": np.nanmean(self.cosine, axis=0),
            "median": middle,
            "lower_quartile": low,
            "upper_quartile": high,
        }


def shattering(
    model: Module,
    inputs: Any | None = None,
    *,
    along: Any | None = None,
    outputs: Any = 0,
    lags: int = 15,
    statistics: str = "batch",
    seed: int = 0,
) -> Shattering:
    """Autocorrelation of the gradients at inputs that stand on a line, in their order.

    Parameters
    ----------
    model : Module
        Left as it was.
    inputs : ndarray, shape [N, ...], optional
        Neighbours next to each other; 256 points of [-2, 2], shape [256, 1], if not given.
    along : ndarray, shape [...], optional
        Take the derivative in this direction alone, instead of all components of the gradient.
    outputs : int or ndarray of int [N]
        Which output of the net is differentiated.
    lags : int
        K.
    statistics : {"batch", "running", "training"}
        Of batch norm.
    seed : int
        Of the noise.

    Returns
    -------
    Shattering

    Raises
    ------
    ShapeError
        Too few inputs for the lags, a direction of another shape.
    GradientError
        A gradient that is not finite, or the same at every input.

    Examples
    --------
    >>> from tinyres.models.dense import DenseNet
    >>> found = shattering(DenseNet(5, width=50, inputs=1, num_classes=1, shortcut=0.0))
    >>> bool(found.white[1] < 0.1 < found.acf[1] < found.brown[1] < 1)
    True
    """
    if inputs is None:
        inputs = np.linspace(-2, 2, 256, dtype=model.parameters()[0].dtype)[:, None]
    inputs = on_host(inputs)
    gradients = input_gradients(model, inputs, outputs=outputs, statistics=statistics).reshape(len(inputs), -1)
    if along is not None:
        direction = np.asarray(along, gradients.dtype).ravel()
        if direction.size != gradients.shape[1]:
            raise ShapeError(f"the direction has {direction.size} values and an input {gradients.shape[1]}.")
        gradients = (gradients @ direction)[:, None]
    return Shattering(np.arange(lags), autocorrelation(gradients, lags), *_noises(len(inputs), lags, seed), gradients)


@cache
def _noises(length: int, lags: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean autocorrelation of white and of brown noise of this length."""
    white = np.random.default_rng(seed).standard_normal((NOISES, length))
    first, second = (np.mean([autocorrelation(n, lags) for n in noise], 0) for noise in (white, white.cumsum(axis=1)))
    return first, second


def autocorrelation(signal: Any, lags: int) -> np.ndarray:
    """acf(0) = 1, acf(1), ... acf(lags - 1) of a signal [N, ...], whose components are taken together; [lags].

    Raises
    ------
    ShapeError
        A signal not longer than the lags.
    GradientError
        A signal that is not finite, or constant: it has no autocorrelation.
    """
    signal = np.asarray(signal, np.float64)
    if not 1 <= lags < len(signal):
        raise ShapeError(f"{lags} lags of {len(signal)} values; fewer lags than values are wanted, at least one.")
    rows = signal.reshape(len(signal), -1)
    if not np.isfinite(rows).all():
        first = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise GradientError(f"the gradient at input {first} is not finite; lower the gain of the net or its depth.")
    centred = rows - rows.mean(axis=0)
    power = float((centred**2).sum())
    if power <= 1e-20 * float((rows**2).sum()):
        raise GradientError(
            "the gradient is the same at every input: a net that is linear here has no autocorrelation."
        )
    return np.array([(centred[: len(rows) - k] * centred[k:]).sum() / power for k in range(lags)])


def neighbours(
    model: Module, images: Any, labels: Any, *, steps: int = 11, statistics: str = "batch", seed: int = 0
) -> Neighbours:
    """Cosine between the input gradient at each image and those at points towards its nearest neighbour.

    Differentiated is the logit of the image's own label, at all points of its way.

    Parameters
    ----------
    model : Module
        Images [N, ...] to logits; left as it was.
    images, labels : ndarray, shapes [N, ...] and [N]
        At least two images; nearest is meant in the Euclidean distance of their pixels.
    steps : int
        T: points from the image (t = 0) to the neighbour (t = 1).
    statistics : {"batch", "running"}
        Of batch norm; "batch" are those of `images`.

    Returns
    -------
    Neighbours

    Raises
    ------
    ShapeError
        Fewer than two images, or another number of labels.
    GradientError
        Gradients that are zero, or not finite.
    """
    images, labels = on_host(images), on_host(labels)
    if len(images) < 2 or labels.shape != (len(images),):
        raise ShapeError(
            f"images of shape {list(images.shape)} with labels {list(labels.shape)}; two images or more are wanted, "
            "with one label each."
        )
    if steps < 2:
        raise ConfigError(f"{steps} points from image to image; at least 2 are wanted, the two themselves.")
    rows = images.reshape(len(images), -1).astype(np.float64)
    lengths = (rows**2).sum(axis=1)
    distances = lengths[:, None] + lengths - 2 * rows @ rows.T
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    fraction = np.linspace(0, 1, steps)
    with statistics_of(model, statistics, images):
        found = []
        for t in fraction:
            between = (images + t * (images[nearest] - images)).astype(images.dtype)
            found.append(_gradients(model, between, labels).reshape(len(images), -1).astype(np.float64))
    if not all(np.isfinite(g).all() for g in found):
        raise GradientError("the input gradients are not finite, so that they have no direction to compare.")
    norms = [np.linalg.norm(g, axis=1) for g in found]
    products = [np.where(norms[0] * norm > 0, norms[0] * norm, np.nan) for norm in norms]
    cosine = [(found[0] * g).sum(axis=1) / product for g, product in zip(found, products, strict=True)]
    if np.isnan(cosine).all(axis=1).any():
        raise GradientError("the input gradients are zero: no image of these changes its logit.")
    distance = np.linalg.norm(rows - rows[nearest], axis=1)
    return Neighbours(fraction, np.stack(cosine, axis=1), nearest, distance)


def input_gradients(model: Module, inputs: Any, *, outputs: Any = 0, statistics: str = "batch") -> np.ndarray:
    """Gradient of one output of the net with respect to its input, at each of the inputs [N, ...]; same shape.

    Parameters
    ----------
    model : Module
        [N, ...] -> [N, K]; left as it was.
    inputs : ndarray, shape [N, ...]
    outputs : int or ndarray of int [N]
        Which of the K, for all inputs or for each.
    statistics : {"batch", "running", "training"}
        Of batch norm.
    """
    inputs = on_host(inputs)
    with statistics_of(model, statistics, inputs):
        return _gradients(model, inputs, outputs)


def _gradients(model: Module, inputs: np.ndarray, outputs: Any) -> np.ndarray:
    x = Tensor(placed(model, inputs), requires_grad=True)
    y = model(x)
    if y.ndim != 2 or not 0 <= np.min(outputs) <= np.max(outputs) < y.shape[1]:
        raise ShapeError(f"the net gives {list(y.shape)}; output {outputs} of a result [N, K] is wanted.")
    cotangent = np.zeros(y.shape, y.dtype)
    cotangent[np.arange(len(inputs)), outputs] = 1
    gradient = grad(y, x, moved(cotangent, y.device))
    if gradient is None:
        raise GradientError("the output of this net does not depend on its input.")
    found: np.ndarray = gradient.numpy()
    return found
