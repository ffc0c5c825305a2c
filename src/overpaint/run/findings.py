"""Conclusions: the findings of a study, from its comparisons, scores and stored features."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from overpaint.findings import (
    Features,
    Read,
    Seen,
    class_findings,
    control_finding,
    double_finding,
    double_routes,
    filters_finding,
    layers_finding,
    twins,
)
from overpaint.records import (
    FindingRow,
    RouteDifference,
    Score,
    digest,
    read_json,
    read_manifest,
    read_table,
    write_json,
)
from overpaint.run.lineage import Lineage
from overpaint.run.scores import Standings, probabilities
from overpaint.study import Pair


@dataclass
class Conclusions:
    """What the compared pairs and the scored routes of a lineage say of the paper's statements."""

    lineage: Lineage
    standings: Standings
    pairs: Sequence[Pair]

    def draw(self) -> None:
        """Write the findings, unless the folder has those of these very records."""
        path, key = self.lineage.folder.findings, digest(self._made_from())
        if path.is_file() and read_json(path).get("key") == key:
            return
        with self.lineage.progress.stage("findings"):
            rows = [asdict(row) for row in self._rows()]
        write_json(path, {"key": key, "findings": rows})

    def _made_from(self) -> dict[str, Any]:
        folder = self.lineage.folder
        compared = [read_manifest(folder.comparison(*pair.pair)).key for pair in self.pairs]
        scored = {name: asdict(each) for name, each in self.standings.found().items()}
        return {"compared": compared, "scored": scored, "study": self.lineage.study.to_yaml()}

    def _rows(self) -> Iterable[FindingRow]:
        changes = [each for each in self.seen.values() if self._is_training(each)]
        yield from (layers_finding(each, self._reader(each)) for each in changes)
        for each in changes:
            yield from class_findings(each)
        yield from map(filters_finding, changes)
        yield from self._doubles()
        yield from self._controls()

    @cached_property
    def seen(self) -> dict[tuple[str, str], Seen]:
        """The comparisons, by their networks."""
        found = {}
        for pair in self.pairs:
            place = self.lineage.folder.comparison(*pair.pair)
            facts = read_manifest(place).facts
            layers, channels = (
                read_table(place / f"{name}.parquet") for name in ("layers", "channels")
            )
            images = f"{facts['dataset']}/{facts['cka_split']}"
            found[pair.pair] = Seen(*pair.pair, layers, channels, images, self.lineage.study.seed)
        return found

    def _is_training(self, seen: Seen) -> bool:
        """Whether the second network was trained from the first, over any number of steps."""
        every, name = self.lineage.study.every, seen.after
        if name not in every:  # an initialisation
            return False
        line = [f"{name}.init"]
        while (parent := every[name].parent) is not None:
            line += [parent, f"{parent}.init"]
            name = parent
        return seen.before in line

    def _reader(self, *compared: Seen) -> Read:
        """What reads the features of the networks of comparisons on one split."""
        from overpaint.features import read_features

        dataset, name = compared[0].images.rsplit("/", 1)
        split = self.lineage.dataset(dataset).split(name)
        networks = {name for seen in compared for name in (seen.before, seen.after)}
        paths = self.lineage.features(sorted(networks), split)

        def read(network: str, layer: str) -> Features:
            return read_features(paths[network], layer)

        return read

    # --- routes ------------------------------------------------------------------------------

    def _doubles(self) -> Iterable[FindingRow]:
        scored = self.standings.found()
        for single, double in double_routes(self.lineage.study):
            if single in scored and double in scored:
                yield double_finding(
                    single, double, self._by_pictures(single, double),
                    self._by_trainings(single, double),
                )  # fmt: skip

    def _by_pictures(self, single: str, double: str) -> Score:
        from overpaint.measures.scores import difference

        study, folder = self.lineage.study, self.lineage.folder
        dataset = str(study.every[double].fit)
        first, second = (
            probabilities(read_table(folder.network(name) / "predictions.parquet"))
            for name in (single, double)
        )
        labels = np.asarray(self.lineage.dataset(dataset).split("test").labels)
        return difference(first, second, labels, dataset=dataset, split="test", seed=study.seed)

    def _by_trainings(self, single: str, double: str) -> RouteDifference | None:
        from overpaint.measures.repeats import route_difference

        scored, study = self.standings.found(), self.lineage.study
        routes = [
            [scored[each] for each in study.repeated(name) if each in scored]
            for name in (single, double)
        ]
        return route_difference(*routes) if min(map(len, routes)) > 1 else None

    # --- the control -------------------------------------------------------------------------

    def _controls(self) -> Iterable[FindingRow]:
        study = self.lineage.study
        for (one, other), control in self.seen.items():
            if not twins(study, one, other) or study.every[one].draws_everything:
                continue
            start = study.every[one].parent or f"{one}.init"
            changes = [
                self.seen[start, name] for name in (one, other) if (start, name) in self.seen
            ]
            for change in changes:
                yield control_finding(change, control, self._reader(change, control))
