"""The difference concepts of a study's comparisons, and how much of them may be luck."""

from collections.abc import Iterator
from functools import partial

from overpaint.defaults import MOST_PARTED
from overpaint.errors import MeasureError
from overpaint.records import (
    ConceptFacts,
    ConceptImageRow,
    ConceptRow,
    Manifest,
    column_kinds,
    digest,
    manifest,
    table,
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
from overpaint.study import Pair
from overpaint.study.causes import are_twins, repeats_of


def pairs_with_concepts(work: Workspace) -> list[Pair]:
    """The comparisons of which concepts are sought."""
    return compared_pairs(work) if is_wanted(work, "concepts") else []


def features_of_concepts(work: Workspace) -> Iterator[Needed]:
    """What the missing concepts need."""
    for pair in pairs_with_concepts(work):
        if work.reasons(work.folder.concepts(*pair.pair), wanted_concepts(work, pair)):
            yield from needed_by_concepts(work, pair)


def needed_by_concepts(work: Workspace, pair: Pair) -> list[Needed]:
    """The features that the concepts of a comparison need, of its repeats too."""
    on, _ = splits_of(work, pair)
    names = [name for names in [pair.pair, *_repeats(work, pair)] for name in names]
    return [(name, on, ["mean"]) for name in dict.fromkeys(names)]


def wanted_concepts(work: Workspace, pair: Pair) -> Manifest:
    """What the concepts of a comparison would be made from now."""
    (dataset, split), _ = splits_of(work, pair)
    repeats = _repeats(work, pair)
    inputs = {"images": work.split_digest(dataset, split)} | work.groups_of(dataset, "names")
    for name in dict.fromkeys(name for names in [pair.pair, *repeats] for name in names):
        inputs[f"features of {name}"] = wanted_features(work, name, dataset, split).key
    return manifest(
        "concepts",
        inputs=inputs,
        settings={
            "on": f"{dataset}/{split}",
            "most": MOST_PARTED,
            "repeats": [list(names) for names in repeats],
            "of_twins": are_twins(work.study, *pair.pair),
            "columns": digest([list(column_kinds(row)) for row in (ConceptRow, ConceptImageRow)]),
        },
        seed=work.study.seed,
    )


def keep_concepts(work: Workspace) -> None:
    """Have the concepts of all comparisons."""
    for pair in pairs_with_concepts(work):
        wanted, place = wanted_concepts(work, pair), work.folder.concepts(*pair.pair)
        if work.must_make(place, wanted):
            _seek(work, pair, wanted)


def _repeats(work: Workspace, pair: Pair) -> list[tuple[str, str]]:
    """The same comparison where the trainings were repeated, as far as they have not failed."""
    repeats = repeats_of(work.study, *pair.pair)
    return [names for names in repeats if not any(map(work.has_failed, names))]


def _seek(work: Workspace, pair: Pair, wanted: Manifest) -> None:
    from overpaint.comparison.concepts import concept_tables
    from overpaint.features import features_of_rows

    split, repeats = work.split(*splits_of(work, pair)[0]), _repeats(work, pair)
    names = dict.fromkeys(name for names in [pair.pair, *repeats] for name in names)
    paths = keep_features(work, names, split)
    rows = drawn_rows(len(split), MOST_PARTED, work.study.seed, "pictures of concepts")
    sample = split.of_rows(rows)

    readers = {name: partial(features_of_rows, paths[name], rows) for name in names}
    before, after = (work.network_facts(name).layers for name in pair.pair)
    layers = [layer for layer in after if layer in before]
    tables = table([], ConceptRow), table([], ConceptImageRow)
    with work.progress.stage(f"concepts of {pair.before} and {pair.after}") as advance:
        try:
            made = concept_tables(
                (readers[pair.before], readers[pair.after]),
                sample,
                layers,
                repeats=[(readers[old], readers[new]) for old, new in repeats],
                of_twins=are_twins(work.study, *pair.pair),
                seed=work.study.seed,
                progress=advance,
            )
            tables, notes = (made.concepts, made.images), list(made.notes)
        except MeasureError as error:
            notes = [f"No concepts could be sought: {error}"]
    facts = ConceptFacts(
        dataset=split.dataset,
        split=split.name,
        n=len(sample),
        of=len(split),
        repeats=repeats,
        of_twins=are_twins(work.study, *pair.pair),
        notes=notes,
    )
    with whole_folder(work.folder.concepts(*pair.pair)) as draft:
        for name, frame in zip(("concepts", "images"), tables, strict=True):
            write_table(draft / f"{name}.parquet", frame)
        write_manifest(draft, with_facts(wanted, facts))
