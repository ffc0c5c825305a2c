"""Museum exports: the pictures that a table of addresses or a IIIF manifest names, fetched.

Each picture becomes a file, and each line of `pictures.csv` says of one what the museum says: its
label, artist, rights and the page that it comes from. What cannot be had stands in `lost.csv`.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from overpaint.cache import first_line
from overpaint.datasets.exported import suffix
from overpaint.datasets.iiif import ARTISTS, Lost, Work, described, service_of, works
from overpaint.datasets.sheet import FILE_BYTES, Sheet, plain, read_sheet, text_of
from overpaint.datasets.table import RIGHTS, SOURCES
from overpaint.datasets.web import Web
from overpaint.errors import DatasetError, RecordError, command
from overpaint.files import json_from, read_regular
from overpaint.machine import hand_on
from overpaint.pixels.images import ENDINGS, decode
from overpaint.progress import Progressing
from overpaint.records import read_json, whole_file, write_json
from overpaint.records.belongings import refuse_link, remove_empty
from overpaint.records.drafts import sweep

LABELS = ("label", "class", "category", "classification", "genre", "style", "type", "object type")
"""What museums call the column of labels, in lower case; the first that is there is taken."""

ADDRESSES = ("image url", "image", "images", "picture", "photo", "iiif", "manifest", "url",
             "iiif manifest", "address", "link")  # fmt: skip
"""What the column of the pictures' addresses may be called, so that a header is found."""

COLUMNS = ("path", "label", "artist", "rights", "source", "address")
"""The first columns of `pictures.csv`; all that the museum says follows."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What came of it."""

    table: Path
    pictures: int
    lost: int
    labels: int  # different ones
    artists: int

    def study_line(self) -> str:
        """What a study says to use the pictures."""
        folder = self.table.parent
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", folder.resolve().name).lstrip("-") or "pictures"
        entry = {"kind": "table", "root": folder.as_posix(), "file": self.table.as_posix()}
        if self.artists:
            entry["group"] = "artist"
        plain = re.compile(r"[\w./\\-]+")
        said = [f"{key}: {value if plain.fullmatch(value) else json.dumps(value)}"
                for key, value in entry.items()]  # fmt: skip
        return f"datasets:\n  {name}: {{{', '.join(said)}}}"


def fetch_pictures(
    what: str,
    folder: Path | None,
    *,
    size: int = 1024,
    rate: float = 2,
    column: str | None = None,
    progress: Progressing,
) -> Fetched:
    """Fetch the pictures that a table or a manifest (a file, or an address) names into a folder.

    Of image servers they are asked for with the longer side at `size` pixels; not more than `rate`
    requests are made in a second. `column` names the table's column of addresses where it is not
    plain. What was fetched before is not fetched again; Ctrl-C leaves whole pictures and a table of
    them. Raises DatasetError for what names no pictures, and for a folder of other things.
    """
    if folder is None:
        raise DatasetError(
            "no-folder",
            f"say where to put the pictures: {command('overpaint', 'fetch', what)} FOLDER",
        )
    local = Path(what)
    place = str(local.resolve()) if local.is_file() else what
    for place_of_ours in (folder, folder / "pictures", folder / "documents"):
        sweep(place_of_ours, deep=False)
    claim(folder, {"pictures of": place, "size": size})
    web = Web(rate, folder / "documents")
    with progress.stage(f"read {what}"):
        named = list(named_by(what, column, web, progress.say))
    pictures = Pictures(folder / "pictures", size, web)
    rows: list[dict[str, str]] = []
    lost: list[Lost] = []
    try:
        with progress.stage(f"fetch {len(named)} pictures") as advance:
            for done, work in enumerate(named, start=1):
                outcome = pictures.path(work) if isinstance(work, Work) else work
                if isinstance(work, Work) and isinstance(outcome, Path):
                    rows.append(row_of(work, outcome.relative_to(folder)))
                elif isinstance(outcome, Lost):
                    lost.append(outcome)
                    place = outcome.address or what
                    progress.say(f"  lost: {work.label or 'a picture'}: {place}: {outcome.reason}")
                advance(done, len(named))
        for path in (folder / "documents").glob("*"):
            if re.fullmatch(r"[0-9a-f]{24}\.json|export(\.\w*)?", path.name) and path.is_file():
                path.unlink()
        remove_empty(folder / "documents")
    finally:
        write_tables(folder, rows, lost)
    if not rows:
        raise DatasetError("no-pictures", f"not one picture of {what} could be fetched; "
                           f"{folder / 'lost.csv'} tells why")  # fmt: skip
    return Fetched(
        table=folder / "pictures.csv",
        pictures=len(rows),
        lost=len(lost),
        labels=len({row["label"] for row in rows}),
        artists=len({row["artist"] for row in rows} - {""}),
    )


def claim(folder: Path, asked: dict[str, Any]) -> None:
    """Make the folder, or see that it holds an earlier fetch of the same."""
    if folder.exists() and not folder.is_dir():
        raise DatasetError("folder-not-empty", f"{folder} is a file: give a folder")
    if folder.exists() and any(folder.iterdir()):
        try:
            before = read_json(folder / "fetch.json")
        except RecordError:
            before = None
        if before != asked:
            holds = f"other pictures, by {before}" if before else "other things"
            raise DatasetError("folder-not-empty", f"{folder} holds {holds}: give a new folder")
        for name in ("fetch.json", "pictures", "documents", "pictures.csv", "lost.csv"):
            refuse_link(folder / name)
    else:
        write_json(folder / "fetch.json", asked)


# --- what is named -----------------------------------------------------------------------------


def named_by(
    what: str, column: str | None, web: Web, say: Callable[[str], None]
) -> Iterator[Work | Lost]:
    """The pictures that a table or a manifest names; a file, or an address."""
    file = Path(what)
    try:
        if re.match(r"https?://", what):
            # A sheet is read from a file, by its ending where its bytes do not tell what it is.
            file = web.documents / f"export{Path(urlsplit(what).path).suffix[:9]}"
            with whole_file(file) as draft:
                draft.write_bytes(web.get(what).data)
        data = read_regular(file, FILE_BYTES)
    except (ValueError, OSError) as error:
        hand_on(error, file)
        raise DatasetError("no-document", f"cannot read {what}: {first_line(error)}") from None
    is_json = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
    if not is_json or file.suffix.lower() in (".jsonl", ".ndjson"):
        yield from named_by_table(file, what, column, web, say)
        return
    try:
        document = json_from(data)
    except ValueError as error:
        raise DatasetError("no-document", f"{what} is not JSON: {error}") from None
    if column is not None:
        raise DatasetError(
            "idle-option", f"--column names a column of a table, and {what} is none: leave it out"
        )
    if not isinstance(document, dict):
        raise DatasetError("no-document", f"{what} is neither a IIIF manifest nor a table")
    yield from works(document, what, web.document)


def named_by_table(
    file: Path, what: str, column: str | None, web: Web, say: Callable[[str], None]
) -> Iterator[Work | Lost]:
    """The pictures in the lines of a table; a line may name several, and manifests."""
    sheet = sheet_of(file, column)
    for note in sheet.notes:
        say(f"  {note}")
    titles: list[str] = []
    for number, title in enumerate(sheet.header, start=1):
        name = title or f"column {number}"
        titles.append(f"{name} ({number})" if name in titles else name)
    lines = [(line, dict(zip(titles, map(text_of, cells), strict=True)))
             for line, cells in sheet.rows]  # fmt: skip
    address = address_column(titles, [cells for _, cells in lines], what, column)
    label, artist, rights = (
        first_column(titles, names) for names in (LABELS, ARTISTS, (*RIGHTS, "attribution"))
    )
    source = first_column([title for title in titles if title != address], SOURCES)
    for line, cells in lines:
        said = Work(
            address="",
            label=cells[label] if label else "",
            artist=cells[artist] if artist else "",
            rights=cells[rights] if rights else "",
            source=cells[source] if source else "",
            remarks=cells,
        )
        if not cells[address]:
            yield Lost(address="", reason=f"line {line} has no address", label=said.label,
                       source=said.source)  # fmt: skip
        for place in re.split(r"[|;,\s]+(?=https?://)", cells[address]) if cells[address] else ():
            parts: list[Work | Lost] = [Work(address=place, service=service_of(place))]
            if re.search(r"[/.=]manifest(\.json)?$", place):
                try:
                    parts = list(works(web.document(place), place, web.document))
                except ValueError as error:
                    parts = [Lost(address=place, reason=str(error))]
            for part in parts:
                label_of = said.label or part.label
                source_of = said.source or part.source or place
                if isinstance(part, Lost):
                    yield replace(part, label=label_of, source=source_of)
                else:
                    yield replace(
                        part,
                        label=label_of,
                        source=source_of,
                        artist=said.artist or part.artist,
                        rights=said.rights or part.rights,
                        remarks={**part.remarks, **said.remarks},
                    )


def sheet_of(file: Path, column: str | None) -> Sheet:
    """The rows of a table, whose header has the column of addresses if its name is usual."""
    if column is not None:
        return read_sheet(file, [(column,)])
    try:
        return read_sheet(file, [ADDRESSES])
    except DatasetError as error:
        if error.slug != "missing-column":
            raise
    return read_sheet(file, [])


def first_column(titles: Sequence[str], names: Sequence[str]) -> str | None:
    """The column with the first of the names, however that is written."""
    plain_titles = {plain(title): title for title in reversed(titles)}
    return next((plain_titles[plain(name)] for name in names if plain(name) in plain_titles), None)


def address_column(
    titles: Sequence[str], lines: Sequence[Mapping[str, str]], what: str, column: str | None
) -> str:
    """The column of the pictures' addresses."""
    if column is not None:
        return next(title for title in titles if plain(title) == plain(column))
    likely = {}
    for title in titles:
        cells = [cells[title] for cells in lines if cells[title]]
        web = sum(bool(re.match(r"https?://", cell)) for cell in cells)
        pictures = sum(_looks_like_a_picture(cell) for cell in cells)
        if cells and web > len(cells) / 2:
            likely[title] = 2 * (pictures > len(cells) / 2) + bool(PICTORIAL.search(title.lower()))
    best = [title for title in likely if likely[title] == max(likely.values())]
    if len(best) != 1:
        said = "several columns" if best else "no column"
        candidates = ", ".join(best or titles)
        raise DatasetError(
            "no-addresses",
            f"{what} has {said} of addresses of pictures ({candidates}): say which with --column",
        )
    return best[0]


PICTORIAL = re.compile("image|img|pic|photo|iiif|manifest|download|media|bild")
"""What the title of a column of pictures says."""


def _looks_like_a_picture(address: str) -> bool:
    try:
        path = Path(urlsplit(address).path)
    except ValueError:
        return False
    return service_of(address) is not None or path.suffix.lower() in ENDINGS


# --- what is fetched ---------------------------------------------------------------------------


class Pictures:
    """The pictures of a folder, fetched if they are not there.

    A file's name ends with a digest of its address, so that it is found again, and no two are one.
    """

    def __init__(self, folder: Path, size: int, web: Web) -> None:
        self.folder, self.size, self.web = folder, size, web
        self.there = {path.stem.rpartition("-")[2]: path for path in folder.glob("[!.]*")}
        self.times: Counter[str] = Counter()  # that an address was named

    def path(self, work: Work) -> Path | Lost:
        """Where a picture lies. One that is named twice lies there twice: the labels may differ."""
        self.times[work.address] += 1
        key, first = _key(work.address, self.times[work.address]), _key(work.address, 1)
        try:
            if key not in self.there:
                again = self.there.get(first)
                data = again.read_bytes() if again else self._fetched(work)
                self.there[key] = self._kept(data, work.label, key)
        except ValueError as error:
            return Lost(address=work.address, reason=str(error), label=work.label,
                        source=work.source)  # fmt: skip
        return self.there[key]

    def _fetched(self, work: Work) -> bytes:
        """The picture: of an image server in the size asked for, or else as it lies there."""
        addresses = [work.address]
        if work.service is not None:
            with suppress(ValueError):  # a server that cannot describe a picture may yet send it
                service = work.service
                if service.vague:
                    info = self.web.document(f"{service.address}/info.json")
                    service = described(service, info)
                addresses.insert(0, service.request(self.size))
        reasons = []
        for address in dict.fromkeys(addresses):
            try:
                answer = self.web.get(address)
            except ValueError as error:
                reasons.append(str(error))
                continue
            try:
                decode(answer.data, 64)
            except ValueError as error:
                reasons.append(f"{error} ({answer.kind})" if answer.kind else str(error))
            else:
                return answer.data
        raise ValueError(reasons[0])

    def _kept(self, data: bytes, label: str, key: str) -> Path:
        """Write a picture; of its label only letters and digits get into the name."""
        plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()
        start = re.sub(r"[^a-z0-9]+", "-", plain.lower())[:40].strip("-") or "picture"
        path = self.folder / f"{start}-{key}{suffix(data)}"
        with whole_file(path) as draft:
            draft.write_bytes(data)
        return path


def _key(address: str, time: int) -> str:
    return hashlib.sha256(f"{address} {time}".encode()).hexdigest()[:12]


def row_of(work: Work, path: Path) -> dict[str, str]:
    """A line of the table; what the museum calls by one of our names keeps it, when it differs."""
    row = {
        "path": path.as_posix(),
        "label": work.label,
        "artist": work.artist,
        "rights": work.rights,
        "source": work.source,
        "address": work.address,
    }
    for name, value in work.remarks.items():
        if name and value != row.get(name):
            row[f"{name} of the museum" if name in row else name] = value
    return row


def write_tables(folder: Path, rows: Sequence[dict[str, str]], lost: Sequence[Lost]) -> None:
    """The two tables, whole; that of what is lost only if something is."""
    names = list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)]))
    with whole_file(folder / "pictures.csv") as draft:
        pd.DataFrame(rows, columns=names).fillna("").to_csv(draft, index=False)
    (folder / "lost.csv").unlink(missing_ok=True)
    if lost:
        with whole_file(folder / "lost.csv") as draft:
            pd.DataFrame([asdict(row) for row in lost]).to_csv(draft, index=False)
