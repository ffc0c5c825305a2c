"""Thumbnails: small copies of the pictures that the report shows, each stored once."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq

from overpaint.defaults import CONCEPT_IMAGES, SHOWN_IMAGES
from overpaint.errors import RecordError
from overpaint.files import File
from overpaint.measures.most_confident import confused_pairs, most_confident
from overpaint.pixels.images import read, thumbnail
from overpaint.records import (
    VERSIONS,
    ComparisonFacts,
    facts_of,
    manifest,
    read_manifest,
    read_table,
    write_manifest,
)
from overpaint.records.drafts import Batch
from overpaint.run.comparisons import compared_pairs, splits_of
from overpaint.run.concepts import pairs_with_concepts
from overpaint.run.workspace import Workspace

SIDE = 112
"""Pixels of the longer side of a thumbnail."""

WORKERS = os.cpu_count() or 1
"""Threads that decode: Pillow lets go of the interpreter while it does."""


def keep_thumbnails(work: Workspace) -> None:
    """Small copies of what the pages of comparisons and of trained networks show."""
    inputs: dict[str, dict[str, str]] = {}  # dataset -> what its pictures are chosen by
    for pair in compared_pairs(work):
        place = work.folder.comparison(*pair.pair)
        _, (dataset, _) = splits_of(work, pair)
        inputs.setdefault(dataset, {})["--".join(pair.pair)] = work.artefact_key(place)
    for pair in pairs_with_concepts(work):
        (dataset, _), _ = splits_of(work, pair)
        place = work.folder.concepts(*pair.pair)
        inputs.setdefault(dataset, {})[f"concepts of {'--'.join(pair.pair)}"] = work.artefact_key(
            place
        )
    for name, entry in work.study.all_networks.items():
        if entry.fit is not None and not work.has_failed(name):
            place = work.folder.network(name)
            inputs.setdefault(entry.fit, {})[name] = work.artefact_key(place)
    for dataset, chosen_by in inputs.items():
        wanted = manifest("thumbnails", inputs=chosen_by, settings={"side": SIDE}, seed=0)
        place = work.folder.thumbnails(dataset)
        if work.must_make(place, wanted):
            _write_thumbnails(work, dataset, _pictures(work, dataset))
            write_manifest(place, wanted)


def _pictures(work: Workspace, dataset: str) -> dict[str, str]:
    """The pictures of a dataset that pages show: image -> digest."""
    pictures: dict[str, str] = {}
    for pair in compared_pairs(work):
        place = work.folder.comparison(*pair.pair)
        if facts_of(read_manifest(place), ComparisonFacts).dataset != dataset:
            continue
        pictures |= _of_first_ranks(place / "maximal.parquet", SHOWN_IMAGES)
        mapped = {*read_table(place / "plane.parquet")["image"]}
        pictures |= {
            picture.image: picture.digest
            for picture in work.split(*splits_of(work, pair)[0]).pictures
            if picture.image in mapped
        }
    for pair in pairs_with_concepts(work):
        if splits_of(work, pair)[0][0] == dataset:
            path = work.folder.concepts(*pair.pair) / "images.parquet"
            pictures |= _of_first_ranks(path, CONCEPT_IMAGES)
    for name, entry in work.study.all_networks.items():
        if entry.fit == dataset and not work.has_failed(name):
            predictions = read_table(work.folder.network(name) / "predictions.parquet")
            images = {guess.image for guesses in most_confident(predictions) for guess in guesses}
            if not read_manifest(work.folder.network(name)).facts.get("multi_label"):
                pairs = confused_pairs(predictions)
                images |= {guess.image for pair in pairs for guess in pair.pictures}
            test = work.split(dataset, "test").pictures
            pictures |= {
                picture.image: picture.digest for picture in test if picture.image in images
            }
    return pictures


def _of_first_ranks(path: Path, most: int) -> dict[str, str]:
    """The pictures of a table that are among the first in anything: image -> digest."""
    columns = ["image", "digest"]
    rows = pq.read_table(path, columns=columns, filters=[("rank", "<=", most)])
    distinct = rows.group_by(columns).aggregate([]).to_pydict()
    return dict(zip(distinct["image"], distinct["digest"], strict=True))


def _write_thumbnails(work: Workspace, dataset: str, pictures: dict[str, str]) -> None:
    """Write those that are not there: a file's name is the digest of its picture."""
    place, root = work.folder.thumbnails(dataset), work.datasets[dataset].root
    present = {path.name for path in place.glob("*.jpg")}
    try:
        same = read_manifest(place)
    except RecordError:
        same = None
    if same is None or (same.settings, same.version) != ({"side": SIDE}, VERSIONS["thumbnails"]):
        present = set()  # of another size or kind
    paths = {image: work.folder.thumbnail(dataset, digest) for image, digest in pictures.items()}
    missing = {image: path for image, path in paths.items() if path.name not in present}
    if not missing:
        return
    title = f"{len(missing)} thumbnails of {dataset}"
    with work.progress.stage(title) as advance, ThreadPoolExecutor(WORKERS) as pool:
        copies = pool.map(_small, (root / image for image in missing))
        with Batch() as thumbnails:
            for count, (path, data) in enumerate(zip(missing.values(), copies, strict=True), 1):
                thumbnails.draft(path).write_bytes(data)
                advance(count, len(missing))


def _small(path: File) -> bytes:
    return thumbnail(read(path, SIDE), SIDE)
