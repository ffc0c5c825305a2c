"""Study: datasets, lineage, pairs and renderings, read from a YAML file; no torch.

>>> study = Study.model_validate({
...     "study": "tiny",
...     "datasets": {"art": {"kind": "folder", "root": "pictures"}},
...     "networks": {
...         "imagenet": {"load": "inception_v1.bvlc_in1k"},
...         "tuned": {"from": "imagenet", "fit": "art", "recipe": "mode_a"},
...     },
...     "compare": [["imagenet", "tuned"]],
... })
>>> study.lineage()
['imagenet', 'tuned']

The model is the truth, YAML merely fills it. Paths are relative to the study's own file.
"""

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from overpaint.datasets.entry import Entry, Name, possible
from overpaint.datasets.kinds import DatasetEntry
from overpaint.datasets.remote import address
from overpaint.defaults import GAZE_PICTURES, MOST_STEPS, RENDER_SIZE, RENDER_STEPS
from overpaint.errors import StudyError, nearest, printable
from overpaint.files import absolute
from overpaint.seeds import seed_for
from overpaint.study.asked import Causes
from overpaint.study.recipe import AUTO, PRESETS, TAKEN_BY_AUTO, Recipe, recipe

GENERATIONS = 100
"""Networks that may descend one from another."""

MANY = 1000
"""Networks, datasets, ensembles or comparisons that a study may have."""

Place = tuple[str | int, ...]
"""Where something stands in the file: ("networks", "tuned", "from")."""


class Misplaced(StudyError):
    """An error that knows its place in the file; the reader adds the line."""

    def __init__(self, place: Place, slug: str, message: str) -> None:
        super().__init__(slug, message)
        self.place = place


Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""Of all that is drawn: any number that a manifest can hold."""

# --- networks ----------------------------------------------------------------------------------

LONGEST_TITLE = 60
"""Letters of a title: it stands in tables, charts and boxes as a name does."""


def _in_one_line(title: str) -> str:
    """A title without blanks at its ends; a ValueError for one that no line can show."""
    title = title.strip()
    if not 1 <= len(title) <= LONGEST_TITLE:
        raise ValueError(f"has {len(title)} letters: give 1 to {LONGEST_TITLE}")
    if printable(title) != title or len(title.split("\t")) + len(title.splitlines()) > 2:
        raise ValueError(f"{title!r} has signs that cannot be shown: give words in one line")
    return title


Title = Annotated[str, AfterValidator(_in_one_line)]
"""What something is called in words: any letters, in one line."""


class Mixed(Entry):
    """A network on the straight way between two, its head that of the second."""

    of: tuple[str, str]
    at: Literal["best"] | Annotated[float, Field(ge=0, le=2)] = "best"
    """0 is the first, 1 the second; the best on the validation split of the second's dataset."""


class NetworkEntry(Entry):
    """A node of the lineage, and the training that leads to it."""

    load: Annotated[str, AfterValidator(possible)] | None = None
    weights: Annotated[str, AfterValidator(possible)] | None = Field(
        None, description="'random', or a file for the architecture"
    )
    parent: Name | None = Field(None, alias="from")
    mixed: Mixed | None = None
    fit: Name | None = None
    recipe: str | None = None
    overrides: dict[str, Any] = Field({}, alias="with")
    seed: Seed | None = None
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    """Trainings that differ by the seed only: NAME, NAME.2, NAME.3 …"""
    title: Title | None = None
    """What it is called in the report, in words; files and addresses keep its name."""

    @model_validator(mode="after")
    def _known_recipe(self) -> Self:
        known = (*PRESETS, AUTO)
        if self.recipe is not None and self.recipe not in known:
            raise ValueError(f"there is no recipe {self.recipe!r}; {nearest(self.recipe, known)}")
        unknown = [key for key in self.overrides if key not in Recipe.model_fields]
        if unknown:
            fields = nearest(unknown[0], Recipe.model_fields)
            raise ValueError(f"a recipe has no field {unknown[0]!r}; {fields}")
        return self

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        starts = [self.load, self.parent, self.mixed]
        if sum(start is not None for start in starts) != 1:
            raise ValueError(
                "needs either 'load' (a name or a file), 'from' (a parent) or 'mixed' (of two)"
            )
        idle = [
            field.alias or name
            for name, field in type(self).model_fields.items()
            if name not in ("mixed", "title") and getattr(self, name) != field.get_default()
        ]
        if self.mixed and idle:
            raise ValueError(f"'mixed' is all that is said of a mixed network: leave {idle[0]} out")
        if (self.fit is None) != (self.recipe is None):
            raise ValueError("needs 'fit' (a dataset) and 'recipe' together")
        if self.parent is not None and self.fit is None:
            raise ValueError("comes 'from' a parent, so it needs 'fit' and 'recipe'")
        if self.weights is not None and self.load is None:
            raise ValueError("'weights' goes with 'load'; a child has its parent's weights")
        if self.overrides and self.recipe is None:
            raise ValueError("'with' overrides a recipe, and there is none")
        if self.recipe == "linear_svm" and self.parent is None:
            raise ValueError("the recipe linear_svm needs a parent ('from') for its features")
        if self.repeats > 1 and self.recipe is None:
            raise ValueError("'repeats' repeats a training, and there is none")
        return self

    @property
    def parents(self) -> tuple[str, ...]:
        """The networks that it is made from."""
        if self.mixed:
            return self.mixed.of
        return (self.parent,) if self.parent else ()

    @model_validator(mode="after")
    def _valid_overrides(self) -> Self:
        for preset in TAKEN_BY_AUTO if self.recipe == AUTO else (self.recipe,):
            self.training(preset)
        return self

    def training(self, preset: str | None = None) -> Recipe | None:
        """The recipe with its overrides, or None for a network that is only loaded.

        `preset`: what auto has taken. Without, it is one that auto may take; all of them draw the
        same anew.
        """
        if self.recipe is None:
            return None
        named = TAKEN_BY_AUTO[0] if self.recipe == AUTO else self.recipe
        return recipe(preset or named, self.overrides)

    @property
    def planned(self) -> dict[str, Any]:
        """The fields of the training, as far as the study says them; its recipe's `name`."""
        training = self.training()
        if self.recipe == AUTO:
            return {"name": AUTO, **self.overrides}
        return {"name": self.recipe, **training.model_dump()} if training else {}

    @property
    def starts_random(self) -> bool:
        """Whether anything is drawn at random before the training, be it only a head."""
        training = self.training()
        return training is not None and (training.reinit != "nothing" or self.weights == "random")

    @property
    def draws_everything(self) -> bool:
        """Whether all weights of a loaded network are random, so that no file is needed."""
        training = self.training()
        return self.weights == "random" or (training is not None and training.reinit == "all")

    @property
    def keeps_backbone(self) -> bool:
        """Whether it has the backbone of its parent: only its head is trained."""
        training = self.training()
        return training is not None and training.train == "head" and not self.draws_backbone

    @property
    def draws_backbone(self) -> bool:
        """Whether part of the backbone is drawn at random before the training."""
        training = self.training()
        return training is not None and (
            training.reinit not in ("nothing", "head") or self.weights == "random"
        )


# --- comparisons and renderings ----------------------------------------------------------------


class Pair(Entry):
    """Two networks to compare, and the split on which.

    Without `on`: the dataset that the second network was fitted to, its test split for CKA and
    its train split for maximal images. `reduction`: what CKA compares of a layer's maps, their
    spatial means, the whole of them, or a grid of sampled positions; channels always by means.
    """

    pair: tuple[str, str]
    on: str | None = Field(None, pattern=r"^[^/]+/(train|val|test)$")
    reduction: Literal["mean", "flattened", "sampled"] = "mean"

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return {"pair": value} if isinstance(value, list | tuple) else value

    @property
    def before(self) -> str:
        """The first of the two."""
        return self.pair[0]

    @property
    def after(self) -> str:
        """The second."""
        return self.pair[1]


Units = Annotated[str, Field(pattern=r"^.+:\d{1,9}$")]
"""The name of a channel, as mixed4d:164."""


class RenderEntry(Entry):
    """Which channels to draw, for both networks of each pair that has the layers, and how."""

    layers: list[str]
    """May be left out where the channels are units, which name their layers themselves."""
    channels: str | list[Annotated[int, Field(ge=0, lt=10**9)]] | list[Units] = "most_changed(4)"
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = RENDER_STEPS
    size: Annotated[int, Field(ge=16, le=1024)] = RENDER_SIZE
    together: bool = False
    """Also draw, of each pair, what excites both networks at once and what only the second."""
    canvas: Literal["fourier", "pixel", "maco"] = "fourier"
    colours: str = "imagenet"
    """Those that do not vary together in ImageNet, or in a dataset that is named here."""
    spectrum: Name | None = None
    """The dataset whose waves `maco` takes."""
    lucid_exact: bool = False
    """Lucid's transforms to the pixel, oddities and all, one image at a time."""

    @model_validator(mode="after")
    def _known_choice(self) -> Self:
        if isinstance(self.channels, str) and not CHOICE.match(self.channels):
            raise ValueError(
                f"channels {self.channels!r}: give a list of channel numbers or of units "
                "(mixed4d:164), or all, most_changed(n), most_concentrated(n), least_overlap(n), "
                "extremes_of_overlap(n)"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _layers_of_units(cls, value: Any) -> Any:
        """Units name their layers."""
        if not isinstance(value, dict) or "layers" in value:
            return value
        channels = value.get("channels")
        listed = channels if isinstance(channels, list) else []
        units = [each for each in listed if isinstance(each, str)]
        return value | {"layers": list(dict.fromkeys(unit.rpartition(":")[0] for unit in units))}

    @model_validator(mode="after")
    def _some_layer(self) -> Self:
        if not self.layers:
            raise ValueError("render needs 'layers', or channels that name theirs (mixed4d:164)")
        named = self.channels if isinstance(self.channels, list) else []
        for unit in named:
            if isinstance(unit, str) and unit.rpartition(":")[0] not in self.layers:
                raise ValueError(f"'layers' leaves out the layer of channel {unit}")
        return self

    @model_validator(mode="after")
    def _one_setup(self) -> Self:
        if self.lucid_exact and self.canvas == "maco":
            raise ValueError("lucid_exact goes with the canvases of Lucid, fourier and pixel")
        if self.spectrum and self.canvas != "maco":
            raise ValueError("spectrum is for 'canvas: maco'")
        return self


class FeaturesEntry(Entry):
    """How the features are computed that a study keeps."""

    precision: Literal["float32", "tf32", "bf16"] = "float32"
    """TensorFloat-32 is for GPUs of CUDA alone; elsewhere it is float32."""
    store: Annotated[str, AfterValidator(address)] | None = None
    """An address for the numbers of features begun now; the folder has what tells of them."""


class GazeEntry(Entry):
    """Where the networks of a comparison look: on how many pictures, and whether by attribution."""

    pictures: Annotated[int, Field(ge=0, le=64)] = GAZE_PICTURES
    """0 for none at all."""
    attribution: bool | None = None
    """Where nothing is said: if Captum is installed."""


def _said_of_gaze(value: object) -> object:
    """What a study says of its gaze, true and false as what they stand for."""
    if isinstance(value, bool):
        return {} if value else {"pictures": 0}
    if value is None or isinstance(value, dict | GazeEntry):
        return value
    raise ValueError("is to be true, false, or the keys 'pictures' and 'attribution'")


CHOICE = re.compile(
    r"^(all|(most_changed|most_concentrated|least_overlap|extremes_of_overlap)\([1-9]\d{0,8}\))$"
)


class Study(Entry):
    """The whole of a study file."""

    study: Name
    seed: Seed = 0
    datasets: dict[Name, DatasetEntry] = Field({}, max_length=MANY)
    networks: dict[Name, NetworkEntry] = Field(max_length=MANY)
    ensembles: dict[Name, Annotated[list[str], Field(min_length=2, max_length=MANY)]] = Field(
        {}, max_length=MANY
    )
    """Networks of one dataset whose probabilities are averaged."""
    compare: list[Pair] = Field([], max_length=MANY)
    pairwise: list[Name] = Field([], max_length=MANY)
    """Datasets of which all networks are compared with all, in one number a measure: mean CKA on
    the test split, and mean distance of the weights."""
    maximal_images: Annotated[int, Field(ge=1, le=10_000)] = 100
    features: FeaturesEntry | None = None
    render: RenderEntry | None = None
    causes: Causes = None
    """Whether a change mattered: all of `study.asked`, none (false), or a list of them. Where
    nothing is said, each that costs less than a tenth of the trainings."""
    gaze: Annotated[GazeEntry | None, BeforeValidator(_said_of_gaze)] = None
    """Where networks look. Where nothing is said, as far as that costs less than a tenth of the
    trainings."""
    base: Path = Field(Path(), exclude=True)
    """The folder that relative paths start from: that of the study's file."""

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        for name, network in self.networks.items():
            if network.parent is not None and network.parent not in self.networks:
                known = nearest(network.parent, self.networks)
                raise Misplaced(("networks", name, "from"), "unknown-parent", (
                    f"network {name!r} names parent {network.parent!r}; {known}"))  # fmt: skip
            if network.fit is not None and network.fit not in self.datasets:
                known = nearest(network.fit, self.datasets)
                raise Misplaced(("networks", name, "fit"), "unknown-dataset", (
                    f"network {name!r} is fitted to dataset {network.fit!r}; {known}"))  # fmt: skip
        self.lineage()
        self._check_titles()
        for name, network in self.networks.items():
            self._check_mixed(name, network)
        if (trainings := sum(entry.repeats for entry in self.networks.values())) > 2 * MANY:
            raise Misplaced(("networks",), "bad-value", (
                f"with its repeats the study has {trainings:,} networks; at most {2 * MANY:,} are "
                "taken"))  # fmt: skip
        self._check_pairwise()
        nodes = self.nodes()
        for number, pair in enumerate(self.compare):
            self._check_pair(number, pair, nodes)
        for name, members in self.ensembles.items():
            self._check_ensemble(name, members)
        if self.render:
            self._check_render(self.render)
        return self

    def _check_titles(self) -> None:
        """No two networks are called the same where they are read."""
        called: dict[str, str] = {}
        for node in self.nodes():
            title = self.title_of(node)
            if (other := called.setdefault(title, node)) != node:
                titles = [name.removesuffix(".init") for name in (node, other)]
                name = next(name for name in titles if self.all_networks[name].title)
                first = name if name in self.networks else name.rpartition(".")[0]
                raise Misplaced(("networks", first, "title"), "name-taken", (
                    f"the networks {other!r} and {node!r} would both be called {title!r}: give "
                    "one another title"))  # fmt: skip

    def _check_mixed(self, name: str, network: NetworkEntry) -> None:
        """What is mixed are networks that are not, the second of them trained; nothing comes from
        a mix.
        """
        mixes = [other for other, entry in self.networks.items() if entry.mixed]
        if network.parent in mixes:
            raise Misplaced(("networks", name, "from"), "bad-value", (
                f"network {name!r} comes from {network.parent!r}, which is mixed: a training "
                "starts from a network that is loaded or trained"))  # fmt: skip
        if network.mixed is None:
            return
        known = [node for node in self.nodes() if node not in mixes]
        for member in network.mixed.of:
            if member not in known:
                raise Misplaced(("networks", name, "mixed", "of"), "unknown-network", (
                    f"network {name!r} is mixed of network {member!r}; {nearest(member, known)}"
                ))  # fmt: skip
        if self.all_networks[name].fit is None:
            raise Misplaced(("networks", name, "mixed", "of"), "bad-value", (
                f"network {name!r} takes its head and its dataset from {network.mixed.of[1]!r}, "
                "which is not trained: name a trained network second"))  # fmt: skip

    def _check_pairwise(self) -> None:
        for number, name in enumerate(self.pairwise):
            if name not in self.datasets:
                raise Misplaced(("pairwise", number), "unknown-dataset", (
                    f"pairwise names dataset {name!r}; {nearest(name, self.datasets)}"
                ))  # fmt: skip
            if name in self.pairwise[:number]:
                raise Misplaced(("pairwise", number), "bad-value", (
                    f"pairwise names {name} twice"))  # fmt: skip
            if len(self.pairwise_on(name)) < 2:
                raise Misplaced(("pairwise", number), "bad-value", (
                    f"pairwise compares all networks of {name!r} with all, and fewer than two have "
                    "a backbone of their own"))  # fmt: skip

    def _check_render(self, render: RenderEntry) -> None:
        named = {"colours": render.colours, "spectrum": render.spectrum}
        for key, name in named.items():
            if name not in (None, "imagenet", *self.datasets):
                raise Misplaced(("render", key), "unknown-dataset", (
                    f"render measures its {key} on {name!r}; {nearest(str(name), self.datasets)}"
                ))  # fmt: skip
        if render.canvas == "maco" and render.spectrum is None:
            raise Misplaced(("render", "canvas"), "bad-value", (
                "maco takes its waves from the pictures of a dataset: name it, "
                "'spectrum: DATASET'"))  # fmt: skip

    def _check_ensemble(self, name: str, members: list[str]) -> None:
        trained = [each for each, entry in self.all_networks.items() if entry.fit]
        for member in members:
            if member not in trained:
                raise Misplaced(("ensembles", name), "unknown-network", (
                    f"ensemble {name!r} names trained network {member!r}; "
                    f"{nearest(member, trained)}"))  # fmt: skip
        fits = sorted({str(self.all_networks[member].fit) for member in members})
        if len(fits) > 1:
            raise Misplaced(("ensembles", name), "mixed-ensemble", (
                f"the networks of ensemble {name!r} are fitted to {' and '.join(fits)}; "
                "an ensemble needs one dataset"))  # fmt: skip
        if name in self.networks:
            raise Misplaced(("ensembles", name), "name-taken", (
                f"ensemble {name!r} has the name of a network; give it another"))  # fmt: skip

    def _check_pair(self, number: int, pair: Pair, nodes: list[str]) -> None:
        for network in pair.pair:
            if network not in nodes:
                raise Misplaced(("compare", number), "unknown-network", (
                    f"compare names network {network!r}; {nearest(network, nodes)}"
                ))  # fmt: skip
        if pair.pair in [earlier.pair for earlier in self.compare[:number]]:
            raise Misplaced(("compare", number), "pair-twice", (
                f"compare names {pair.before} and {pair.after} twice; a study holds one comparison "
                "of two networks"))  # fmt: skip
        if pair.on and pair.on.split("/")[0] not in self.datasets:
            known = nearest(pair.on.split("/")[0], self.datasets)
            raise Misplaced(("compare", number), "unknown-dataset", (
                f"compare on {pair.on!r} names no dataset of the study; {known}"))  # fmt: skip
        if not pair.on and self.dataset_of(pair) is None:
            raise Misplaced(("compare", number), "no-common-dataset", (
                f"neither of {pair.before!r} and {pair.after!r} was fitted to a dataset; say on "
                "which to compare them: {pair: [a, b], on: dataset/test}"))  # fmt: skip

    def nodes(self) -> list[str]:
        """All networks of the lineage, random initialisations (`<name>.init`) among them."""
        names = []
        for name, entry in self.all_networks.items():
            names += [f"{name}.init"] if entry.starts_random else []
            names.append(name)
        return names

    @cached_property
    def all_networks(self) -> dict[str, NetworkEntry]:
        """All networks by name, parents before children, repeats (`NAME.2`) among them.

        A repeat comes from the repeat of the same number of its parent, where there is one. What is
        mixed counts as a child of the second network, and is fitted to what that is fitted to.
        """
        found: dict[str, NetworkEntry] = {}
        for name in sorted(self.lineage(), key=lambda name: self.networks[name].mixed is not None):
            entry = self.networks[name]
            if entry.mixed:
                after = entry.mixed.of[1].removesuffix(".init")
                fit = found[after].fit if after in found else None
                found[name] = entry.model_copy(update={"parent": after, "fit": fit})
                continue
            found[name] = entry
            for number in range(2, entry.repeats + 1):
                twin = f"{entry.parent}.{number}"
                seed = seed_for(self.seed_of(name), "repeat", number)
                parent = twin if twin in found else entry.parent
                own = {"parent": parent, "seed": seed, "repeats": 1}
                found[f"{name}.{number}"] = entry.model_copy(update=own)
        return found

    def repeated(self, name: str) -> list[str]:
        """A network and its repeats."""
        entry = self.networks[name]
        return [name, *(f"{name}.{number}" for number in range(2, entry.repeats + 1))]

    def lineage(self) -> list[str]:
        """The networks, parents before children; a StudyError for a cycle, and for a line of
        descent that is longer than any that is followed.
        """
        depths: dict[str, int] = {}
        for name in self.networks:
            path: list[str] = []
            ancestor: str | None = name
            while ancestor in self.networks and ancestor not in depths:
                if ancestor in path:
                    loop = " from ".join([*path[path.index(ancestor) :], ancestor])
                    raise Misplaced(("networks", ancestor), "cycle", (
                        f"the lineage goes in a circle: {loop}"))  # fmt: skip
                path.append(ancestor)
                ancestor = self.networks[ancestor].parent
            for child in reversed(path):
                depths[child] = depths.get(self.networks[child].parent or "", 0) + 1
                if depths[child] > GENERATIONS:
                    raise Misplaced(("networks", child), "bad-value", (
                        f"network {child!r} descends from more than {GENERATIONS} others, each "
                        "trained from the one before"))  # fmt: skip
        return list(depths)

    def dataset_of(self, pair: Pair) -> str | None:
        """The dataset that a pair is compared on."""
        if pair.on:
            return pair.on.split("/")[0]
        fits = (self.all_networks[name.removesuffix(".init")].fit for name in reversed(pair.pair))
        return next((fit for fit in fits if fit), None)

    def pairwise_on(self, dataset: str) -> list[str]:
        """The networks that are compared with each other on a dataset, in their order: those that
        were fitted to it, what they come from, and random starts; none that has its parent's
        backbone.
        """
        fitted = [
            name
            for name, entry in self.all_networks.items()
            if entry.fit == dataset and not entry.keeps_backbone
        ]
        starts = {f"{name}.init" for name in fitted if self.all_networks[name].draws_backbone}
        chosen, left = {*starts}, [*fitted]
        while left:
            name = left.pop()
            entry = self.all_networks[name.removesuffix(".init")]
            if not entry.keeps_backbone:
                chosen.add(name)
            left += () if entry.draws_everything else entry.parents
        return [node for node in self.nodes() if node in chosen]

    def related(self, one: str, other: str) -> bool:
        """Whether two networks have a start in common: the same numbering of their filters.

        As far as the study tells: weights of other names or files count as other weights.
        """
        return not self._origins(one).isdisjoint(self._origins(other))

    def _origins(self, name: str) -> set[str]:
        """A network and all that any of its weights come from."""
        own = name.removesuffix(".init")
        entry, found = self.all_networks[own], {name}
        if entry.starts_random:
            found.add(f"{own}.init")
        if not entry.draws_everything:
            found |= self._origins(entry.parent) if entry.parent else {f"{entry.load} of a file"}
        return found

    def title_of(self, network: str) -> str:
        """What a network is called in a report: its title, or else its name; of a repeat with its
        number, of an initialisation with what it is.
        """
        trained = network.removesuffix(".init")
        entry = self.all_networks.get(trained)
        if entry is None or entry.title is None:
            return network
        number = "" if trained in self.networks else f" ({trained.rpartition('.')[2]})"
        start = ", before training" if network != trained else ""
        return f"{entry.title}{number}{start}"

    def seed_of(self, network: str) -> int:
        """The seed of a network's training: its own, or else the study's."""
        entry = self.networks[network] if network in self.networks else self.all_networks[network]
        return self.seed if entry.seed is None else entry.seed

    @property
    def precision(self) -> str:
        """In which features are computed."""
        return self.features.precision if self.features else "float32"

    def path(self, path: Path) -> Path:
        """A path of the study file, made absolute."""
        return absolute(self.base, path)

    def to_yaml(self) -> str:
        """The study with its defaults filled in."""
        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
