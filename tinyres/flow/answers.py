"""Which answers of a net are wrong: those whose largest logit is not the label's, and those that are no answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def wrong_answers(logits: NDArray[Any], labels: Any) -> NDArray[np.bool_]:
    """Whether each answer is wrong; a logit that is not finite makes it so, for then there is no answer.

    Parameters
    ----------
    logits : ndarray, shape [N, K]
    labels : ndarray of int, shape [N]

    Returns
    -------
    ndarray of bool, shape [N]
    """
    wrong: NDArray[np.bool_] = (logits.argmax(axis=1) != labels) | ~np.isfinite(logits).all(axis=1)
    return wrong
