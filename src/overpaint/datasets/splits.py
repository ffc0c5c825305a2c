"""The splits that a collection lacks, drawn from the seed and kept for the next look.

What was drawn stands in `drawn.parquet`. It holds as long as the seed and the way of drawing are
the same, also when pictures are added: the new ones are drawn, the others stay where they are.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.datasets.catalogue import Picture
from overpaint.errors import DatasetError, RecordError
from overpaint.records import read_table, write_table
from overpaint.seeds import generator, seed_for

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
"""How a collection without splits is divided."""

TENTH = 10
"""Of so many training pictures one becomes a validation picture where there are none."""


def with_splits(
    pictures: list[Picture], workplace: Path, seed: int, name: str, *, disjoint: str | None = None
) -> list[Picture]:
    """The pictures with the splits that they lack.

    A collection without splits is divided class by class; one that has train and test but no val
    gives up a tenth of train; with `disjoint` all is drawn so that no group stands in two splits.
    """
    way = _way(pictures, disjoint)
    if not way:
        return pictures
    if way == "group" and not any(picture.group for picture in pictures):
        raise DatasetError(
            "no-groups",
            f"dataset {name!r} is to have splits that share no group, and no picture has one: "
            "say in 'group' where the groups are",
        )
    drawn = WAYS[way](pictures, _kept(workplace, way, seed), seed, name)
    images = [picture.image for picture in drawn]
    splits = [picture.split for picture in drawn]
    frame = pd.DataFrame({"image": images, "split": splits, "drawn": _label(way, seed)})
    write_table(workplace / "drawn.parquet", frame)
    return drawn


def _way(pictures: Sequence[Picture], disjoint: str | None) -> str:
    own = {picture.split for picture in pictures}
    if disjoint or "" in own:
        return disjoint or "class"
    return "val" if own == {"train", "test"} else ""


def _label(way: str, seed: int) -> str:
    return f"by {way}, seed {seed}"


def _kept(workplace: Path, way: str, seed: int) -> dict[str, str]:
    """What was drawn before, if in the same way."""
    try:
        frame = read_table(workplace / "drawn.parquet")
    except RecordError:
        return {}
    same = frame[frame["drawn"] == _label(way, seed)]
    return dict(zip(same["image"].tolist(), same["split"].tolist(), strict=True))


# --- class by class ----------------------------------------------------------------------------


def draw_splits(
    pictures: Sequence[Picture], kept: Mapping[str, str], seed: int, name: str
) -> list[Picture]:
    """Pictures with splits drawn within each class, those already drawn kept as they were.

    >>> many = [Picture(image=f"cat/{n}.jpg", split="", labels=("cat",)) for n in range(10)]
    >>> drawn = draw_splits(many, {}, 0, "pets")
    >>> sorted(picture.split for picture in drawn)
    ['test', 'test', 'train', 'train', 'train', 'train', 'train', 'train', 'train', 'val']
    """
    chosen = dict(kept)
    new = defaultdict(list)
    for picture in pictures:
        if picture.image not in kept:
            new[picture.labels].append(picture.image)
    for images in new.values():
        images.sort(key=lambda image: seed_for(seed, "splits", name, image))
        chosen.update(zip(images, _shares(len(images)), strict=True))
    return [replace(picture, split=chosen[picture.image]) for picture in pictures]


def _shares(count: int) -> list[str]:
    """So many splits in their shares; at least one each of train, test and val, in that order."""
    test, val = (max(1, round(SHARES[name] * count)) for name in ("test", "val"))
    order = ["train"] * max(1, count - test - val) + ["test"] * test + ["val"] * val
    return order[:count]


# --- validation pictures out of train ----------------------------------------------------------


def draw_val(
    pictures: Sequence[Picture], kept: Mapping[str, str], seed: int, name: str
) -> list[Picture]:
    """Pictures of which a tenth of train has become val; no class loses its last of train.

    >>> many = [Picture(image=f"{n}.jpg", split="train", labels=("cat",)) for n in range(40)]
    >>> [each.split for each in draw_val(many, {}, 0, "pets")].count("val")
    4

    The training pictures are put in order by their labels, at random among equals, and each tenth
    is taken: rare combinations of labels give up their share as well.
    """
    train = [each for each in pictures if each.split == "train"]
    new = [each for each in train if each.image not in kept]
    new.sort(key=lambda each: (each.labels, seed_for(seed, "splits", name, each.image)))
    first = int(generator(seed, "val", name, len(kept)).integers(TENTH if kept else _few(new)))
    chosen = {each.image for each in train if kept.get(each.image) == "val"}
    left = Counter(label for each in train if each.image not in chosen for label in each.labels)
    for picture in new[first::TENTH]:
        if all(left[label] > 1 for label in picture.labels):
            left.subtract(picture.labels)
            chosen.add(picture.image)
    return [replace(each, split="val" if each.image in chosen else each.split) for each in pictures]


def _few(new: Sequence[Picture]) -> int:
    return max(1, min(TENTH, len(new)))


# --- no group in two splits --------------------------------------------------------------------


def draw_groups(
    pictures: Sequence[Picture], kept: Mapping[str, str], seed: int, name: str
) -> list[Picture]:
    """Pictures with splits such that no group stands in two of them.

    >>> many = [
    ...     Picture(image=f"{n}.jpg", split="", labels=("cat",), group=f"sitter {n // 5}")
    ...     for n in range(100)
    ... ]
    >>> drawn = draw_groups(many, {}, 0, "pets")
    >>> [sum(each.split == name for each in drawn) for name in ("train", "val", "test")]
    [70, 10, 20]

    Groups are placed one after the other, large ones first, each where it brings the shares of its
    classes nearest to 70, 10 and 20 %. A class has pictures in train as long as it has a group
    that was not placed before. A picture without a group is a group of its own.
    """
    groups = defaultdict(list)
    for picture in pictures:
        groups[_group(picture)].append(picture)
    classes = {label: number for number, label in enumerate(
        sorted({label for picture in pictures for label in picture.labels}))}  # fmt: skip
    counts = {key: _counts(members, classes) for key, members in groups.items()}
    placed = {key: split for key, members in groups.items() if (split := _before(members, kept))}
    new = [key for key in groups if key not in placed]
    # Groups of like size in random order: by exact size, every seed would draw the same.
    new.sort(key=lambda key: (-len(groups[key]).bit_length(),
                              seed_for(seed, "splits", name, *key)))  # fmt: skip
    placed |= _place(new, counts, placed)
    return [replace(picture, split=placed[_group(picture)]) for picture in pictures]


Key = tuple[str, str]
"""A group, or else the one picture that has none."""

Counts = NDArray[np.float64]
"""Pictures [C] of each class, and last of all classes together."""


def _group(picture: Picture) -> Key:
    return (picture.group, "") if picture.group else ("", picture.image)


def _counts(members: Sequence[Picture], classes: Mapping[str, int]) -> Counts:
    counts = np.zeros(len(classes) + 1)
    for picture in members:
        counts[[*(classes[label] for label in picture.labels), -1]] += 1
    return counts


def _before(members: Sequence[Picture], kept: Mapping[str, str]) -> str:
    """Where most of a group's pictures were, or nothing if all of them are new."""
    splits = Counter(kept[each.image] for each in members if each.image in kept)
    return max(SHARES, key=lambda name: splits[name]) if splits else ""


def _place(
    new: Sequence[Key], counts: Mapping[Key, Counts], placed: Mapping[Key, str]
) -> dict[Key, str]:
    total = np.sum(list(counts.values()), axis=0)
    have = {name: np.zeros_like(total) for name in SHARES}
    for key, split in placed.items():
        have[split] += counts[key]
    left = np.sum([counts[key] > 0 for key in new], axis=0) if new else total
    chosen = {}
    for number, key in enumerate(new):
        left = left - (counts[key] > 0)
        chosen[key] = _best(counts[key], have, total, left, len(new) - number)
        have[chosen[key]] += counts[key]
    return chosen


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


WAYS = {"class": draw_splits, "val": draw_val, "group": draw_groups}
