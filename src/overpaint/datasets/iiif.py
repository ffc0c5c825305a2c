"""IIIF: the pictures of a museum's presentation manifests and collections, versions 2 and 3.

>>> moon = Service(address="https://museum.org/iiif/moon", version=3, level=2)
>>> moon.request(1024)
'https://museum.org/iiif/moon/full/!1024,1024/0/default.jpg'

Only what names a picture is looked at. The libraries that exist read version 3 alone and refuse
what is not valid, or make manifests; what museums serve is neither complete nor clean.

Source: IIIF Presentation API 2.1.1 and 3.0, Image API 1.1, 2.1.1 and 3.0.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

Json = Mapping[str, Any]

Get = Callable[[str], Json]
"""Fetches a document; a ValueError of it tells why that cannot be had."""

ARTISTS = (
    "artist", "artists", "artist name", "artist display name", "creator", "creators", "maker",
    "makers", "author", "authors", "painter", "photographer", "sculptor", "künstler", "künstlerin",
    "urheber", "artiste", "auteur", "peintre", "artista", "autor", "autore", "pittore", "pintor",
    "kunstenaar", "vervaardiger",
)  # fmt: skip
"""What museums call the artist, in lower case."""


# --- what is found -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Service:
    """An image server's offer of one picture in any size."""

    address: str
    version: int  # of the Image API: 1, 2 or 3
    level: int | None  # 0, 1 or 2, how freely a size may be asked for; None if it is not said
    width: int = 0  # in full; 0 if it is not said
    height: int = 0
    sizes: tuple[tuple[int, int], ...] = ()  # what a server of level 0 has

    @property
    def vague(self) -> bool:
        """Whether its own description is needed to ask for a size."""
        return not (self.level == 2 or (self.level == 1 and self.width) or self.sizes)

    def request(self, size: int) -> str:
        """The address of the picture with its longer side at `size` pixels, or in full if it is
        smaller; of a server that has only some sizes, in the next larger one.

        >>> low = Service(address="x", version=2, level=1, width=3000, height=4000)
        >>> low.request(1024), low.request(5000)
        ('x/full/,1024/0/default.jpg', 'x/full/full/0/default.jpg')
        """
        region = "max" if self.version == 3 else "full"
        if not self.width or max(self.width, self.height) > size:
            large = [(width, height) for width, height in self.sizes if max(width, height) >= size]
            if self.level == 2:
                region = f"!{size},{size}"
            elif self.level == 1 and self.width:
                region = f"{size}," if self.width >= self.height else f",{size}"
            elif large:
                width, height = min(large)
                region = f"{width},{height}" if self.version == 3 else f"{width},"
        quality = "native" if self.version == 1 else "default"
        return f"{self.address}/full/{region}/0/{quality}.jpg"


@dataclass(frozen=True, kw_only=True)
class Work:
    """A picture that a table or a manifest names, and what is said of it there."""

    address: str
    service: Service | None = None
    label: str = ""
    artist: str = ""
    rights: str = ""
    source: str = ""  # a page for people, or else where it is named
    remarks: Mapping[str, str] = field(default_factory=dict)  # all else, by its name


@dataclass(frozen=True, kw_only=True)
class Lost:
    """What is named and cannot be had, and why."""

    address: str
    reason: str
    label: str = ""
    source: str = ""


# --- collections and manifests -----------------------------------------------------------------


PARTS = ("collections", "manifests", "members", "items")
"""What a collection calls what it holds, by version."""


def works(document: Json, address: str, get: Get) -> Iterator[Work | Lost]:
    """The pictures of a manifest, or of all manifests of a collection and of those in it."""
    visited = {address}

    def below(part: Json, place: str, path: str, depth: int = 0) -> Iterator[Work | Lost]:
        if not _type(part).endswith("Collection"):
            yield from of_manifest(part, place, path)
            return
        label = text(part.get("label"))
        path = path if path.endswith(label) else f"{path} / {label}".removeprefix(" / ")
        entries = [entry for key in PARTS for entry in _dicts(part.get(key))]  # fmt: skip
        entries += [{"@id": part[key]} for key in ("first", "next") if part.get(key)]  # its pages
        for entry in entries:
            link = _joined(place, _address(entry))
            if link in visited:  # a collection may hold itself, and list a manifest twice
                continue
            visited.add(link)
            if depth > DEEPEST:
                yield Lost(address=link, reason="collections without end", source=place)
                continue
            embedded = any(key in entry for key in (*PARTS, "sequences"))
            try:
                whole = entry if embedded else get(link)
            except ValueError as error:
                title = text(entry.get("label"))
                yield Lost(address=link, reason=str(error), label=title, source=place)
            else:
                yield from below(whole, link, path, depth + 1)

    yield from below(document, address, "")


DEEPEST = 200
"""Collections in each other, and pages of one."""


def of_manifest(manifest: Json, place: str, collection: str) -> Iterator[Work | Lost]:
    pages = [
        page
        for sequence in _dicts(manifest.get("sequences"))
        for page in _dicts(sequence.get("canvases"))
    ]  # version 2; below it, version 3
    pages += [page for page in _dicts(manifest.get("items")) if _type(page) == "Canvas"]
    label = text(manifest.get("label"))
    if not pages:
        reason = "neither a IIIF manifest with pages nor a collection"
        yield Lost(address=place, reason=reason, label=label, source=place)
    said = {text(entry.get("label")): text(entry.get("value"))
            for entry in _dicts(manifest.get("metadata"))}  # fmt: skip
    artists = [value for name, value in said.items() if name.casefold().strip(": ") in ARTISTS]
    statement = manifest.get("requiredStatement")
    rights = [
        text(manifest.get("license") or manifest.get("rights")),
        text(statement.get("value") if isinstance(statement, dict) else None),
        text(manifest.get("attribution")),
    ]
    homes = [_address(home) for key in ("homepage", "related") for home in _list(manifest.get(key))]
    for number, page in enumerate(pages, start=1):
        title = text(page.get("label")) or str(number)
        bodies = [body for painted in paintings_of(page) for body in bodies_of(painted)]
        if not bodies:
            where = _address(page) or place
            yield Lost(address=where, reason=f"page {title} has no picture", label=label,
                       source=place)  # fmt: skip
        for body in bodies:
            kind, address = _type(body), _joined(place, _address(body))
            if kind and not kind.endswith("Image"):
                reason = f"page {title} is no picture but {kind.removeprefix('dctypes:')}"
                yield Lost(address=address, reason=reason, label=label, source=place)
                continue
            yield Work(
                address=address,
                service=service_in(body) or service_of(address),
                label=label,
                artist="; ".join(artists),
                rights="; ".join(dict.fromkeys(filter(None, rights))),
                source=next(filter(None, homes), place),
                remarks={"page": title, "collection": collection, "manifest": place, **said},
            )


def paintings_of(page: Json) -> Iterator[Json]:
    """The annotations that paint a page."""
    annotations = _dicts(page.get("images"))
    for layer in _dicts(page.get("items")):
        annotations += _dicts(layer.get("items"))
    for annotation in annotations:
        if str(annotation.get("motivation", "painting")).endswith("painting"):
            yield annotation


def bodies_of(annotation: Json) -> list[Json]:
    """What an annotation paints; of a choice, the first."""
    bodies: list[Json] = []
    for body in _list(annotation.get("resource") or annotation.get("body")):
        for key in ("default", "items", "full", "source"):  # a choice; a part of something
            inner = _list(body.get(key)) if isinstance(body, dict) else []
            body = inner[0] if inner else body  # noqa: PLW2901 - one inside the other
        bodies.append(body if isinstance(body, dict) else {"@id": str(body)})
    return bodies


# --- image servers -----------------------------------------------------------------------------

REQUEST = re.compile(
    r"(?P<base>https?://.+?)/(full|square|pct:[\d.,]+|[\d,]+)/"
    r"(?P<size>full|max|\^?!?\d*,?\d*|pct:[\d.]+)/!?[\d.]+/"
    r"(default|native|colou?r|gr[ae]y|bitonal)\.\w+$"
)
"""The address of a picture on an image server, by any version."""


def service_of(address: str) -> Service | None:
    """The image server that an address belongs to, if it looks like one.

    >>> service_of("https://museum.org/iiif/moon/full/full/0/default.jpg").address
    'https://museum.org/iiif/moon'
    >>> service_of("https://museum.org/moon.jpg")
    """
    match = REQUEST.match(address)
    base = match["base"] if match else address.removesuffix("/info.json")
    if base == address:
        return None
    return Service(address=base, version=2, level=None)


def described(service: Service, info: Json) -> Service:
    """A service as its own info.json describes it."""
    sizes = [(_number(size.get("width")), _number(size.get("height")))
             for size in _dicts(info.get("sizes"))]  # fmt: skip
    return Service(
        address=service.address,
        version=_version(info) or service.version,
        level=_level(info) or 0,
        width=_number(info.get("width")) or service.width,
        height=_number(info.get("height")) or service.height,
        sizes=tuple(sizes),
    )


def service_in(body: Json) -> Service | None:
    match = REQUEST.match(_address(body))
    # The sides of a body that is itself a smaller rendition are not those of the whole.
    whole = body if not match or match["size"] in ("full", "max") else {}
    for offer in _dicts(body.get("service")):
        version = _version(offer)
        if version and _address(offer):
            return Service(
                address=_address(offer).rstrip("/").removesuffix("/info.json"),
                version=version,
                level=_level(offer),
                width=_number(whole.get("width")) or _number(offer.get("width")),
                height=_number(whole.get("height")) or _number(offer.get("height")),
            )
    return None


def _version(service: Json) -> int | None:
    """The version of the Image API; None for a service of another kind, such as a login."""
    marks = f"{_type(service)} {service.get('@context')} {service.get('profile')}"
    match = re.search(r"ImageService(\d)|/api/image/(\d)|iiif/image-api/(\d)?", marks)
    return int(next(filter(None, match.groups()), "1")) if match else None


def _level(service: Json) -> int | None:
    match = re.search(r"level([012])", str(service.get("profile")))
    return int(match[1]) if match else None


# --- values ------------------------------------------------------------------------------------


def text(value: Any) -> str:
    """What a label or a value says, in one language and without marks of HTML.

    >>> text({"fr": ["La Lune"], "en": ["The Moon"]}), text({"@value": "<b>Moon</b>"})
    ('The Moon', 'Moon')
    >>> text([{"@value": "Mond", "@language": "de"}, {"@value": "Moon", "@language": "en"}])
    'Moon'
    """
    if isinstance(value, dict):
        if "@value" in value:
            return text(value["@value"])
        chosen = next((value[key] for key in ("en", "none", "@none") if key in value), None)
        return text(chosen or next(iter(value.values()), ""))
    if isinstance(value, list):
        english = [entry for entry in value
                   if isinstance(entry, dict) and entry.get("@language") == "en"]  # fmt: skip
        return "; ".join(dict.fromkeys(filter(None, map(text, english or value))))
    plain = html.unescape(re.sub(r"<[^<>]*>", " ", str(value or "")))
    return whole(" ".join(plain.split()))


def whole(text: str) -> str:
    """A text without halves of letters (surrogates), which no file could take.

    >>> whole("Moon" + chr(0xD83C))
    'Moon?'
    """
    return text.encode(errors="replace").decode()


def _list(value: Any) -> list[Any]:
    """One value or several, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _dicts(value: Any) -> list[Json]:
    return [entry for entry in _list(value) if isinstance(entry, dict)]


def _type(part: Json) -> str:
    return str(part.get("type") or part.get("@type") or "")


def _address(part: Any) -> str:
    if isinstance(part, dict):
        part = part.get("id") or part.get("@id")
    return whole(str(part or ""))


def _joined(place: str, address: str) -> str:
    """An address as seen from a place; one that is none stays, and cannot be had."""
    try:
        return urljoin(place, address)
    except ValueError:
        return address


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 < value < 2**31 else 0
