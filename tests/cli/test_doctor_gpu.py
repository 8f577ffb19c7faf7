"""What `tinyres doctor` says of GPUs, against drivers of our own making: too old, fitting, without a device, none."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tinyres.cli.doctor_gpu import gpu
from tinyres.kernels.cuda import driver

# The six functions of libcuda that are asked, of a machine with two GPUs.
LIBCUDA = """
#include <string.h>
extern "C" {
int cuDriverGetVersion(int* v) { *v = VERSION; return 0; }
int cuInit(unsigned) { return 0; }
int cuDeviceGetCount(int* n) { *n = COUNT; return 0; }
int cuDeviceGet(int* d, int i) { *d = 10 + i; return 0; }
int cuDeviceGetName(char* s, int, int d) { strcpy(s, d == 10 ? "NVIDIA Large" : "NVIDIA Small"); return 0; }
int cuDeviceTotalMem_v2(size_t* m, int d) { *m = (d == 10 ? 139ull : 6ull) << 30; return 0; }
int cuDeviceGetAttribute(int* v, int which, int d) {
  *v = d == 10 ? 9 * (which == 75) : 7 - 2 * (which == 76);
  return 0;
}
}
"""
OURS = {name: "13.0.88" for name in driver.WHEELS} | {"cupy-cuda13x": "14.2.0", "numba-cuda": "0.30.4"}


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """The gpu part of the report on a machine with this driver and these wheels."""

    def report(version=None, count=2, wheels=OURS):
        monkeypatch.setattr(driver, "installed", dict(wheels).get)
        driver._library.cache_clear()
        library = tmp_path / "absent.so"
        if version:
            if shutil.which("g++") is None:
                pytest.skip("needs g++, to compile a driver")
            library = tmp_path / f"libcuda-{version}-{count}.so"
            flags = [f"-DVERSION={version}", f"-DCOUNT={count}", "-shared", "-fPIC", "-x", "c++", "-", "-o", library]
            subprocess.run(["g++", *flags], input=LIBCUDA, text=True, check=True)
        monkeypatch.setattr(driver, "LIBRARY", str(library))
        return "".join(f"{name:<22}{fact}\n" for name, fact in gpu())

    yield report
    driver._library.cache_clear()


def test_a_driver_that_fits(machine):
    said = machine(13000)
    assert "driver                for CUDA 13.0\n" in said
    assert "device 0              NVIDIA Large, compute capability 9.0, 139 GiB\n" in said
    assert "device 1              NVIDIA Small, compute capability 7.5, 6 GiB\n" in said
    assert [line.split("convolutions in ")[1] for line in said.splitlines() if "convolutions in" in line] == [
        "fp32 3xtf32 tf32 bf16",
        "fp32",  # no TF32 before capability 8.0
    ]
    assert "note:" not in said
    assert driver.trouble() is None


def test_libraries_newer_than_the_driver(machine):
    said = machine(13000, wheels=OURS | {"nvidia-cuda-nvrtc": "13.5.37"})
    assert "newer than the driver, which reads PTX up to that of CUDA 13.0: nvidia-cuda-nvrtc 13.5.37." in said
    assert 'python -m pip install "nvidia-cuda-nvrtc==13.0.*" "nvidia-nvvm==13.0.*"' in said
    assert driver.trouble() is None  # CuPy's kernels come to it as machine code
    assert "note:" not in machine(13050, wheels=OURS | {"nvidia-cuda-nvrtc": "13.5.37"})


def test_a_driver_that_is_too_old(machine):
    assert "needs a driver for CUDA 13; update the driver to version 580 or later" in machine(12080, wheels=CUPY_ALONE)
    assert "newer than the driver" in machine(12080)


CUPY_ALONE = {"cupy-cuda13x": "14.2.0"}


def test_a_driver_without_a_device(machine):
    assert "the NVIDIA driver is there and shows no GPU; CUDA_VISIBLE_DEVICES may hide it" in machine(13000, count=0)


def test_missing_wheels(machine):
    said = machine(13000, wheels={})
    assert 'not installed; for it: python -m pip install "tinyres[cuda]"' in said
    assert "CuPy is not installed" in driver.trouble()
    said = machine(13000, wheels=CUPY_ALONE)
    assert "not installed: numba-cuda, cuda-core, nvidia-cuda-nvrtc" in said


def test_nothing_at_all(machine):
    said = machine(wheels={})
    assert "driver                none: " in said
    assert "note:" not in said  # a laptop without a GPU lacks nothing
    assert driver.trouble().startswith("no NVIDIA driver is loaded")


def test_the_emulation_is_told(machine, monkeypatch):
    monkeypatch.delenv("TINYRES_GPU", raising=False)
    if shutil.which("g++"):
        assert "off; TINYRES_GPU=emulated turns it on" in machine()
    monkeypatch.setenv("PATH", "")
    assert "off; it needs g++, which is not found" in machine()
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    assert "asked for, and there is no g++ to compile it" in machine()


def test_importing_is_silent_and_brings_no_cupy():
    program = "import tinyres, sys; assert not {'cupy', 'numba', 'cuda'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
