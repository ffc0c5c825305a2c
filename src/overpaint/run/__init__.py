"""Carry out a study: the missing steps, in order, into records; no mathematics.

Each step knows the manifest that its artefact would have now, and does nothing when the artefact
in the folder has it already. So a run that was interrupted goes on where it was, a run that is
complete does nothing, and then torch is never even imported.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from overpaint.datasets import Split
from overpaint.progress import Progressing
from overpaint.records import (
    ChannelRow,
    Manifest,
    Scores,
    StudyFolder,
    fresh,
    manifest,
    read_manifest,
    read_rows,
    whole_folder,
    write_json,
    write_table,
    write_text,
)
from overpaint.run.channel_choice import choose_channels
from overpaint.run.findings import Conclusions
from overpaint.run.lineage import Lineage
from overpaint.run.renderings import Pictures
from overpaint.run.scores import Standings
from overpaint.run.thumbnails import Thumbnails
from overpaint.study import Pair, Study

if TYPE_CHECKING:  # torch is imported when something has to be measured
    from overpaint.networks import Network


TABLES = 2
"""Which tables a comparison has; to be raised when they change, so that old ones are made anew."""


@dataclass(frozen=True)
class Outcome:
    """The report's first page, and what failed: network -> why."""

    page: Path
    failures: dict[str, str]


def run_study(
    study: Study, out: Path, progress: Progressing, trackers: tuple[str, ...] = ()
) -> Outcome:
    """Carry out a study into a folder.

    A training that fails does not end the run: what does not depend on it is done, and the
    outcome tells.
    """
    lineage = Lineage(study, StudyFolder(out), progress, trackers)
    work = Run(study, lineage.folder, progress, lineage)
    write_text(work.folder.study, study.to_yaml())
    for name in study.datasets:
        lineage.dataset(name)
    lineage.check()
    standings = Standings(lineage)
    for name in study.every:
        lineage.network(name)
        if name not in lineage.failed:
            standings.score(name)
    for name in study.ensembles:
        standings.ensemble(name)
    standings.repeats()
    failures = work.failures()
    work.features()
    for pair in work.pairs:
        work.comparison(pair)
    Conclusions(lineage, standings, work.pairs).draw()
    Pictures(lineage, work.pairs).renderings()
    thumbnails = Thumbnails(lineage)
    for pair in work.pairs:
        thumbnails.of_pair(pair)
    for name in study.every:
        if name not in lineage.failed:
            thumbnails.of_network(name)
    page = work.report()
    progress.console.print(score_table(standings.found()))
    for name, why in failures.items():
        progress.say(f"failed: {name}: {why}")
    progress.say(f"report: {page}")
    return Outcome(page, failures)


def score_table(scores: dict[str, Scores]) -> Table:
    """The summary at the end of a run."""
    table = Table("network", "dataset", "score", "95 % interval", "chance", "pictures")
    for name, each in scores.items():
        main = each.scores[each.main]
        table.add_row(
            name,
            each.dataset,
            f"{each.main} {main.value:.1%}",
            f"{main.low:.1%} … {main.high:.1%}",
            f"{main.chance:.1%}",
            str(main.n),
        )
    return table


@dataclass
class Run:
    """A study, its folder, and its lineage."""

    study: Study
    folder: StudyFolder
    progress: Progressing
    lineage: Lineage

    @property
    def pairs(self) -> list[Pair]:
        """The pairs whose networks are both there."""
        failed = self.lineage.has_failed
        return [each for each in self.study.compare if not any(map(failed, each.pair))]

    def failures(self) -> dict[str, str]:
        """What failed and why, kept in the folder for the report."""
        told = {name: f"{error} [{error.slug}]" for name, error in self.lineage.failed.items()}
        if told:
            write_json(self.folder.failures, told)
        else:
            self.folder.failures.unlink(missing_ok=True)
        return told

    # --- features and comparisons ------------------------------------------------------------

    def splits_of(self, pair: Pair) -> tuple[Split, Split]:
        """The split for CKA and the split for maximal images."""
        name = self.study.dataset_of(pair)
        assert name is not None
        if pair.on:
            split = self.lineage.dataset(name).split(pair.on.split("/")[1])
            return split, split
        return self.lineage.dataset(name).split("test"), self.lineage.dataset(name).split("train")

    def features(self) -> None:
        """Have the features that the missing comparisons need: one pass over each split for all
        networks.
        """
        wanted: dict[tuple[str, str], dict[str, set[str]]] = {}
        splits: dict[tuple[str, str], Split] = {}
        for pair in self.pairs:
            if fresh(self.folder.comparison(pair.before, pair.after), self._manifest(pair)):
                continue
            for split, reductions in zip(self.splits_of(pair), self._reductions(pair), strict=True):
                place = (split.dataset, split.name)
                splits[place] = split
                for name in pair.pair:
                    own = wanted.setdefault(place, {}).setdefault(name, set())
                    own.update(self.lineage.arrays(name, reductions=reductions))
        for place, arrays in wanted.items():
            self.lineage.gather(arrays, splits[place])

    def _reductions(self, pair: Pair) -> tuple[list[str], list[str]]:
        """What is read of the maps on the split for CKA, and on that for maximal images."""
        return [pair.reduction], ["mean", "argmax"]

    def _manifest(self, pair: Pair) -> Manifest:
        """What the comparison of a pair would be made from now."""
        cka_split, maximal_split = self.splits_of(pair)
        return manifest(
            "comparison",
            inputs={
                "before": self.lineage.weights_digest(pair.before),
                "after": self.lineage.weights_digest(pair.after),
                "cka images": cka_split.digest,
                "maximal images": maximal_split.digest,
            },
            settings={
                "k": self.study.maximal_images,
                "render": self._choice(),
                "reduction": pair.reduction,
                "related": self.study.related(*pair.pair),
                "tables": TABLES,
            },
            seed=self.study.seed,
        )

    def comparison(self, pair: Pair) -> None:
        """Compare a pair, unless the folder has the comparison."""
        cka_split, maximal_split = self.splits_of(pair)
        wanted = self._manifest(pair)
        if fresh(self.folder.comparison(pair.before, pair.after), wanted):
            return
        found = {
            split.name: self.lineage.features(pair.pair, split, reductions=reductions)
            for split, reductions in zip(
                (cka_split, maximal_split), self._reductions(pair), strict=True
            )
        }
        paths = {
            (side, split): own[name]
            for split, own in found.items()
            for side, name in (("before", pair.before), ("after", pair.after))
        }
        self._compare(pair, cka_split, maximal_split, paths, wanted)

    def _choice(self) -> dict[str, Any]:
        render = self.study.render
        return {"layers": render.layers, "channels": render.channels} if render else {}

    def _compare(
        self,
        pair: Pair,
        cka_split: Split,
        maximal_split: Split,
        paths: dict[tuple[str, str], Path],
        wanted: Manifest,
    ) -> None:
        from overpaint.comparison import Stored, tables

        with self.progress.stage(f"compare {pair.before} with {pair.after}") as advance:
            before, after = (
                Stored(
                    self.lineage.opened(name),
                    cka=paths[side, cka_split.name],
                    maximal=paths[side, maximal_split.name],
                    reduction=pair.reduction,
                )
                for side, name in zip(("before", "after"), pair.pair, strict=True)
            )
            made = tables(
                before,
                after,
                maximal_split,
                k=self.study.maximal_images,
                seed=self.study.seed,
                related=self.study.related(*pair.pair),
                progress=advance,
            )
            with whole_folder(self.folder.comparison(pair.before, pair.after)) as draft:
                for name in ("layers", "matrix", "weights", "channels", "maximal", "responses"):
                    write_table(draft / f"{name}.parquet", getattr(made, name))
                rows = read_rows(draft / "channels.parquet", ChannelRow)
                facts = {
                    "dataset": maximal_split.dataset,
                    "cka_split": cka_split.name,
                    "maximal_split": maximal_split.name,
                    "n_cka": len(cka_split),
                    "n_maximal": len(maximal_split) - made.duplicates,
                    "duplicates": made.duplicates,
                    "k": self.study.maximal_images,
                    "classes": len(maximal_split.classes),
                    "multi_label": maximal_split.multi_label,
                    "notes": list(made.notes),
                    "shown": choose_channels(rows, *self._wanted_channels(pair)),
                    "receptive_fields": {
                        side: _receptive_fields(self.lineage.opened(name))
                        for side, name in zip(("before", "after"), pair.pair, strict=True)
                    },
                }
                write_json(draft / "manifest.json", replace(wanted, facts=facts))

    def _wanted_channels(self, pair: Pair) -> tuple[list[str], str | Sequence[int | str]]:
        """The layers and channels of the study's `render`, as far as this pair has the layers."""
        render = self.study.render
        if render is None:
            return [], []
        layers = read_manifest(self.folder.network(pair.after)).facts["layers"]
        return [layer for layer in render.layers if layer in layers], render.channels

    # --- the report --------------------------------------------------------------------------

    def report(self) -> Path:
        """Bring the report up to date; what of it stands already is not made again."""
        from overpaint.report import build

        with self.progress.stage("report"):
            return build(self.folder.root)


def _receptive_fields(network: "Network") -> dict[str, Any]:
    """What the positions of each layer see of a picture, and how much of that the network is shown.

    A layer whose positions have all seen everything is not among them.
    """
    from overpaint.networks.receptive_fields import receptive_fields

    fields = receptive_fields(network, network.layers)
    return {
        "size": network.preprocessing.size,
        "resize": network.preprocessing.resize,
        "layers": {
            layer: {"rows": astuple(each.rows), "columns": astuple(each.columns)}
            for layer, each in fields.items()
            if not each.whole
        },
    }
