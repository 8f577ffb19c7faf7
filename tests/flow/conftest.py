"""Records made up by a formula: every number of a figure can be said beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres.flow.record import AXES, Record


def record(model="resnet8", shortcut="A", seed=0, steps=(0, 10, 20), depths=7, growth=1.2, **changed) -> Record:
    """Gradients grow by `growth` a layer toward the input; each depth has a Conv2d and a BatchNorm2d, then comes fc."""
    rng = np.random.default_rng(seed)
    layers = [f"{kind}{level}" for level in range(1, depths + 1) for kind in ("conv", "bn")] + ["fc"]
    depth = np.array([*np.repeat(np.arange(1, depths + 1), 2), depths + 1])
    blocks = 0 if shortcut == "none" else depths // 2
    sizes = {"T": len(steps), "L": len(layers), "P": len(layers), "B": blocks}
    level = {"L": depth, "P": depth, "B": 1 + 2 * np.arange(1, blocks + 1)}
    columns = {}
    for name, axes in AXES.items():
        if len(axes) == 2:
            shape = (sizes["T"], sizes[axes[1]])
            fade = np.exp(-0.02 * np.array(steps))[:, None]
            columns[name] = fade * growth ** (depths - level[axes[1]])[None] * np.exp(0.02 * rng.standard_normal(shape))
    columns["gradient_nonfinite"] = np.zeros((sizes["T"], sizes["L"]))
    columns["activation_zeros"] = np.tile(np.linspace(0.3, 0.7, len(layers)), (sizes["T"], 1))
    columns["split_cosine"] = np.tanh(columns["split_cosine"] - 1)
    columns["split_error"] = np.full((sizes["T"], blocks), 1e-7)
    columns |= {
        "step": steps, "loss": np.linspace(2.3, 0.1, len(steps)), "lr": np.full(len(steps), 0.1),
        "layer": layers, "kind": [name.rstrip("0123456789").replace("conv", "Conv2d").replace("bn", "BatchNorm2d")
                                  .replace("fc", "Linear") for name in layers],
        "depth": depth, "parameter": [f"{name}.weight" for name in layers], "parameter_layer": np.arange(len(layers)),
        "block": [f"layer1.{k}" for k in range(blocks)], "block_depth": level["B"],
    }  # fmt: skip
    meta = {
        "model": model, "shortcut": shortcut, "data": "digits", "seed": seed, "batch": 64, "dtype": "float32",
        "loss": "mean over the batch", "source": "tinyres", "versions": {"tinyres": "0.1.0"},
    }  # fmt: skip
    return Record(meta, columns | changed)


@pytest.fixture
def made_up():
    """The function above: records by their model, growth a layer, seed ..., any array exchanged by its name."""
    return record
