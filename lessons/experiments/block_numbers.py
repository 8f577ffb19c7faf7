"""What the experiments on trained blocks write down of one net: its gradient by length of path, its lesions."""

from __future__ import annotations

from typing import Any

from tinyres.flow.measures.lesion import delete_each, delete_random, shuffle, truncate
from tinyres.flow.measures.paths import path_lengths
from tinyres.flow.testbed import Arrays
from tinyres.nn.module import Module


def paths_of(net: Module, data: Arrays) -> dict[str, Any]:
    """The gradient by length of path, on one batch of training images."""
    found = path_lengths(net, data.x[:64], data.y[:64])
    return {
        "norm": found.norm, "contribution": found.contribution, "paths": found.paths, "per_path": found.per_path,
        "span": found.span(), "cancellation": found.cancellation, "error": found.error,
    }  # fmt: skip


def lesions_of(net: Module, data: Arrays) -> dict[str, Any]:
    """Test errors of all lesions."""
    on = net, data.x_test, data.y_test
    each = delete_each(*on)
    rows: dict[str, Any] = {
        "whole": each.whole_error, "each": each.error, "blocks": each.blocks, "changes_shape": each.changes_shape,
        "truncate": truncate(*on).error,
    }  # fmt: skip
    for name, found in {"random": delete_random(*on), "shuffle": shuffle(*on)}.items():
        rows[name] = {"amount": found.amount, "error": found.error, "tau": found.tau}
    return rows
