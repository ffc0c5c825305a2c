"""The probes of a study: what the layers of its networks know of the classes, by collection."""

from collections.abc import Iterator
from functools import partial

from overpaint.defaults import MOST_TAUGHT
from overpaint.records import (
    Manifest,
    ProbeFacts,
    ProbeRow,
    column_kinds,
    digest,
    manifest,
    whole_folder,
    with_facts,
    write_manifest,
    write_table,
)
from overpaint.run.comparisons import Needed, compared_pairs, splits_of
from overpaint.run.features import keep_features, wanted_features
from overpaint.run.reckoning import is_wanted
from overpaint.run.workspace import Workspace
from overpaint.seeds import drawn_rows

SPLITS = ("train", "test")


def probed_networks(work: Workspace) -> list[tuple[str, str]]:
    """The networks that are probed, each with the dataset: those of each comparison, and the routes
    to its dataset that leave the backbone as it is or begin with none.
    """
    study = work.study
    probed: list[tuple[str, str]] = []
    if not is_wanted(work, "probe"):
        return []
    for pair in compared_pairs(work):
        (dataset, _), _ = splits_of(work, pair)
        splits = work.split_digests.get(dataset)  # none of a dataset that is to be made
        if splits and not {*SPLITS} <= splits.keys():
            continue
        probed += [(name, dataset) for name in pair.pair]
        for name, entry in study.networks.items():
            training = entry.training()
            if entry.fit == dataset and training and not work.has_failed(name):
                frozen = training.train == "head" and training.optimiser != "linear_svm"
                if frozen or entry.draws_everything:
                    probed.append((name, dataset))
    return list(dict.fromkeys(probed))


def features_of_probes(work: Workspace) -> Iterator[Needed]:
    """What the missing probes need."""
    for name, dataset in probed_networks(work):
        wanted = wanted_probe(work, name, dataset)
        if work.reasons(work.folder.probe(name, dataset), wanted):
            yield from needed_by_probe(name, dataset)


def needed_by_probe(name: str, dataset: str) -> list[Needed]:
    """The features that the probes of a network on a dataset need."""
    return [(name, (dataset, split), ["mean"]) for split in SPLITS]


def wanted_probe(work: Workspace, name: str, dataset: str) -> Manifest:
    """What the probes of a network on a dataset would be made from now."""
    inputs = {"network": work.weights_digest(name)}
    for split in SPLITS:
        inputs[f"{split} images"] = work.split_digest(dataset, split)
        inputs[f"features on {split}"] = wanted_features(work, name, dataset, split).key
    return manifest(
        "probe",
        inputs=inputs | work.groups_of(dataset, "names"),
        settings={"most": MOST_TAUGHT, "columns": digest(list(column_kinds(ProbeRow)))},
        seed=work.study.seed,
    )


def keep_probes(work: Workspace) -> None:
    """Have the probes of all networks, each on the collections that it is compared on."""
    for name, dataset in probed_networks(work):
        wanted, place = wanted_probe(work, name, dataset), work.folder.probe(name, dataset)
        if work.must_make(place, wanted):
            _probe(work, name, dataset, wanted)


def _probe(work: Workspace, name: str, dataset: str, wanted: Manifest) -> None:
    from overpaint.comparison.probes import Known, probe_table
    from overpaint.features import features_of_rows

    sides = []
    for split_name in SPLITS:
        split = work.split(dataset, split_name)
        path = keep_features(work, [name], split)[name]
        most = MOST_TAUGHT if split_name == "train" else len(split)
        rows = drawn_rows(len(split), most, work.study.seed, "pictures of probes")

        sides.append(
            Known(split=split.of_rows(rows), features=partial(features_of_rows, path, rows))
        )
    with work.progress.stage(f"probes of {name} on {dataset}") as advance:
        layers = work.network_facts(name).layers
        made = probe_table(name, layers, *sides, seed=work.study.seed, progress=advance)
    train, test = sides
    facts = ProbeFacts(
        dataset=dataset,
        n_train=len(train.split),
        of_train=len(work.split(dataset, "train")),
        n=len(test.split),
        multi_label=test.split.multi_label,
    )
    with whole_folder(work.folder.probe(name, dataset)) as draft:
        write_table(draft / "probe.parquet", made)
        write_manifest(draft, with_facts(wanted, facts))
