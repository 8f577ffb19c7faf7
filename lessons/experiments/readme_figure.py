"""The figure at the top of the README: the gradients of 56 layers through training, as lesson 6 draws them.

python lessons/experiments/readme_figure.py     writes lessons/static/gradient_flow.png
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[2]))

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LESSONS = Path(__file__).parents[1]
FIGURE = 2  # of those that lesson 6 shows


def main() -> None:
    path = LESSONS / "static" / "gradient_flow.png"

    def show() -> None:
        if plt.get_fignums()[-1] == FIGURE:
            plt.gcf().savefig(path, dpi=160)

    with mock.patch.object(plt, "show", show):
        runpy.run_path(str(LESSONS / "06_gradient_flow.py"), run_name="__main__")
    print(path)


if __name__ == "__main__":
    main()
