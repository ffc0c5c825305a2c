"""The splits that a collection lacks, drawn from the seed and kept for the next look.

What was drawn stands in `drawn.parquet`. It holds as long as the seed and the way of drawing are
the same, also when pictures are added: the others stay where they are, and the new ones fill what
is short of its share. So how many a split has does not depend on when its pictures came.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.datasets.catalogue import Picture
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError, RecordError
from overpaint.records import read_table, write_table
from overpaint.seeds import generator, seed_for

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
"""How a collection without splits is divided; of one that has them, what train gives up."""

WAYS = {"class": "class by class", "labels": "label by label", "group": "group by group",
        "val": "out of train", "test": "out of train"}  # fmt: skip
"""The ways of drawing, in words."""


def way_of(pictures: Sequence[Picture], *, disjoint: str | None, several: bool) -> str:
    """How the splits that pictures lack are drawn; "" when none is.

    A collection without splits, or with train alone, is divided class by class, or label by label
    where a picture has several; one that lacks val or test has it drawn out of train; with
    `disjoint` all is drawn so that no group stands in two splits.
    """
    if disjoint:
        return disjoint
    splits = {picture.split for picture in pictures}
    if splits <= {"", "train"}:
        return "labels" if several else "class"
    lacking = [split for split in SPLITS if split not in splits]
    return lacking[0] if len(lacking) == 1 and lacking != ["train"] else ""


def with_splits(
    pictures: list[Picture],
    workplace: Path,
    seed: int,
    name: str,
    *,
    disjoint: str | None = None,
    several: bool = False,
) -> list[Picture]:
    """The pictures with the splits that they lack, drawn as `way_of` says, and kept."""
    way = way_of(pictures, disjoint=disjoint, several=several)
    if not way:
        return pictures
    if way == "group" and not any(picture.group for picture in pictures):
        raise DatasetError(
            "no-groups",
            f"dataset {name!r} is to have splits that share no group, and no picture has one: "
            "say in 'group' where the groups are",
        )
    label = f"by {way}, seed {seed}"
    try:
        frame = read_table(workplace / "drawn.parquet")
        # A collection is drawn label by label as soon as one picture has several.
        alike = ("class", "labels") if way in ("class", "labels") else (way,)
        earlier = frame[frame["drawn"].isin([f"by {name}, seed {seed}" for name in alike])]
        before = dict(zip(earlier["image"].tolist(), earlier["split"].tolist(), strict=True))
    except RecordError:
        before = {}
    before = {normalize("NFC", image): split for image, split in before.items()}
    if way in ("val", "test"):
        result = draw_out(pictures, before, seed, name, split=way)
    else:
        draw = {"class": draw_splits, "labels": draw_labels, "group": draw_groups}[way]
        result = draw(pictures, before, seed, name)
    images = [picture.image for picture in result]
    splits = [picture.split for picture in result]
    write_table(
        workplace / "drawn.parquet",
        pd.DataFrame({"image": images, "split": splits, "drawn": label}),
    )
    return result


def in_words(pictures: Sequence[Picture], way: str, seed: int) -> list[str]:
    """What a draw gave, and which classes it left a split without, in sentences.

    >>> cats = [Picture(image=f"{n}", split="train", labels=("cat",)) for n in range(2)]
    >>> for sentence in in_words(cats, "class", 0): print(sentence)
    splits drawn class by class, seed 0: train 2, val 0, test 0
    few pictures: 'cat' has train 2, val 0, test 0
    """
    totals = Counter(picture.split for picture in pictures)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for picture in pictures:
        for label in picture.labels:
            counts[label][picture.split] += 1

    def shares(count: Mapping[str, int]) -> str:
        return ", ".join(f"{split} {count[split]}" for split in SPLITS)

    small = [
        f"{label!r} has {shares(count)}"
        for label, count in sorted(counts.items())
        if any(not count[split] for split in SPLITS)
    ]
    rest = f"; {len(small) - 9} classes more" if len(small) > 9 else ""
    return [
        f"splits drawn {WAYS[way]}, seed {seed}: {shares(totals)}",
        *([f"few pictures: {'; '.join(small[:9])}{rest}"] if small else []),
    ]


def key_of(picture: Picture) -> str:
    """By what a picture is known from draw to draw: its id, however its accents are written."""
    return normalize("NFC", picture.image)


def shuffled(pictures: Sequence[Picture], seed: int, name: str) -> list[Picture]:
    """Pictures in an order that only the seed and each one's id decide."""
    return sorted(pictures, key=lambda picture: seed_for(seed, "splits", name, key_of(picture)))


# --- class by class ----------------------------------------------------------------------------


def draw_splits(
    pictures: Sequence[Picture], before: Mapping[str, str], seed: int, name: str
) -> list[Picture]:
    """Pictures with splits drawn within each class, those already drawn left where they were.

    >>> many = [Picture(image=f"cat/{n}.jpg", split="", labels=("cat",)) for n in range(10)]
    >>> result = draw_splits(many, {}, 0, "pets")
    >>> sorted(picture.split for picture in result)
    ['test', 'test', 'train', 'train', 'train', 'train', 'train', 'train', 'train', 'val']
    """
    by_class = defaultdict(list)
    for picture in shuffled(pictures, seed, name):
        by_class[picture.labels].append(key_of(picture))
    chosen: dict[str, str] = {}
    for keys in by_class.values():
        placed = {key: before[key] for key in keys if key in before}
        new = [key for key in keys if key not in before]
        short = Counter(targets(len(keys)))
        short.subtract(Counter(placed.values()))
        order = [split for split in ("train", "test", "val") for _ in range(short[split])]
        order += ["train"] * (len(new) - len(order))
        chosen |= placed | dict(zip(new, order, strict=False))
    return [replace(picture, split=chosen[key_of(picture)]) for picture in pictures]


def targets(count: int) -> dict[str, int]:
    """How many of a class's pictures each split has; at least one, in the order train, test, val.

    >>> targets(100), targets(2)
    ({'train': 70, 'test': 20, 'val': 10}, {'train': 1, 'test': 1, 'val': 0})
    """
    test, val = (max(1, round(SHARES[split] * count)) for split in ("test", "val"))
    order = (["train"] * max(1, count - test - val) + ["test"] * test + ["val"] * val)[:count]
    return {split: order.count(split) for split in ("train", "test", "val")}


# --- label by label ----------------------------------------------------------------------------


def draw_labels(
    pictures: Sequence[Picture], before: Mapping[str, str], seed: int, name: str
) -> list[Picture]:
    """Pictures of several labels with splits such that each has about its share of each label.

    Iterative stratification (Sechidis, Tsoumakas, Vlahavas 2011, algorithm 1): of the labels that
    are left, the one with fewest pictures is dealt out, each picture to the split that lacks most
    of the label, or else most pictures, or else by lot.

    >>> sea = [Picture(image=f"a{n}", split="", labels=("sea", "sky")) for n in range(10)]
    >>> sky = [Picture(image=f"b{n}", split="", labels=("sky",)) for n in range(10)]
    >>> result = draw_labels(sea + sky, {}, 0, "views")
    >>> Counter((picture.split, len(picture.labels)) for picture in result)["test", 2]
    2
    """
    rng = generator(seed, "labels", name)
    order = shuffled(pictures, seed, name)
    left = Counter(label for picture in order for label in picture.labels)
    lacking = {
        split: {label: share * count for label, count in left.items()}
        for split, share in SHARES.items()
    }
    room = {split: share * len(order) for split, share in SHARES.items()}
    learnt: set[str] = set()  # labels that train has
    chosen: dict[str, str] = {}

    def place(picture: Picture, split: str) -> None:
        chosen[key_of(picture)] = split
        room[split] -= 1
        left.subtract(picture.labels)
        for label in picture.labels:
            lacking[split][label] -= 1
        if split == "train":
            learnt.update(picture.labels)

    waiting = {}
    holders = defaultdict(list)  # the pictures of each label
    for picture in order:
        for label in picture.labels:
            holders[label].append(key_of(picture))
        if key_of(picture) in before:
            place(picture, before[key_of(picture)])
        else:
            waiting[key_of(picture)] = picture
    while labels := [label for label, count in left.items() if count]:
        rarest = min(labels, key=lambda label: (left[label], label))
        for key in [key for key in holders.pop(rarest) if key in waiting]:
            picture = waiting.pop(key)
            lots = dict(zip(SHARES, rng.permutation(len(SHARES)).tolist(), strict=True))
            best = max(SHARES, key=lambda split: (lacking[split][rarest], room[split], lots[split]))
            # The last chance of one of its labels to be learnt comes first.
            last = any(left[label] == 1 and label not in learnt for label in picture.labels)
            place(picture, "train" if last else best)
    for picture in waiting.values():  # those without a label
        place(picture, max(SHARES, key=lambda split: room[split]))
    return [replace(picture, split=chosen[key_of(picture)]) for picture in pictures]


# --- out of train ------------------------------------------------------------------------------


def draw_out(
    pictures: Sequence[Picture], before: Mapping[str, str], seed: int, name: str, *, split: str
) -> list[Picture]:
    """Pictures of which a share of train has become val, or test; no class leaves train.

    >>> many = [Picture(image=f"{n}.jpg", split="train", labels=("cat",)) for n in range(40)]
    >>> [row.split for row in draw_out(many, {}, 0, "pets", split="val")].count("val")
    4

    The training pictures are put in order by their labels, at random among equals, and every tenth
    (for test, every fifth) is taken: rare combinations of labels give up their share as well.
    """
    train = [picture for picture in pictures if picture.split == "train"]
    chosen = {key_of(picture) for picture in train if before.get(key_of(picture)) == split}
    new = [picture for picture in shuffled(train, seed, name) if key_of(picture) not in before]
    new.sort(key=lambda picture: picture.labels)
    want = max(1, math.floor(SHARES[split] * len(train) + 0.5)) - len(chosen)
    left = Counter(
        label for picture in train if key_of(picture) not in chosen for label in picture.labels
    )
    start = float(generator(seed, split, name).uniform())
    for number in range(min(want, len(new))):
        picture = new[int((number + start) * len(new) / want)] if want <= len(new) else new[number]
        if all(left[label] > 1 for label in picture.labels):
            left.subtract(picture.labels)
            chosen.add(key_of(picture))
    return [
        replace(picture, split=split) if key_of(picture) in chosen else picture
        for picture in pictures
    ]


# --- no group in two splits --------------------------------------------------------------------


def draw_groups(
    pictures: Sequence[Picture], before: Mapping[str, str], seed: int, name: str
) -> list[Picture]:
    """Pictures with splits such that no group stands in two of them.

    >>> many = [
    ...     Picture(image=f"{n}.jpg", split="", labels=("cat",), group=f"sitter {n // 5}")
    ...     for n in range(100)
    ... ]
    >>> result = draw_groups(many, {}, 0, "pets")
    >>> [sum(row.split == name for row in result) for name in ("train", "val", "test")]
    [70, 10, 20]

    Groups are placed one after the other, large ones first, each where it brings the shares of its
    classes nearest to 70, 10 and 20 %. A class has pictures in train as long as it has a group
    that was not placed before. A picture without a group is a group of its own.
    """
    groups = defaultdict(list)
    for picture in pictures:
        groups[group_of(picture)].append(picture)
    labels = sorted({label for picture in pictures for label in picture.labels})
    columns = {label: number for number, label in enumerate(labels)}
    counts: dict[Group, Counts] = {}
    placed: dict[Group, str] = {}
    for group, members in groups.items():
        counts[group] = np.zeros(len(columns) + 1)
        for picture in members:
            counts[group][[*(columns[label] for label in picture.labels), -1]] += 1
        earlier = Counter(
            before[key_of(picture)] for picture in members if key_of(picture) in before
        )
        if earlier:  # where most of its pictures were
            placed[group] = max(SHARES, key=lambda split: earlier[split])
    new = [group for group in groups if group not in placed]
    # Groups of like size in random order: by exact size, every seed would draw the same.
    new.sort(key=lambda group: (-len(groups[group]).bit_length(),
                                seed_for(seed, "splits", name, *group)))  # fmt: skip
    total = np.sum(list(counts.values()), axis=0)
    have = {split: np.zeros_like(total) for split in SHARES}
    for group, split in placed.items():
        have[split] += counts[group]
    left = np.sum([counts[group] > 0 for group in new], axis=0) if new else total
    for number, group in enumerate(new):
        left = left - (counts[group] > 0)
        placed[group] = _best(counts[group], have, total, left, len(new) - number)
        have[placed[group]] += counts[group]
    return [replace(picture, split=placed[group_of(picture)]) for picture in pictures]


Group = tuple[str, str]
"""A group, or else the one picture that has none."""

Counts = NDArray[np.float64]
"""Pictures [C] of each class, and last of all classes together."""


def group_of(picture: Picture) -> Group:
    """The group that a picture is placed with."""
    return (picture.group, "") if picture.group else ("", key_of(picture))


def _best(
    group: Counts, have: Mapping[str, Counts], total: Counts, left: Counts, groups_left: int
) -> str:
    """The split for a group: what lowers the chi-square distance from the wanted shares most."""
    if np.any((group > 0) & (have["train"] == 0) & (left == 0)):
        return "train"  # the last chance of one of its classes to be learnt
    empty = [name for name in SHARES if not have[name][-1]]
    options = empty if len(empty) >= groups_left else list(SHARES)

    def change(name: str) -> float:
        share = group / np.maximum(total, 1)
        filled = (2 * have[name] + group) / np.maximum(total, 1) / SHARES[name]
        return float(np.sum(share * (filled - 2)))

    return min(options, key=change)
