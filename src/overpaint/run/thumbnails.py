"""Thumbnails: small copies of the pictures that the report shows, each stored once."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from overpaint.measures.most_confident import surest
from overpaint.pixels.images import decode, thumbnail
from overpaint.records import read_manifest, read_table, whole_file
from overpaint.run.lineage import Lineage
from overpaint.study import Pair

SHOWN = 100
"""The maximal images of a channel and network that the report shows at most."""

SIDE = 112
"""Pixels of the longer side of a thumbnail."""

WORKERS = os.cpu_count() or 1
"""Threads that decode: Pillow lets go of the interpreter while it does."""


@dataclass(frozen=True)
class Thumbnails:
    """What of a lineage's pictures is kept in small; what is there already is not made again."""

    lineage: Lineage

    def of_pair(self, pair: Pair) -> None:
        """The maximal images of all channels of a pair."""
        place = self.lineage.folder.comparison(pair.before, pair.after)
        columns, first = ["image", "digest"], [("rank", "<=", SHOWN)]
        found = pq.read_table(place / "maximal.parquet", columns=columns, filters=first)
        every = found.group_by(columns).aggregate([]).to_pydict()
        pictures = dict(zip(every["image"], every["digest"], strict=True))
        self._keep(read_manifest(place).facts["dataset"], pictures)

    def of_network(self, name: str) -> None:
        """The test pictures of which a trained network is surest."""
        fit = self.lineage.study.every[name].fit
        if fit is None:
            return
        predictions = read_table(self.lineage.folder.network(name) / "predictions.parquet")
        images = {guess.image for guesses in surest(predictions) for guess in guesses}
        test = self.lineage.dataset(fit).split("test").pictures
        self._keep(fit, {each.image: each.digest for each in test if each.image in images})

    def _keep(self, dataset: str, pictures: dict[str, str]) -> None:
        """Keep small copies of pictures: image -> digest."""
        folder, root = self.lineage.folder, self.lineage.dataset(dataset).root
        there = {path.name for path in folder.thumbnails(dataset).glob("*.jpg")}
        paths = {image: folder.thumbnail(dataset, digest) for image, digest in pictures.items()}
        lacking = {image: path for image, path in paths.items() if path.name not in there}
        if not lacking:
            return
        title = f"{len(lacking)} thumbnails of {dataset}"
        with self.lineage.progress.stage(title) as advance, ThreadPoolExecutor(WORKERS) as pool:
            small = pool.map(_small, (root / image for image in lacking))
            for done, (path, data) in enumerate(zip(lacking.values(), small, strict=True), start=1):
                with whole_file(path) as draft:
                    draft.write_bytes(data)
                advance(done, len(lacking))


def _small(path: Path) -> bytes:
    return thumbnail(decode(path.read_bytes(), SIDE), SIDE)
