"""Labels as the cells of a table hold them: one, several in a cell, or columns of 0 and 1."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from overpaint.datasets.names import clean
from overpaint.datasets.sheet import Sheet, text_of
from overpaint.errors import DatasetError, nearest

LABELS = ("label", "labels", "class", "classes", "category")
"""What the column of labels is called where the study says nothing."""

SEPARATOR = "|"
"""What stands between several labels in a cell where the study says nothing."""

NOTHING = (
    "nan", "<na>", "null", "#n/a", "#ref!", "#value!", "#name?", "#div/0!", "#null!", "#num!",
)  # fmt: skip
"""What programs write where a label is missing, in lower case."""

MAYBE_NOTHING = ("na", "n/a", "n.a.", "none", "-", "--", "?", "unknown", "unlabeled", "unlabelled")
"""What people, and R, write where a label is missing, and what may be a class all the same."""

Labels = tuple[str, ...]


def check_known(labels: Iterable[str], classes: Collection[str] | None, where: str) -> None:
    """A DatasetError for a label that is not among the classes, when these are given."""
    if classes is None:
        return
    names = [clean(label) for label in classes]
    for label in labels:
        if label not in names:
            close = nearest(label, names)
            raise DatasetError("unknown-class", f"{where}: class {label!r}; {close}")


# --- columns of 0 and 1 ------------------------------------------------------------------------


def marked(row: Mapping[str, str], columns: Sequence[str], where: str) -> Labels:
    """The columns whose cell is 1; a DatasetError for a cell that is neither 0 nor 1.

    >>> marked({"sea": "1", "sky": "0.0", "sand": "TRUE"}, ["sea", "sky", "sand"], "here")
    ('sea', 'sand')
    """
    signs = {column: re.sub(r"[.,]0+$", "", row[column]).lower() for column in columns}
    for column, sign in signs.items():
        if sign not in ("0", "1", "-1", "true", "false"):
            raise DatasetError("bad-label", f"{where}: {column!r} is {row[column]!r}, not 0 or 1")
    return tuple(column for column, sign in signs.items() if sign in ("1", "true"))


# --- one column --------------------------------------------------------------------------------


def label_column(sheet: Sheet, name: str | None) -> str:
    """The column of labels; a DatasetError where it is not named and several may be it."""
    titles = [usual for usual in LABELS if sheet.column([usual]) is not None]
    if name is None and "label" not in titles and len(titles) > 1:
        raise DatasetError(
            "missing-column",
            f"{sheet.file} has no column 'label', but {' and '.join(titles)}: say in 'label' which "
            "it is",
        )
    return name or titles[0]


def labels_in(
    sheet: Sheet, column: str, separator: str | None, classes: Collection[str] | None = None
) -> tuple[list[Labels], bool]:
    """The labels of each row by one column, and whether its cells are lists.

    Numbers are the same with and without decimals, as 1 and 1.0. Raises DatasetError for cells that
    look like several labels where the study does not say so, and for a cell without a label where
    none has several.
    """
    cells = sheet.cells([column])
    for (line, _), cell in zip(sheet.rows, cells, strict=True):
        for part in cell if isinstance(cell, list) else [cell]:
            if isinstance(part, dict | list | tuple | bytes):
                raise DatasetError(
                    "bad-label",
                    f"{sheet.where(line)}: {column!r} holds {str(part)[:60]}, which is neither a "
                    "label nor a list of labels",
                )
    listed = any(isinstance(cell, list) or is_list(text_of(cell)) for cell in cells)
    if separator is None:
        texts = {text_of(cell) for cell in cells if not isinstance(cell, list)}
        texts -= set(classes or ())
        _check_separators(sheet, [text for text in texts if text and not is_list(text)])
    rows = [several_in(cell, separator or SEPARATOR) for cell in cells]
    # 1,000 may be a thousand.
    if all(re.fullmatch(r"-?\d+(\.0+|,00?)?", label) for row in rows for label in row):
        rows = [[re.sub(r"[.,]0+$", "", label) for label in row] for row in rows]
    check_no_vectors(rows, f"{sheet.file}, the column {column!r}")
    labels = [tuple(dict.fromkeys(row)) for row in rows]
    bare = [line for (line, _), row in zip(sheet.rows, labels, strict=True) if not row]
    if bare and not listed and all(len(row) < 2 for row in labels):
        raise DatasetError(
            "missing-label",
            f"{sheet.where(bare[0])}: the picture has no {column!r} ({len(bare)} in all): give "
            "each picture one, or leave its line out",
        )
    return labels, listed


def check_no_vectors(rows: Sequence[Sequence[str]], where: str) -> None:
    """A DatasetError for lists that hold a 0 or a 1 for each class, and not the labels.

    >>> check_no_vectors([["0", "1", "0"], ["1", "0", "1"]], "here")
    Traceback (most recent call last):
    overpaint.errors.DatasetError: here: all lists have 3 values, each 0 or 1: ...
    >>> check_no_vectors([["0", "1", "0"], ["1"]], "pictures of two and of one thing")
    """
    lengths = {len(row) for row in rows}
    values = {value for row in rows for value in row}
    repeated = any(len(set(row)) < len(row) for row in rows)
    if repeated and len(lengths) == 1 and values <= {"0", "1", "True", "False"}:
        raise DatasetError(
            "bad-label",
            f"{where}: all lists have {max(lengths)} values, each 0 or 1: where these tell which "
            "classes a picture shows, write the names or numbers of the classes in their place",
        )


def is_list(text: str) -> bool:
    """Whether a cell is the text of a list, as programs write one.

    >>> is_list("['sea', 'sky']"), is_list("[]"), is_list("sea")
    (True, True, False)
    """
    return bool(re.fullmatch(r"\[.*\]", text, re.DOTALL))


def several_in(cell: object, separator: str) -> list[str]:
    """The labels in a cell: of a list, of the text of a list, or between separators.

    >>> several_in("['sea', 'sky']", "|"), several_in("[sea, sky]", "|"), several_in("sea| ", "|")
    (['sea', 'sky'], ['sea', 'sky'], ['sea'])
    """
    if isinstance(cell, list):
        parts = list(map(text_of, cell))
    elif is_list(text := text_of(cell)):
        try:
            parts = list(map(text_of, json.loads(text)))
        except ValueError:  # as Python writes it, or NumPy
            quoted = re.findall(r"'([^']*)'|\"([^\"]*)\"", text)
            parts = [single or double for single, double in quoted] or text[1:-1].split(",")
    else:
        parts = text.split(separator)
    names = [clean(part) for part in parts]
    return [name for name in names if name and name.lower() not in NOTHING]


def doubtful(labels: Sequence[Labels], name: str, *, separated: bool) -> list[str]:
    r"""Sentences on labels that may be none, or several in one.

    >>> doubtful([("sea",), ("NA",)], "a.csv", separated=False)
    ["a.csv: 'NA' is read as a class; if it says that there is none, leave its rows out (1)"]
    >>> doubtful([("sea",), ("sky",), ("sea+sky",)], "a.csv", separated=False)
    ["a.csv: 'sea+sky' is read as one label; if it is several, say so in 'separator': '+'"]
    """
    counts = Counter(label for names in labels for label in names)
    notes = [
        f"{name}: {label!r} is read as a class; if it says that there is none, leave its rows out "
        f"({count})"
        for label, count in counts.items()
        if label.lower() in (*NOTHING, *MAYBE_NOTHING)
    ]
    for separator in () if separated else ("/", "+", "&", " "):
        parts = {label: {clean(part) for part in label.split(separator)} for label in counts}
        usual = Counter(part for names in parts.values() for part in names)
        divided = [label for label, names in parts.items()
                   if len(names) > 1 and all(usual[part] > 1 for part in names)]  # fmt: skip
        if divided:
            notes.append(
                f"{name}: {min(divided)!r} is read as one label; if it is several, say "
                f"so in 'separator': {separator!r}"
            )
    return notes


def _check_separators(sheet: Sheet, texts: Sequence[str]) -> None:
    """A DatasetError where all cells are divided, or some into what other cells name as well."""
    if any(SEPARATOR in text for text in texts):
        return
    for separator in (";", ","):
        parts = {text: {clean(part) for part in text.split(separator)} for text in texts}
        counts = Counter(part for names in parts.values() for part in names)
        divided = [text for text, names in parts.items() if separator in text]
        again = [text for text in divided if any(counts[part] > 1 for part in parts[text])]
        if again or (divided and len(divided) == len(texts)):
            raise DatasetError(
                "several-labels",
                f"{sheet.file}: {min(again or divided)!r} looks like several labels: say "
                f"'separator: \"{separator}\"' if it is, or 'separator: \"{SEPARATOR}\"' if it is "
                "one",
            )
