"""What the kernels of a training step need of a card, as compiled for each architecture: registers, no spills, memory.

The kernels are those that the nets launch: a step is done in emulation with a `launch` that only writes down what was
asked for.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from tinyres import Tensor, models, no_grad, ops
from tinyres.errors import KernelError
from tinyres.kernels import cuda, registry
from tinyres.kernels.cuda import compile
from tinyres.kernels.on_cupy import igemm
from tinyres.kernels.on_cupy.igemm_plan import SHARED_MEMORY, Problem, plan_conv, plan_weight
from tinyres.optim import SGD

CONVOLUTIONS = {
    "conv.cuh": ("conv<{0}, 16, 4>", "conv<{0}, 16, 1>", "conv<{0}, 32, 2>", "conv<{0}, 32, 1>"),
    "conv_weight.cuh": ("conv_weight<{0}, 16>", "conv_weight<{0}, 32>"),
}
FULL = ("Full<float>", "Full<double>")
TENSOR_CORES = ("Tf32", "Tf32x3", "Bf16")
FLOATS, DOUBLES, WEIGHTS = 128, 224, 128  # registers a thread: four blocks of 128 threads, two, two of 256
needs_compiler = pytest.mark.skipif(compile.missing() is not None, reason=str(compile.missing()))


def hold(file, expressions, architecture):
    """No spills, registers within what the blocks a multiprocessor is to have leave, no static shared memory."""
    for expression, needs in compile.compiled_together(file, tuple(expressions), architecture).items():
        budget = DOUBLES if "double" in expression else WEIGHTS if "weight" in expression else FLOATS
        said = f"{expression} for {architecture}: {needs}"
        assert 0 < needs.registers <= budget, said
        assert needs.spilled == needs.stack == needs.shared == 0, said


@needs_compiler
@pytest.mark.parametrize(
    ("architecture", "precision"),
    [("sm_90", "Tf32")]
    + [
        pytest.param(architecture, precision, marks=pytest.mark.slow)
        for architecture in compile.ARCHITECTURES
        for precision in (*FULL, *(TENSOR_CORES if architecture != "sm_75" else ()))
        if (architecture, precision) != ("sm_90", "Tf32")
    ],
)
def test_convolutions(architecture, precision):
    for file, expressions in CONVOLUTIONS.items():
        hold(file, [expression.format(precision) for expression in expressions], architecture)


@needs_compiler
def test_an_older_card_has_no_such_products():
    with pytest.raises(KernelError, match=r"the kernel conv<Tf32, 16, 1> of conv\.cuh does not compile for sm_75: "):
        compile.compiled("conv.cuh", "conv<Tf32, 16, 1>", "sm_75")


def launched_by(net, precision, monkeypatch, batch=32):
    """(file, expression) -> the most shared memory that a training step and an evaluation ask for."""
    asked = {}

    def write_down(file, expression, *_, shared=0):
        asked[file, expression] = max(shared, asked.get((file, expression), 0))

    monkeypatch.setenv("TINYRES_GPU", "emulated")
    if reason := cuda.missing():
        pytest.skip(reason)
    monkeypatch.setattr(cuda, "launch", write_down)
    monkeypatch.setattr(cuda, "multiprocessors", lambda: 132)
    net, xp = net.to("cuda"), cuda.module()
    x, labels = Tensor(xp.zeros((batch, 32, 32, 3), np.float32)), xp.zeros(batch, np.int64)
    with registry.preferring(f"cupy.igemm{precision}"):
        ops.softmax_cross_entropy(net(x), labels).backward()
        SGD(net.parameters(), 0.1).step()
        net.eval()
        with no_grad():
            net(x)
    return asked


@needs_compiler
@pytest.mark.parametrize(
    "architecture",
    [pytest.param(name, marks=pytest.mark.slow) for name in compile.ARCHITECTURES],
)
def test_every_kernel_of_a_training_step(architecture, monkeypatch):
    precision = "" if architecture == "sm_75" else "_tf32"
    asked = launched_by(models.create("resnet20", shortcut="B"), precision, monkeypatch)
    files = {file for file, _ in asked}
    assert {"conv.cuh", "conv_weight.cuh", "update.cuh"} < files
    assert max(asked.values()) <= compile.SHARED_MEMORY
    for file in files - set(CONVOLUTIONS):  # those are held above, each instance
        hold(file, [expression for own, expression in asked if own == file], architecture)
    for file, expression in asked:
        known = [
            each.format("Full<float>" if architecture == "sm_75" else "Tf32") for each in CONVOLUTIONS.get(file, ())
        ]
        assert not known or expression in (*known, "sum_parts<float>")


LAYERS = [(32, 3, 16, 3, 1), (32, 16, 16, 3, 1), (32, 16, 32, 3, 2), (16, 32, 32, 3, 1), (16, 32, 64, 3, 2),
          (8, 64, 64, 3, 1), (32, 16, 32, 1, 2), (16, 32, 64, 1, 2), (224, 3, 64, 7, 2), (224, 3, 64, 11, 4),
          (56, 64, 256, 1, 1), (14, 1024, 2048, 1, 2), (9, 512, 512, 3, 1), (2048, 16, 33, 5, 1)]  # fmt: skip


@pytest.mark.parametrize("processors", [4, 30, 132])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_shared_memory_and_instances(layer, processors):
    """Every division of every layer fits the smallest card, is one of the kernels above, and covers all pixels."""
    size, channels, filters, window, stride = layer
    out = -(-size // stride)
    for precision in igemm.PRECISIONS:
        for word in (4,) if precision.cpp else (4, 8):
            for batch in (1, 5, 128):
                problem = Problem(batch, out, out, stride, window, window)
                conv = plan_conv(problem, channels, filters, 1, 1, precision.pack, word, processors)
                weight = plan_weight(problem, channels, filters, 1, precision.step, word, processors)
                assert f"conv<{{0}}, {conv.block}, {conv.tiles}>" in CONVOLUTIONS["conv.cuh"]
                assert f"conv_weight<{{0}}, {weight.block}>" in CONVOLUTIONS["conv_weight.cuh"]
                assert weight.pixels % precision.step == 0
                assert weight.tap_warps * weight.pixel_warps <= 8
                for tile, pixels in ((conv.tile, 64 * conv.tiles), (weight.tile, weight.pixels)):
                    assert tile.shared <= SHARED_MEMORY <= compile.SHARED_MEMORY
                    assert tile.images * tile.rows * tile.columns <= pixels
                    assert tile.count * tile.images * tile.rows * tile.columns >= batch * out * out


def test_the_nets_fill_the_chip():
    """At batch 128 every layer of ResNet-20 has more blocks than an H100 has multiprocessors, in less than 48 KiB."""
    for size, channels, filters, window, stride in LAYERS[:8]:
        out = -(-size // stride)
        problem = Problem(128, out, out, stride, window, window)
        conv = plan_conv(problem, channels, filters, 1, 1, 1, 4, 132)
        weight = plan_weight(problem, channels, filters, 1, 8, 4, 132)
        assert np.prod(conv.grid) >= 132, (size, channels, filters, conv)
        assert np.prod(weight.grid) >= 132, (size, channels, filters, weight)
        assert max(conv.tile.shared, weight.tile.shared) <= 52 * 1024


def test_without_a_compiler_it_says_what_installs_one(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(KernelError, match=r'cuda-core is not installed; .* "tinyres\[cuda\]"\.$'):
        compile.compiled_together("conv.cuh", ("conv<Nothing>",))


@needs_compiler
def test_a_text_that_does_not_compile(tmp_path):
    (tmp_path / "mine.cu").write_text("__global__ void mine(float* x) { x[0] = nobody; }")
    with pytest.raises(KernelError, match=r"the kernel mine of mine\.cu does not compile for sm_90: .*nobody"):
        compile.compiled(tmp_path / "mine.cu", "mine")
