"""Shape rules of what a training step does besides layers: its input, the update, and what it writes down."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.errors import DtypeError, ShapeError
from tinyres.kernels.shapes.rules import Array, Spec, floating, of_kind, rank, rule, same_shape, vector, whole

INT64 = np.dtype(np.int64)


@rule("sgd")
def _sgd(
    op: str, w: Array, v: Array, g: Array, *, lr: Any, momentum: float, weight_decay: float, nesterov: bool
) -> Spec:
    dtype = floating(op, w=w, v=v, g=g)
    same_shape(op, w=w, v=v, g=g)
    return [(w.shape, dtype), (w.shape, dtype)]  # w, v


def _images_fit(op: str, images: Array, mean: Array) -> None:
    rank(op, "images", images, "[M, H, W, C]")
    if images.dtype != np.uint8 or mean.shape != images.shape[1:]:
        error = DtypeError if images.dtype != np.uint8 else ShapeError
        raise error(
            f"{op}: images are {images.dtype} {list(images.shape)} and mean {list(mean.shape)}; "
            "uint8 images and a mean of one image's shape are wanted."
        )


@rule("augment")
def _augment(
    op: str,
    images: Array,
    index: Array,
    mean: Array,
    top: Array,
    left: Array,
    flip: Array,
    *,
    scale: float,
    padding: int,
) -> Spec:
    _images_fit(op, images, mean)
    of_kind(op, "iu", "integers", index=index, top=top, left=left)
    of_kind(op, "b", "booleans", flip=flip)
    rank(op, "index", index, "[N]")
    same_shape(op, index=index, top=top, left=left, flip=flip)
    return [((len(index), *images.shape[1:]), floating(op, mean=mean))]


def _int64(op: str, **arrays: Array) -> None:
    for name, array in arrays.items():
        if array.dtype != INT64:
            raise DtypeError(f"{op}: {name} is {array.dtype}; int64 is wanted, convert with .astype('int64').")


@rule("next_batch")
def _next_batch(
    op: str,
    images: Array,
    labels: Array,
    order: Array,
    mean: Array,
    at: Array,
    *,
    count: int,
    batch: int,
    per_epoch: int,
    seed: int,
    padding: int,
    flip: bool,
    scale: float,
) -> Spec:
    _images_fit(op, images, mean)
    _int64(op, labels=labels, order=order, at=at)
    vector(op, len(images), "image", labels=labels)
    if order.shape != (2, len(images)) or at.shape != (1,) or not len(images):
        raise ShapeError(
            f"{op}: order is {list(order.shape)} and at {list(at.shape)}; [2, {len(images)}], two permutations of all "
            "images, of which there are some, and [1], the number of the step, are wanted."
        )
    whole(op, count=count, batch=batch, per_epoch=per_epoch, seed=seed, padding=padding)
    if not 1 <= count <= batch or per_epoch < 1 or padding < 0 or not 0 <= seed < 2**64:
        raise ShapeError(
            f"{op}: count {count}, batch {batch}, per_epoch {per_epoch}, padding {padding}, seed {seed}; 1 to `batch` "
            "images, 1 or more batches an epoch, padding of 0 or more and a seed of 64 bits are wanted."
        )
    return [((count, *images.shape[1:]), floating(op, mean=mean)), ((count,), INT64)]  # x, labels


@rule("log_step")
def _log_step(op: str, loss: Array, logits: Array, labels: Array, at: Array, losses: Array, wrong: Array) -> Spec:
    dtype = floating(op, loss=loss, logits=logits, losses=losses)
    _int64(op, labels=labels, at=at, wrong=wrong)
    rank(op, "logits", logits, "[N, K]")
    rank(op, "losses", losses, "[L]")
    vector(op, len(logits), "row of logits", labels=labels)
    same_shape(op, losses=losses, wrong=wrong)
    if loss.shape != () or at.shape != (1,) or not len(losses) or not logits.shape[1]:
        raise ShapeError(
            f"{op}: loss is {list(loss.shape)}, at {list(at.shape)}, losses {list(losses.shape)}, logits "
            f"{list(logits.shape)}; one loss [], the number of the step [1], some classes and some room are wanted."
        )
    return [((1,), INT64), (losses.shape, dtype), (wrong.shape, INT64)]  # at, losses, wrong
