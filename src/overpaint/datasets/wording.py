"""What pydantic finds wrong with a study, a recipe or a dataset, in our words.

>>> from overpaint.datasets.entry import Entry
>>> class Size(Entry):
...     width: int
>>> try:
...     Size.model_validate({"width": "wide"})
... except ValidationError as error:
...     print(first_fault(error, {"width": "wide"}))
Fault(place=('width',), kind='int_parsing', words="is to be a whole number, got 'wide'", inner=None)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from overpaint.errors import OverpaintError

Place = tuple[str | int, ...]

WORDS = {
    "missing": "is missing",
    "finite_number": "is to be a finite number",
    "int_parsing_size": "is a number of too many digits",
    "none_required": "is to be left out",
    "invalid_key": "has a key that is no text",
    "greater_than": "is to be more than {gt}",
    "greater_than_equal": "is to be at least {ge}",
    "less_than": "is to be less than {lt}",
    "less_than_equal": "is to be at most {le}",
    "too_short": "is to have at least {min_length} entries",
    "too_long": "is to have at most {max_length} entries",
    "string_too_short": "is to have at least {min_length} letters",
    "string_too_long": "is to have at most {max_length} letters",
    "literal_error": "is to be {expected}",
    "union_tag_not_found": "needs a 'kind'",
} | dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "is to be a whole number") | (
    dict.fromkeys(("float_type", "float_parsing"), "is to be a number")
    | dict.fromkeys(("bool_type", "bool_parsing"), "is to be true or false")
    | dict.fromkeys(("string_type", "string_unicode"), "is to be a text")
    | dict.fromkeys(("path_type",), "is to be a path")
    | dict.fromkeys(("list_type", "tuple_type", "iterable_type"), "is to be a list")
    | dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"),
        "is to be a mapping of keys to values",
    )
)  # fmt: skip
"""By pydantic's kinds of error; the numbers are those that it hands with it."""

PATTERNS = {
    "A-Za-z0-9_": 'is to be a name of letters, digits, "_" and "-"',
    "train|val|test": "is to be DATASET/SPLIT, the split train, val or test",
    r":\d": "is to be LAYER:NUMBER, as mixed4d:164",
}
"""By what the pattern of a text has in it."""

SILENT = ("missing", "value_error", "extra_forbidden", "union_tag_not_found")
"""Kinds of error to which the value says nothing."""


@dataclass(frozen=True)
class Fault:
    """What is wrong, and where in the data that were given."""

    place: Place
    kind: str  # pydantic's word for it
    words: str  # to follow the name of the place; a sentence of ours where a check of ours found it
    inner: OverpaintError | None = None  # which a check of ours raised


def first_fault(error: ValidationError, data: Any) -> Fault:
    """The finding that tells most.

    A misspelt key is both unknown and missing; that it is unknown tells more. Of several kinds of
    value that would do, all are named.
    """
    findings = error.errors(include_url=False)
    unknown = [finding for finding in findings if finding["type"] == "extra_forbidden"]
    deepest = max(findings, key=lambda finding: len(place_of(finding, data)))
    finding = (unknown or [deepest if _is_union(findings, data) else findings[0]])[0]
    place, cause = place_of(finding, data), finding.get("ctx", {}).get("error")
    inner = cause if isinstance(cause, OverpaintError) else None
    alike = [other for other in findings if place_of(other, data) == place]
    words = " or ".join(dict.fromkeys(_in_words(other) for other in alike))
    if unknown or inner or finding["type"] in SILENT:
        words = _in_words(finding)
    if finding["type"] not in SILENT:
        words += f", got {short(finding['input'])}"
    return Fault(place, finding["type"], words, inner)


def place_of(finding: ErrorDetails, data: Any) -> Place:
    """Where a finding stands in the data: pydantic puts the kinds that it has tried in between."""
    place: list[str | int] = []
    names_key = finding["type"] in ("missing", "extra_forbidden")
    for number, step in enumerate(finding["loc"]):
        fields = data.get("with") if isinstance(data, Mapping) else None
        if isinstance(fields, Mapping) and step in fields and step not in data:
            data = fields  # a recipe is checked with its network
            place.append("with")
        if isinstance(data, Mapping) and step in data:
            data = data[step]
        elif isinstance(data, Sequence) and isinstance(step, int) and not isinstance(data, str):
            data = data[step] if step < len(data) else None
        elif not (names_key and number == len(finding["loc"]) - 1):
            continue
        place.append(step)
    return tuple(place)


def _is_union(findings: list[ErrorDetails], data: Any) -> bool:
    """Whether the findings are of one value, that is none of the kinds that it may be."""
    first = place_of(findings[0], data)
    return len(findings) > 1 and all(
        place_of(finding, data)[: len(first)] == first for finding in findings
    )


def _in_words(finding: ErrorDetails) -> str:
    kind, context = finding["type"], finding.get("ctx", {})
    if kind == "string_pattern_mismatch":
        pattern = str(context.get("pattern"))
        known = (words for part, words in PATTERNS.items() if part in pattern)
        return next(known, "is not spelt as it is to be")
    if kind in WORDS:
        words = WORDS[kind].format(**context)
        return words.replace("at least 1 entries", "at least one entry").replace(
            "at least 1 letters", "at least one letter"
        )
    return finding["msg"].removeprefix("Value error, ")


def short(value: object) -> str:
    """A value as Python writes it, not too long to be read.

    >>> short("x" * 1000)[-20:]
    'xxxxx… (1,002 signs)'
    """
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}… ({len(text):,} signs)"
