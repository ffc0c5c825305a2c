"""Pixels: whatever a museum's server sends becomes upright RGB, or a reason."""

import io

import numpy as np
import pytest
from PIL import Image

from overpaint.errors import DatasetError
from overpaint.pixels.images import (
    centre_square,
    decode,
    read,
    readable_below,
    shorter_side,
    survey,
)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def test_upright():
    """A picture with an EXIF rotation is turned upright."""
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    data = encoded(Image.new("RGB", (40, 20)), "JPEG", exif=exif)
    assert decode(data).size == (20, 40)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000"])
def test_what_is_rgb_already_is_not_copied_and_outlives_its_file(kind, monkeypatch):
    """Pixels that need no conversion are decoded once, and are whole when their file is closed."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGB").resize((25, 20)))
    monkeypatch.setattr(Image.Image, "copy", None)
    assert np.array_equal(np.asarray(decode(data).resize((25, 20))), expected)


def test_transparent_becomes_white():
    """What is transparent is shown on white."""
    assert decode(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG")).getpixel((1, 1)) == (
        255, 255, 255)  # fmt: skip


def test_sixteen_bits():
    """A scan with 16 bits a pixel keeps its tones."""
    tones = np.array([[0, 32768, 65535]], np.uint16)
    grey = np.asarray(decode(encoded(Image.fromarray(tones), "TIFF")))[0, :, 0]
    assert np.abs(grey.astype(int) - [0, 128, 255]).max() <= 1


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "1"])
def test_modes(mode):
    """Every mode of Pillow becomes RGB."""
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert decode(encoded(Image.new(mode, (4, 4)), kind)).mode == "RGB"


def test_draft_keeps_enough():
    """A large JPEG is decoded small, but never below the side that is asked for."""
    data = encoded(Image.new("RGB", (3000, 2000), "tan"), "JPEG")
    small = decode(data, 224)
    assert 224 <= min(small.size) <= 500
    assert decode(data).size == (3000, 2000)


def test_crop():
    """The shorter side is what was asked for, the square is cut from the middle."""
    picture = Image.new("RGB", (300, 100))
    picture.paste("white", (100, 0, 200, 100))
    assert shorter_side(picture, 50, "bilinear").size == (150, 50)
    middle = np.asarray(centre_square(picture, 100))
    assert middle.min() == 255


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "the file is empty"), (b"<html>404</html>", "not a picture"), (None, "truncated")],
)
def test_unreadable(tmp_path, data, reason):
    """What cannot be decoded is an error that names the file and the reason."""
    whole = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")
    path = tmp_path / "a.jpg"
    path.write_bytes(whole[: len(whole) // 2] if data is None else data)
    with pytest.raises(DatasetError, match=reason) as caught:
        read(path)
    assert "a.jpg" in str(caught.value)
    assert reason in survey(path).status


def test_bomb(tmp_path, monkeypatch):
    """A picture of more pixels than Pillow's limit is refused, not decoded."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = tmp_path / "a.png"
    Image.new("RGB", (20, 20)).save(path)
    assert "above the limit" in survey(path).status


def test_the_readable_pictures_below_a_folder(tmp_path):
    """What is no picture or hidden is passed over, what is broken is said and left out."""
    (tmp_path / "deep" / ".git").mkdir(parents=True)
    good = encoded(Image.new("RGB", (9, 9), "tan"), "PNG")
    for name in ("deep/a.PNG", "no ending", "deep/.git/a.png", "._a.png"):
        (tmp_path / name).write_bytes(good)
    (tmp_path / "notes.txt").write_text("blue period")
    (tmp_path / "deep" / "b.jpg").write_bytes(good[:40])
    said: list[str] = []
    assert len(list(readable_below(tmp_path, 9, said.append))) == 2
    assert len(said) == 1
    assert "b.jpg" in said[0]


@pytest.mark.parametrize("name", ["notes.txt", "broken.png"])
def test_nothing_readable_below_a_folder(tmp_path, name):
    """It is an error that names the folder."""
    (tmp_path / name).write_text("blue period")
    with pytest.raises(DatasetError, match="no pictures below") as caught:
        list(readable_below(tmp_path, 9, lambda text: None))
    assert caught.value.slug == "no-pictures"


def test_a_strip(tmp_path):
    """What is a line, its shorter side made as long as a network's input, would fill the memory."""
    Image.new("L", (1, 9000)).save(tmp_path / "a.png")
    assert survey(tmp_path / "a.png").status == "1 × 9000 pixels: too narrow for a square of it"
    Image.new("L", (50, 9000)).save(tmp_path / "b.png")
    assert survey(tmp_path / "b.png").status == "ok"
