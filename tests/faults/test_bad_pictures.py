"""Files among the pictures that are none, or more than they seem: what becomes of a collection."""

import warnings

import pytest
from bad_pictures import EPS, ROWS, png
from PIL import Image
from watched import MEGABYTES, SECONDS, watched

import overpaint as op
from overpaint.errors import DatasetError
from overpaint.pixels import images
from overpaint.pixels.images import FORMATS, decode, fitted, is_picture, read, survey


@pytest.mark.parametrize("case", ROWS)
def test_a_bad_file_among_the_pictures_is_left_out_or_shown(case, tmp_path):
    """Its status says why, within a gigabyte and 20 seconds; what stands beside it is read."""
    ending, made, reason = ROWS[case]
    folder = tmp_path / "cats"
    folder.mkdir()
    Image.new("RGB", (40, 30), "tan").save(folder / "good.png")
    made(folder / f"bad.{ending}")

    def opened() -> str:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            dataset = op.dataset(tmp_path)
        return f"{len(dataset.pictures)} pictures; {[str(warning.message) for warning in told]}"

    outcome = watched(opened)
    assert (outcome.slug, outcome.status) == ("", 0), outcome
    assert outcome.message[0] in "12"
    if reason:
        assert outcome.message.startswith("1 pictures"), outcome
        assert reason in outcome.message
    assert outcome.megabytes < MEGABYTES, outcome
    assert outcome.seconds < SECONDS, outcome


@pytest.mark.parametrize("case", ["a FIFO", "1 × 20,000 of 161 bytes", "EPS called .jpg"])
def test_a_collection_of_bad_files_alone_is_refused(case, tmp_path):
    """The message has the first picture and its reason."""
    ending, made, reason = ROWS[case]
    (tmp_path / "cats").mkdir()
    made(tmp_path / "cats" / f"bad.{ending}")
    outcome = watched(lambda: op.dataset(tmp_path))
    assert (outcome.slug, outcome.status) == ("no-pictures", 2)
    assert reason in outcome.message


def test_no_program_is_started_for_a_picture(tmp_path, monkeypatch):
    """An EPS is known by its first bytes and given to nobody, whatever its ending."""
    monkeypatch.setattr("subprocess.Popen", None)
    for ending in ("jpg", "eps", "dat"):
        path = tmp_path / f"a.{ending}"
        path.write_bytes(EPS)
        assert is_picture(path) == (ending == "jpg")
        with pytest.raises(DatasetError, match="it is EPS") as caught:
            read(path)
        assert caught.value.slug == "unreadable-picture"


def test_only_documented_formats_are_opened(tmp_path):
    """All others that Pillow knows are kept away from a file, and none is added by a plugin."""
    assert set(images._formats()) <= set(FORMATS)
    # not by its final name: saving as SPIDER, Pillow takes that ending for SPIDER ever after
    Image.new("RGB", (9, 9)).save(tmp_path / "a.spider", "SPIDER")
    (tmp_path / "a.spider").rename(tmp_path / "a.jpg")
    assert "not a picture" in survey(tmp_path / "a.jpg").status
    page = (images.__file__.partition("/src/")[0] + "/docs/datasets.md", "utf-8")
    text = open(*page[:1], encoding=page[1]).read()  # noqa: PTH123, SIM115
    assert all(name in text for name in FORMATS)


def test_a_large_picture_in_strips_is_the_same(monkeypatch):
    """Strip by strip, its pixels are those that it has as a whole."""
    picture = png(300, 200, bits=16)
    for kind in ("RGBA", "LA", "L", "I;16", "P", "CMYK", "F"):
        whole = Image.radial_gradient("L").resize((300, 200))
        odd = whole.convert("F").point(lambda v: v * 9) if kind == "F" else whole.convert(kind)
        expected = images.upright_rgb(odd)
        with monkeypatch.context() as patch:
            patch.setattr(images, "IN_STRIPS", 100)
            patch.setattr("overpaint.pixels.tones.STRIP", 7 * 300)
            assert images.upright_rgb(odd).tobytes() == expected.tobytes(), kind
    assert decode(picture).size == (300, 200)


def test_what_would_be_too_large_enlarged_is_refused():
    """A picture that is long, for a network with a large input: before memory is taken."""
    with pytest.raises(DatasetError, match="would be 1024 × 204800 and take 839 MB"):
        fitted(Image.new("RGB", (10, 2000)), 1024, 1024, "bilinear")
