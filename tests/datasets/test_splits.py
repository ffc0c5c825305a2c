"""Splits are drawn from the seed, kept, in their shares, and without a group in two of them."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.datasets.catalogue import Picture
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.rasta import RastaEntry
from overpaint.datasets.splits import draw_groups, draw_out, with_splits
from overpaint.errors import DatasetError, StudyError
from overpaint.study import read_study

LABELS = ("cat", "dog", "eel")


def splits_of(pictures: list[Picture]) -> dict[str, str]:
    return {each.image: each.split for each in pictures}


@st.composite
def collections(draw, split: str = "", least: int = 1, most: int = 60) -> list[Picture]:
    """Pictures of three classes and twelve groups; some show two classes, some have no group."""
    count = draw(st.integers(least, most))
    rows = draw(
        st.lists(
            st.tuples(
                st.lists(st.sampled_from(LABELS), min_size=1, max_size=2, unique=True),
                st.integers(0, 12),
            ),
            min_size=count,
            max_size=count,
        )
    )
    return [
        Picture(
            image=f"{number}.jpg",
            split=split,
            labels=tuple(labels),
            group=f"g{group}" if group else "",
        )
        for number, (labels, group) in enumerate(rows)
    ]


# --- no group in two splits --------------------------------------------------------------------


@given(collections(), st.integers(0, 3))
@settings(deadline=None)
def test_no_group_stands_in_two_splits(pictures, seed):
    """A group is in one split; whatever the order, and the same for the same seed."""
    drawn = draw_groups(pictures, {}, seed, "x")
    where = defaultdict(set)
    for each in drawn:
        where[each.group].add(each.split)
    assert all(len(splits) == 1 for group, splits in where.items() if group)
    assert splits_of(drawn) == splits_of(draw_groups(pictures[::-1], {}, seed, "x"))


@given(collections())
@settings(deadline=None)
def test_every_class_is_in_train(pictures):
    """A class that has a picture has one in train, even if its one group must go there."""
    drawn = draw_groups(pictures, {}, 0, "x")
    learnt = {label for each in drawn if each.split == "train" for label in each.labels}
    assert learnt == {label for each in pictures for label in each.labels}


@given(collections(), st.integers(0, 60))
@settings(deadline=None)
def test_new_pictures_leave_the_others_where_they_are(pictures, first):
    """What was drawn keeps its split when pictures are added, and no group is torn apart."""
    before = splits_of(draw_groups(pictures[:first], {}, 0, "x"))
    drawn = draw_groups(pictures, before, 0, "x")
    assert {image: splits_of(drawn)[image] for image in before} == before
    where = {(each.group, each.split) for each in drawn if each.group}
    assert len(where) == len({each.group for each in pictures if each.group})


def test_every_split_gets_a_group():
    """Three groups are enough for three splits."""
    pictures = [
        Picture(image=f"{n}", split="", labels=("a",), group=f"g{n % 3}") for n in range(30)
    ]
    assert Counter(splits_of(draw_groups(pictures, {}, 0, "x")).values()) == {
        "train": 10, "val": 10, "test": 10}  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_shares_of_classes(seed):
    """With many groups of one class each, each class has 70, 10 and 20 % within two points."""
    rng = np.random.default_rng(seed)
    pictures = [
        Picture(image=f"{group}-{n}", split="", labels=(LABELS[group % 3],), group=f"g{group}")
        for group in range(300)
        for n in range(rng.integers(1, 15))
    ]
    drawn = draw_groups(pictures, {}, seed, "x")
    for label in LABELS:
        splits = [each.split for each in drawn if each.labels == (label,)]
        shares = [splits.count(name) / len(splits) for name in ("train", "val", "test")]
        assert np.abs(np.subtract(shares, [0.7, 0.1, 0.2])).max() < 0.02


def test_pictures_without_a_group_go_their_own_ways():
    """They are not taken for one group that nobody has named."""
    pictures = [
        Picture(image=f"{n}", split="", labels=("a",), group="known" if n < 5 else "")
        for n in range(100)
    ]
    counts = Counter(each.split for each in draw_groups(pictures, {}, 0, "x"))
    assert counts == {"train": 70, "val": 10, "test": 20}


def test_another_seed_draws_other_groups():
    """The seed matters, also when all groups differ in size."""
    pictures = [
        Picture(image=f"{g}-{n}", split="", labels=("a",), group=f"g{g}")
        for g in range(40)
        for n in range(g + 1)
    ]
    drawn = [splits_of(draw_groups(pictures, {}, seed, "x")) for seed in (0, 1)]
    assert drawn[0] != drawn[1]


def test_rasta_without_a_shared_artist(real, tmp_path):
    """`disjoint: group` overrides RASTA's own splits, and no artist stands in two."""
    entry = RastaEntry(kind="rasta", root=real / "data/rasta_small", disjoint="group")
    dataset, rows = open_dataset("rasta", entry, workplace=tmp_path)
    where = {(row.group, row.split) for row in rows}
    assert len(where) == len({row.group for row in rows})
    counts = [len(dataset.split(name)) / len(rows) for name in ("train", "val", "test")]
    np.testing.assert_allclose(counts, [0.7, 0.1, 0.2], atol=0.08)


def test_groups_of_a_folder(pictures, tmp_path):
    """A regular expression finds the group in a path; the splits of the folder follow it."""
    entry = FolderEntry(kind="folder", root=pictures, group=r"(\d)\.png$", disjoint="group")
    dataset, _ = open_dataset("art", entry, workplace=tmp_path)
    where = {(each.group, each.split) for each in dataset.pictures}
    assert {group for group, _ in where} == set("0123456789")
    assert len(where) == 10


def test_disjoint_needs_groups(pictures, tmp_path):
    """Without groups there is nothing that could be kept apart."""
    entry = FolderEntry(kind="folder", root=pictures, disjoint="group")
    with pytest.raises(DatasetError, match="'group'") as caught:
        open_dataset("art", entry, workplace=tmp_path)
    assert caught.value.slug == "no-groups"


@pytest.mark.parametrize(("pattern", "said"), [("[", "no regular"), ("x", "one capture group")])
def test_a_group_pattern_is_checked(tmp_path, pattern, said):
    """A pattern that finds no group is an error of the study, with its line."""
    (tmp_path / "s.yaml").write_text(
        f"study: s\nnetworks: {{}}\ndatasets:\n  art: {{kind: folder, root: a, group: '{pattern}'}}"
    )
    with pytest.raises(StudyError, match=f"{said}.*line 4"):
        read_study(str(tmp_path / "s.yaml"))


# --- validation pictures out of train ----------------------------------------------------------


@given(collections("train", least=2), st.integers(0, 3))
@settings(deadline=None)
def test_a_tenth_of_train(pictures, seed):
    """About a tenth becomes val, no class leaves train, whatever the order."""
    drawn = splits_of(draw_out(pictures, {}, seed, "x", split="val"))
    assert drawn == splits_of(draw_out(pictures[::-1], {}, seed, "x", split="val"))
    count = sum(split == "val" for split in drawn.values())
    assert count <= -(-len(pictures) // 10)
    learnt = {label for each in pictures if drawn[each.image] == "train" for label in each.labels}
    assert learnt == {label for each in pictures for label in each.labels}


def test_each_class_gives_its_tenth():
    """Val has the shares of train, also of a rare class."""
    pictures = [
        Picture(image=f"{n}", split="train", labels=("rare" if n < 50 else "common",))
        for n in range(500)
    ]
    drawn = draw_out(pictures, {}, 0, "x", split="val")
    assert Counter(each.labels[0] for each in drawn if each.split == "val") == {
        "rare": 5, "common": 45}  # fmt: skip


def test_few_pictures_give_one():
    """Of six training pictures one becomes val, whatever the seed."""
    pictures = [Picture(image=f"{n}", split="train", labels=("a",)) for n in range(6)]
    for seed in range(20):
        drawn = draw_out(pictures, {}, seed, "x", split="val")
        assert sum(each.split == "val" for each in drawn) == 1


# --- what was drawn is kept --------------------------------------------------------------------


@pytest.mark.parametrize(("split", "disjoint"), [("", None), ("train", None), ("", "group")])
def test_what_was_drawn_is_kept(tmp_path: Path, split, disjoint):
    """Later looks keep it, also when pictures come and go; those that come get a split."""
    many = [
        Picture(image=f"{n}", split=split, labels=(LABELS[n % 2],), group=f"g{n // 3}")
        for n in range(150)
    ]
    fixed = [Picture(image="fixed", split="test" if split else "", labels=("cat",))]
    first = splits_of(with_splits(many[:100] + fixed, tmp_path, 0, "x", disjoint=disjoint))
    later = splits_of(with_splits(many[50:] + fixed, tmp_path, 0, "x", disjoint=disjoint))
    assert {image: first[image] for image in later if image in first} == {
        image: later[image] for image in later if image in first
    }
    new = [later[each.image] for each in many[100:]]
    assert "val" in new
    assert "train" in new


def test_another_way_or_seed_draws_anew(tmp_path):
    """What was drawn class by class does not tear the groups that are to be kept together."""
    many = [Picture(image=f"{n}", split="", labels=("a",), group=f"g{n // 10}") for n in range(100)]
    by_class = splits_of(with_splits(many, tmp_path, 0, "x"))
    by_group = splits_of(with_splits(many, tmp_path, 0, "x", disjoint="group"))
    assert by_group == splits_of(draw_groups(many, {}, 0, "x"))
    assert by_class == splits_of(with_splits(many, tmp_path, 0, "x"))
    assert by_class != splits_of(with_splits(many, tmp_path, 1, "x"))


def test_own_splits_stay(tmp_path):
    """A collection that has train, val and test is left as it is, and nothing is written."""
    own = [Picture(image=name, split=name, labels=("a",)) for name in ("train", "val", "test")]
    assert with_splits(own, tmp_path, 0, "x") == own
    assert list(tmp_path.iterdir()) == []
