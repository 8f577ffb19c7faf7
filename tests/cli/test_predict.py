"""`tinyres predict IMAGE`: any image that Pillow reads, brought to what the network knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinyres import data
from tinyres.cli import main
from tinyres.cli.predict import probabilities, read_image
from tinyres.errors import DataError
from tinyres.train import Config, checkpoint, fit

GREY, COLOUR = (8, 8, 1), (32, 32, 3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    return fit(Config(model="resnet8", epochs=2, lr=0.02, runs=str(runs), name="one")).folder


def test_a_digit_is_recognised(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = data.load("digits").test
    saved = checkpoint.find(trained)
    right = 0
    for image, label in zip(test.images[:40], test.labels[:40], strict=True):
        Image.fromarray(np.round(image[..., 0] * (255 / 16)).astype(np.uint8)).save(tmp_path / "digit.png")
        pixels, done = read_image(tmp_path / "digit.png", GREY)
        chances = probabilities(saved, pixels)
        assert done == "8x8, taken as it is"
        assert chances.sum() == pytest.approx(1)
        right += int(chances.argmax() == label)
    assert right >= 30
    assert main(["predict", str(tmp_path / "digit.png"), "--runs", str(trained.parent)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 6
    assert float(told[1].split()[1].rstrip("%")) >= float(told[2].split()[1].rstrip("%"))


@pytest.mark.parametrize(
    ("mode", "shape", "done"),
    [
        ("RGB", COLOUR, "resized from 64x48 to 32x32 after cutting out the middle"),
        ("L", COLOUR, "grey made colour; resized from 64x48 to 32x32 after cutting out the middle"),
        ("RGB", GREY, "colour made grey; resized from 64x48 to 8x8 after cutting out the middle"),
        ("RGBA", COLOUR, "transparency laid on white; resized from 64x48 to 32x32 after cutting out the middle"),
        ("P", COLOUR, "resized from 64x48 to 32x32 after cutting out the middle"),
        ("1", GREY, "resized from 64x48 to 8x8 after cutting out the middle"),
        ("I;16", GREY, "16 bits reduced to 8; resized from 64x48 to 8x8 after cutting out the middle"),
    ],
)
def test_any_kind_of_image(tmp_path: Path, mode: str, shape: tuple[int, ...], done: str) -> None:
    Image.new(mode, (64, 48)).save(tmp_path / "x.png")
    pixels, told = read_image(tmp_path / "x.png", shape)
    assert (pixels.shape, pixels.dtype, told) == (shape, np.uint8, done)
    assert (pixels == (255 if mode == "RGBA" else 0)).all()


def test_the_middle_is_cut_out(tmp_path: Path) -> None:
    wide = np.zeros((32, 96), np.uint8)
    wide[:, 32:64] = 200
    Image.fromarray(wide).save(tmp_path / "x.png")
    pixels, _ = read_image(tmp_path / "x.png", (32, 32, 1))
    assert (pixels == 200).all()
    inverted, told = read_image(tmp_path / "x.png", (32, 32, 1), invert=True)
    assert (inverted == 55).all()
    assert told.endswith("dark and light exchanged")


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 0x8123, np.uint16)).save(tmp_path / "x.png")
    assert (read_image(tmp_path / "x.png", GREY)[0] == 0x81).all()


def test_what_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        read_image(tmp_path / "nowhere.png", GREY)
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(DataError, match=r"x\.png is not an image that Pillow can read"):
        read_image(tmp_path / "x.png", GREY)
    Image.new("L", (64, 64)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"cut\.png cannot be read"):
        read_image(tmp_path / "cut.png", GREY)
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_image(tmp_path, GREY)


def test_without_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "x.png", "--runs", str(tmp_path)]) == 1
    assert "no trained run" in capsys.readouterr().err
