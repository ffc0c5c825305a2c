"""The doctor names every fault of nasty collections, and the file; of sound ones none."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nasty import NASTY, painting, put, sound, table_and_files, uneven
from PIL import Image, ImageEnhance
from typer.testing import CliRunner

from overpaint.checkup import checkups_of
from overpaint.checkup.complaints import MENDS
from overpaint.checkup.copies import near_pairs
from overpaint.checkup.doors import door_of
from overpaint.checkup.pictures import Sighting, sighting_of, sighting_of_file
from overpaint.cli import app
from overpaint.errors import OverpaintError
from overpaint.study import read_study

HURTING = {
    *MENDS,
    "refused",
    *(f"{kind}copies-{where}" for kind in ("", "near-")
      for where in ("in-two-splits", "under-two-labels")),
    *("one-class", "class-without-pictures", "class-too-small"),
    *("class-not-in-train", "class-not-in-test", "classes-alike"),
    *("groups-in-val", "groups-in-test"),
}  # fmt: skip
"""What makes a training impossible or its scores untrue; all else is read as it is."""


@pytest.mark.parametrize("make", NASTY, ids=[make.__name__ for make in NASTY])
def test_every_fault_of_a_nasty_collection_is_named(tmp_path, make):
    """Each fault that was planted is told, with the files, and what mends it."""
    [checkup] = checkups_of(make(tmp_path / "art"))
    told = {complaint.slug: complaint for complaint in checkup.complaints}
    for slug, names in NASTY[make].items():
        assert slug in told, f"{slug} is not among {sorted(told)}"
        cases = told[slug].cases
        named = {name for case in cases for name in (case.name, case.with_name)}
        assert names <= named, f"{slug} does not name {sorted(names - named)}"
        if slug in (*MENDS, "cmyk", "deep", "turned", "long", "blank", "without-label"):
            assert {case.name for case in cases} == names  # and nothing else
        assert told[slug].mend
    assert {slug for slug in told if told[slug].hurts} == {slug for slug in told if slug in HURTING}
    expected = set(NASTY[make]) | {"class-of-few", "uneven-classes"}
    assert {slug for slug in told if told[slug].hurts} <= expected, sorted(told)


def test_a_sound_collection_has_no_complaint(tmp_path):
    """Forty pictures of two classes: nothing hurts, and nothing is to be known."""
    [checkup] = checkups_of(sound(tmp_path / "art", count=20))
    assert checkup.complaints == []
    assert not checkup.hurts
    assert checkup.sizes == {"train": 28, "val": 4, "test": 8}
    assert checkup.splits == "drawn class by class"


CHANGES = {
    "saved again": lambda picture: picture,
    "smaller": lambda picture: picture.resize((picture.width // 3, picture.height // 3)),
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.2),
    "cut at the edges": lambda picture: picture.crop(
        (picture.width // 64, picture.height // 64, picture.width - 2, picture.height - 2)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_that_was_made_anew_is_known(tmp_path, change):
    """Each of thirty pictures is found to be a copy of what was made of it, and of no other."""
    sightings = []
    for seed in range(30):
        picture = painting(seed, (320, 240))
        sightings += [
            sighting_of(put(tmp_path / "a.png", picture).read_bytes()),
            sighting_of(put(tmp_path / "b.jpg", CHANGES[change](picture), quality=50).read_bytes()),
        ]
    assert near_pairs(sightings) == [(2 * n, 2 * n + 1) for n in range(30)]


def test_pairs_are_those_of_a_plain_loop(tmp_path):
    """All pairs at once are those that a loop over two pictures finds, also in many blocks."""
    rng = np.random.default_rng(0)
    sightings = [sighting_of(put(tmp_path / "a.png", painting(n)).read_bytes()) for n in range(40)]
    for _ in range(20):
        first = Image.open(put(tmp_path / "c.png", painting(int(rng.integers(40)))))
        sightings.append(sighting_of(put(tmp_path / "d.jpg", first, quality=30).read_bytes()))
    prints = [sighting.fingerprint for sighting in sightings]

    def alike(one, other):
        bits = sum((int(a) ^ int(b)).bit_count()
                   for a, b in zip(one.waves, other.waves, strict=True))  # fmt: skip
        return bits <= 56 and float(np.dot(one.small, other.small)) >= 0.9

    expected = [(i, j) for i in range(60) for j in range(i + 1, 60) if alike(prints[i], prints[j])]
    assert len(expected) >= 20
    assert sorted(near_pairs(sightings)) == expected


def test_pictures_of_one_colour_are_no_copies_of_one_another(tmp_path):
    """A hash says nothing of them."""
    plain = [sighting_of(put(tmp_path / "a.png", Image.new("RGB", (64, 64), colour)).read_bytes())
             for colour in ("red", "blue")]  # fmt: skip
    assert near_pairs(plain) == []
    assert near_pairs([Sighting(look=plain[0].look)]) == []


def test_a_picture_is_looked_at_through_any_file(tmp_path):
    """One that is not there is told with the system's reason."""
    assert sighting_of_file(tmp_path / "none.jpg").look.status == "No such file or directory"


# --- doors -------------------------------------------------------------------------------------


def test_a_table_with_columns_of_any_names_is_understood(tmp_path):
    """Paths, labels and splits are found by what stands in them."""
    door = door_of(table_and_files(tmp_path / "art"))
    assert door.fields["kind"] == "table"
    assert door.fields["label"] == "style"
    splits = {picture.split for picture in door.read().pictures}
    assert splits == {"train", "val", "test"}


def test_columns_of_marks_are_labels(tmp_path):
    """Two columns of 0 and 1 are what the pictures show."""
    root = sound(tmp_path / "art")
    rows = [f"{label}/{n:02}.png,{int(label == 'a')},{n % 2}" for label in "ab" for n in range(12)]
    (root / "marks.csv").write_text("\n".join(["path,sea,sky", *rows]))
    assert door_of(root).fields["label"] == ["sea", "sky"]


def test_a_table_of_something_else_is_not_taken_for_the_pictures(tmp_path):
    """The folders are read, and it is said why the table is not."""
    root = sound(tmp_path / "art")
    (root / "prices.csv").write_text("lot,price\n1,20\n2,30\n")
    door = door_of(root)
    assert door.fields["kind"] == "folder"
    assert "prices.csv is not read" in door.guesses[0]


@pytest.mark.parametrize(
    ("name", "slug"),
    [("nowhere", "missing-folder"), ("a.txt", "no-collection"), ("empty.yaml", "not-yaml")],
)
def test_a_path_that_leads_to_no_collection(tmp_path, monkeypatch, name, slug):
    """One message, which says what to give."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(OverpaintError) as caught:
        checkups_of(Path(name))
    assert caught.value.slug == slug


# --- the command -------------------------------------------------------------------------------


def test_the_command_ends_with_status_1_when_something_hurts(tmp_path, monkeypatch):
    """The table names the first, the CSV all; 80 columns are enough."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    uneven(tmp_path / "art")
    done = CliRunner().invoke(app, ["doctor", "art", "--csv", "faults.csv"])
    assert done.exit_code == 1
    assert "class_weights: balanced" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    with (tmp_path / "faults.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["name"] for row in rows if row["complaint"] == "uneven-classes"} == set("abcd")
    assert {row["hurts"] for row in rows if row["complaint"] == "class-too-small"} == {"yes"}


def test_the_command_tells_all_as_json(tmp_path):
    """Status 0 where there are remarks only."""
    sound(tmp_path / "art", count=20)
    put(tmp_path / "art/a/grey.png", painting(50).convert("L"))
    done = CliRunner().invoke(app, ["doctor", str(tmp_path / "art"), "--json"])
    assert done.exit_code == 0
    [told] = json.loads(done.stdout)
    assert told["hurts"] is False
    assert [complaint["slug"] for complaint in told["complaints"]] == ["grey"]
    assert told["complaints"][0]["cases"][0]["name"] == "a/grey.png"


def test_the_doctor_needs_no_torch(tmp_path):
    """Plain overpaint looks at a collection, and says that it does not look for near copies."""
    sound(tmp_path / "art", count=20)
    code = (
        "import sys, overpaint.checkup as checkup\n"
        "from pathlib import Path\n"
        "sys.modules |= dict.fromkeys(('torch', 'scipy', 'imagehash'))\n"
        "import overpaint.checkup.pictures as pictures\n"
        "pictures.can_hash = checkup.can_hash = lambda: False\n"
        f"[found] = checkup.checkups_of(Path({str(tmp_path / 'art')!r}))\n"
        "print([complaint.slug for complaint in found.complaints])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "['no-near-copies']\n", done.stderr


def test_a_study_has_all_its_datasets_examined(tmp_path):
    """Each is told by its name, with its own keys."""
    sound(tmp_path / "art", count=20)
    shutil.copytree(tmp_path / "art", tmp_path / "more")
    (tmp_path / "more/a/00.png").write_bytes(b"")
    (tmp_path / "study.yaml").write_text(
        "study: x\ndatasets:\n  art: {kind: folder, root: art}\n"
        "  more: {kind: folder, root: more}\n"
        "networks: {start: {load: inception_small, weights: random}}\n"
    )
    assert read_study(str(tmp_path / "study.yaml")).datasets.keys() == {"art", "more"}
    first, second = checkups_of(tmp_path / "study.yaml")
    assert (first.name, first.hurts) == ("art", False)
    assert [complaint.slug for complaint in second.complaints] == ["empty"]
