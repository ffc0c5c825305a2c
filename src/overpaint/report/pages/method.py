"""How everything was done: settings, versions, digests; the definitions stand in the template."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version

from overpaint.records import LayerRow, Manifest
from overpaint.report.parts.addresses import network_page
from overpaint.report.parts.rows import Link
from overpaint.report.parts.text import ABSENT, count, number, setting
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import Records
from overpaint.study.recipe import in_use

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


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """An artefact and the digests that say what it is and what it was made from."""

    artefact: str
    key: str
    weights: str


@dataclass(frozen=True, kw_only=True)
class RecipeLine:
    """A trained network and the fields of its recipe that not all share."""

    network: Link
    fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What some networks of the study have in common."""

    names: str
    architecture: str
    parameters: str
    preprocessing: str


@dataclass(frozen=True, kw_only=True)
class MethodPage:
    """The page of definitions, settings and provenance."""

    settings: tuple[tuple[str, str], ...]  # of the study
    shared: tuple[tuple[str, str], ...]  # fields of the recipes that all networks share
    heads: tuple[str, ...]  # the other fields
    recipes: tuple[RecipeLine, ...]
    networks: tuple[Architecture, ...]
    small: str  # what few pictures mean for CKA in this study
    versions: tuple[str, ...]
    hardware: tuple[str, ...]
    provenance: tuple[Provenance, ...]
    paper: str  # BibTeX
    program: str


def method_page(records: Records) -> MethodPage:
    """All that the page of the method shows."""
    made_of = manifests(records)
    weights = {
        f"network {network.name}": network.facts.weights for network in records.networks.values()
    }
    recipes = {
        network.name: {
            **effective(records, network.name),
            "seed": ", ".join(
                str(records.study.seed_of(repeat))
                for repeat in records.study.repeated(network.name)
            ),
        }
        for network in records.trained
        if records.route(network.name) == network.name
    }
    keys = list(dict.fromkeys(key for fields in recipes.values() for key in fields))
    values = {key: {fields.get(key, ABSENT) for fields in recipes.values()} for key in keys}
    same = [key for key in keys if len(values[key]) == 1 and key != "name"]
    heads = tuple(key for key in keys if key not in same)
    return MethodPage(
        settings=tuple(_settings(records)),
        shared=tuple((key, next(iter(values[key]))) for key in same),
        heads=heads,
        recipes=tuple(
            RecipeLine(
                network=Link(records.title(name), href=network_page(name)),
                fields=tuple(fields.get(key, ABSENT) for key in heads),
            )
            for name, fields in recipes.items()
        ),
        networks=tuple(_architectures(records)),
        small=_small(records),
        versions=tuple(versions(made_of)),
        hardware=tuple(hardware(made_of)),
        provenance=tuple(
            Provenance(artefact=name, key=manifest.key, weights=weights.get(name, ""))
            for name, manifest in made_of
        ),
        paper=PAPER,
        program=PROGRAM.format(version=version("overpaint")),
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


def effective(records: Records, name: str) -> dict[str, str]:
    """The settings that a training ran with, or, where that is not recorded, those planned."""
    entry = records.study.all_networks[name]
    recipe = in_use(records.networks[name].facts.recipe or entry.planned)
    fields = {**recipe, "seed": records.study.seed_of(name)}
    return {key.replace("_", " "): setting(value) for key, value in fields.items()}


def _architectures(records: Records) -> Iterable[Architecture]:
    """The networks that are alike in architecture and preprocessing, told of together."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for network in records.networks.values():
        facts = network.facts
        pixels = facts.preprocessing.settings() if facts.preprocessing else {}
        described = (
            facts.architecture or ABSENT,
            count(facts.parameters),
            "; ".join(f"{key} {setting(value)}" for key, value in pixels.items()) or ABSENT,
        )
        if network.manifest:
            alike.setdefault(described, []).append(network.title)
    for (architecture, parameters, preprocessing), names in alike.items():
        yield Architecture(
            names=", ".join(names),
            architecture=architecture,
            parameters=parameters,
            preprocessing=preprocessing,
        )


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
        (row, comparison)
        for comparison in records.comparisons.values()
        for row in rows(comparison.layers.dropna(subset=["channels", "n_images"]), LayerRow)
        if row.n_images > 0
    ]
    if not layers:
        return ""
    row, comparison = max(layers, key=lambda pair: pair[0].channels / pair[0].n_images)
    return (
        f"In this study the extreme is {row.layer} of {comparison.title}: "
        f"{count(row.channels)} channels on {count(row.n_images)} pictures, where unrelated "
        "features would have a biased CKA of up to about "
        f"{number(unrelated_cka(int(row.channels), int(row.n_images)), 2)}."
    )


# --- provenance --------------------------------------------------------------------------------


def manifests(records: Records) -> list[tuple[str, Manifest]]:
    """The manifest of every artefact that was read, with its name."""
    artefacts = [
        *((f"dataset {name}", dataset.manifest) for name, dataset in records.datasets.items()),
        *((f"network {name}", network.manifest) for name, network in records.networks.items()),
        *((f"ensemble {name}", ensemble.manifest) for name, ensemble in records.ensembles.items()),
        *((f"comparison {name}", pair.manifest) for name, pair in records.comparisons.items()),
    ]
    return [(name, manifest) for name, manifest in artefacts if manifest]


def versions(made_of: list[tuple[str, Manifest]]) -> list[str]:
    """What computed the numbers: one version of each, unless there were several."""
    return sorted(
        {
            f"{name} {number}"
            for _, manifest in made_of
            for name, number in manifest.versions.items()
        }
    )


def hardware(made_of: list[tuple[str, Manifest]]) -> list[str]:
    """The machines that it was computed on, and the devices of what networks ran for."""
    machines = sorted({manifest.hardware for _, manifest in made_of if manifest.hardware})
    return [*machines, *sorted({manifest.device for _, manifest in made_of if manifest.device})]
