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
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from overpaint.errors import OverpaintError, StudyError, nearest
from overpaint.seeds import seed_for
from overpaint.training.recipe import PRESETS, Recipe, recipe

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")]
"""Names become folders and addresses: letters, digits, "_" and "-"."""


class Entry(BaseModel):
    """What all parts of a study share: unknown keys are errors, values stay as they were read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


# --- datasets ----------------------------------------------------------------------------------


def _all_different(names: list[str]) -> list[str]:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands twice")
    return names


def _below(pattern: str) -> str:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise ValueError(f"{pattern!r} leads out of the root")
    return pattern


SplitName = Literal["train", "val", "test"]
Classes = Annotated[list[str], Field(min_length=1), AfterValidator(_all_different)]


class CollectionEntry(Entry):
    """What every kind of dataset may say.

    With `disjoint: group` the splits are drawn, whatever the collection brings, so that no group
    stands in two. With `cache: true` decoded pictures are kept on disk.
    """

    kind: str
    disjoint: Literal["group"] | None = None
    cache: bool = False


class FolderEntry(CollectionEntry):
    """Class folders, with or without split folders above them.

    `group` is a regular expression whose one capture group finds the group in a picture's path.
    """

    kind: Literal["folder"]
    root: Path
    group: str | None = None

    @model_validator(mode="after")
    def _one_capture(self) -> Self:
        try:
            captures = re.compile(self.group or "()").groups
        except re.error as error:
            raise ValueError(f"group {self.group!r} is no regular expression: {error}") from None
        if captures != 1:
            raise ValueError(f"group {self.group!r} needs one capture group, as in '/([^/_]+)_'")
        return self


class TableEntry(CollectionEntry):
    """A CSV or Parquet file that names each picture's path, label or labels, and split.

    With `classes`, their order is kept and any other class in the file is an error.
    """

    kind: Literal["table"]
    root: Path
    file: Path
    path: str = "path"
    label: str | list[str] = "label"
    split: str = "split"
    group: str | None = None
    classes: Classes | None = None


class RastaEntry(CollectionEntry):
    """The layout of RASTA: wikipaintings_train, _val and _test with a folder a style."""

    kind: Literal["rasta"]
    root: Path


class PaintingsEntry(CollectionEntry):
    """The Paintings of Art UK: Paintings.txt beside the folder Painting_Dataset."""

    kind: Literal["paintings"]
    root: Path


class IconArtEntry(CollectionEntry):
    """IconArt_v1, or the folder that holds it."""

    kind: Literal["iconart"]
    root: Path


class ShardsEntry(CollectionEntry):
    """Tar files in the layout of WebDataset; `splits` are patterns, by default `train*.tar`, ….

    `label` is the field of a sample's .json; a class number counts into `classes`, if given.
    """

    kind: Literal["shards"]
    root: Path
    splits: dict[SplitName, Annotated[str, AfterValidator(_below)]] | None = None
    label: str = "label"
    classes: Classes | None = None


class HubEntry(CollectionEntry):
    """A set of the Hugging Face hub by `name`, or one that lies in the folder `root`."""

    kind: Literal["hub"]
    name: str | None = None
    root: Path | None = None
    revision: str | None = None
    image: str = "image"
    label: str = "label"
    group: str | None = None
    splits: dict[SplitName, str] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.name is None) == (self.root is None):
            raise ValueError("needs either 'name' (a set of the hub) or 'root' (a folder)")
        return self


class AtelierEntry(CollectionEntry):
    """A collection made on the spot."""

    kind: Literal["atelier"]
    task: Literal["photographs", "manners", "subjects"]
    sizes: dict[SplitName, Annotated[int, Field(ge=1)]] | None = None


DatasetEntry = Annotated[
    FolderEntry
    | TableEntry
    | RastaEntry
    | PaintingsEntry
    | IconArtEntry
    | ShardsEntry
    | HubEntry
    | AtelierEntry,
    Field(discriminator="kind"),
]

KINDS: dict[str, type[CollectionEntry]] = {
    "folder": FolderEntry,
    "table": TableEntry,
    "rasta": RastaEntry,
    "paintings": PaintingsEntry,
    "iconart": IconArtEntry,
    "shards": ShardsEntry,
    "hub": HubEntry,
    "atelier": AtelierEntry,
}


# --- networks ----------------------------------------------------------------------------------


class NetworkEntry(Entry):
    """A node of the lineage, and the training that leads to it."""

    load: str | None = None
    weights: str | None = Field(None, description="'random', or a file for the architecture")
    parent: Name | None = Field(None, alias="from")
    fit: Name | None = None
    recipe: str | None = None
    overrides: dict[str, Any] = Field({}, alias="with")
    seed: int | None = None
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    """Trainings that differ by the seed only: NAME, NAME.2, NAME.3 …"""

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if (self.load is None) == (self.parent is None):
            raise ValueError("needs either 'load' (a name or a file) or 'from' (a parent)")
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

    @model_validator(mode="after")
    def _known_recipe(self) -> Self:
        if self.recipe is not None and self.recipe not in PRESETS:
            raise ValueError(f"there is no recipe {self.recipe!r}; {nearest(self.recipe, PRESETS)}")
        unknown = [key for key in self.overrides if key not in Recipe.model_fields]
        if unknown:
            known = nearest(unknown[0], Recipe.model_fields)
            raise ValueError(f"a recipe has no field {unknown[0]!r}; {known}")
        return self

    @model_validator(mode="after")
    def _valid_overrides(self) -> Self:
        self.training()
        return self

    def training(self) -> Recipe | None:
        """The recipe with its overrides, or None for a network that is only loaded."""
        return recipe(self.recipe, self.overrides) if self.recipe else None

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
    its train split for maximal images.
    """

    pair: tuple[str, str]
    on: str | None = Field(None, pattern=r"^[^/]+/(train|val|test)$")

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


class RenderEntry(Entry):
    """Which channels to draw, for both networks of each pair that has the layers."""

    layers: list[str]
    channels: str | list[Annotated[int, Field(ge=0)]] = "most_changed(4)"
    steps: Annotated[int, Field(ge=1)] = 512
    size: Annotated[int, Field(ge=16, le=1024)] = 128

    @model_validator(mode="after")
    def _known_choice(self) -> Self:
        if isinstance(self.channels, str) and not CHOICE.match(self.channels):
            raise ValueError(
                f"channels {self.channels!r}: give a list of channel numbers, or one of "
                "most_changed(n), most_concentrated(n), least_overlap(n)"
            )
        return self


CHOICE = re.compile(r"^(most_changed|most_concentrated|least_overlap)\((\d+)\)$")


class Study(Entry):
    """The whole of a study file."""

    study: Name
    seed: int = 0
    datasets: dict[Name, DatasetEntry] = {}
    networks: dict[Name, NetworkEntry]
    ensembles: dict[Name, Annotated[list[str], Field(min_length=2)]] = {}
    """Networks of one dataset whose probabilities are averaged."""
    compare: list[Pair] = []
    maximal_images: Annotated[int, Field(ge=1)] = 100
    render: RenderEntry | None = None
    base: Path = Field(Path(), exclude=True)
    """The folder that relative paths start from: that of the study's file."""

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        for name, network in self.networks.items():
            if network.parent is not None and network.parent not in self.networks:
                known = nearest(network.parent, self.networks)
                raise _At(("networks", name, "from"), "unknown-parent", (
                    f"network {name!r} names parent {network.parent!r}; {known}"))  # fmt: skip
            if network.fit is not None and network.fit not in self.datasets:
                known = nearest(network.fit, self.datasets)
                raise _At(("networks", name, "fit"), "unknown-dataset", (
                    f"network {name!r} is fitted to dataset {network.fit!r}; {known}"))  # fmt: skip
        self.lineage()
        for number, pair in enumerate(self.compare):
            self._check_pair(number, pair)
        for name, members in self.ensembles.items():
            self._check_ensemble(name, members)
        return self

    def _check_ensemble(self, name: str, members: list[str]) -> None:
        trained = [each for each, entry in self.every.items() if entry.fit]
        for member in members:
            if member not in trained:
                raise _At(("ensembles", name), "unknown-network", (
                    f"ensemble {name!r} names trained network {member!r}; "
                    f"{nearest(member, trained)}"))  # fmt: skip
        fits = sorted({str(self.every[member].fit) for member in members})
        if len(fits) > 1:
            raise _At(("ensembles", name), "mixed-ensemble", (
                f"the networks of ensemble {name!r} are fitted to {' and '.join(fits)}; "
                "an ensemble needs one dataset"))  # fmt: skip
        if name in self.networks:
            raise _At(("ensembles", name), "name-taken", (
                f"ensemble {name!r} has the name of a network; give it another"))  # fmt: skip

    def _check_pair(self, number: int, pair: Pair) -> None:
        for network in pair.pair:
            if network not in self.nodes():
                raise _At(("compare", number), "unknown-network", (
                    f"compare names network {network!r}; {nearest(network, self.nodes())}"
                ))  # fmt: skip
        if pair.on and pair.on.split("/")[0] not in self.datasets:
            known = nearest(pair.on.split("/")[0], self.datasets)
            raise _At(("compare", number), "unknown-dataset", (
                f"compare on {pair.on!r} names no dataset of the study; {known}"))  # fmt: skip
        if not pair.on and self.dataset_of(pair) is None:
            raise _At(("compare", number), "no-common-dataset", (
                f"neither of {pair.before!r} and {pair.after!r} was fitted to a dataset; say on "
                "which to compare them: {pair: [a, b], on: dataset/test}"))  # fmt: skip

    def nodes(self) -> list[str]:
        """All networks of the lineage, random initialisations (`<name>.init`) among them."""
        names = []
        for name, entry in self.every.items():
            names += [f"{name}.init"] if entry.starts_random else []
            names.append(name)
        return names

    @cached_property
    def every(self) -> dict[str, NetworkEntry]:
        """All networks by name, parents before children, repeats (`NAME.2`) among them.

        A repeat comes from the repeat of the same number of its parent, where there is one.
        """
        found: dict[str, NetworkEntry] = {}
        for name in self.lineage():
            entry = self.networks[name]
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
        """The networks, parents before children; a StudyError for a cycle."""
        order: list[str] = []
        for name in self.networks:
            self._visit(name, (), order)
        return order

    def _visit(self, name: str, path: tuple[str, ...], order: list[str]) -> None:
        if name in path:
            loop = " from ".join([*path[path.index(name) :], name])
            raise _At(("networks", name), "cycle", f"the lineage goes in a circle: {loop}")
        if name in order:
            return
        parent = self.networks[name].parent
        if parent is not None and parent in self.networks:
            self._visit(parent, (*path, name), order)
        order.append(name)

    def dataset_of(self, pair: Pair) -> str | None:
        """The dataset that a pair is compared on."""
        if pair.on:
            return pair.on.split("/")[0]
        fits = (self.every[name.removesuffix(".init")].fit for name in reversed(pair.pair))
        return next((fit for fit in fits if fit), None)

    def seed_of(self, network: str) -> int:
        """The seed of a network's training: its own, or else the study's."""
        entry = self.networks[network] if network in self.networks else self.every[network]
        return self.seed if entry.seed is None else entry.seed

    def path(self, path: Path) -> Path:
        """A path of the study file, made absolute."""
        return (self.base / path.expanduser()).resolve()

    def to_yaml(self) -> str:
        """The study with its defaults filled in."""
        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))


# --- reading -----------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML as version 1.2 has it: `on` and `no` are words, 1e-3 is a number.

    PyYAML still reads version 1.1, where a pair's key `on` would be the boolean true.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML declares it
        first: [
            (tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":float"))
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(true|false|True|False)$"), list("tfTF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$|^[-+]?\.inf$|^\.nan$"),
    list("-+.0123456789"),
)

Place = tuple[str | int, ...]
"""Where something stands in the file: ("networks", "tuned", "from")."""


class _At(StudyError):
    """An error that knows its place in the file; the reader adds the line."""

    def __init__(self, place: Place, slug: str, message: str) -> None:
        super().__init__(slug, message)
        self.place = place


def shipped() -> list[str]:
    """The names of the studies that ship with overpaint.

    >>> "demo" in shipped()
    True
    """
    folder = files("overpaint") / "studies"
    return sorted(Path(each.name).stem for each in folder.iterdir() if each.name.endswith(".yaml"))


def read_study(source: str, overrides: Iterable[str] = ()) -> Study:
    """A study from a YAML file or the name of one that ships.

    >>> read_study("demo").study
    'demo'
    >>> read_study("demo", ["seed=7"]).seed
    7

    `overrides` are `dotted.key=value`, the value read as YAML. Raises StudyError with the file and
    the line for all that is wrong in it.
    """
    path, text = _find(source)
    data, lines = parse(text, path.name)
    for override in overrides:
        _set(data, override)
    try:
        return Study.model_validate({**data, "base": path.parent})
    except ValidationError as error:
        raise _located(error, path.name, lines) from None
    except _At as error:
        raise StudyError(
            error.slug, f"{error} ({path.name}, {_line(error.place, lines)})"
        ) from None


def _find(source: str) -> tuple[Path, str]:
    path = Path(source)
    if source in shipped() and not path.is_file():
        resource = files("overpaint") / "studies" / f"{source}.yaml"
        return Path(str(resource)), resource.read_text(encoding="utf-8")
    try:
        return path, path.read_text(encoding="utf-8")
    except OSError as error:
        names = ", ".join(shipped())
        raise StudyError(
            "no-such-study", f"cannot read the study {source!r}: {error.strerror}; shipped: {names}"
        ) from None
    except UnicodeDecodeError:
        raise StudyError("not-yaml", f"{source} is not UTF-8 text") from None


def parse(text: str, name: str) -> tuple[dict[str, Any], dict[Place, int]]:
    r"""The mapping in a YAML text, and the line of each of its places.

    >>> parse("a:\n  b: 1", "x.yaml")
    ({'a': {'b': 1}}, {(): 1, ('a',): 1, ('a', 'b'): 2})
    """
    lines: dict[Place, int] = {}
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe loader
    except yaml.YAMLError as error:
        raise StudyError("not-yaml", f"{name} is not YAML: {error}") from None
    if not isinstance(data, dict):
        raise StudyError("not-yaml", f"{name} holds no study: it should begin with 'study: NAME'")
    _note_lines(node, (), 1, lines, name)
    return data, lines


def _note_lines(
    node: yaml.Node | None, place: Place, line: int, lines: dict[Place, int], name: str
) -> None:
    if place in lines:
        raise StudyError(
            "duplicate-key",
            f"{_dotted(place)} stands twice in {name}: lines {lines[place]} and {line}",
        )
    lines[place] = line
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _note_lines(value, (*place, str(key.value)), key.start_mark.line + 1, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _note_lines(value, (*place, number), value.start_mark.line + 1, lines, name)


def _set(data: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise StudyError("bad-override", f"--set {override!r}: give dotted.key=value")
    *above, last = key.split(".")
    for step in above:
        data = data.setdefault(step, {})
        if not isinstance(data, dict):
            raise StudyError("bad-override", f"--set {override!r}: {step!r} holds no keys")
    data[last] = yaml.load(value, Loader=_Loader)  # noqa: S506


def _located(error: ValidationError, name: str, lines: Mapping[Place, int]) -> StudyError:
    """The first finding of pydantic in our words, with its line."""
    # A misspelt key is both unknown and missing; that it is unknown tells more.
    finding = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    place = _without_tags(finding["loc"])
    where = f"({name}, {_line(place, lines)})"
    inner = finding.get("ctx", {}).get("error")
    if isinstance(inner, OverpaintError):
        return StudyError(inner.slug, f"{_dotted(place)}: {inner} {where}")
    if finding["type"] == "extra_forbidden":
        known = nearest(str(place[-1]), _fields_at(finding["loc"]))
        above = _dotted(place[:-1]) or "the study"
        return StudyError("unknown-key", f"unknown key {place[-1]!r} in {above}; {known} {where}")
    message = finding["msg"].removeprefix("Value error, ")
    got = "" if finding["type"] in ("missing", "value_error") else f", got {finding['input']!r}"
    return StudyError("bad-value", f"{_dotted(place)}: {message}{got} {where}")


def _without_tags(loc: Place) -> Place:
    """Pydantic puts the kind of a dataset into the path; the file has no such key."""
    return loc[:2] + loc[3:] if len(loc) > 2 and loc[0] == "datasets" else loc


def _fields_at(loc: Place) -> list[str]:
    """The keys that are known where an unknown one was found."""
    models: dict[str, type[BaseModel]] = {
        "networks": NetworkEntry,
        "compare": Pair,
        "render": RenderEntry,
    }
    model: type[BaseModel] = Study
    if loc[0] == "datasets" and len(loc) > 3:
        model = KINDS[str(loc[2])]
    elif len(loc) > 1:
        model = models.get(str(loc[0]), Study)
    keys = [field.alias or name for name, field in model.model_fields.items()]
    return [key for key in keys if key != "base"]


def _line(place: Place, lines: Mapping[Place, int]) -> str:
    while place and place not in lines:
        place = place[:-1]
    return f"line {lines.get(place, 1)}"


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))
