"""A study read from its YAML file: what is wrong is told with its line.

>>> read_study("demo").study
'demo'
"""

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from overpaint.datasets.kinds import KINDS
from overpaint.errors import OverpaintError, StudyError, nearest
from overpaint.study.model import (
    FeaturesEntry,
    Misplaced,
    NetworkEntry,
    Pair,
    Place,
    RenderEntry,
    Study,
)


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
    except Misplaced as error:
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
    if finding["type"] == "union_tag_invalid":
        kind = str(finding["input"]["kind"])
        return StudyError(
            "bad-value",
            f"{_dotted(place)}: there is no kind {kind!r}; {nearest(kind, KINDS)} {where}",
        )
    if finding["type"] == "union_tag_not_found":
        kinds = ", ".join(KINDS)
        return StudyError("bad-value", f"{_dotted(place)} needs a 'kind'; known: {kinds} {where}")
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
        "features": FeaturesEntry,
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
