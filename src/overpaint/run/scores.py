"""Standings: how the networks of a study classify: each, several together, and over repeats.

All of it is made from the stored predictions, so scores that are missing are made again without
a network.
"""

from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.records import (
    Scores,
    fresh,
    manifest,
    read_json,
    read_table,
    whole_folder,
    write_json,
    write_table,
)
from overpaint.run.lineage import Lineage

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Standings:
    """The scores of a lineage's trained networks."""

    lineage: Lineage

    def score(self, name: str) -> None:
        """Score a trained network, unless the folder has its scores."""
        entry = self.lineage.study.every[name]
        place = self.lineage.folder.network(name)
        if entry.fit is None or (place / "scores.json").is_file():
            return
        predicted = probabilities(read_table(place / "predictions.parquet"))
        scores = self._scores(entry.fit, predicted, self.lineage.study.seed_of(name))
        write_json(place / "scores.json", scores)

    def _scores(self, dataset: str, predicted: Floats, seed: int) -> Scores:
        """Scores on the test split, of known and of unknown groups apart."""
        from overpaint.measures.scores import score

        train, test = (self.lineage.dataset(dataset).split(name) for name in ("train", "test"))
        return score(
            predicted,
            test.labels,
            test.classes,
            dataset=dataset,
            split="test",
            seed=seed,
            groups=[picture.group for picture in test.pictures],
            train_groups={picture.group for picture in train.pictures},
        )

    # --- together ----------------------------------------------------------------------------

    def ensemble(self, name: str) -> None:
        """The mean of several networks' probabilities, scored, unless the folder has it."""
        from overpaint.measures.repeats import ensemble
        from overpaint.measures.scores import prediction_table

        lineage, members = self.lineage, self.lineage.study.ensembles[name]
        if any(map(lineage.has_failed, members)):
            return
        dataset = str(lineage.study.every[members[0]].fit)
        place, test = lineage.folder.ensemble(name), lineage.dataset(dataset).split("test")
        wanted = manifest(
            "ensemble",
            inputs={**{each: lineage.weights_digest(each) for each in members},
                    "images": test.digest},
            settings={},
            seed=lineage.study.seed,
            facts={"members": members, "dataset": dataset},
        )  # fmt: skip
        if fresh(place, wanted):
            return
        tables = [lineage.folder.network(each) / "predictions.parquet" for each in members]
        together = ensemble([probabilities(read_table(path)) for path in tables])
        with whole_folder(place) as draft:
            write_table(
                draft / "predictions.parquet",
                prediction_table(
                    together,
                    images=test.images,
                    labels=[picture.labels for picture in test.pictures],
                    classes=test.classes,
                ),
            )
            write_json(draft / "scores.json", self._scores(dataset, together, lineage.study.seed))
            write_json(draft / "manifest.json", wanted)

    def repeats(self) -> None:
        """Mean and spread of repeated trainings, and how far routes to one dataset differ."""
        study, found = self.lineage.study, self.found()
        routes = {
            name: [found[each] for each in study.repeated(name) if each in found]
            for name, entry in study.networks.items()
            if entry.repeats > 1
        }
        routes = {name: scores for name, scores in routes.items() if scores}
        if not routes:
            self.lineage.folder.repeats.unlink(missing_ok=True)
            return
        from overpaint.measures.repeats import route_difference, spread

        rivals = [
            (first, second)
            for first, second in combinations(routes, 2)
            if routes[first][0].dataset == routes[second][0].dataset
        ]
        told = {
            "spreads": {name: asdict(spread(scores)) for name, scores in routes.items()},
            "differences": [
                {"first": first, "second": second,
                 **asdict(route_difference(routes[first], routes[second]))}
                for first, second in rivals
            ],
        }  # fmt: skip
        write_json(self.lineage.folder.repeats, told)

    def found(self) -> dict[str, Scores]:
        """The scores of the trained networks, and then of the ensembles."""
        lineage = self.lineage
        places = {name: lineage.folder.network(name) for name in lineage.study.every
                  if not lineage.has_failed(name)}  # fmt: skip
        places |= {name: lineage.folder.ensemble(name) for name in lineage.study.ensembles}
        return {
            name: Scores.from_json(read_json(place / "scores.json"))
            for name, place in places.items()
            if (place / "scores.json").is_file()
        }


def probabilities(predictions: pd.DataFrame) -> Floats:
    """The probabilities [N, C] in a table of predictions, classes in their order."""
    return predictions.filter(regex=r"(?s)^p\(.*\)$").to_numpy(np.float64)
