"""How everything was done: settings, versions, digests; the definitions stand in the template."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from overpaint.records import LayerRow, Manifest
from overpaint.report.parts.rows import Link, MethodPage, Provenance, RecipeLine
from overpaint.report.parts.text import ABSENT, count, number, setting, slug
from overpaint.report.site.files import Site
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import Records

PAGE = "method.html"

PAPER = """@inproceedings{gonthier2021analysis,
  author    = {Gonthier, Nicolas and Gousseau, Yann and Ladjal, Sa{\\"\\i}d},
  title     = {An Analysis of the Transfer Learning of Convolutional Neural Networks
               for Artistic Images},
  booktitle = {Pattern Recognition. ICPR International Workshops and Challenges},
  series    = {Lecture Notes in Computer Science},
  volume    = {12663},
  publisher = {Springer},
  year      = {2021},
  doi       = {10.1007/978-3-030-68796-0_39},
  note      = {arXiv:2011.02727}
}"""

PROGRAM = """@software{{overpaint,
  author  = {{{{The overpaint authors}}}},
  title   = {{overpaint: see what fine-tuning painted over a pre-trained network}},
  version = {{{version}}}
}}"""


def method_page(site: Site, records: Records) -> MethodPage:
    """All that the page of the method shows."""
    made = manifests(records)
    shared, heads, recipes = _recipes(records)
    return MethodPage(
        tuple(_settings(records)),
        shared,
        heads,
        recipes,
        tuple(_networks(records)),
        _small(records),
        _charts(site),
        tuple(versions(made)),
        tuple(hardware(made)),
        tuple(
            Provenance(name, each.key, str(each.facts.get("weights", ""))) for name, each in made
        ),
        PAPER,
        PROGRAM.format(version=version("overpaint")),
    )


def _settings(records: Records) -> Iterable[tuple[str, str]]:
    study = records.study
    yield "Study", study.study
    yield "Seed", str(study.seed)
    yield "Maximal activation images a channel", count(study.maximal_images)
    if study.render:
        render = study.render
        chosen = render.channels if isinstance(render.channels, str) else setting(render.channels)
        yield (
            "Feature visualisation",
            (
                f"{render.steps} steps, {render.size} × {render.size} pixels, channels {chosen} of "
                f"{', '.join(render.layers)}"
            ),
        )


def _charts(site: Site) -> str:
    kinds = ", ".join(["SVG", *map(str.upper, site.chart_formats)])
    if site.chart_formats:
        return f"Every chart is here as {kinds}, and the table that it is drawn from as CSV."
    return (
        "This study has so many charts that the site holds each as SVG only, and its table as "
        "CSV; the command below writes all as PNG and PDF too."
    )


# --- settings of the trainings -----------------------------------------------------------------

Fields = dict[str, str]


def effective(records: Records, name: str) -> Fields:
    """The settings that a training ran with, or, where that is not recorded, those planned."""
    training = records.study.all_networks[name].training()
    planned = training.model_dump() if training else {}
    told = records.networks[name].facts.get("recipe")
    fields = (
        told
        if isinstance(told, dict)
        else {"name": records.study.all_networks[name].recipe, **planned}
    )
    seed = {"seed": records.study.seed_of(name)}
    return {key.replace("_", " "): setting(value) for key, value in {**fields, **seed}.items()}


def _recipes(
    records: Records,
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...], tuple[RecipeLine, ...]]:
    """The fields that all trainings share, the names of the others, and a line a training."""
    trained = [
        name
        for name, each in records.networks.items()
        if each.trained and records.route(name) == name
    ]
    every = {name: {**effective(records, name), "seed": _seeds(records, name)} for name in trained}
    keys = list(dict.fromkeys(key for fields in every.values() for key in fields))
    values = {key: {fields.get(key, ABSENT) for fields in every.values()} for key in keys}
    same = [key for key in keys if len(values[key]) == 1 and key != "name"]
    heads = tuple(key for key in keys if key not in same)
    lines = tuple(
        RecipeLine(
            Link(name, f"networks/{slug(name)}.html"),
            tuple(every[name].get(key, ABSENT) for key in heads),
        )
        for name in trained
    )
    return tuple((key, next(iter(values[key]))) for key in same), heads, lines


def _seeds(records: Records, name: str) -> str:
    """The seed of a training and those of its repeats."""
    study = records.study
    return ", ".join(str(study.seed_of(each)) for each in study.repeated(name))


def _networks(records: Records) -> Iterable[tuple[str, ...]]:
    """A line for the networks that are alike in architecture and preprocessing."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, each in records.networks.items():
        if each.facts:
            alike.setdefault(_network(each.facts), []).append(name)
    return ((", ".join(names), *told) for told, names in alike.items())


def _network(facts: dict[str, Any]) -> tuple[str, ...]:
    parameters = facts.get("parameters")
    return (
        str(facts.get("architecture", ABSENT)),
        count(parameters if isinstance(parameters, int) else None),
        _preprocessing(facts.get("preprocessing")),
    )


def _preprocessing(told: Any) -> str:
    if not isinstance(told, dict) or not told:
        return ABSENT
    return "; ".join(f"{key} {setting(value)}" for key, value in told.items())


def unrelated_cka(channels: int, images: int) -> float:
    """About how large the biased CKA of features is that have nothing to do with each other.

    >>> round(unrelated_cka(1024, 100), 2), round(unrelated_cka(64, 8000), 2)
    (0.91, 0.01)

    For channels that vary alike and independently: E‖XᵀY‖² = N p² of N p (N + p).
    """
    return channels / (channels + images)


def _small(records: Records) -> str:
    """What this study's number of pictures means for the biased CKA of its widest layer."""
    layers = [
        (row, each)
        for each in records.comparisons.values()
        for row in rows(each.layers.dropna(subset=["channels", "n_images"]), LayerRow)
        if row.n_images > 0
    ]
    if not layers:
        return ""
    row, each = max(layers, key=lambda found: found[0].channels / found[0].n_images)
    return (
        f"In this study the extreme is {row.layer} of {each.before} → {each.after}: "
        f"{count(row.channels)} channels on {count(row.n_images)} pictures, where unrelated "
        "features would have a biased CKA of up to about "
        f"{number(unrelated_cka(int(row.channels), int(row.n_images)), 2)}."
    )


# --- provenance --------------------------------------------------------------------------------


def manifests(records: Records) -> list[tuple[str, Manifest]]:
    """The manifest of every artefact that was read, with its name."""
    found = [
        *((f"dataset {name}", each.manifest) for name, each in records.datasets.items()),
        *((f"network {name}", each.manifest) for name, each in records.networks.items()),
        *((f"ensemble {name}", each.manifest) for name, each in records.ensembles.items()),
        *((f"comparison {name}", each.manifest) for name, each in records.comparisons.items()),
    ]
    return [(name, manifest) for name, manifest in found if manifest]


def versions(made: list[tuple[str, Manifest]]) -> list[str]:
    """What computed the numbers: one version of each, unless there were several."""
    return sorted({f"{name} {each}" for _, part in made for name, each in part.versions.items()})


def hardware(made: list[tuple[str, Manifest]]) -> list[str]:
    """The machines that it was computed on."""
    return sorted({each.hardware for _, each in made if each.hardware})
