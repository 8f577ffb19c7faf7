"""The shapes that convolutions are checked on, and how their numbers are drawn.

No two sizes that could be mixed up are the same: of the images, of the filters, of the positions. That is what makes a
wrong order of axes show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyres.lab.task import Case

NONE = (0, 0, 0, 0)


@dataclass(frozen=True)
class Geometry:
    """One convolution: images [n,h,w,c], f filters of r by s, and the type and layout of the arrays."""

    n: int
    h: int
    w: int
    c: int
    f: int
    r: int
    s: int
    stride: int = 1
    padding: tuple[int, int, int, int] = NONE
    dtype: str = "float32"
    layout: str = "contiguous"

    @property
    def name(self) -> str:
        """Such as ``"N2-7x5-C3-F4-k3x2-s2-p1"``."""
        around = set(self.padding)
        pad = str(self.padding[0]) if len(around) == 1 else ",".join(map(str, self.padding))
        sizes = f"N{self.n}-{self.h}x{self.w}-C{self.c}-F{self.f}-k{self.r}x{self.s}-s{self.stride}-p{pad}"
        special = [self.dtype] * (self.dtype != "float32") + [self.layout] * (self.layout != "contiguous")
        return "-".join([sizes, *special])

    def draw(self, rng: np.random.Generator) -> Case:
        """Random images and filters."""
        x, w = (
            rng.standard_normal((self.n, self.h, self.w, self.c)),
            rng.standard_normal((self.r, self.s, self.c, self.f)),
        )
        params = {"stride": self.stride, "padding": self.padding}
        return Case(self.name, {"x": x, "w": w}, params, self.dtype, self.layout).rounded()


def window(case: Case) -> tuple[int, int]:
    """[R, S] of a case, holes between dilated taps included."""
    if "window" in case.params:
        return case.params["window"][0], case.params["window"][1]
    r, s, _, _ = case.arrays["w"].shape if "w" in case.arrays else case.params["shape"]
    dilation = case.params.get("dilation", 1)
    return (r - 1) * dilation + 1, (s - 1) * dilation + 1


def room(case: Case) -> tuple[int, int]:
    """How far a window can move over the padded images, in pixels: down and to the right."""
    shape = case.arrays["x"].shape if "x" in case.arrays else case.params["shape"]
    (r, s), (top, bottom, left, right) = window(case), case.params["padding"]
    return shape[1] + top + bottom - r, shape[2] + left + right - s


def positions(case: Case) -> tuple[int, int]:
    """[I, J] of a case."""
    (rows, columns), stride = room(case), case.params["stride"]
    return rows // stride + 1, columns // stride + 1


PUBLIC = (
    Geometry(2, 4, 3, 5, 6, 1, 1),
    Geometry(2, 5, 6, 4, 7, 3, 2),
    Geometry(2, 7, 5, 3, 4, 3, 2, 1, (1, 1, 1, 1)),
    Geometry(2, 8, 9, 4, 6, 3, 2, 2, (1, 1, 1, 1)),  # a row and a column remain
    Geometry(3, 6, 9, 2, 5, 3, 3, 2, (0, 1, 2, 0)),
    Geometry(1, 10, 7, 4, 3, 2, 3, 3, (1, 0, 2, 1), "float64"),
    Geometry(3, 6, 8, 4, 5, 3, 3, 1, (1, 1, 1, 1), layout="strided"),
    Geometry(4, 31, 28, 18, 3, 3, 2, 1, (1, 0, 0, 0)),  # in two parts
)
HIDDEN = (
    Geometry(3, 7, 6, 4, 5, 1, 1, 2),
    Geometry(2, 4, 3, 5, 6, 4, 3),  # a window as large as the image
    Geometry(4, 5, 9, 3, 2, 2, 3, 2, (1, 0, 0, 2), "float64"),
    Geometry(1, 10, 6, 5, 7, 5, 3, 1, (2, 2, 1, 1)),
    Geometry(3, 9, 11, 2, 4, 4, 2, 3, (0, 2, 1, 0), layout="strided"),
)
