"""How long is the gradient on its way back through fifty layers? Drawn with your own functions.

    python experiment.py                     weights as large as He et al. say
    python experiment.py --scale 0.5         half as large
    python experiment.py --save flow.png     into a file, with no window

For each of four stacks it prints q, the factor by which the squared norm changes from one layer to the one before it:
below 1 the gradient vanishes toward the input, above 1 it explodes. Least squares on the logarithms, mean of three
draws of the weights. Needs NumPy and matplotlib.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
from flow import gradient_norms, layer, layer_gradient

STACKS = {  # shortcut?, batch norm?
    "plain, no batch norm": (False, False),
    "plain, batch norm": (False, True),
    "residual, no batch norm": (True, False),
    "residual, batch norm": (True, True),
}


def measured(shortcut: bool, normed: bool, scale: float, depth: int, width: int, seed: int) -> np.ndarray:
    """The norms at h_0 ... h_L of one stack with weights of standard deviation scale * sqrt(2 / width)."""
    rng = np.random.default_rng(seed)
    weights = scale * np.sqrt(2 / width) * rng.standard_normal((depth, width, width))
    x, dy = rng.standard_normal((2, 128, width))
    forward, backward = partial(layer, normed=normed), partial(layer_gradient, normed=normed)
    return np.asarray(gradient_norms(x, list(weights), dy, forward, backward, shortcut=shortcut))


def growth(norms: np.ndarray) -> float:
    """The factor of the squared norm, a layer toward the input."""
    return float(np.exp(-2 * np.polyfit(np.arange(len(norms)), np.log(norms), 1)[0]))


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description="The gradient's norm through plain and residual stacks.")
    parser.add_argument("--scale", type=float, default=1.0, help="initial weights, in units of He's")
    parser.add_argument("--depth", type=int, default=50, help="layers")
    parser.add_argument("--width", type=int, default=256, help="units of a layer")
    parser.add_argument("--save", help="write the figure there, and open no window")
    chosen = parser.parse_args()

    import matplotlib

    if chosen.save:
        matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name, (shortcut, normed) in STACKS.items():
        runs = [measured(shortcut, normed, chosen.scale, chosen.depth, chosen.width, seed) for seed in range(3)]
        factors = [growth(norms) for norms in runs]
        print(f"{name:24} q = {np.mean(factors):.3f}   norm at h_0 / norm at the end = {runs[0][0] / runs[0][-1]:.3g}")
        label = f"{name}: q = {np.mean(factors):.2f}"
        colour, style = "#0072B2" if shortcut else "#D55E00", "-" if normed else "--"
        axes.semilogy(runs[0] / runs[0][-1], style, color=colour, label=label)
    axes.set(xlabel="layer l", ylabel="norm of the gradient at h_l / norm at the end")
    axes.set_title(f"{chosen.depth} layers, {chosen.width} wide, weights {chosen.scale:g} times He's")
    axes.legend()
    figure.tight_layout()
    if chosen.save:
        figure.savefig(chosen.save, dpi=150)
    else:
        plt.show()


if __name__ == "__main__":
    main()
