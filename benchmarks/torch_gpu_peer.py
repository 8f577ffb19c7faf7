"""PyTorch with cuDNN on a GPU, beside our kernels: `tinyres bench --device cuda --peer benchmarks/torch_gpu_peer.py`.

TINYRES_PEER is the precision: tf32 (the default), bf16, or fp32. Images and filters are channels last, cuDNN may choose
its algorithms by measuring (`cudnn.benchmark`), and calls are replayed as a torch CUDA graph on the stream of our
clock, so that neither side pays for Python. In bf16 arrays lie in memory as bfloat16, converted before the clock runs,
as autocast would have them from the layer before; ours lie there as float32 in every precision. A gradient of a
convolution is `aten.convolution_backward` with only that one asked for. Not yet run on a GPU.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F

ASKED = os.environ.get("TINYRES_PEER", "tf32")
PRECISION = {"fp32": "full"}.get(ASKED, ASKED)  # as kernels declare it
NAME = f"cudnn {PRECISION}"
TYPE = torch.bfloat16 if PRECISION == "bf16" else torch.float32
WARMUPS = 5  # cuDNN measures its algorithms in the first
aten = torch.ops.aten
torch.backends.cudnn.benchmark = True
torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = PRECISION != "full"


def prepare(op: str, arrays: tuple[Any, ...], params: dict[str, Any]) -> tuple[Callable[[], Any], Any] | None:
    """What PyTorch calls to do a pass of a convolution, and how its result becomes ours; None for other ops."""
    maker = {"conv2d": conv2d, "conv2d_input": conv2d_input, "conv2d_weight": conv2d_weight}.get(op)
    if maker is None:
        return None
    call, read = maker(*arrays, **params)

    def quiet() -> Any:
        with torch.inference_mode():
            return call()

    return quiet, read


def image(x: Any) -> torch.Tensor:
    """[N, H, W, C] of CuPy -> [N, C, H, W] of PyTorch, the same memory unless the type is another."""
    return torch.from_dlpack(x).to(TYPE).permute(0, 3, 1, 2)


def filters(w: Any) -> torch.Tensor:
    """[R, S, C, F] -> [F, C, R, S], channels last."""
    return torch.from_dlpack(w).to(TYPE).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)


def back(y: torch.Tensor) -> Any:
    """[N, C, H, W] -> [N, H, W, C] on the host."""
    return y.permute(0, 2, 3, 1).float().cpu().numpy()


def conv2d(x, w, *, stride, padding, groups):
    x, w = image(x), filters(w)
    return lambda: F.conv2d(x, w, None, stride, (padding[0], padding[2]), 1, groups), back


def _backward(dy, x, w, stride, padding, groups, mask):
    sides = [padding[0], padding[2]]
    return lambda: aten.convolution_backward(dy, x, w, None, [stride] * 2, sides, [1, 1], False, [0, 0], groups, mask)


def conv2d_input(dy, w, *, shape, stride, padding, groups):
    n, h, width, c = shape
    x = torch.empty((n, c, h, width), dtype=TYPE, device="cuda").to(memory_format=torch.channels_last)
    call = _backward(image(dy), x, filters(w), stride, padding, groups, [True, False, False])
    return call, lambda y: back(y[0])


def conv2d_weight(x, dy, *, shape, stride, padding, groups):
    r, s, c, f = shape
    w = torch.empty((f, c, r, s), dtype=TYPE, device="cuda").to(memory_format=torch.channels_last)
    call = _backward(image(dy), image(x), w, stride, padding, groups, [False, True, False])
    return call, lambda y: y[1].permute(2, 3, 1, 0).float().cpu().numpy()


class Replayed:
    """A torch CUDA graph that is launched on CuPy's current stream."""

    def __init__(self, calls: Sequence[Callable[[], Any]]) -> None:
        torch.cuda.synchronize()
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(WARMUPS):
                for call in calls[:1]:
                    call()
            for call in calls:  # each set of buffers has its own answer from cudnn.benchmark's cache
                call()
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            for call in calls:
                call()
        torch.cuda.synchronize()

    def launch(self) -> None:
        """Replay it."""
        import cupy

        with torch.cuda.stream(torch.cuda.ExternalStream(cupy.cuda.get_current_stream().ptr)):
            self.graph.replay()


graph = Replayed  # the name that `tinyres bench` asks for


def training_step(model: str, batch: int, size: int = 32) -> Callable[[], None]:
    """A step of a net (forward, backward, SGD with momentum) on random images, to be captured by `graph`."""
    import torch_resnet  # of this folder, which a script here has on its path

    net = torch_resnet.create(model).cuda().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4, fused=True)
    x = torch.randn(batch, 3, size, size, device="cuda").to(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,), device="cuda")
    half = torch.bfloat16 == TYPE
    # without a cache of converted weights, which a graph would keep for ever
    cast = torch.autocast("cuda", TYPE, cache_enabled=False) if half else contextlib.nullcontext()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with cast:
            loss = F.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()

    return step
