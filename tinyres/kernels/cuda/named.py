"""What a kernel of a person's own is given, by name: the arrays of its op, their sizes, the op's parameters.

A kernel declares what it needs, in any order, and gets it:

    arrays       by the names of `ARRAYS`: conv2d has x and w, and writes y
    sizes        one letter an axis, as shapes are written: x[N, H, W, C], w[R, S, C, F], y[N, I, J, F]
    size         the number of values of the first result; x_size, w_size ... those of an array
    parameters   stride, groups, eps ...; padding as top, bottom, left, right

Where and how many threads run is a line of the same names, with whole numbers as C has them (7 / 2 is 3):

    grid=(J + 15) / 16, I, N   block=16, 16   shared=4 * R * S * C

Unsaid, there is a thread for every value of the first result, in blocks of 256, so a kernel begins with
`i = blockIdx.x * blockDim.x + threadIdx.x` and leaves where i >= size.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tinyres.errors import KernelError, nearest

Array = Any

# op: its arrays -> its results. Ops whose arrays may have any shapes (add ...), or that work in place, are not here.
_BN, _BN_EVAL = "x gamma beta -> y mean variance", "x gamma beta mean variance -> y"
ARRAYS = {
    "conv2d": "x w -> y",
    "conv2d_input": "dy w -> dx",
    "conv2d_weight": "x dy -> dw",
    "conv2d_stats": "x w -> y mean variance",
    "batch_norm": _BN,
    "bn_relu": _BN,
    "bn_add_relu": "x gamma beta shortcut -> y mean variance",
    "batch_norm_eval": _BN_EVAL,
    "bn_relu_eval": _BN_EVAL,
    "bn_add_relu_eval": "x gamma beta mean variance shortcut -> y",
    "batch_norm_gradient": "dy x gamma mean variance -> dx dgamma dbeta",
    "bn_relu_gradient": "dy x gamma beta mean variance -> dx dgamma dbeta",
    "bn_add_relu_gradient": "dy y x gamma mean variance -> dx dgamma dbeta dshortcut",
    "relu": "x -> y",
    "relu_gradient": "dy y -> dx",
    "pad_shortcut": "x -> y",
    "pad_shortcut_gradient": "dy -> dx",
    "max_pool2d": "x -> y place",
    "max_pool2d_gradient": "dy place -> dx",
    "global_avg_pool": "x -> y",
    "global_avg_pool_gradient": "dy -> dx",
    "linear": "x w b -> y",
    "softmax_cross_entropy": "logits labels -> loss",
    "softmax_cross_entropy_gradient": "dloss logits labels -> dlogits",
}
_IMAGES = {"x": "NHWC", "dx": "NHWC", "w": "RS_F", "dw": "RS_F", "y": "NIJF", "dy": "NIJF"}
_AXES = {  # the letters of an array's axes, "_" where another array says it; of other ops only the last: C
    "conv": _IMAGES,
    "pad_": _IMAGES,
    "max_": _IMAGES | {"y": "NIJ_", "dy": "NIJ_"},
    "glob": {"x": "NHWC", "dx": "NHWC"},
    "line": {"x": "NC", "w": "CF"},
    "soft": {"logits": "NC"},
}
BLOCK = 256


@dataclass(frozen=True)
class Geometry:
    """How a kernel is launched, as expressions over names."""

    grid: tuple[str, ...] = ()  # none: a thread for each value of the first result
    block: tuple[str, ...] = (str(BLOCK),)
    shared: str = "0"

    def of(self, names: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """Blocks, threads of a block and bytes of shared memory, for these values of the names."""
        block = tuple(whole(text, names) for text in self.block)
        threads = block[0] * (block[1] if len(block) > 1 else 1) * (block[2] if len(block) > 2 else 1)
        grid = tuple(whole(text, names) for text in self.grid) or (-(-names["size"] // threads),)
        return grid, block, whole(self.shared, names)


def geometry(line: str, where: str) -> Geometry:
    """Read `grid=... block=... shared=...`; KernelError, which begins with `where`, for anything else."""
    parts = re.split(r"\b(\w+)\s*=", line)
    given = dict(zip(parts[1::2], (part.strip().rstrip(",") for part in parts[2::2]), strict=True))
    if parts[0].strip() or not given or set(given) - {"grid", "block", "shared"}:
        raise KernelError(
            f"{where}: cannot read {line.strip()!r}; write grid=... block=... shared=..., or some of them."
        )
    grid, block = (tuple(_split(given[name])) if name in given else () for name in ("grid", "block"))
    if len(grid) > 3 or len(block) > 3:
        raise KernelError(f"{where}: {line.strip()!r} has more than three numbers for a grid or a block.")
    return Geometry(grid, block or Geometry.block, given.get("shared", "0"))


def _split(text: str) -> list[str]:
    """The parts between commas outside of brackets."""
    depth, parts = 0, [""]
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def arrays_of(op: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of an op's arrays and of its results."""
    given, _, results = ARRAYS[op].partition("->")
    return tuple(given.split()), tuple(results.split())


def values(op: str, arrays: tuple[Array, ...], results: tuple[Array, ...], params: Mapping[str, Any]) -> dict[str, Any]:
    """Every name that a kernel of this call may ask for, with its value."""
    inputs, outputs = arrays_of(op)
    named = dict(zip((*inputs, *outputs), (*arrays, *results), strict=True))
    found: dict[str, Any] = {"C": arrays[inputs.index("x") if "x" in inputs else 0].shape[-1]} if arrays[0].ndim else {}
    for name, array in named.items():
        letters = _AXES.get(op[:4], {}).get(name, "")
        found |= {letter: n for letter, n in zip(letters, array.shape, strict=True) if letter != "_"} if letters else {}
        found[f"{name}_size"] = int(array.size)
    found["size"] = int(results[0].size)
    for name, value in params.items():
        if name == "padding":
            sides = value if isinstance(value, tuple) else (value,) * 4
            found |= dict(zip(("top", "bottom", "left", "right"), sides, strict=True))
        elif isinstance(value, (bool, int, float)):
            found[name] = value
    return {**found, **named}


def need(name: str, names: Mapping[str, Any], where: str) -> Any:
    """The value of a name; KernelError, which begins with `where`, if there is none."""
    if name not in names:
        raise KernelError(f"{where}: there is no {name!r} to be given{nearest(name, names)}.")
    return names[name]


_DOES: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.floordiv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


def whole(text: str, names: Mapping[str, Any]) -> int:
    """The value of an expression over names in whole numbers; KernelError where it is none."""

    def value(node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return int(node.value)
        if isinstance(node, ast.Name):
            return int(need(node.id, {n: v for n, v in names.items() if isinstance(v, int)}, f"in {text.strip()!r}"))
        if isinstance(node, ast.BinOp) and type(node.op) in _DOES:
            return _DOES[type(node.op)](value(node.left), value(node.right))
        raise KernelError(
            f"cannot read {text.strip()!r} as a number: names of sizes, whole numbers, + - * / % and ( )."
        )

    try:
        return value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError):
        raise KernelError(f"cannot read {text.strip()!r} as a number: write for example (size + 255) / 256.") from None
