"""State dicts to and from PyTorch's layout, as NumPy arrays; the names are torchvision's on both sides.

filters   [R, S, C, F] here   [F, C, R, S] there
matrices  [C, F] here         [F, C] there
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyres.kernels.launch import on_host

TO_TORCH = {4: (3, 2, 0, 1), 2: (1, 0)}
FROM_TORCH = {4: (2, 3, 1, 0), 2: (1, 0)}


def from_torch(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Turn a PyTorch state dict into one for `load_state_dict` here.

    Parameters
    ----------
    state : mapping of str to array
        NumPy arrays, or CPU tensors (anything that `numpy.asarray` takes).

    Returns
    -------
    dict of str to ndarray
        Contiguous copies; `num_batches_tracked`, which tinyres does not have, is left out.
    """
    return _permuted({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, FROM_TORCH)


def to_torch(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Turn a state dict of tinyres into one in PyTorch's layout.

    Returns
    -------
    dict of str to ndarray
        Contiguous copies; wrap each with `torch.from_numpy` and load with ``strict=False``, since batch norm's
        `num_batches_tracked` is PyTorch's own.
    """
    return _permuted(state, TO_TORCH)


def _permuted(state: Mapping[str, Any], orders: Mapping[int, tuple[int, ...]]) -> dict[str, np.ndarray]:
    arrays = {name: on_host(value) for name, value in state.items()}
    return {
        name: np.array(a.transpose(orders.get(a.ndim, range(a.ndim))), order="C", copy=True)
        for name, a in arrays.items()
    }
