"""The Numba-CUDA kernels against the oracle: in Numba's simulator everywhere, on a GPU with the marker `cuda`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tinyres.conformance import check_kernel
from tinyres.errors import KernelError
from tinyres.kernels import cuda, launch, on_numba_cuda, registry, use
from tinyres.kernels.launch import moved

SIMULATOR = Path(__file__).parent / "simulator.py"
OPS = [(op, "numba_cuda") for op in on_numba_cuda.MODULES] + [
    (op, "numba_cuda.naive") for op in on_numba_cuda.VARIANTS["naive"]
]


def simulated(which):
    """Run the checks in a process of their own: Numba reads its switch once, when it is imported."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "TINYRES_GPU": "emulated"}
    done = subprocess.run(
        [sys.executable, SIMULATOR, which], env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def emulated(monkeypatch):
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    if reason := cuda.missing():
        pytest.skip(reason)


@pytest.mark.slow
def test_in_the_simulator(emulated):
    said = simulated("quick")
    assert len(said) > 30
    assert {check: error for check, error in said.items() if error} == {}


@pytest.mark.slow
def test_contracts_in_the_simulator(emulated):
    said = simulated("slow")
    assert {check: error for check, error in said.items() if error} == {}


def test_without_the_simulator_emulated_arrays_have_no_kernel(emulated):
    assert on_numba_cuda.missing() == ("Numba's CUDA simulator is off; set NUMBA_ENABLE_CUDASIM=1 before Python starts")
    with pytest.raises(KernelError, match=r"kernel 'numba_cuda' of conv2d is not available: Numba's CUDA simulator"):
        registry.find("conv2d", "numba_cuda")


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(cuda, "missing", lambda: "no NVIDIA driver")
    assert on_numba_cuda.missing() == "no NVIDIA driver"
    monkeypatch.setattr(cuda, "missing", lambda: None)
    monkeypatch.delenv("TINYRES_GPU", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "Numba-CUDA is not installed" in on_numba_cuda.missing()
    assert "tinyres[cuda]" in on_numba_cuda.missing()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: "numba_cuda is there")
    monkeypatch.setattr("numba.config.ENABLE_CUDASIM", 1)
    assert "unset NUMBA_ENABLE_CUDASIM" in on_numba_cuda.missing()


def test_importing_the_kernels_compiles_nothing_and_asks_no_driver():
    program = (
        "import warnings; warnings.simplefilter('error')\n"
        "from tinyres.kernels.on_numba_cuda import batch_norm, conv, conv_weight, naive\n"
        "assert not naive.one_output.overloads"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


class Refused:
    """A kernel whose compiled code the driver does not take."""

    def __init__(self, said):
        self.said = said

    def __getitem__(self, configuration):
        def run(*arguments):
            raise RuntimeError(self.said)

        return run


def test_libraries_newer_than_the_driver_are_named(monkeypatch):
    from tinyres.kernels.on_numba_cuda import device

    monkeypatch.delenv("TINYRES_GPU", raising=False)
    monkeypatch.setattr(device, "_stream", lambda: 0)
    monkeypatch.setattr("tinyres.kernels.cuda.driver.cuda_of_driver", lambda: (13, 0))
    linker = (
        "[222] cuLinkAddData\nptxas application ptx input, line 9; fatal   : Unsupported .version 9.5; current is 9.0"
    )
    for said in ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", linker):
        with pytest.raises(
            KernelError, match=r"newer than the driver, for CUDA 13\.0.*nvidia-nvvm==13\.0\.\*"
        ) as caught:
            device.launch(Refused(said), 1, 1)
        assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match="something else"):
        device.launch(Refused("something else"), 1, 1)
    device.launch(Refused("a grid without blocks is not launched"), (0, 1), 1)


def test_a_launch_goes_to_the_stream_of_cupy(monkeypatch):
    """Arrays are handed over without waiting, which a capture would not survive."""
    from tinyres.kernels.on_numba_cuda import device

    calls = []

    class Kernel:
        def __getitem__(self, configuration):
            calls.append(configuration)
            return lambda *arguments: calls.append(arguments)

    stream = SimpleNamespace(ptr=77)
    monkeypatch.delenv("TINYRES_GPU", raising=False)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(get_current_stream=lambda: stream)))
    numba_cuda = SimpleNamespace(
        external_stream=lambda pointer: ("stream", pointer), as_cuda_array=lambda array, sync: (array, sync)
    )
    monkeypatch.setattr(device, "numba_cuda", numba_cuda)
    monkeypatch.setattr(device.cuda, "is_array", lambda value: value == "array")
    device.launch(Kernel(), 3, 32, "array", 5)
    assert calls == [(3, 32, ("stream", 77)), (("array", False), 5)]


@pytest.fixture
def card(monkeypatch):
    monkeypatch.delenv("TINYRES_GPU", raising=False)
    if reason := on_numba_cuda.missing():
        pytest.skip(reason)
    return cuda.module()


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "name"), OPS)
def test_on_a_gpu(card, op, name, dtype):
    assert check_kernel(op, name, dtype).cases >= 1


@pytest.mark.cuda
def test_a_captured_graph_on_a_gpu(card, rng):
    x, w = (moved(rng.standard_normal(shape, np.float32), "cuda") for shape in ((3, 32, 32, 16), (3, 3, 16, 16)))
    gamma = card.ones(16, np.float32)

    def step():
        y = launch("conv2d", x, w, stride=1, padding=(1, 1, 1, 1), groups=1)
        z, mean, variance = launch("bn_relu", y, gamma, gamma, eps=1e-5)
        dw = launch("conv2d_weight", x, z, shape=w.shape, stride=1, padding=(1, 1, 1, 1), groups=1)
        return z, mean, variance, dw

    with use(conv="numba_cuda", bn_relu="numba_cuda"):
        graph = cuda.capture(step)
        x[...] = -x
        with cuda.stream():
            graph.launch()
        cuda.synchronize()
        wanted = step()
    for got, right in zip(graph.result, wanted, strict=True):
        assert np.array_equal(got.get(), right.get())
