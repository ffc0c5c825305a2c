"""A comparison that was made in Python, written as the study folder that the report is made from.

It has one dataset of one split, two networks that were made elsewhere, and their comparison; from
there on a run's own steps do the rest.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from overpaint.comparison import Compared, Comparison
from overpaint.datasets.catalogue import dataset_of
from overpaint.datasets.doctor import duplicates, examine, remember
from overpaint.datasets.names import as_name
from overpaint.datasets.wording import first_fault
from overpaint.defaults import SPLITS
from overpaint.errors import NetworkError, RecordError, StudyError, nearest
from overpaint.machine import refusals_told
from overpaint.progress import Progressing
from overpaint.records import (
    MARKER,
    DatasetFacts,
    StudyFolder,
    check_folder,
    manifest,
    whole_folder,
    write_manifest,
    write_text,
)
from overpaint.run.claimed import claim
from overpaint.run.comparisons import write_comparison
from overpaint.run.findings import keep_findings
from overpaint.run.renderings import keep_renderings
from overpaint.run.site import keep_site
from overpaint.run.thumbnails import keep_thumbnails
from overpaint.run.trainings import network_facts_of
from overpaint.run.workspace import Workspace, alone_in
from overpaint.study import Study, study_in
from overpaint.study.code import MADE_IN_PYTHON
from overpaint.study.places import places


@refusals_told()
def write_report(
    change: Comparison,
    folder: Path,
    *,
    names: tuple[str, str],
    render: Mapping[str, Any] | None,
) -> Path:
    """Write the study folder of a comparison and its report; returns the first page."""
    compared = change.of
    if compared is None:
        raise RecordError("no-comparison", "only a comparison that op.compare made can be reported")
    networks = (compared.before, compared.after)
    if render and tuple(network.digest for network in networks) != compared.digests:
        raise NetworkError(
            "changed-weights",
            "a network is not any more what was compared: compare again, or copy it before it is "
            "trained on (copy.deepcopy)",
        )
    _check_folder(folder)
    study = _study_of(compared, folder.resolve().name, names, render)
    console = Console(soft_wrap=True, quiet=render is None)  # drawing takes its time
    work = Workspace(study, StudyFolder(folder), Progressing(console))
    with alone_in(work, "a report from Python"):
        claim(study, work.folder, of_any_study=True)  # it is called as its folder
        write_text(work.folder.study, study.to_yaml())
        _write_dataset(work, compared)
        for name, network, digest in zip(names, networks, compared.digests, strict=True):
            work.networks[name] = network
            with whole_folder(work.folder.network(name)) as draft:
                facts = network_facts_of(network, digest)
                made_from = manifest(
                    "network",
                    inputs={"weights": digest},
                    settings={"load": study.networks[name].load},
                    facts=facts,
                    seed=compared.seed,
                )
                write_manifest(draft, made_from)
        [pair], [(dataset, digests)] = study.compare, work.split_digests.items()
        [(split, digest)] = digests.items()
        wanted = manifest(
            "comparison",
            inputs={"before": compared.digests[0], "after": compared.digests[1], "images": digest},
            settings={
                "k": compared.k,
                "reduction": compared.reduction,
                "related": compared.related,
                "render": dict(render or {}),
            },
            seed=compared.seed,
        )
        images = work.split(dataset, split)
        write_comparison(work, pair, change, images, images, wanted)
        keep_findings(work)
        keep_renderings(work)
        keep_thumbnails(work)
        return keep_site(work)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier report of this kind."""
    check_folder(folder)
    names = {path.name for path in folder.glob("*") if not path.name.startswith(".overpaint")}
    if names <= {MARKER}:
        return
    try:
        loads = [str(entry.load) for entry in study_in(StudyFolder(folder).study).networks.values()]
    except (OSError, StudyError):
        loads = []
    if not loads or not all(load.startswith(MADE_IN_PYTHON) for load in loads):
        raise RecordError(
            "folder-not-empty",
            f"{folder} holds something else than the report of a comparison made in Python: "
            "name another folder",
        )


def _study_of(
    compared: Compared, name: str, names: tuple[str, str], render: Mapping[str, Any] | None
) -> Study:
    """The study that the comparison might have been a part of."""
    dataset = as_name(compared.images.dataset)
    split = compared.images.name if compared.images.name in SPLITS else "test"
    networks = zip(names, (compared.before, compared.after), strict=True)
    data = {
        "study": as_name(name),
        "seed": compared.seed,
        "datasets": {dataset: {"kind": "folder", "root": str(compared.images.root)}},
        "networks": {
            side: {"load": f"{MADE_IN_PYTHON}{network.architecture}"} for side, network in networks
        },
        "compare": [{"pair": names, "on": f"{dataset}/{split}", "reduction": compared.reduction}],
        "maximal_images": compared.k,
        "render": dict(render) if render else None,
    }
    if len(set(names)) < 2:
        raise StudyError("name-taken", f"report: the two networks need two names, not {names}")
    try:
        study = Study.model_validate(data)
        places(study)  # which must be different
    except ValidationError as error:
        fault = first_fault(error, data)
        place = ".".join(map(str, fault.place))
        if fault.kind == "extra_forbidden":
            raise StudyError("unknown-key", f"report: there is no key {place!r}") from None
        raise StudyError("bad-value", f"report: {place} {fault.inner or fault.words}") from None
    layers = dict.fromkeys([*compared.before.layers, *compared.after.layers])
    for layer in study.render.layers if study.render else ():
        if layer not in layers:
            raise StudyError(
                "unknown-layer",
                f"report: render names layer {layer!r}, which neither network has; "
                f"{nearest(layer, layers)}",
            )
    return study


def _write_dataset(work: Workspace, compared: Compared) -> None:
    """The pictures that were compared on, as a dataset of one split."""
    images, [name] = compared.images, work.study.datasets
    split = work.study.compare[0].on.split("/")[1]  # type: ignore[union-attr]
    dataset = dataset_of(
        name,
        images.root,
        [replace(picture, split=split) for picture in images.pictures],
        multi_label=images.multi_label,
        classes=images.classes,
    )
    place = work.folder.dataset(name)
    place.mkdir(parents=True, exist_ok=True)
    rows = examine(dataset.root, dataset.pictures, place)
    remember(dataset.root, rows, place)
    facts = DatasetFacts(
        kind="folder",
        root=str(dataset.root),
        classes=list(dataset.classes),
        multi_label=dataset.multi_label,
        duplicates=duplicates(dataset),
    )
    digest = dataset.split(split).digest
    made_from = manifest(
        "dataset", inputs={split: digest}, settings={}, facts=facts, seed=compared.seed
    )
    write_manifest(place, made_from)
    work.datasets[name], work.split_digests[name] = dataset, {split: digest}
