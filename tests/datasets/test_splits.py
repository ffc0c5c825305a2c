"""Splits are drawn from the seed, kept, in their shares, and without a group in two of them."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.datasets.catalogue import Picture
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.rasta import RastaEntry
from overpaint.datasets.splits import draw_groups, draw_labels, draw_out, draw_splits, with_splits
from overpaint.errors import DatasetError, StudyError
from overpaint.seeds import generator, seed_for
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


@pytest.mark.parametrize("split", ["val", "test"])
def test_what_lacks_comes_out_of_train(tmp_path, split):
    """A tenth of train becomes val, or a fifth becomes test; the splits that are there stay."""
    other = "test" if split == "val" else "val"
    many = [picture_of(n, "train", LABELS[n % 3]) for n in range(90)]
    fixed = [picture_of(n, other, "cat") for n in range(90, 95)]
    result = with_splits(many + fixed, tmp_path, 0, "x")
    counts = Counter(row.split for row in result)
    moved = {"val": 9, "test": 18}[split]
    assert counts == {"train": 90 - moved, split: moved, other: 5}
    assert [row.split for row in result[90:]] == [other] * 5


def test_train_alone_is_divided(tmp_path):
    """A collection of train alone is drawn as one without splits."""
    many = [picture_of(n, "train", "cat") for n in range(100)]
    without = [replace(row, split="") for row in many]
    drawn = with_splits(many, tmp_path / "a", 0, "x")
    assert Counter(row.split for row in drawn) == {"train": 70, "val": 10, "test": 20}
    assert drawn == with_splits(without, tmp_path / "b", 0, "x")


@pytest.mark.parametrize("splits", [("test",), ("val", "test"), ("val",)])
def test_without_train_nothing_is_drawn(tmp_path, splits):
    """What is there to be measured on stays what it is."""
    own = [picture_of(n, split, "cat") for n, split in enumerate(splits)]
    assert with_splits(own, tmp_path, 0, "x") == own


# --- several labels ----------------------------------------------------------------------------


def shares_of(pictures: list[Picture], drawn: dict[str, str]) -> np.ndarray:
    """The share of each label in each split [labels, splits]."""
    labels = sorted({label for row in pictures for label in row.labels})
    counts = np.zeros((len(labels), 3))
    for row in pictures:
        for label in row.labels:
            column = ("train", "val", "test").index(drawn[row.image])
            counts[labels.index(label), column] += 1
    return counts / counts.sum(axis=1, keepdims=True)


def many_labels(count: int, seed: int) -> list[Picture]:
    """Pictures of twelve labels, from common to rare, in hundreds of combinations."""
    rng = np.random.default_rng(seed)
    chances = np.geomspace(0.5, 0.02, 12)
    return [
        Picture(
            image=f"{n}.jpg",
            split="",
            labels=tuple(
                f"l{label:02}" for label in np.flatnonzero(rng.uniform(size=12) < chances)
            ),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_each_label_has_its_share_in_each_split(seed):
    """Within 2.5 points, also where nearly all combinations are different."""
    pictures = many_labels(2000, seed)
    drawn = splits_of(draw_labels(pictures, {}, seed, "x"))
    np.testing.assert_allclose(
        shares_of(pictures, drawn), np.tile([0.7, 0.1, 0.2], (12, 1)), atol=0.025
    )
    counts = np.array([list(drawn.values()).count(name) for name in ("train", "val", "test")])
    np.testing.assert_allclose(counts / 2000, [0.7, 0.1, 0.2], atol=0.01)
    by_class = splits_of(draw_splits(pictures, {}, seed, "x"))
    ideal = np.array([0.7, 0.1, 0.2])
    worst = [np.abs(shares_of(pictures, way) - ideal).max() for way in (drawn, by_class)]
    assert worst[0] < worst[1]


@given(collections(), st.integers(0, 3))
@settings(deadline=None)
def test_labels_are_dealt_as_the_paper_says(pictures, seed):
    """A slow twin, which counts everything anew before each picture, deals the same."""
    assert splits_of(draw_labels(pictures, {}, seed, "x")) == dealt(pictures, seed)


def dealt(pictures: list[Picture], seed: int) -> dict[str, str]:
    """Iterative stratification without any state but what is placed already."""
    shares = {"train": 0.7, "val": 0.1, "test": 0.2}
    rng = generator(seed, "labels", "x")
    order = sorted(pictures, key=lambda row: seed_for(seed, "splits", "x", row.image))
    placed: dict[str, str] = {}
    rarest = None
    while waiting := [row for row in order if row.image not in placed]:
        left = Counter(label for row in waiting for label in row.labels)
        if rarest not in left:
            rarest = min(left, key=lambda label: (left[label], label))
        row = next(row for row in waiting if rarest in row.labels)
        lots = dict(zip(shares, rng.permutation(3).tolist(), strict=True))

        def wish(split, lots=lots, label=rarest):
            there = [each for each in order if placed.get(each.image) == split]
            total = sum(label in each.labels for each in order)
            lack = shares[split] * total
            room = shares[split] * len(order)
            for each in there:  # in the order of the sums, so that halves stay halves
                lack -= label in each.labels
                room -= 1
            return lack, room, lots[split]

        learnt = {label for each in order if placed.get(each.image) == "train"
                  for label in each.labels}  # fmt: skip
        last = any(left[label] == 1 and label not in learnt for label in row.labels)
        placed[row.image] = "train" if last else max(shares, key=wish)
    return placed


@given(collections(least=1, most=80), st.integers(0, 3))
@settings(deadline=None)
def test_every_label_is_learnt(pictures, seed):
    """A label that has a picture has one in train; the order of the pictures does not matter."""
    drawn = splits_of(draw_labels(pictures, {}, seed, "x"))
    learnt = {label for row in pictures if drawn[row.image] == "train" for label in row.labels}
    assert learnt == {label for row in pictures for label in row.labels}
    assert drawn == splits_of(draw_labels(pictures[::-1], {}, seed, "x"))


def test_pictures_without_a_label_are_divided_too():
    """They go where there is room."""
    pictures = [Picture(image=f"{n}", split="", labels=()) for n in range(100)]
    counts = Counter(splits_of(draw_labels(pictures, {}, 0, "x")).values())
    assert counts == {"train": 70, "val": 10, "test": 20}


# --- when pictures come ------------------------------------------------------------------------


def one_by_one(pictures: list[Picture], folder: Path, step: int, **more: object) -> list[Picture]:
    """The last of a series of looks at a collection that grows."""
    for stop in range(step, len(pictures) + step, step):
        result = with_splits(pictures[:stop], folder, 0, "x", **more)
    return result


@pytest.mark.parametrize("step", [1, 7, 40, 120])
@pytest.mark.parametrize("split", ["", "train"])
def test_shares_do_not_depend_on_when_pictures_came(tmp_path, step, split):
    """One at a time or all at once: each class has as many in each split."""
    pictures = [picture_of(n, split, LABELS[n % 3]) for n in range(120)]
    if split:
        pictures = [picture_of(999, "test", "cat"), *pictures]
    result = one_by_one(pictures, tmp_path, step)
    counts = Counter((row.labels[0], row.split) for row in result)
    if split:
        assert sum(count for (_, name), count in counts.items() if name == "val") == 12
    else:
        assert counts == {
            (label, name): count
            for label in LABELS
            for name, count in (("train", 28), ("val", 4), ("test", 8))
        }


@pytest.mark.parametrize("step", [1, 25])
def test_shares_of_several_labels_do_not_depend_on_it_either(tmp_path, step):
    """Within a few points: what is placed stays, and what comes fills what is short."""
    pictures = many_labels(300, 0)
    drawn = splits_of(one_by_one(pictures, tmp_path, step, several=True))
    np.testing.assert_allclose(
        shares_of(pictures, drawn)[:6], np.tile([0.7, 0.1, 0.2], (6, 1)), atol=0.08
    )


def test_a_class_that_grows_leaves_the_others(tmp_path):
    """Also without what was kept: pictures of one class do not move those of another."""
    cats = [picture_of(n, "", "cat") for n in range(40)]
    dogs = [picture_of(n, "", "dog") for n in range(100, 140)]
    alone = splits_of(with_splits(cats, tmp_path / "a", 0, "x"))
    beside = splits_of(with_splits(dogs + cats, tmp_path / "b", 0, "x"))
    assert alone.items() <= beside.items()


def test_accents_do_not_draw_anew(tmp_path):
    """A collection that moves from a Mac, which writes accents apart, keeps its draw."""
    composed = [picture_of(n, "", "cat", name="\u00e9") for n in range(40)]
    apart = [replace(row, image=row.image.replace("\u00e9", "e\u0301")) for row in composed]
    first = with_splits(composed, tmp_path, 0, "x")
    again = with_splits(apart, tmp_path, 0, "x")
    anew = with_splits(apart, tmp_path / "new", 0, "x")
    for rows in (again, anew):
        assert [row.split for row in rows] == [row.split for row in first]


def picture_of(number: int, split: str, label: str, name: str = "") -> Picture:
    """A picture of one label."""
    return Picture(image=f"{label}/{name}{number}.png", split=split, labels=(label,))


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


def test_a_first_picture_of_several_labels_moves_no_other(tmp_path):
    """What was drawn class by class stays when the collection comes to be drawn label by label."""
    many = [picture_of(n, "", LABELS[n % 2]) for n in range(40)]
    first = splits_of(with_splits(many, tmp_path, 0, "x"))
    more = [*many, Picture(image="both", split="", labels=LABELS[:2])]
    assert first.items() <= splits_of(with_splits(more, tmp_path, 0, "x", several=True)).items()


def test_own_splits_stay(tmp_path):
    """A collection that has train, val and test is left as it is, and nothing is written."""
    own = [Picture(image=name, split=name, labels=("a",)) for name in ("train", "val", "test")]
    assert with_splits(own, tmp_path, 0, "x") == own
    assert list(tmp_path.iterdir()) == []
