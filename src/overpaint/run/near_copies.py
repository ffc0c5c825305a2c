"""Near copies: pictures that stand in two splits and were saved anew, made smaller, greyer or cut.

To see them, every picture is decoded once more: that is done when the pictures of a dataset are
other ones than at the last look, and not at each run.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from overpaint.checkup.copies import ALIKE, NEAR, families
from overpaint.checkup.pictures import can_hash, sighting_of_file
from overpaint.datasets import Dataset
from overpaint.datasets.doctor import duplicates
from overpaint.defaults import SPLITS
from overpaint.errors import RecordError
from overpaint.records import DatasetFacts, DuplicateRow, digest, facts_of, read_manifest
from overpaint.run.workspace import Workspace


def near_copies(work: Workspace, dataset: Dataset, place: Path) -> tuple[list[DuplicateRow], str]:
    """The near copies in two splits of a dataset, and the digest of what they were sought among.

    As they were found by an earlier run, where it sought among the same pictures. None and "" where
    they are not sought: without the library of the perceptual hash; among pictures that lie at an
    address, each of which would be fetched a second time; and among those of the atelier, where no
    picture is made from another, and two moons on a dark sky are nearly the same.
    """
    is_painted = work.study.datasets[dataset.name].kind == "atelier"
    if is_painted or not can_hash() or not isinstance(dataset.root, Path):
        return [], ""
    pictures = sorted(dataset.pictures, key=lambda picture: SPLITS.index(picture.split))
    sought = digest(
        [NEAR, ALIKE, *((picture.image, picture.split, picture.digest) for picture in pictures)]
    )
    try:
        known = facts_of(read_manifest(place), DatasetFacts)
    except RecordError:
        known = DatasetFacts()
    if known.near_of == sought:
        return [row for row in known.duplicates if row.near], sought
    sightings = []
    with (
        work.progress.stage(f"dataset {dataset.name}: look for copies") as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        files = [dataset.root / picture.image for picture in pictures]
        for sighting in pool.map(sighting_of_file, files):
            sightings.append(sighting)
            advance(len(sightings), len(files))
        found = families(sightings)
    exact = {row.second for row in duplicates(dataset)}
    rows = []
    for family in found:
        first, *copies = (pictures[number] for number in family)
        rows += [
            DuplicateRow(
                digest=copy.digest,
                first=first.image,
                first_split=first.split,
                second=copy.image,
                second_split=copy.split,
                near=True,
            )
            for copy in copies
            if copy.split != first.split and copy.digest != first.digest and copy.image not in exact
        ]
    return rows, sought
