"""The loss around a point in weight space, along one or two random directions that are normalised filter by filter.

    f(a) = loss(w + a d),     f(a, b) = loss(w + a d + b e)
    d_ij <- d_ij |w_ij| / |d_ij|      for filter j of layer i, d Gaussian at first

ReLU nets with batch norm compute the same function when a filter is scaled, so that a step of a given length means
nothing; in units of the filters' own lengths two nets can be compared. Source: Li et al. 2018, "Visualizing the loss
landscape of neural nets", section 4. A filter is what makes one output channel: all but the last axis of [R, S, C, F]
or [C, F]. Biases and the vectors of batch norm stay where they are, as in that paper's figures, or each counts as one
filter. That paper evaluates with running averages; here the batch's own statistics are taken at each point unless
asked otherwise, because running averages belong to the weights at the centre.

A random slice through a space of thousands of dimensions shows little of it: compare nets, do not navigate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.errors import ConfigError, ShapeError
from tinyres.flow.answers import wrong_answers
from tinyres.flow.measures.state import statistics_of
from tinyres.function import no_grad
from tinyres.kernels.launch import moved, on_host
from tinyres.nn.flat import Parameter
from tinyres.nn.module import Module
from tinyres.ops import softmax_cross_entropy
from tinyres.tensor import Tensor

Direction = list[np.ndarray]  # one array a parameter


@dataclass(frozen=True, eq=False)
class Landscape:
    """Loss and error on a line or on a grid around the weights.

    Attributes
    ----------
    axes : tuple of ndarray
        Coordinates a, and b of a grid; 0 is the net itself.
    loss, error : ndarray, shape [A] or [A, B]
        Cross-entropy and fraction of wrong answers; a loss that is not finite stays as it is, and an answer that is
        not finite is wrong.
    statistics : str
        Of batch norm.
    """

    axes: tuple[np.ndarray, ...]
    loss: np.ndarray
    error: np.ndarray
    statistics: str

    def table(self) -> dict[str, np.ndarray]:
        """One row a point: a, b of a grid, loss, error."""
        grid = np.meshgrid(*self.axes, indexing="ij")
        columns = {name: values.ravel() for name, values in zip("ab", grid, strict=False)}
        return columns | {"loss": self.loss.ravel(), "error": self.error.ravel()}


def landscape(
    model: Module,
    images: Any,
    labels: Any,
    *,
    dimensions: int = 1,
    reach: float = 1.0,
    points: int = 21,
    biases: bool = False,
    statistics: str = "training",
    directions: Sequence[Direction] | None = None,
    seed: int = 0,
) -> Landscape:
    """Loss and error of a batch on a line or a grid of weights around those of the net.

    Parameters
    ----------
    model : Module
        Put back byte for byte, also after an error.
    images, labels : ndarray, shapes [N, ...] and [N]
    dimensions : {1, 2}
    reach : float
        Coordinates go from -reach to reach; at 1 every filter has moved by its own length.
    points : int
        On each axis; with an odd number the centre is one of them.
    biases : bool
        Move biases and the vectors of batch norm as well.
    statistics : {"training", "batch", "running"}
        Of batch norm, as of `measures.state`; "training" is the batch's own at each point.
    directions : sequence of lists of ndarray, optional
        As many as dimensions, each with one array a parameter, taken as they are: for instance towards another net.
    seed : int
        Of random directions.

    Returns
    -------
    Landscape

    Raises
    ------
    ConfigError
        Other than one or two dimensions, a reach that is not positive, fewer than two points.
    ShapeError
        Directions that do not fit the parameters.

    Examples
    --------
    >>> from tinyres.models.dense import DenseNet
    >>> rng = np.random.default_rng(0)
    >>> images, labels = rng.standard_normal((20, 64)).astype(np.float32), rng.integers(0, 10, 20)
    >>> found = landscape(DenseNet(3), images, labels, dimensions=2, points=5)
    >>> found.loss.shape, sorted(found.table())
    ((5, 5), ['a', 'b', 'error', 'loss'])
    """
    if dimensions not in (1, 2):
        raise ConfigError(f"a landscape has 1 or 2 dimensions, not {dimensions}.")
    if not 0 < reach < np.inf or points < 2:
        raise ConfigError(f"reach is {reach} and points {points}; a positive reach and 2 points or more are wanted.")
    labels = on_host(labels)
    parameters = model.parameters()
    if directions is None:
        rng = np.random.default_rng(seed)
        directions = [filter_normalised(parameters, rng, biases=biases) for _ in range(dimensions)]
    _check(directions, parameters, dimensions)
    axes = (np.linspace(-reach, reach, points),) * dimensions
    losses, errors = np.empty((2, *(points,) * dimensions))
    with statistics_of(model, statistics, images), no_grad(), np.errstate(over="ignore", invalid="ignore"):
        centre = [parameter.data.copy() for parameter in parameters]
        for place in np.ndindex(*losses.shape):
            for position, parameter in enumerate(parameters):
                moves = [
                    axis[k] * direction[position] for axis, k, direction in zip(axes, place, directions, strict=True)
                ]
                parameter.data[...] = centre[position] + moved(np.asarray(sum(moves)), parameter.device)
            logits = model(Tensor(images))
            losses[place] = softmax_cross_entropy(logits, labels).item()
            errors[place] = wrong_answers(logits.numpy(), labels).mean()
    return Landscape(axes, losses, errors, statistics)


def filter_normalised(parameters: Sequence[Parameter], rng: np.random.Generator, *, biases: bool = False) -> Direction:
    """Draw a direction in weight space, every filter of it as long as the net's own.

    Parameters
    ----------
    parameters : sequence of Parameter
    rng : numpy.random.Generator
    biases : bool
        Vectors as one filter each; else they do not move.

    Returns
    -------
    list of ndarray of float64
        Of the parameters' shapes.
    """
    direction = []
    for parameter in parameters:
        d = rng.standard_normal(parameter.shape)
        w = parameter.numpy().astype(np.float64)
        if parameter.ndim < 2:
            length = np.linalg.norm(w) / np.linalg.norm(d) if biases else 0.0
        else:
            axes = tuple(range(parameter.ndim - 1))
            length = np.sqrt((w**2).sum(axes) / (d**2).sum(axes))
        direction.append(np.asarray(d * length))
    return direction


def _check(directions: Sequence[Direction], parameters: Sequence[Parameter], dimensions: int) -> None:
    if len(directions) != dimensions:
        raise ShapeError(f"{len(directions)} directions for {dimensions} dimensions; give one for each.")
    wanted = [list(p.shape) for p in parameters]
    for number, direction in enumerate(directions):
        given = [list(np.shape(array)) for array in direction]
        if given != wanted:
            where = next((i for i, (g, w) in enumerate(zip(given, wanted, strict=False)) if g != w), None)
            said = (
                f"{len(given)} arrays for {len(wanted)} parameters"
                if where is None
                else f"shape {given[where]} where parameter {where} has {wanted[where]}"
            )
            raise ShapeError(f"direction {number} does not fit the net: {said}.")
