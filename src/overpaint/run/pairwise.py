"""All networks of a dataset with all, for the heat maps of a study."""

from collections.abc import Iterator

from overpaint.records import (
    Manifest,
    PairwiseFacts,
    PairwiseRow,
    column_kinds,
    digest,
    manifest,
    whole_folder,
    with_facts,
    write_manifest,
    write_table,
)
from overpaint.run.comparisons import Needed
from overpaint.run.features import keep_features, wanted_features
from overpaint.run.workspace import Workspace

SPLIT = "test"


def networks_on(work: Workspace, dataset: str) -> list[str]:
    """The networks that are compared with each other on a dataset, as far as they are there."""
    names = work.study.pairwise_on(dataset)
    return [name for name in names if not work.has_failed(name)]


def features_of_pairwise(work: Workspace) -> Iterator[Needed]:
    """What those that are missing need."""
    for dataset in work.study.pairwise:
        if work.reasons(work.folder.pairwise(dataset), wanted_pairwise(work, dataset)):
            yield from needed_by_pairwise(work, dataset)


def needed_by_pairwise(work: Workspace, dataset: str) -> list[Needed]:
    """The features that are needed of a dataset's networks."""
    return [(name, (dataset, SPLIT), ["mean"]) for name in networks_on(work, dataset)]


def wanted_pairwise(work: Workspace, dataset: str) -> Manifest:
    """What the networks of a dataset would be compared from now."""
    names = networks_on(work, dataset)
    inputs = {"images": work.split_digest(dataset, SPLIT)} | work.groups_of(dataset, SPLIT)
    for name in names:
        inputs[f"weights of {name}"] = work.weights_digest(name)
        inputs[f"features of {name}"] = wanted_features(work, name, dataset, SPLIT).key
    return manifest(
        "pairwise",
        inputs=inputs,
        settings={
            "networks": names,
            "related": [
                [first, second]
                for number, first in enumerate(names)
                for second in names[number + 1 :]
                if work.study.related(first, second)
            ],
            "columns": digest(list(column_kinds(PairwiseRow))),
        },
        seed=0,
    )


def keep_pairwise(work: Workspace) -> None:
    """Have the networks of each dataset that is named below `pairwise` compared with each other."""
    for dataset in work.study.pairwise:
        wanted, place = wanted_pairwise(work, dataset), work.folder.pairwise(dataset)
        if work.must_make(place, wanted):
            _compare(work, dataset, wanted)


def _compare(work: Workspace, dataset: str, wanted: Manifest) -> None:
    from overpaint.comparison import Stored
    from overpaint.comparison.pairwise import pairwise_table

    split, names = work.split(dataset, SPLIT), networks_on(work, dataset)
    paths = keep_features(work, names, split)
    with work.progress.stage(f"all networks of {dataset} with all") as advance:
        made = pairwise_table(
            {
                name: Stored(work.opened(name), cka=paths[name], maximal=paths[name])
                for name in names
            },
            related=work.study.related,
            groups=[picture.group for picture in split.pictures],
            progress=advance,
        )
    facts = PairwiseFacts(dataset=dataset, split=SPLIT, n=len(split), networks=names)
    with whole_folder(work.folder.pairwise(dataset)) as draft:
        write_table(draft / "pairwise.parquet", made)
        write_manifest(draft, with_facts(wanted, facts))
