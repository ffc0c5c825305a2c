"""A sheet: rows and columns of a CSV, Excel, Parquet or JSON-lines file, however it was saved.

Encoding, separator and the line of the header are found out; what is not the usual is noted.
"""

import codecs
import csv
import gzip
import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

from overpaint.datasets.names import clean
from overpaint.errors import DatasetError, nearest
from overpaint.files import open_regular, read_regular
from overpaint.machine import hand_on

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

HEADER_WITHIN = 20
"""The header is looked for in so many rows that are not blank."""

FILE_BYTES = 2**29
"""Of a table: the largest export of a museum has 2^28."""

UNPACKED_BYTES, RATIO = 2**27, 20
"""What a compressed text may unpack to, or so many times its own size."""

COLUMNS, ROWS, CELLS = 2**14, 2**22, 2**25
"""Of a table: as many columns as Excel has, some million pictures."""

FIELD = 2**24
"""The letters of a field, and of a line."""

TITLE = 1000
"""The letters of a column's title; the rest of it is not looked at."""

TOO_MANY = f"more than {COLUMNS:,} columns, {ROWS:,} rows or {CELLS:,} cells"

XML_BYTES = 2**28
STRINGS_BYTES = 2**26
"""What an Excel file may unpack to, and of it the table of its texts, which is read whole."""

Needed = Sequence[Sequence[str]]
"""The columns that a sheet must have, each by the names that it may go by."""

Row = tuple[int, list[Any]]
"""A row: its line in the file, counted from 1, and its cells."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """One way to see a file as rows, the header still among them."""

    rows: Callable[[], Iterable[Row]]
    notes: tuple[str, ...] = ()
    name: str = ""  # of the sheet in a workbook
    pictures: str = ""  # the column that holds pictures themselves, as sets of the hub have it


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The rows of a file below its header."""

    file: Path
    header: list[str]
    rows: list[Row]
    notes: tuple[str, ...] = ()

    def column(self, names: Sequence[str]) -> int | None:
        """The place of a column, by the first of its names that is there; None for none.

        Raises DatasetError when two columns have that name.
        """
        places = _places(self.header, names)
        if len(places) > 1:
            title = self.header[places[0]]
            raise DatasetError(
                "duplicate-column",
                f"{self.file} has {len(places)} columns that are called {title!r}",
            )
        return places[0] if places else None

    def cells(self, names: Sequence[str]) -> list[Any]:
        """The cells of a column for which the sheet was read, row by row."""
        place = self.column(names)
        assert place is not None
        return [cells[place] for _, cells in self.rows]

    def texts(self, names: Sequence[str]) -> list[str]:
        """What a column says, row by row, by the first of its names that is there, and of two that
        are called so the first; "" in each row where there is none.
        """
        places = _places(self.header, names)
        return [text_of(cells[places[0]]) if places else "" for _, cells in self.rows]

    def where(self, line: int) -> str:
        """A place in the file, for messages."""
        return f"{self.file}, line {line}"


def _places(header: Sequence[str], names: Sequence[str]) -> list[int]:
    """Where the first of the names stands that is there; capitals and blanks do not matter much."""
    for name in names:
        for alike in (clean, plain):
            places = [n for n, title in enumerate(header) if title and alike(title) == alike(name)]
            if places:
                return places
    return []


def plain(title: str) -> str:
    """A title without capitals, blanks and underscores.

    >>> plain(" Image Path")
    'imagepath'
    """
    return re.sub(r"[\s_-]+", "", clean(title).casefold())


def text_of(cell: object) -> str:
    """What a cell says, without blanks around it; nothing when it is empty.

    >>> text_of(" Rococo "), text_of(3.0), text_of(None), text_of(float("nan"))
    ('Rococo', '3', '', '')
    """
    if cell is None or cell != cell:  # noqa: PLR0124 - NaN
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime) and cell.time() == time.min:  # what Excel makes of a day
        return cell.date().isoformat()
    return str(cell).strip()


def read_sheet(file: Path, needed: Needed) -> Sheet:
    """The rows of a file, found by the columns that it needs to have.

    Raises DatasetError for a file that cannot be read, that lacks a column or has one twice, and
    for a row with more fields than the header.
    """
    try:
        heads = [head_of(grid, needed) for grid in grids_of(file)]
        head = max(heads, key=lambda head: (len(head.present), head.width))
        too_many = [other.error for other in heads if other.error and TOO_MANY in str(other.error)]
        if too_many and not head.present:
            raise too_many[0]  # noqa: TRY301
        if head.error:
            raise head.error  # noqa: TRY301 - told as all that is wrong with the file
        rows = list(head.grid.rows())
    except DatasetError:
        raise
    except FileNotFoundError:
        raise DatasetError("missing-table", f"there is no table {file}") from None
    except Exception as error:  # the libraries' own errors are of many classes
        hand_on(error, file)
        raise DatasetError("broken-table", f"cannot read the table {file}: {error}") from None
    whole = [head.grid.name for head in heads if len(head.present) == len(needed)]
    if head.grid.name and len(whole) > 1:
        raise DatasetError(
            "several-sheets",
            f"{file}: the sheets {' and '.join(whole)} have the columns: keep one of them",
        )
    for number, names in enumerate(needed):
        if number not in head.present:
            usual = f" (or {', '.join(names[1:])})" if names[1:] else ""
            close = nearest(names[0], filter(None, head.header))
            if head.grid.pictures:
                close = (
                    f"but pictures in {head.grid.pictures!r}: say 'kind: hub' and 'root', the "
                    "folder of such files"
                )
            raise DatasetError(
                "missing-column", f"{file} has no column {names[0]!r}{usual}; {close}"
            )
    return _below(file, head, rows)


@dataclass(frozen=True, kw_only=True)
class Head:
    """The row of a grid that looks most like its header."""

    grid: Grid
    line: int
    header: list[str]
    present: set[int]  # which of the needed columns it has
    above: int  # rows above it that are not blank
    error: csv.Error | None = None  # why there is none

    @property
    def width(self) -> int:
        """Its columns that have a title."""
        return sum(map(bool, self.header))


def head_of(grid: Grid, needed: Needed) -> Head:
    """The first row of a grid with all that is needed, or else with most of it."""
    heads = []
    error = None
    rows = (row for row in grid.rows() if any(text_of(cell) for cell in row[1]))
    try:
        for above, (line, cells) in enumerate(islice(rows, HEADER_WITHIN)):
            header = [clean(text_of(cell).removeprefix("\ufeff")[:TITLE]) for cell in cells]
            present = {number for number, names in enumerate(needed) if _places(header, names)}
            heads.append(Head(grid=grid, line=line, header=header, present=present, above=above))
    except csv.Error as wrong:  # quotes stand where this separator does not
        error = wrong
    if not heads:
        return Head(grid=grid, line=0, header=[], present=set(), above=0, error=error)
    return max(heads, key=lambda head: len(head.present))


def _below(file: Path, head: Head, grid: Iterable[Row]) -> Sheet:
    """The rows below a header, blank ones left out."""
    notes = list(head.grid.notes)
    if head.above:
        notes.append(
            f"{file.name}: the header stands in line {head.line}; what is above is left out"
        )
    rows, repeated = [], 0
    for line, cells in grid:
        texts = [text_of(cell) for cell in cells]
        if line <= head.line or not any(texts):
            continue
        if any(texts[len(head.header) :]):
            raise DatasetError(
                "broken-table",
                f"{file}, line {line}: {len(cells)} fields, and the header has "
                f"{len(head.header)}: is one of them to stand in quotes?",
            )
        if [clean(text[:TITLE]) for text in texts] == head.header:
            repeated += 1
            continue
        rows.append((line, cells + [""] * (len(head.header) - len(cells))))
    if repeated:
        notes.append(f"{file.name}: the header stands {repeated} times more, which is left out")
    return Sheet(file=file, header=head.header, rows=rows, notes=tuple(notes))


# --- kinds of files ----------------------------------------------------------------------------


def grids_of(file: Path) -> list[Grid]:
    """The ways to see a file as rows, by what its first bytes say that it is."""
    with open_regular(file, FILE_BYTES) as opened:
        magic = opened.read(4) or b""
    if magic == b"PAR1":
        import pyarrow as pa
        import pyarrow.parquet as pq

        structs = [field.name for field in pq.read_schema(file) if pa.types.is_struct(field.type)
                   and field.type.get_field_index("bytes") >= 0]  # fmt: skip
        return [Grid(rows=lambda: parquet_rows(file), pictures=next(iter(structs), ""))]
    if magic == b"PK\x03\x04":
        if file.suffix.lower() not in (".xlsx", ".xlsm", ".xltx", ".xltm"):
            raise ValueError("neither Excel nor text but an archive: save it as .xlsx or .csv")
        return workbook(file)
    if magic == b"\xd0\xcf\x11\xe0":
        raise ValueError("an Excel file of before 2007: save it as .xlsx or .csv")
    data = read_regular(file, FILE_BYTES)
    if magic[:2] == b"\x1f\x8b":
        most = max(UNPACKED_BYTES, RATIO * len(data))
        with gzip.open(io.BytesIO(data)) as packed:
            data = packed.read(most + 1)
        if len(data) > most:
            raise ValueError(f"it unpacks to more than {most:,} bytes")
    text, notes = decoded(data, file.name)
    del data
    if text.count("\n") > ROWS:
        raise ValueError(TOO_MANY)
    if file.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return [Grid(rows=lambda: json_rows(text), notes=notes)]
    return [
        Grid(
            rows=lambda separator=separator: text_rows(text, separator),  # type: ignore[misc]
            notes=notes if separator == "," else (*notes, divided_by(separator, file.name)),
        )
        for separator in separators(text)
    ]


def separators(text: str) -> str:
    r"""What may separate the fields: what a first line `sep=;` says, or else the usual.

    >>> separators("sep=;\na;b"), separators("a,b")
    (';', ',;\t|')
    """
    match = re.match(r"sep=(.)\r?\n", text)
    return match.group(1) if match else "".join(SEPARATORS)


def divided_by(separator: str, name: str) -> str:
    """A sentence on a separator that is no comma.

    >>> divided_by(";", "a.csv")
    'a.csv: the fields are separated by semicolons'
    """
    return f"{name}: the fields are separated by {SEPARATORS.get(separator, repr(separator))}"


def decoded(data: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """Text of whatever encoding, and a sentence on it if it is not UTF-8.

    >>> decoded("é".encode("latin-1"), "a.csv")
    ('é', ('a.csv is read as Latin-1 (Windows-1252), as it is not UTF-8',))
    """
    marks = {
        codecs.BOM_UTF8: "utf-8-sig",
        codecs.BOM_UTF32_LE: "utf-32",
        codecs.BOM_UTF32_BE: "utf-32",
        codecs.BOM_UTF16_LE: "utf-16",
        codecs.BOM_UTF16_BE: "utf-16",
    }
    encoding = next((marks[mark] for mark in marks if data.startswith(mark)), "")
    if not encoding and 0 in data[:400]:  # no text of one byte a letter has zeros
        encoding = "utf-16-le" if data[1:400:2].count(0) > data[:400:2].count(0) else "utf-16-be"
    if encoding:
        said = () if encoding == "utf-8-sig" else (f"{name} is read as {encoding[:6].upper()}",)
        return _lines(data.decode(encoding)), said
    try:
        return _lines(data.decode("utf-8")), ()
    except UnicodeDecodeError:
        said = (f"{name} is read as Latin-1 (Windows-1252), as it is not UTF-8",)
        try:
            return _lines(data.decode("cp1252")), said
        except UnicodeDecodeError:
            return _lines(data.decode("latin-1")), said


def _lines(text: str) -> str:
    """Text whose lines end as csv reads them, also from an old Mac."""
    return text.replace("\r", "\n") if "\n" not in text else text


def text_rows(text: str, separator: str) -> Iterator[Row]:
    """The rows of separated text; a csv.Error tells the line of what is wrong."""
    csv.field_size_limit(FIELD)  # masks and captions are long; as a rule it is 131,072
    lines = _lines_of(text)
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
    line, cells_in_all = 1, 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise csv.Error(f"line {line}: {error}") from None
        cells_in_all += len(cells)
        if len(cells) > COLUMNS or cells_in_all > CELLS or line > ROWS:
            raise csv.Error(f"line {line}: {TOO_MANY}")
        if not (line == 1 and len(cells) < 3 and re.fullmatch("sep=.?", separator.join(cells))):
            yield line, list(cells)
        line = reader.line_num + 1


def _lines_of(text: str) -> Iterator[str]:
    """The lines of a text with their ends, as csv wants them."""
    for match in re.finditer(r"[^\r\n]+(?:\r\n?|\n|\Z)|\r\n?|\n", text):
        if match.end() - match.start() > FIELD:
            raise csv.Error(f"it is longer than {FIELD:,} letters")
        yield match[0]


def workbook(file: Path) -> list[Grid]:
    """The sheets of an Excel file."""
    from openpyxl import load_workbook  # type: ignore[import-untyped]

    with zipfile.ZipFile(file) as archive:  # which unpacks no member to more than it says here
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    beside = sum(size for name, size in sizes.items() if not name.startswith("xl/worksheets/"))
    if sum(sizes.values()) > XML_BYTES or beside > STRINGS_BYTES:
        raise ValueError(f"it unpacks to {sum(sizes.values()):,} bytes, of texts {beside:,}")
    book = load_workbook(file, read_only=True, data_only=True)
    several = len(book.worksheets) > 1

    def rows(sheet: Any) -> Iterator[Row]:
        sheet.reset_dimensions()  # some programs write a wrong one
        cells_in_all = 0
        for line, cells in enumerate(sheet.iter_rows(values_only=True), 1):
            cells_in_all += len(cells)  # a cell far to the right fills its row up to there
            if cells_in_all > CELLS // 4:
                raise ValueError(f"line {line}: {TOO_MANY}")
            yield line, list(cells)

    return [
        Grid(
            rows=lambda sheet=sheet: rows(sheet),  # type: ignore[misc]
            name=sheet.title,
            notes=(f"{file.name}: the sheet {sheet.title!r} is read",) if several else (),
        )
        for sheet in book.worksheets
    ]


VALUES = """
import json, sys
import pyarrow.parquet as pq
kept, columns = pq.read_metadata(sys.argv[1]), json.loads(sys.argv[2])
print(sum(
    kept.row_group(group).column(column).num_values
    for group in range(kept.num_row_groups)
    for column in range(kept.num_columns)
    if kept.schema.column(column).path.partition(".")[0] in columns
))
"""


def _values_in(file: Path, columns: list[str]) -> int:
    """The values in columns of a Parquet file, those of lists all counted.

    Another process asks: of some broken files pyarrow, asked for this, ends the one that asks.
    """
    command = [sys.executable, "-P", "-c", VALUES, str(file), json.dumps(columns)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if answer.returncode:
        raise ValueError("what it says of its columns contradicts itself")
    return int(answer.stdout)


def parquet_rows(file: Path) -> Iterator[Row]:
    """The rows of a Parquet file, its header first, without columns of bytes and of structs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        schema, kept = opened.schema_arrow, opened.metadata
        columns = [field.name for field in schema
                   if not (pa.types.is_struct(field.type) or pa.types.is_binary(field.type)
                           or pa.types.is_large_binary(field.type))]  # fmt: skip
        nested = any(
            kept.schema.column(column).max_repetition_level
            and kept.schema.column(column).path.partition(".")[0] in columns
            for column in range(kept.num_columns)
        )
        values = _values_in(file, columns) if nested else 0  # else each column has a row's one
        cells = max(values, kept.num_rows * len(columns))
        if kept.num_columns > COLUMNS or kept.num_rows > ROWS or cells > CELLS:
            raise ValueError(TOO_MANY)
    yield 1, list(columns)
    # A text that stands in each of a million rows is kept once.
    words = [field.name for field in schema
             if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]  # fmt: skip
    table = pq.read_table(file, columns=columns, read_dictionary=words)
    yield from (
        (line, list(cells))
        for line, cells in enumerate(
            zip(*(_python_values(column) for column in table.columns), strict=True), start=2
        )
    )


def _python_values(column: Any) -> list[Any]:
    """The values of a column of Arrow's; equal texts of a dictionary are one object."""
    import pyarrow as pa

    values: list[Any] = []
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            words = chunk.dictionary.to_pylist()
            if len(chunk) * max((len(word or "") for word in words), default=0) > 8 * FILE_BYTES:
                raise ValueError("texts of a length that is repeated too often")
            values += [
                None if place is None else words[place] for place in chunk.indices.to_pylist()
            ]
        else:
            values += chunk.to_pylist()
    return values


def json_rows(text: str) -> Iterator[Row]:
    """The rows of JSON lines, one object a line, below a header of all keys; or those of a list."""
    if text.count("{") + text.count("[") > ROWS or text.count(",") > CELLS:
        raise ValueError(TOO_MANY)
    lines = text.splitlines()
    try:
        whole = json.loads(text)
    except ValueError:  # one object a line
        whole = None
    if isinstance(whole, list):
        lines = [json.dumps(row) for row in whole]
    elif isinstance(whole, dict) and (
        len(lines) > 1
        or any(isinstance(part, list) and dict in map(type, part) for part in whole.values())
    ):
        raise ValueError(
            "one JSON object and no list of them, one a picture; of COCO and its like, write a "
            "table of paths and labels"
        )
    objects = []
    for line, written in enumerate(lines, start=1):
        if written.strip():
            try:
                row = dict(json.loads(written))
                json.dumps(row, ensure_ascii=False).encode()  # half a letter is no text
                objects.append((line, row))
            except (ValueError, TypeError) as error:
                raise ValueError(f"line {line}: {error}") from None
    keys = list(dict.fromkeys(key for _, row in objects for key in row))
    if len(keys) > COLUMNS or len(keys) * len(objects) > CELLS:
        raise ValueError(TOO_MANY)
    yield 0, list(keys)
    yield from ((line, [row.get(key) for key in keys]) for line, row in objects)
