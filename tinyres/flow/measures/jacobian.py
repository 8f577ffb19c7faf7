"""Singular values of the Jacobian of a net, or of a part of it, at given images.

    J = d(output of `end`) / d(output of `start`),   one matrix [m, n] an image,   J = U diag(s) V^T

The singular values s say how a small ball of inputs is stretched. Deep products of random matrices keep few directions:
most s become tiny against the largest. The identity adds 1 to each factor of the product, J = prod (I + J_l), which
keeps them together. Source: Saxe, McClelland, Ganguli 2014 (linear nets), section 3; Pennington, Schoenholz, Ganguli
2017, "Resurrecting the sigmoid"; for the rank of deep nets Daneshmand et al. 2020, "Batch normalization provably avoids
ranks collapse".

Small parts exactly, row by row: with a batch of copies of an image, one backward pass gives as many rows v^T J as there
are copies (batch norm then has constant statistics, so that copies do not see each other). Large parts by the
randomised range finder (Halko, Martinsson, Tropp 2011, algorithm 4.4): Q spans (J J^T)^q J G for a Gaussian G, and the
singular values of Q^T J are the largest of J, from below. It needs J u as well: v^T J is linear in v, and the gradient
of <v^T J, u> with respect to v is J u: a backward pass through a backward pass, exact in the arithmetic of the net,
where a difference quotient would leave half of the digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.autograd import grad
from tinyres.errors import ConfigError, GradientError, ShapeError, nearest
from tinyres.flow.measures.state import like, placed, statistics_of
from tinyres.kernels.launch import on_host
from tinyres.nn.module import Module
from tinyres.tensor import Tensor

COPIES = 256  # images in a batch of copies


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Singular values of one Jacobian an image.

    Attributes
    ----------
    values : ndarray of float64, shape [N, k]
        For each image, largest first; k is min(m, n), or fewer where only the largest were asked for.
    shape : (int, int)
        m and n of the Jacobian.
    frobenius : ndarray, shape [N]
        sqrt(sum of all s^2): exact where all are known, else sqrt(|Q^T J|^2 + mean |((I - Q Q^T) v)^T J|^2) over
        Gaussian v, in which only what lies outside the subspace that was found is estimated.
    start, end : str
        Names of the modules, `"input"` and `"output"` at the ends of the net.
    """

    values: np.ndarray
    shape: tuple[int, int]
    frobenius: np.ndarray
    start: str
    end: str

    @property
    def relative(self) -> np.ndarray:
        """Values over the largest of their image, shape [N, k]; NaN for J = 0."""
        largest = self.values[:, :1]
        return np.asarray(self.values / np.where(largest > 0, largest, np.nan))

    def above(self, share: float = 1e-3) -> np.ndarray:
        """For each image [N], how many values exceed `share` times the largest: the numerical rank."""
        count: np.ndarray = np.count_nonzero(self.values > share * self.values[:, :1], axis=1)
        return count

    def share_above(self, share: float = 1e-3) -> np.ndarray:
        """`above` over min(m, n), shape [N]; a lower bound where only the largest values are known."""
        return self.above(share) / min(self.shape)

    def stable_rank(self) -> np.ndarray:
        """Sum s^2 / max s^2, shape [N]: 1 for a single direction, min(m, n) where all are equal, NaN for J = 0."""
        largest = self.values[:, 0]
        return np.asarray((self.frobenius / np.where(largest > 0, largest, np.nan)) ** 2)

    def table(self) -> dict[str, np.ndarray]:
        """One row a singular value: image, index from 1, the value, its ratio to the image's largest (NaN if J = 0)."""
        images, k = self.values.shape
        return {
            "image": np.repeat(np.arange(images), k),
            "index": np.tile(np.arange(1, k + 1), images),
            "singular_value": self.values.ravel(),
            "relative": self.relative.ravel(),
        }


def jacobian(
    model: Module,
    images: Any,
    *,
    start: str | None = None,
    end: str | None = None,
    statistics: str = "batch",
    batch: Any = None,
) -> np.ndarray:
    """The whole Jacobian of each image, by rows: as many backward passes as it has rows, over batches of 256.

    Parameters
    ----------
    model : Module
        Left as it was.
    images : ndarray, shape [N, ...]
        In the dtype of the net, which is that of the result.
    start, end : str, optional
        From the output of which module to that of which; the input and the output of the net if not given.
    statistics : {"batch", "running"}
        Constants of batch norm: those of a batch, or the running averages.
    batch : ndarray, shape [M, ...], optional
        That batch; `images` if not given.

    Returns
    -------
    ndarray, shape [N, m, n]
        m values out, n values in.

    Raises
    ------
    ConfigError
        An unknown module, an `end` that does not depend on `start`, or statistics that couple the images.
    ShapeError
        No image.
    """
    images = _checked(images, statistics)
    with statistics_of(model, statistics, images if batch is None else batch):
        copies = max(1, COPIES // len(images))
        source, target = _between(model, images[:1], start, end)
        m, n = target.size, source.size
        copies = min(copies, m)
        source, target = _between(model, np.repeat(images, copies, axis=0), start, end)
        found = np.empty((len(images), m, n), source.dtype)
        for first in range(0, m, copies):
            rows = np.arange(first, min(first + copies, m))
            v = np.zeros((len(images), copies, m))
            v[:, np.arange(len(rows)), rows] = 1
            found[:, rows] = _vjp(source, target, v).reshape(len(images), copies, n)[:, : len(rows)]
    return found


def spectrum(
    model: Module,
    images: Any,
    *,
    start: str | None = None,
    end: str | None = None,
    statistics: str = "batch",
    batch: Any = None,
    largest: int | None = None,
    power: int = 2,
    seed: int = 0,
) -> Spectrum:
    """Singular values of the Jacobian of each image.

    Parameters
    ----------
    model, images, start, end, statistics, batch
        As of `jacobian`.
    largest : int, optional
        Only so many, by the randomised range finder; all of them, from the whole Jacobian, if not given.
    power : int
        Its power iterations q: each makes small values matter less to the subspace, at two more products.
    seed : int
        Of the Gaussian directions.

    Returns
    -------
    Spectrum

    Raises
    ------
    ConfigError
        As of `jacobian`; or `largest` below 1 or beyond the size of the Jacobian.
    GradientError
        A Jacobian that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from tinyres import models
    >>> images = np.random.default_rng(0).standard_normal((2, 8, 8, 1)).astype(np.float32)
    >>> found = spectrum(models.create("resnet20", in_channels=1), images, start="layer2", end="layer3")
    >>> found.values.shape, found.shape
    ((2, 256), (256, 512))
    """
    names = start or "input", end or "output"
    if largest is None:
        whole = jacobian(model, images, start=start, end=end, statistics=statistics, batch=batch)
        values = np.linalg.svd(_finite(whole, *names).astype(np.float64), compute_uv=False)
        return Spectrum(values, (whole.shape[1], whole.shape[2]), np.sqrt((values**2).sum(1)), *names)
    images = _checked(images, statistics)
    found, norms = [], []
    with statistics_of(model, statistics, images if batch is None else batch):
        source, target = _between(model, images[:1], start, end)
        shape = target.size, source.size
        if not 1 <= largest <= min(shape):
            raise ConfigError(f"largest is {largest}; from 1 to {min(shape)} values can be asked for here.")
        k = min(largest + 10, *shape)  # 10 more directions than values wanted, as Halko et al. advise
        rng = np.random.default_rng(seed)
        for image in images:
            source, target = _between(model, np.repeat(image[None], k, axis=0), start, end)
            q = np.linalg.qr(_jvp(source, target, rng.standard_normal((k, shape[1]))).T)[0]
            for _ in range(power):
                q = np.linalg.qr(_vjp(source, target, q.T).T)[0]
                q = np.linalg.qr(_jvp(source, target, q.T).T)[0]
            inside = _finite(_vjp(source, target, q.T), *names).astype(np.float64)
            v = rng.standard_normal((k, shape[0]))
            outside = _vjp(source, target, v - v @ q @ q.T).astype(np.float64)
            found.append(np.linalg.svd(inside, compute_uv=False)[:largest])
            norms.append(np.sqrt((inside**2).sum() + (outside**2).sum(1).mean()))
    return Spectrum(np.array(found, np.float64), shape, np.array(norms, np.float64), *names)


def _checked(images: Any, statistics: str) -> np.ndarray:
    if statistics == "training":
        raise ConfigError("in training every image acts on every other, so that an image has no Jacobian; use 'batch'.")
    array = on_host(images)
    if not array.size:
        raise ShapeError(f"images of shape {list(array.shape)} hold no image; at least one is wanted.")
    return array


def _between(model: Module, images: np.ndarray, start: str | None, end: str | None) -> tuple[Tensor, Tensor]:
    """Outputs of two modules in one forward pass, the second with a graph back to the first."""
    modules = dict(model.named_modules())
    for name in (start, end):
        if name is not None and name not in modules:
            raise ConfigError(f"the net has no module {name!r}{nearest(name, filter(None, modules))}.")
    caught: dict[str | None, Any] = {None: Tensor(placed(model, images), requires_grad=True)}
    wanted = {name for name in (start, end) if name is not None}
    removals = [
        modules[name].register_forward_hook(lambda _, __, output, name=name: caught.__setitem__(name, output))  # type: ignore[misc]
        for name in wanted
    ]
    try:
        output = model(caught[None])
    finally:
        for remove in removals:
            remove()
    for name in wanted:
        if not isinstance(caught.get(name), Tensor):
            raise ConfigError(f"module {name!r} gave no tensor in this net's forward pass; choose another.")
    source, target = caught[start], output if end is None else caught[end]
    probe = None
    if source is not target and source.requires_grad and target.requires_grad:
        probe = grad(target, source, like(target, np.zeros(target.size)), retain_graph=True)
    if probe is None:
        raise ConfigError(
            f"{end or 'the output'} does not depend on {start or 'the input'}; give them in forward order."
        )
    return source, target


def _finite(rows: np.ndarray, start: str, end: str) -> np.ndarray:
    """Those rows of a Jacobian; singular values of others do not exist."""
    if not np.isfinite(rows).all():
        raise GradientError(f"the Jacobian from {start} to {end} is not finite; look at the weights and the images.")
    return rows


def _vjp(source: Tensor, target: Tensor, v: np.ndarray) -> np.ndarray:
    """v^T J for a cotangent [copies, ...] each; [copies, n]."""
    rows: np.ndarray = grad(target, source, like(target, v), retain_graph=True).numpy()
    return rows.reshape(len(target), -1)


def _jvp(source: Tensor, target: Tensor, u: np.ndarray) -> np.ndarray:
    """J u for a direction [copies, ...] each; [copies, m]."""
    v = like(target, np.zeros(target.size))
    v.requires_grad = True
    back = grad(target, source, v, create_graph=True)
    along = grad(back, v, like(source, u), retain_graph=True)
    if along is None:
        raise GradientError("the backward pass of this part cannot be differentiated, so that J u is not to be had.")
    columns: np.ndarray = along.numpy()
    return columns.reshape(len(u), -1)
