"""What a person hears about GPUs: none there, one without room, a precision it lacks; and eval and predict on one."""

from __future__ import annotations

import gc
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres.cli import main
from tinyres.data import Dataset, from_arrays
from tinyres.errors import ConfigError, DeviceError, KernelError
from tinyres.kernels import cuda
from tinyres.train import Config, fit
from tinyres.train.device import check_device, described, precision_of
from tinyres.train.recipe import resolve


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    if reason := cuda.missing():
        pytest.skip(reason)
    return monkeypatch


@pytest.fixture
def images() -> Dataset:
    rng = np.random.default_rng(3)
    labels = np.arange(40) % 3
    pixels = rng.integers(0, 256, (40, 8, 8, 1), np.uint8)
    return from_arrays(pixels, labels, pixels[:4], labels[:4], name="images")


def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinyres.train.loop.draw_curves", lambda folder, title: None)


def only(patched: pytest.MonkeyPatch, room: int) -> None:
    """Let the emulated GPU have so many free bytes."""
    gc.collect()
    cuda.release()
    now = cuda.properties()
    patched.setenv("TINYRES_EMULATED_MEMORY", str(now.memory - now.free + room))


@pytest.mark.parametrize("more", [[], ["--compare", "resnet8", "plain8"], ["--precision", "tf32"]])
def test_no_gpu_is_one_sentence_and_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    monkeypatch.setattr(cuda, "missing", lambda: "no driver, for instance")
    assert main(["train", "--device", "cuda", "--runs", str(tmp_path / "runs"), *more]) == 1
    assert capsys.readouterr() == ("", "tinyres: there is no GPU to use: no driver, for instance.\n")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("more", [[], ["--compare", "resnet8", "plain8"]])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--kernels", "relu=cupy"], "kernel 'cupy' of relu is one of device cuda, and this is to run on cpu; add"),
        (
            ["--device", "cuda", "--use", "all=numpy"],
            "is one of device cpu, and this is to run on cuda; add --device cpu",
        ),
    ],
)
def test_kernels_of_another_device_are_one_sentence_and_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], emulated: pytest.MonkeyPatch, options: list[str], words: str,
    more: list[str],
) -> None:  # fmt: skip
    assert main(["train", "--runs", str(tmp_path / "runs"), *options, *more]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "runs").exists()


RELU = """extern "C" __global__ void relu(const float* x, float* y, int size) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) y[i] = x[i] > 0 ? x[i] : OTHER;
}
"""


@pytest.mark.parametrize(("other", "told"), [("0", False), ("1", True)])
def test_a_kernel_of_ones_own_that_is_wrong_is_told_of_before_it_trains(
    emulated: pytest.MonkeyPatch, images: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    other: str, told: bool,
) -> None:  # fmt: skip
    without_figures(emulated)
    file = tmp_path / "relu.cu"
    file.write_text(RELU.replace("OTHER", other))
    settings = {"model": "resnet8", "batch": 4, "iterations": 1, "device": "cuda", "runs": str(tmp_path / "runs")}
    assert fit(Config(kernels=f"relu={file}", **settings), images).step == 1
    said = capsys.readouterr().err
    assert ("kernel 'mine' of relu, case " in said and "is 1, expected 0" in said) is told
    assert ("the run goes on with it" in said) is told


def test_a_kernel_of_ones_own_that_does_not_compile_leaves_no_folder(
    emulated: pytest.MonkeyPatch, images: Dataset, tmp_path: Path
) -> None:
    file = tmp_path / "relu.cu"
    file.write_text(RELU)  # OTHER is nothing
    with pytest.raises(KernelError, match=r"relu\.cu, line 3:"):
        fit(Config(model="resnet8", kernels=f"relu={file}", device="cuda", runs=str(tmp_path / "runs")), images)
    assert not (tmp_path / "runs").exists()


def test_an_emulated_memory_that_is_no_number(emulated: pytest.MonkeyPatch) -> None:
    emulated.setenv("TINYRES_EMULATED_MEMORY", "lots")
    with pytest.raises(ConfigError, match="TINYRES_EMULATED_MEMORY is 'lots'; a number of bytes is wanted"):
        cuda.properties()


@pytest.mark.parametrize(
    ("changes", "capability", "words"),
    [
        ({"device": "cpu", "precision": "tf32"}, "9.0", "add --device cuda, or leave --precision away"),
        ({"precision": "bf16"}, "9.0", "precision 'bf16' is one of tensor cores, and the CPU computes in full"),
        ({"device": "cuda", "precision": "3xtf32", "dtype": "float64"}, "9.0", "is for float32, and the run has dtype"),
        (
            {"device": "cuda", "precision": "tf32"},
            "7.5",
            r"wants a GPU of compute capability 8\.0 or newer, .* has 7\.5",
        ),
    ],
)
def test_a_precision_that_cannot_be_had(
    emulated: pytest.MonkeyPatch, changes: dict[str, Any], capability: str, words: str
) -> None:
    emulated.setenv("TINYRES_EMULATED_CAPABILITY", capability)
    with pytest.raises(ConfigError, match=words):
        check_device(Config(**changes))


@pytest.mark.parametrize(
    ("changes", "capability", "precision"),
    [
        ({}, "9.0", "fp32"),
        ({"precision": "fp32"}, "9.0", "fp32"),
        ({"device": "cuda"}, "9.0", "tf32"),
        ({"device": "cuda"}, "8.0", "tf32"),
        ({"device": "cuda"}, "7.5", "fp32"),
        ({"device": "cuda", "precision": "bf16"}, "8.9", "bf16"),
        ({"device": "cuda", "dtype": "float64"}, "9.0", "fp32"),
    ],
)
def test_the_precision_of_a_run(
    emulated: pytest.MonkeyPatch, changes: dict[str, Any], capability: str, precision: str
) -> None:
    emulated.setenv("TINYRES_EMULATED_CAPABILITY", capability)
    assert precision_of(Config(**changes)) == precision
    config = resolve(Config(**changes), 100)
    assert (config.device, config.precision) == (changes.get("device", "cpu"), precision)
    assert resolve(config, 100) == config


def test_the_title_names_card_and_precision(emulated: pytest.MonkeyPatch) -> None:
    name = cuda.properties().name
    assert described(Config()) == ""
    assert described(Config(device="cuda", precision="tf32")) == f", {name}, tf32"
    assert described(Config(device="cuda", precision="fp32")) == f", {name}, fp32"
    assert described(Config(device="cuda", precision="fp32", dtype="float64")) == f", {name}, fp64"
    chosen = Config(device="cuda", precision="tf32", kernels="conv2d=cupy.igemm")
    assert described(chosen) == f", {name}, fp32 and tf32"


@pytest.mark.slow
def test_a_gpu_without_room_says_which_batch_fits(
    emulated: pytest.MonkeyPatch, images: Dataset, tmp_path: Path
) -> None:
    without_figures(emulated)
    settings = {"model": "resnet8", "iterations": 3, "device": "cuda", "runs": str(tmp_path)}
    only(emulated, 3_500_000)
    with pytest.raises(DeviceError) as caught:
        fit(Config(batch=40, **settings), images)
    text = str(caught.value)
    found = re.fullmatch(
        r"the GPU has no room for batch 40: [\d.]+ [kM]B were asked for, [\d.]+ [kM]B of [\d.]+ MB were free; a step "
        r"takes about [\d.]+ [kM]B an image, so --batch (\d+) would fit \(--recompute needs less\)\.",
        text,
    )
    assert found, text
    assert 4 <= int(found[1]) < 40
    del caught  # its traceback holds the run
    only(emulated, 3_500_000)
    assert fit(Config(batch=int(found[1]), **settings), images).step == 3


@pytest.mark.slow
def test_a_graph_that_found_no_room_takes_none_from_the_batch_that_fits(
    emulated: pytest.MonkeyPatch, images: Dataset, tmp_path: Path
) -> None:
    """The first step fits. The second is captured, which does not: what its graph took by then is given back."""
    without_figures(emulated)
    gc.disable()
    try:
        only(emulated, 2_500_000)
        with pytest.raises(DeviceError, match=r"so --batch [5-9] would fit"):
            fit(Config(model="resnet8", batch=20, iterations=3, device="cuda", runs=str(tmp_path)), images)
    finally:
        gc.enable()


def test_a_gpu_too_small_for_any_batch(emulated: pytest.MonkeyPatch, images: Dataset, tmp_path: Path) -> None:
    without_figures(emulated)
    only(emulated, 1_600_000)
    with pytest.raises(DeviceError, match=r"too little for 2 images; take a smaller network, or --recompute\."):
        fit(Config(model="resnet8", batch=8, iterations=1, device="cuda", runs=str(tmp_path)), images)


@pytest.mark.slow
def test_eval_and_predict_on_a_gpu(
    emulated: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A net of the CPU on the digits; its answers are the same there, its loss to the digits that are shown."""
    from PIL import Image

    without_figures(emulated)
    emulated.setattr("tinyres.cli.eval.save", lambda figure, path: None)
    run = fit(Config(model="resnet8", iterations=8, runs=str(tmp_path)))
    picture = tmp_path / "picture.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save(picture)
    said = []
    for device in ("cpu", "cuda"):
        assert main(["eval", str(run.folder), "--device", device]) == 0
        assert main(["predict", str(picture), "--model", str(run.folder), "--device", device]) == 0
        said.append(capsys.readouterr().out.splitlines())
    here, there = ([line for line in lines if not line.startswith("written")] for lines in said)
    assert there[0] == here[0] + f", {cuda.properties().name}, tf32"
    assert there[1:3] == here[1:3]
    assert [line.split()[:1] for line in there] == [line.split()[:1] for line in here]
