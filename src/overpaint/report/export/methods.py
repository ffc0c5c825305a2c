"""The paragraphs of a paper that say how a study was made, with the settings that were in effect.

They are said of what the records hold, so a setting that was changed in the study and never run is
not among them. To be pasted and shortened; nothing in them is a result.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import version

from overpaint.records import LayerRow
from overpaint.report.export.escape import markdown, tex
from overpaint.report.pages.method import effective, hardware, manifests, versions
from overpaint.report.parts.text import count, number
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import DatasetRecords, Records

SPLITS = {"train": "to train on", "val": "to validate on", "test": "to test on"}

BY_CKA = (
    "How alike two networks see was measured layer by layer, on features ({reductions}), by "
    "debiased linear CKA (Kornblith et al. 2019; Nguyen et al. 2021), with 95 % intervals by a "
    "jackknife over {units}."
)
BY_MAXIMAL = (
    "For each channel the {most} pictures of the training split that excite it most were taken, in "
    "either network: their overlap is the share that both have, their class entropy tells how many "
    "classes they are spread over, each beside what chance gives."
)
BY_CAUSES = {
    "rewind": (
        "What a layer's change was worth is the loss of score when its weights are set back to "
        "those before (Zhang et al. 2019; Chatterji et al. 2020)."
    ),
    "between": (
        "Networks on the straight way between the weights before and after were scored (Neyshabur "
        "et al. 2020), with the statistics of batch norms estimated anew on training pictures."
    ),
    "forgetting": (
        "What was forgotten is how much less the parent's head scores on the trained backbone, on "
        "the parent's own test split."
    ),
}


def methods(records: Records) -> dict[str, str]:
    """The paragraphs as `methods.md` and `methods.tex`; in LaTeX with its special letters escaped.

    >>> methods(read_records(StudyFolder(Path("runs/rasta"))))["methods.md"]     # doctest: +SKIP
    """
    paragraphs = [
        " ".join(sentences)
        for sentences in (
            [*_data(records), *_networks(records)],
            [*_trainings(records)],
            [*_measures(records)],
            [*_provenance(records)],
        )
        if sentences
    ]

    def written(escape: Callable[[str], str]) -> str:
        return "\n\n".join(map(escape, paragraphs)) + "\n"

    return {"methods.md": written(markdown), "methods.tex": written(tex)}


def _data(records: Records) -> Iterator[str]:
    for dataset in records.datasets.values():
        usable = dataset.usable
        counts = usable["split"].value_counts()
        pictures = [f"{count(counts[name])} {word}" for name, word in SPLITS.items()
                    if name in counts]  # fmt: skip
        if pictures:
            yield f"{dataset.name} has {', '.join(pictures)}{_groups(dataset)}."


def _groups(dataset: DatasetRecords) -> str:
    labels = {label for labels in dataset.usable["labels"] for label in labels}
    several = dataset.usable["labels"].map(len).gt(1).any()
    text = f", of {count(len(labels))} classes"
    text += ", several of which a picture may show" if several else ""
    groups = dataset.usable["group"].replace("", None).dropna().nunique()
    return f"{text}, by {count(groups)} groups" if groups else text


def _networks(records: Records) -> Iterator[str]:
    sources = [network for network in records.networks.values() if network.facts.parent is None]
    for network in sources:
        facts = network.facts
        if not network.manifest or network.name.endswith(".init"):
            continue
        size = facts.preprocessing.size if facts.preprocessing else None
        shown = f", on pictures of {size} × {size} pixels" if size else ""
        named = records.study.all_networks[network.name].weights
        weights = " as its code makes it" if facts.code else " with its published weights"
        if named:
            weights = " with random weights" if named == "random" else " with the weights of a file"
        weights = "" if facts.dataset else weights
        yield (
            f"{network.title} is {facts.architecture}{weights} "
            f"({count(facts.parameters)} parameters{shown})."
        )


def _trainings(records: Records) -> Iterator[str]:
    for network in records.trained:
        if records.route(network.name) != network.name or not network.manifest:
            continue
        facts, repeats = network.facts, records.study.repeated(network.name)
        if facts.mixed:
            yield (
                f"{network.title} lies on the straight way between the weights of "
                f"{' and '.join(records.titles(facts.mixed))}, at {number(facts.alpha)} of it."
            )
            continue
        fields = {
            key: value
            for key, value in effective(records, network.name).items()
            if key not in ("name", "seed")
        }
        recipe = (facts.recipe or {}).get("name", "its recipe")
        start = f"from {records.title(facts.parent)}" if facts.parent else "from random weights"
        text = f"{network.title} was trained {start} on {facts.dataset} by {recipe} ("
        text += "; ".join(f"{key} {value}" for key, value in fields.items()) + ")"
        if len(repeats) > 1:
            text += f", {len(repeats)} times, with seeds "
            text += ", ".join(str(records.study.seed_of(name)) for name in repeats)
        if facts.best_epoch:
            text += f"; the weights are those of epoch {facts.best_epoch}"
        yield f"{text}."


def _measures(records: Records) -> Iterator[str]:
    compared = [pair for pair in records.comparisons.values() if pair.manifest]
    if not compared:
        return
    pairs = [f"{pair.title_before} with {pair.title_after}" for pair in compared]
    yield f"Compared were {'; '.join(pairs)}."
    grouped = any(pair.layers["n_groups"].notna().any() for pair in compared)
    reductions = dict.fromkeys(
        {"mean": "the mean over positions", "max": "the largest over positions"}.get(name, name)
        for pair in compared
        for name in pair.layers["reduction"].dropna()
    )
    yield BY_CKA.format(units="groups" if grouped else "pictures", reductions="; ".join(reductions))
    pictures = sorted({row.n_images for pair in compared for row in
                       rows(pair.layers.head(1), LayerRow)})  # fmt: skip
    if pictures:
        yield f"These are {' and '.join(map(count, pictures))} pictures."
    yield BY_MAXIMAL.format(most=count(records.study.maximal_images))
    causes = {cause for pair in compared for cause in pair.causes.facts.causes}
    yield from (sentence for cause, sentence in BY_CAUSES.items() if cause in causes)
    if records.study.render:
        render = records.study.render
        yield (
            f"Feature visualisations are {render.size} × {render.size} pixels, of {render.steps} "
            f"steps of ascent, for layers {', '.join(render.layers)}."
        )


def _provenance(records: Records) -> Iterator[str]:
    made_of = manifests(records)
    yield (
        f"All was computed by overpaint {version('overpaint')} with "
        f"{', '.join(text for text in versions(made_of) if not text.startswith('overpaint'))}, on "
        f"{'; '.join(hardware(made_of))}, from seed {records.study.seed}. Intervals of scores are "
        "95 %, by 1,000 bootstrap draws."
    )
