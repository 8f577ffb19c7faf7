"""How the worker calls what is no kernel: schedules step by step, an update in place, the training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = Any
Arrays = Mapping[str, Array]
Params = Mapping[str, Any]
Call = Callable[[Mapping[str, Any], Arrays, Params, Arrays], dict[str, Array]]


def _rates(function: str) -> Call:
    """One rate a step, each asked for by itself."""

    def call(modules: Mapping[str, Any], arrays: Arrays, params: Params, outs: Arrays) -> dict[str, Array]:
        rate = getattr(modules["rates.py"], function)
        return {"rate": np.array([rate(int(step), **params) for step in arrays["steps"]], np.float64)}

    return call


def _update(modules: Mapping[str, Any], arrays: Arrays, params: Params, outs: Arrays) -> dict[str, Array]:
    """Into other arrays, or, as training does, into w and v themselves."""
    settings = {name: value for name, value in params.items() if name != "in_place"}
    new_w, new_v = outs["new_w"], outs["new_v"]
    w, v = arrays["w"], arrays["v"]
    if params["in_place"]:
        new_w[...], new_v[...] = w, v
        w, v = new_w, new_v
    modules["update.py"].sgd(w, v, arrays["g"], **settings, out=(new_w, new_v))
    return {"new_w": new_w, "new_v": new_v}


def _train(modules: Mapping[str, Any], arrays: Arrays, params: Params, outs: Arrays) -> dict[str, Array]:
    """The target is for who looks at the weights."""
    settings = {name: params[name] for name in ("epochs", "batch", "seed")}
    return {"w": modules["training.py"].train(arrays["images"], arrays["labels"], **settings)}


CALLS = {
    "rate.multi_step": _rates("multi_step"),
    "rate.cosine": _rates("cosine"),
    "rate.warm_up": _rates("warm_up"),
    "sgd.update": _update,
    "train.digits": _train,
}
