"""The layers of the paper's networks, as shapes: what there is to measure, derived from a small table of nets.

A net is a stem, a pooling or none, four (ImageNet) or three (CIFAR) stages of blocks, and a linear layer; each of its
layers is a `Layer`, and nets that share one share the measurement. CIFAR: He et al. 2015, section 4.2, 6n + 2 layers.
ImageNet: table 1; where a bottleneck block halves the image it does so in its 3x3 convolution, as in torchvision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinyres.errors import ConfigError, nearest

BATCH_NORM = (
    "batch_norm", "batch_norm_eval", "batch_norm_gradient",
    "bn_relu", "bn_relu_gradient", "bn_add_relu", "bn_add_relu_gradient", "bn_relu_eval", "bn_add_relu_eval",
)  # fmt: skip
# Which ops run at a layer of a kind. A "map" is an image between convolutions.
OPS = {
    "conv": ("conv2d", "conv2d_input", "conv2d_weight", "conv2d_stats"),
    "map": (*BATCH_NORM, "relu", "relu_gradient", "add", "add_relu"),
    "shortcut": ("pad_shortcut", "pad_shortcut_gradient"),
    "max_pool": ("max_pool2d", "max_pool2d_gradient"),
    "avg_pool": ("global_avg_pool", "global_avg_pool_gradient"),
    "linear": ("linear",),
    "loss": ("softmax_cross_entropy", "softmax_cross_entropy_gradient"),
    "update": ("sgd",),
    "input": ("augment",),
}
MEASURED = tuple(dict.fromkeys(op for ops in OPS.values() for op in ops))
GROUPS = {"conv": OPS["conv"], "bn": BATCH_NORM, "all": MEASURED}


@dataclass(frozen=True)
class Layer:
    """One shape: images of `size` x `size` x `channels`; the other fields where the kind has them."""

    kind: str
    size: int
    channels: int
    filters: int = 0
    window: int = 1
    stride: int = 1

    @property
    def padding(self) -> int:
        """Zeros on each side: half the window, so that stride 1 keeps the size."""
        return self.window // 2

    @property
    def name(self) -> str:
        """As a person writes it: `3x3/2 16-32 @32` is a 3x3 window, stride 2, 16 to 32 channels, images 32x32."""
        window = f"{self.window}x{self.window}" + (f"/{self.stride}" if self.stride > 1 else "")
        return {
            "conv": f"{window} {self.channels}-{self.filters} @{self.size}",
            "shortcut": f"/{self.stride} {self.channels}-{self.filters} @{self.size}",
            "max_pool": f"{window} {self.channels} @{self.size}",
            "linear": f"{self.channels}-{self.filters}",
            "loss": f"{self.channels} classes",
            "update": f"{self.channels:,} weights",
        }.get(self.kind, f"{self.channels} @{self.size}")


@dataclass(frozen=True)
class Net:
    """What tells one net of the paper from another."""

    stem: Layer
    blocks: tuple[int, ...]  # in each stage
    classes: int
    shortcut: str  # A: subsample and pad; B: a 1x1 convolution where the shape changes; none: a plain net
    bottleneck: bool = False


CIFAR_STEM = Layer("conv", 32, 3, 16, 3)
IMAGENET_STEM = Layer("conv", 224, 3, 64, 7, 2)
DEPTHS = (20, 32, 44, 56, 110, 1202)
IMAGENET_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_CIFAR = {
    f"{family}{depth}{suffix}": Net(CIFAR_STEM, ((depth - 2) // 6,) * 3, 10, shortcut)
    for family, suffix, shortcut in (("resnet", "", "A"), ("resnet", "-B", "B"), ("plain", "", "none"))
    for depth in DEPTHS
}
_IMAGENET = {
    **{f"resnet{d}": Net(IMAGENET_STEM, blocks, 1000, "B", d >= 50) for d, blocks in IMAGENET_BLOCKS.items()},
    **{f"plain{d}": Net(IMAGENET_STEM, IMAGENET_BLOCKS[d], 1000, "none") for d in (18, 34)},
}
NETS = _CIFAR | _IMAGENET
FAMILIES = {"cifar": tuple(_CIFAR), "imagenet": tuple(_IMAGENET), "all": tuple(NETS)}


def layers_of(net: Net) -> Iterator[Layer]:
    """Every layer of a net, in the order in which an image meets it, as often as there are of it."""
    size, before = net.stem.size // net.stem.stride, net.stem.filters
    yield Layer("input", net.stem.size, net.stem.channels)
    weights = 0
    for layer in _trunk(net, size, before):
        if layer.kind == "conv":
            weights += layer.window**2 * layer.channels * layer.filters + 2 * layer.filters  # and its batch norm's
            yield layer
            layer = Layer("map", -(-layer.size // layer.stride), layer.filters)
        yield layer
        size, before = layer.size, layer.filters or layer.channels
    yield Layer("avg_pool", size, before)
    yield Layer("linear", 1, before, net.classes)
    yield Layer("loss", 1, net.classes)
    yield Layer("update", 1, weights + (before + 1) * net.classes)


def _trunk(net: Net, size: int, before: int) -> Iterator[Layer]:
    """Convolutions, pooling and shortcuts; the last is a convolution of the last stage's width."""
    yield net.stem
    if net.stem.size > 32:
        yield Layer("max_pool", size, before, window=3, stride=2)
        size //= 2
    width = before
    for stage, count in enumerate(net.blocks):
        for position in range(count):
            stride = 2 if stage and not position else 1
            after = width << stage
            out = 4 * after if net.bottleneck else after
            if out != before and net.shortcut == "B":
                yield Layer("conv", size, before, out, 1, stride)
            elif out != before and net.shortcut == "A":
                yield Layer("shortcut", size, before, out, 1, stride)
            if net.bottleneck:
                yield Layer("conv", size, before, after, 1)
                yield Layer("conv", size, after, after, 3, stride)
                yield Layer("conv", size // stride, after, out, 1)
            else:
                yield Layer("conv", size, before, after, 3, stride)
                yield Layer("conv", size // stride, after, after, 3)
            size, before = size // stride, out


def chosen(nets: tuple[str, ...], ops: tuple[str, ...]) -> list[tuple[str, Layer, tuple[str, ...]]]:
    """(op, layer, nets it occurs in), each once, op by op.

    Parameters
    ----------
    nets : tuple of str
        Names of `NETS` or `FAMILIES`.
    ops : tuple of str
        Names of `MEASURED` or `GROUPS`.

    Raises
    ------
    ConfigError
        A name that is neither.
    """
    where: dict[Layer, list[str]] = {}
    for name in _expand(nets, FAMILIES, tuple(NETS), "net"):
        for layer in dict.fromkeys(layers_of(NETS[name])):
            where.setdefault(layer, []).append(name)
    return [
        (op, layer, tuple(names))
        for op in chosen_ops(ops)
        for layer, names in sorted(where.items(), key=lambda item: _order(item[0]))
        if op in OPS[layer.kind]
    ]


def chosen_ops(ops: tuple[str, ...]) -> list[str]:
    """Groups replaced by their ops, each once; ConfigError where a name is neither."""
    return _expand(ops, GROUPS, MEASURED, "op")


def _order(layer: Layer) -> tuple[int, ...]:
    return -layer.window, -layer.size, layer.channels, layer.filters


def _expand(names: tuple[str, ...], groups: dict[str, tuple[str, ...]], known: tuple[str, ...], what: str) -> list[str]:
    for name in names:
        if name not in groups and name not in known:
            raise ConfigError(f"there is no {what} {name!r} to measure{nearest(name, [*groups, *known])}.")
    return list(dict.fromkeys(member for name in names for member in groups.get(name, (name,))))
