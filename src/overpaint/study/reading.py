"""A study read from its YAML file: what is wrong is told with its line.

>>> read_study("demo").study
'demo'
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from yaml.constructor import ConstructorError
from yaml.error import MarkedYAMLError

from overpaint.datasets.kinds import KINDS
from overpaint.datasets.wording import first_fault, short
from overpaint.errors import StudyError, nearest
from overpaint.files import check_place, read_regular
from overpaint.study.idle import idle_keys
from overpaint.study.model import (
    FeaturesEntry,
    GazeEntry,
    Misplaced,
    Mixed,
    NetworkEntry,
    Pair,
    Place,
    RenderEntry,
    Study,
)
from overpaint.study.places import places
from overpaint.study.recipe import Lora, Recipe, Stage

MOST_BYTES = 1_000_000
"""Of a study: a line for each of ten thousand networks."""

DEEPEST = 50
"""Levels of lists and mappings in one another."""

MOST_NODES = 100_000
"""Values of a study, those that aliases repeat counted each time."""

TOO_MUCH = (
    f"its aliases included, it holds more than {MOST_NODES:,} values or nests deeper than {DEEPEST}"
)

DIGITS = 30
"""Of a whole number."""


class _Loader(yaml.SafeLoader):
    """YAML as version 1.2 has it: `on` and `no` are words, 1e-3 is a number.

    PyYAML still reads version 1.1, where a pair's key `on` would be the boolean true. And a study
    is small: what nests too deep, contains itself, or becomes too much by its aliases is refused
    before it is built.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A part of the document, its own size and depth noted."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.depth == 0:
            self.sizes: dict[int, tuple[int, int]] = {}  # nodes and levels, by the node's id
        self.depth += 1
        if self.depth > DEEPEST or len(self.sizes) > MOST_NODES:
            raise MarkedYAMLError(problem=TOO_MUCH, problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node is None:
            return None
        if id(node) not in self.sizes and node.start_mark.index < mark.index:
            raise MarkedYAMLError(problem="an alias stands in what it means", problem_mark=mark)
        if id(node) not in self.sizes:
            parts = node.value if isinstance(node, yaml.SequenceNode) else []
            if isinstance(node, yaml.MappingNode):
                parts = [part for pair in node.value for part in pair]
            below = [self.sizes[id(part)] for part in parts]
            nodes = 1 + sum(nodes for nodes, _ in below)
            self.sizes[id(node)] = nodes, 1 + max((levels for _, levels in below), default=0)
        nodes, levels = self.sizes[id(node)]
        if nodes > MOST_NODES or self.depth + levels > DEEPEST:
            raise MarkedYAMLError(problem=TOO_MUCH, problem_mark=mark)
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number, of as many digits as any field of a study can take."""
        if len(str(node.value)) > DIGITS:
            raise ConstructorError(
                problem=f"a number of {len(node.value):,} digits", problem_mark=node.start_mark
            )
        return int(super().construct_yaml_int(node))

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML declares it
        first: [
            (tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":float"))
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(true|false|True|False)$"), list("tfTF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$|^[-+]?\.inf$|^\.nan$"),
    list("-+.0123456789"),
)


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
    where = _Where(path.name, lines, {_set(data, override): override for override in overrides})
    if "base" in data:  # a field of the model, and none of the file
        raise StudyError("unknown-key", f"unknown key 'base' in the study {where(('base',))}")
    study = _validated(data, path.parent, where)
    for place, why in idle_keys(study):
        raise StudyError(
            "idle-key", f"{_dotted(place)} does nothing: {why}; leave it out {where(place)}"
        )
    return study


def study_in(path: Path) -> Study:
    """The study of a study folder, from the file that a run wrote there.

    Raises OSError for what is no file, or cannot be read, and StudyError as `read_study`.
    """
    data, lines = parse(read_regular(path, MOST_BYTES).decode(errors="replace"), path.name)
    return _validated(data, Path(), _Where(path.name, lines, {}))


def _validated(data: Mapping[str, Any], base: Path, where: "_Where") -> Study:
    """The study that the data tell; a StudyError names the place of what is wrong."""
    try:
        study = Study.model_validate({**data, "base": base})
    except ValidationError as error:
        raise _located(error, data, where) from None
    except Misplaced as error:
        raise StudyError(error.slug, f"{error} {where(error.place)}") from None
    places(study)  # which must be different
    return study


def _find(source: str) -> tuple[Path, str]:
    path = Path(source)
    try:
        check_place(path)
    except ValueError as error:
        raise StudyError("no-such-study", f"cannot read the study: {error}") from None
    if source in shipped() and not path.is_file():
        resource = files("overpaint") / "studies" / f"{source}.yaml"
        # its pictures are looked for where the command is given, not among the program's files
        return Path(f"{source}.yaml"), resource.read_text(encoding="utf-8")
    try:
        return path, read_regular(path, MOST_BYTES).decode()
    except OSError as error:
        beside = (
            [each.name for each in Path().iterdir() if each.is_dir()] if not path.exists() else []
        )
        raise StudyError(
            "no-such-study",
            f"there is no study, and no folder of pictures, {source!r} ({error.strerror}); "
            f"{nearest(source, [*shipped(), *sorted(beside)])}",
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
        data, node = _values(text)
    except (yaml.YAMLError, ValueError) as error:
        raise StudyError("not-yaml", f"{name} is not YAML: {error}") from None
    if not isinstance(data, dict):
        raise StudyError("not-yaml", f"{name} holds no study: it should begin with 'study: NAME'")
    _note_lines(node, (), 1, lines, name)
    return data, lines


def _values(text: str) -> tuple[Any, yaml.Node | None]:
    """What a YAML text says, and how it is written. A YAMLError, or for a date that is none a
    ValueError, says what is wrong.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return (None if node is None else loader.construct_document(node)), node
    finally:
        loader.dispose()


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


def _set(data: dict[str, Any], override: str) -> Place:
    """Take "dotted.key=value" into the data; returns the place of the key."""
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise StudyError("bad-override", f"--set {override!r}: give dotted.key=value")
    *above, last = key.split(".")
    for step in above:
        data = data.setdefault(step, {})
        if not isinstance(data, dict):
            raise StudyError("bad-override", f"--set {override!r}: {step!r} holds no keys")
    try:
        data[last], _ = _values(value)
    except (yaml.YAMLError, ValueError) as error:
        raise StudyError("bad-override", f"--set {override!r}: {error}") from None
    return (*above, last)


def _located(error: ValidationError, data: Mapping[str, Any], where: "_Where") -> StudyError:
    """The finding that tells most, in our words, with its line."""
    fault = first_fault(error, data)
    place, there = fault.place, where(fault.place)
    if fault.inner:
        return StudyError(fault.inner.slug, f"{_dotted(place)}: {fault.inner} {there}")
    unknown = ""
    if where.begun_by_override(place):
        others = [name for name in _at(data, place[:1]) if name != place[1]]
        unknown = f"; there is no {place[1]!r} in the file, {nearest(str(place[1]), others)}"
    if fault.kind == "extra_forbidden":
        known = nearest(str(place[-1]), _fields_at(place[:-1], data))
        above = _dotted(place[:-1]) or "the study"
        return StudyError("unknown-key", f"unknown key {place[-1]!r} in {above}; {known} {there}")
    if fault.kind == "union_tag_invalid":
        kind = short(_at(data, (*place, "kind")))
        return StudyError(
            "bad-value",
            f"{_dotted(place)}: there is no kind {kind}; {nearest(kind.strip(chr(39)), KINDS)} "
            f"{there}",
        )
    if fault.kind == "union_tag_not_found":
        kinds = ", ".join(KINDS)
        words = f"needs a 'kind'; known: {kinds}{unknown}"
        return StudyError("bad-value", f"{_dotted(place)} {words} {there}")
    colon = ":" if fault.kind == "value_error" else ""
    words = f"{fault.words}{unknown}"
    return StudyError("bad-value", f"{_dotted(place) or 'the study'}{colon} {words} {there}")


@dataclass(frozen=True)
class _Where:
    """Where a place of a study was written: a line of its file, or `--set`."""

    name: str
    lines: Mapping[Place, int]
    overrides: Mapping[Place, str]

    def __call__(self, place: Place) -> str:
        for override, text in reversed(list(self.overrides.items())):
            if place[: len(override)] == override or override[: len(place)] == place != ():
                return f"(--set {text})"
        while place and place not in self.lines:
            place = place[:-1]
        return f"({self.name}, line {self.lines.get(place, 1)})"

    def begun_by_override(self, place: Place) -> bool:
        """Whether a network, or another entry of a name, stands in `--set` alone."""
        begun = any(override[:2] == place for override in self.overrides)
        return len(place) == 2 and begun and place not in self.lines


def _at(data: Any, place: Place) -> Any:
    for step in place:
        data = data[step]
    return data


def _fields_at(place: Place, data: Mapping[str, Any]) -> list[str]:
    """The keys that are known where an unknown one was found."""
    models: dict[str, type[BaseModel]] = {
        "networks": NetworkEntry,
        "compare": Pair,
        "features": FeaturesEntry,
        "render": RenderEntry,
        "gaze": GazeEntry,
    }
    model: type[BaseModel] = Study
    if "with" in place:
        model = Stage if "stages" in place else Lora if "lora" in place else Recipe
    elif place[-1:] == ("mixed",):
        model = Mixed
    elif len(place) > 1 and place[0] == "datasets":
        model = KINDS[str(_at(data, (*place[:2], "kind")))]
    elif place:
        model = models.get(str(place[0]), Study)
    keys = [field.alias or name for name, field in model.model_fields.items()]
    return [key for key in keys if key != "base"]


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))
