"""The causes of a study: what other weights would do in two networks, kept as their tables."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overpaint.errors import NetworkError
from overpaint.records import (
    BetweenRow,
    CausesFacts,
    Manifest,
    RewindRow,
    column_kinds,
    digest,
    manifest,
    read_manifest,
    whole_folder,
    with_facts,
    write_manifest,
    write_table,
)
from overpaint.run.reckoning import goes_by_layer, is_wanted
from overpaint.run.workspace import Workspace
from overpaint.study.causes import (
    are_twins,
    basins,
    pairs_of_trainings,
    pairs_of_weights,
    parent_of_task,
)

if TYPE_CHECKING:
    from overpaint.progress import Advance

BARRIER = (0.0, 0.5, 1.0)
"""The places of the way between trainings that are not compared."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """Two networks, and what is looked for in them."""

    before: str
    after: str
    dataset: str  # that `after` was fitted to
    compared: bool
    by_layer: bool
    parent: str  # whose task may be forgotten; "" where that is not looked for
    parent_dataset: str
    causes: list[str] = field(default_factory=list)  # in order

    @property
    def splits(self) -> list[tuple[str, str]]:
        """The datasets and splits that are looked at."""
        names = ["test"]
        if "between" in self.causes:
            names += ["val", "train"] if self.compared else ["train"]
        splits = [(self.dataset, name) for name in names]
        if self.parent:
            splits += [(self.parent_dataset, "test"), (self.parent_dataset, "train")]
        return list(dict.fromkeys(splits))


def keep_causes(work: Workspace) -> None:
    """Have the tables of all pairs that the study looks for causes in."""
    for names in pairs_of_weights(work.study):
        if any(map(work.has_failed, names)):
            continue
        tried, place = _tried(work, *names), work.folder.causes(*names)
        if tried.causes:
            wanted = _wanted(work, tried)
            if work.must_make(place, wanted):
                _make(work, tried, wanted)


def _tried(work: Workspace, before: str, after: str) -> Tried:
    """What is looked for in a pair; what an earlier run was asked for stays, where it can be."""
    study, place = work.study, work.folder.causes(before, after)
    networks = study.all_networks
    compared = (before, after) in [pair.pair for pair in pairs_of_trainings(study)]
    alike = _architecture(work, before) == _architecture(work, after)
    parent = parent_of_task(study, before, after) or ""
    # between twins there is nothing to set back to, and neither forgot what the other has
    step = compared and not are_twins(study, before, after)
    possible = {
        "rewind": step and alike,
        "between": alike and (compared or (before, after) in basins(study)),
        "forgetting": step and bool(parent),
    }
    there: list[str] = []
    if study.causes is None and work.is_there(place):
        there = list(read_manifest(place).settings.get("causes", []))
    causes = [
        cause
        for cause in ("rewind", "between", "forgetting")
        if possible[cause] and (cause in there or is_wanted(work, cause))
    ]
    forgets = "forgetting" in causes
    return Tried(
        before=before,
        after=after,
        dataset=str(networks[after].fit),
        compared=compared,
        by_layer=compared and "between" in causes and goes_by_layer(work),
        parent=parent if forgets else "",
        parent_dataset=str(networks[parent].fit) if forgets else "",
        causes=causes,
    )


def _architecture(work: Workspace, name: str) -> str:
    """What a network is, as its records say; of one that is to be made, what it begins with."""
    if work.is_there(work.folder.network(name)):
        return work.network_facts(name).architecture
    entry = work.study.all_networks[name.removesuffix(".init")]
    return _architecture(work, entry.parent) if entry.parent else str(entry.load).partition(".")[0]


def _wanted(work: Workspace, tried: Tried) -> Manifest:
    """What the tables of a pair would be made from now."""
    networks = {"before": tried.before, "after": tried.after}
    networks |= {"parent": tried.parent} if tried.parent else {}
    inputs = {side: work.weights_digest(name) for side, name in networks.items()}
    for dataset, split in tried.splits:
        inputs[f"{dataset}/{split}"] = work.split_digest(dataset, split)
        inputs |= work.groups_of(dataset, split)
    return manifest(
        "causes",
        inputs=inputs,
        settings={
            "causes": tried.causes,
            "compared": tried.compared,
            "by_layer": tried.by_layer,
            # A column that is added or renamed reaches the folders that exist.
            "columns": digest([list(column_kinds(row)) for row in (RewindRow, BetweenRow)]),
        },
        seed=work.study.seed,
    )


def _make(work: Workspace, tried: Tried, wanted: Manifest) -> None:
    """Try the weights and write what came of it; where that cannot be, the notes say why."""
    from overpaint.device import chosen, in_words

    facts: dict[str, Any] = {
        "dataset": tried.dataset,
        "score": "mAP" if work.datasets[tried.dataset].multi_label else "top1",
        "causes": tried.causes,
        "notes": [],
    }
    makers = {"rewind": _rewind, "between": _between, "forgetting": _forgetting}
    with whole_folder(work.folder.causes(tried.before, tried.after)) as draft:
        for cause in tried.causes:
            title = f"{cause} of {tried.before} and {tried.after}"
            try:
                with work.progress.stage(title) as advance:
                    facts |= makers[cause](work, tried, draft, advance)
            except NetworkError as error:
                facts["notes"].append(f"{cause}: {error}")
                work.progress.say(f"  {title}: {error} [{error.slug}]")
        made = with_facts(wanted, CausesFacts(**facts), device=in_words(chosen().device))
        write_manifest(draft, made)


def _rewind(work: Workspace, tried: Tried, draft: Path, advance: "Advance") -> dict[str, Any]:
    from overpaint.causes.rewind import rewind

    rewound = rewind(
        work.opened(tried.before),
        work.opened(tried.after),
        work.split(tried.dataset, "test"),
        seed=work.study.seed,
        progress=advance,
    )
    write_table(draft / "rewind.parquet", rewound.rows)
    return {}


def _between(work: Workspace, tried: Tried, draft: Path, advance: "Advance") -> dict[str, Any]:
    from overpaint.causes.between import ALPHAS, between_on

    names = ("test", "val") if tried.compared else ("test",)
    ways = between_on(
        work.opened(tried.before),
        work.opened(tried.after),
        [work.split(tried.dataset, name) for name in names],
        alphas=ALPHAS if tried.compared else BARRIER,
        by_layer=tried.by_layer,
        train=work.split(tried.dataset, "train"),
        seed=work.study.seed,
        progress=advance,
    )
    way = ways[0]
    write_table(draft / "between.parquet", way.rows)
    facts: dict[str, Any] = {"heads": way.heads}
    if way.heads:
        facts["barrier"] = way.barrier()
    if tried.compared:
        alpha = ways[1].best()
        facts |= {"best_alpha": alpha, "best": way.score(alpha), "best_gain": way.gain(alpha)}
    return facts


def _forgetting(work: Workspace, tried: Tried, draft: Path, advance: "Advance") -> dict[str, Any]:
    from overpaint.causes.between import ALPHAS, forgetting

    way = forgetting(
        work.opened(tried.parent),
        work.opened(tried.after),
        work.split(tried.parent_dataset, "test"),
        alphas=ALPHAS[::2],
        train=work.split(tried.parent_dataset, "train"),
        seed=work.study.seed,
        progress=advance,
    )
    write_table(draft / "forgetting.parquet", way.rows)
    return {"parent": tried.parent, "parent_dataset": tried.parent_dataset, "lost": way.lost()}
