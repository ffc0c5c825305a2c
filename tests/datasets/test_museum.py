"""Museum exports, fetched from a server on this machine that has the faults that servers have."""

import csv
import io
import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from overpaint.cli import app
from overpaint.datasets import museum, web
from overpaint.datasets.fetch import fetch
from overpaint.datasets.museum import fetch_pictures
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.table import TableEntry
from overpaint.errors import DatasetError
from overpaint.progress import Progressing
from overpaint.study.reading import parse


def jpeg(colour: str = "tan", size: tuple[int, int] = (60, 40)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


NOISE = io.BytesIO()
Image.effect_noise((60, 40), 50).save(NOISE, "JPEG")
CUT = NOISE.getvalue()[:-300]

Reply = Callable[[BaseHTTPRequestHandler], None]


def sends(data: bytes, kind: str = "image/jpeg", status: int = 200, **headers: str) -> Reply:
    length = headers.pop("length", str(len(data)))

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", length)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(data)

    return reply


def refuses(status: int, **headers: str) -> Reply:
    return sends(b"<html>no</html>", "text/html", status, **headers)


def in_turn(*replies: Reply) -> Reply:
    """One reply after the other; the last again and again."""
    left = list(replies)

    def reply(request: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(request)

    return reply


def slow(seconds: float) -> Reply:
    def reply(request: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        sends(jpeg())(request)

    return reply


def drops(request: BaseHTTPRequestHandler) -> None:
    """The connection ends before anything is said."""
    request.connection.close()


class Museum:
    """A server: what it replies by path, and how often each was asked for."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.replies: dict[str, Reply] = {}
        self.asked: Counter[str] = Counter()

    def url(self, path: str) -> str:
        return f"{self.address}{path}"

    def serves(self, path: str, reply: Reply | bytes | dict) -> str:
        if isinstance(reply, dict):
            reply = sends(json.dumps(reply).encode(), "application/json")
        self.replies[path] = sends(reply) if isinstance(reply, bytes) else reply
        return self.url(path)


@pytest.fixture
def server(monkeypatch) -> Iterator[Museum]:
    """A museum on this machine; pauses are short."""
    monkeypatch.setattr(web, "PAUSE", 0.01)
    monkeypatch.setattr(web, "TIMEOUT", 0.4)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            museum_.asked[self.path] += 1
            museum_.replies.get(self.path, refuses(404))(self)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    museum_ = Museum(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield museum_
    http.shutdown()
    http.server_close()


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


def fetched(what: object, folder: Path, said: io.StringIO | None = None, **options):
    console = Console(file=said or io.StringIO(), width=500)
    return fetch_pictures(str(what), folder, rate=1000, progress=Progressing(console), **options)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def export(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "export.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# --- a table of addresses ----------------------------------------------------------------------


def test_a_table_of_addresses(server, tmp_path):
    """Pictures become files, and all that the table says of them stays beside their paths."""
    for number, colour in enumerate(("red", "blue")):
        server.serves(f"/{number}.jpg", jpeg(colour))
    file = export(
        tmp_path,
        "Title,Genre,Artist Display Name,Image URL,Object URL,Licence,Year",
        f"Moon,landscape,Ada,{server.url('/0.jpg')},https://museum.org/0,CC0,1890",
        f'"Sea, and sky",marine,Bo,{server.url("/1.jpg")},https://museum.org/1,CC BY,1901',
    )
    made = fetched(file, tmp_path / "art")
    rows = table(made.table)
    assert [list(row.items())[1:6] for row in rows][1] == [
        ("label", "marine"), ("artist", "Bo"), ("rights", "CC BY"),
        ("source", "https://museum.org/1"), ("address", server.url("/1.jpg")),
    ]  # fmt: skip
    assert [(row["Title"], row["Year"]) for row in rows] == [
        ("Moon", "1890"), ("Sea, and sky", "1901")]  # fmt: skip
    assert [(tmp_path / "art" / row["path"]).read_bytes() for row in rows] == [
        jpeg("red"), jpeg("blue")]  # fmt: skip
    assert not (tmp_path / "art" / "lost.csv").exists()


def test_the_command_says_what_a_study_writes(server, tmp_path):
    """What it prints opens the pictures, with their artists as groups."""
    file = export(tmp_path, "label,artist,image", *(
        f"{'sea' if n % 2 else 'sky'},a{n},{server.serves(f'/{n}.jpg', jpeg(size=(20 + n, 20)))}"
        for n in range(20)))  # fmt: skip
    folder = tmp_path / "my art, new"
    result = CliRunner().invoke(app, ["fetch", str(file), str(folder), "--rate", "1000"])
    assert result.exit_code == 0, result.output
    data, _ = parse(result.stdout, "said")
    entry = TableEntry.model_validate(data["datasets"]["my_art_new"])
    dataset, _ = open_dataset("art", entry, workplace=tmp_path / "work")
    assert dataset.classes == ("sea", "sky")
    assert {picture.group for picture in dataset.pictures} == {f"a{n}" for n in range(20)}


FAULTS = {
    "missing": (refuses(404), "404 Not Found", 1),
    "refused": (refuses(403), "403 Forbidden", 1),
    "gone": (refuses(410), "410 Gone", 1),
    "broken server": (refuses(500), "500 Internal Server Error, 4 times", 4),
    "always busy": (refuses(429, Retry_After="0"), "429 Too Many Requests, 4 times", 4),
    "busy for hours": (refuses(503, Retry_After="7200"), "come back in 2 h 0 min", 1),
    "silent": (slow(2), "the server is silent, 4 times", 4),
    "dropped": (drops, "cannot be reached, 4 times", 4),
    "cut off": (sends(CUT, length=str(len(CUT) + 300)), "cut off on the way, 4 times", 4),
    "cut off, and not told": (sends(CUT), "truncated", 1),
    "a page": (sends(b"<html>log in</html>", "text/html"), r"not a picture .*text/html", 1),
    "empty": (sends(b""), "not a picture", 1),
    "a circle": (refuses(302, Location="/picture"), "30 redirects", 31),
    "elsewhere": (refuses(302, Location="file:///etc/passwd"), "file:///etc/passwd", 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_picture_that_cannot_be_had(fault, server, tmp_path, said):
    """It is named with the reason, in the table of what is lost too; the others are fetched."""
    reply, reason, times = FAULTS[fault]
    file = export(
        tmp_path,
        "title,label,image,link",
        f"Moon,night,{server.serves('/picture', reply)},https://museum.org/moon",
        "Sun,day,http://localhost" + server.serves("/good", jpeg()).removeprefix("http://127.0.0.1")
        + ",https://museum.org/sun",
    )  # fmt: skip
    made = fetched(file, tmp_path / "art", said)
    assert (made.pictures, made.lost) == (1, 1)
    [lost] = table(tmp_path / "art" / "lost.csv")
    assert lost["address"] == server.url("/picture")
    assert lost["label"] == "night"
    assert lost["source"] == "https://museum.org/moon"
    assert re.search(reason, lost["reason"])
    assert f"lost: night: {server.url('/picture')}: {lost['reason']}" in said.getvalue()
    assert server.asked["/picture"] == times
    assert len(list((tmp_path / "art" / "pictures").iterdir())) == 1


@pytest.mark.parametrize(
    "first",
    [refuses(503), refuses(429, Retry_After="0"), drops, slow(1), sends(b"", length="9")],
    ids=["503", "429", "dropped", "slow", "cut off"],
)
def test_a_fault_that_passes(first, server, tmp_path):
    """After a pause the same is asked for again, and had."""
    address = server.serves("/a.jpg", in_turn(first, first, sends(jpeg())))
    made = fetched(export(tmp_path, "label,image", f"sea,{address}"), tmp_path / "art")
    assert (made.pictures, made.lost, server.asked["/a.jpg"]) == (1, 0, 3)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_that_asks_to_wait(form, server, tmp_path):
    """It is given the time that it asks for, before anything else is asked."""
    after = "1" if form == "seconds" else time.strftime(
        "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))  # fmt: skip
    address = server.serves("/a.jpg", in_turn(refuses(429, Retry_After=after), sends(jpeg())))
    begin = time.monotonic()
    made = fetched(export(tmp_path, "label,image", f"sea,{address}"), tmp_path / "art")
    assert made.pictures == 1
    assert time.monotonic() - begin > 0.9


def test_not_more_often_than_said(server, tmp_path):
    """Between two requests lies the time that the rate leaves."""
    lines = [f"sea,{server.serves(f'/{n}.jpg', jpeg())}" for n in range(5)]
    console = Progressing(Console(file=io.StringIO()))
    begin = time.monotonic()
    fetch_pictures(
        str(export(tmp_path, "label,image", *lines)), tmp_path / "art", rate=10, progress=console
    )
    assert time.monotonic() - begin >= 0.4


def test_a_dead_server_is_left_alone(server, tmp_path):
    """After a few addresses it is not asked any more; what is on others is fetched."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    lines = [f"sea,{dead}/{n}.jpg" for n in range(20)]
    file = export(tmp_path, "label,image", *lines, f"sky,{server.serves('/a.jpg', jpeg())}")
    made = fetched(file, tmp_path / "art")
    assert (made.pictures, made.lost) == (1, 20)
    assert "left alone after 3" in table(tmp_path / "art" / "lost.csv")[-1]["reason"]


def test_redirects_are_followed(server, tmp_path):
    """The address of the table stays in the table."""
    server.serves("/b.jpg", jpeg())
    address = server.serves("/a.jpg", refuses(301, Location="/b.jpg"))
    made = fetched(export(tmp_path, "label,image", f"sea,{address}"), tmp_path / "art")
    assert table(made.table)[0]["address"] == address


def test_only_addresses_of_the_web(server, tmp_path):
    """Files of this machine, and what else is no address, are lost by name; empty ones by line."""
    (tmp_path / "private.jpg").write_bytes(jpeg())
    file = export(
        tmp_path,
        "label,image",
        f"sea,{server.serves('/a.jpg', jpeg())}",
        f"sea,{server.serves('/b.jpg', jpeg())}",
        f"sea,{server.serves('/c.jpg', jpeg())}",
        "",
        f"sea,file://{tmp_path}/private.jpg",
        "sky,",
        "sky,ftp://museum.org/a.jpg",
    )
    made = fetched(file, tmp_path / "art")
    assert made.pictures == 3
    reasons = [row["reason"] for row in table(tmp_path / "art" / "lost.csv")]
    assert reasons[0] == reasons[2] == "no address of the web (http:// or https://)"
    assert reasons[1] == "line 7 has no address"


def test_names_of_files(server, tmp_path):
    """No label leads out of the folder, and no two pictures become one."""
    labels = ["../../evil", "/etc/passwd", "C:\\evil", "", "海", "a" * 300, "a" * 300, "CON", "a/b"]
    lines = [f"{label},{server.serves(f'/{n}.jpg', jpeg(size=(10 + n, 10)))}"
             for n, label in enumerate(labels)]  # fmt: skip
    made = fetched(export(tmp_path, "label,image", *lines), tmp_path / "art")
    rows = table(made.table)
    assert [row["label"] for row in rows] == labels
    paths = [tmp_path / "art" / row["path"] for row in rows]
    assert all(path.resolve().parent == tmp_path / "art" / "pictures" for path in paths)
    assert [Image.open(path).width for path in paths] == [10 + n for n in range(len(labels))]


def test_an_address_that_stands_twice(server, tmp_path):
    """Each line has a picture of its own, and the server is asked once."""
    address = server.serves("/a.jpg", jpeg())
    file = export(tmp_path, "label,image", f"sea,{address}", f"sky,{address}")
    made = fetched(file, tmp_path / "art")
    assert len({row["path"] for row in table(made.table)}) == made.pictures == 2
    assert server.asked["/a.jpg"] == 1


def test_columns_with_our_names(server, tmp_path):
    """What the museum calls path stays, under another name."""
    address = server.serves("/a.jpg", jpeg())
    file = export(tmp_path, "path,label,address,photo", f"box 7,sea,5 High Street,{address}")
    [row] = table(fetched(file, tmp_path / "art").table)
    assert row["path"].startswith("pictures/sea-")
    assert row["path of the museum"] == "box 7"
    assert row["address of the museum"] == "5 High Street"


@pytest.mark.parametrize(
    ("head", "cells", "options", "column"),
    [
        ("page,image", ["/page", "/a"], {}, "image"),
        ("url,thumb", ["/page", "/a.jpg"], {}, "thumb"),
        ("a,b", ["/page", "/iiif/moon/full/max/0/default.jpg"], {}, "b"),
        ("a,b", ["/a.jpg", "/b.jpg"], {"column": "b"}, "b"),
        ("address", ["/a"], {}, "address"),
    ],
)
def test_which_column(head, cells, options, column, server, tmp_path):
    """The column of pictures is found by its name or by what its addresses look like."""
    line = ",".join(server.serves(cell, jpeg()) for cell in cells)
    [row] = table(fetched(export(tmp_path, head, line), tmp_path / "art", **options).table)
    assert row["address"] == dict(zip(head.split(","), line.split(","), strict=True))[column]


@pytest.mark.parametrize(
    ("lines", "options", "slug", "message"),
    [
        (["a,b", "https://x.org/a.jpg,https://x.org/b.jpg"], {}, "no-addresses", "several.*--col"),
        (["a,b", "1,2"], {}, "no-addresses", r"no column .*\(a, b\)"),
        (
            ["image", "https://x.org/a"],
            {"column": "imag"},
            "missing-column",
            "did you mean 'image'",
        ),
        (["{broken"], {}, "no-document", "not JSON"),
        (["[1]"], {}, "no-document", "neither"),
        (["", ""], {}, "no-addresses", "no column"),
        (["image", "https://x.org/a,b"], {}, "broken-table", "line 2: 2 fields"),
    ],
)
def test_tables_that_name_no_pictures(lines, options, slug, message, tmp_path):
    """What is missing is said, and how to say it."""
    with pytest.raises(DatasetError, match=message) as caught:
        fetched(export(tmp_path, *lines), tmp_path / "art", **options)
    assert caught.value.slug == slug


@pytest.mark.parametrize("form", ["semicolons", "tabs", "UTF-16", "header below", "Excel", "lines"])
def test_tables_as_they_are_saved(form, server, tmp_path):
    """Separators, encodings and kinds of files are those of every table."""
    address = server.serves("/a.jpg", jpeg())
    header, cells = ["Künstler", "Genre", "Image URL"], ["Böcklin, Arnold", "sea", address]
    path = tmp_path / {"Excel": "a.xlsx", "lines": "a.jsonl"}.get(form, "a.csv")
    separator = "\t" if form == "tabs" else ";"
    text = "\n".join([separator.join(header), separator.join(cells)])
    if form == "Excel":
        pd.DataFrame([cells], columns=header).to_excel(path, index=False)
    elif form == "lines":
        path.write_text(json.dumps(dict(zip(header, cells, strict=True))), encoding="utf-8")
    else:
        above = "Export of the museum\n\n" if form == "header below" else ""
        path.write_text(above + text, encoding="utf-16" if form == "UTF-16" else "utf-8")
    [row] = table(fetched(path, tmp_path / "art").table)
    assert (row["artist"], row["label"], row["address"]) == ("Böcklin, Arnold", "sea", address)


def test_a_table_at_an_address(server, tmp_path):
    """An export need not lie on this machine."""
    text = f"label,image\nsea,{server.serves('/a.jpg', jpeg())}\n"
    address = server.serves("/export.csv?all=1", sends(text.encode(), "text/csv"))
    assert fetched(address, tmp_path / "art").pictures == 1


def test_several_addresses_in_a_cell(server, tmp_path):
    """Each is a picture with what the line says."""
    first, second = (server.serves(f"/{n}.jpg", jpeg()) for n in range(2))
    file = export(tmp_path, "label,image", f"sea,{first} | {second}")
    rows = table(fetched(file, tmp_path / "art").table)
    assert [(row["label"], row["address"]) for row in rows] == [("sea", first), ("sea", second)]


# --- going on ----------------------------------------------------------------------------------


def test_a_rerun_fetches_what_is_missing(server, tmp_path):
    """What is there is not asked for again; a picture that was lost is, and its row is gone."""
    good, bad = server.serves("/a.jpg", jpeg()), server.serves("/b.jpg", refuses(403))
    file = export(tmp_path, "label,image", f"sea,{good}", f"sky,{bad}")
    fetched(file, tmp_path / "art")
    server.serves("/b.jpg", jpeg("blue"))
    made = fetched(file, tmp_path / "art")
    assert (made.pictures, made.lost) == (2, 0)
    assert server.asked == {"/a.jpg": 1, "/b.jpg": 2}
    assert not (tmp_path / "art" / "lost.csv").exists()
    assert fetched(file, tmp_path / "art").pictures == 2
    assert server.asked == {"/a.jpg": 1, "/b.jpg": 2}


def test_an_interrupted_fetch_goes_on(server, tmp_path, monkeypatch):
    """Ctrl-C in the middle of a picture leaves whole ones and their table, and the rest follows."""
    lines = [f"sea,{server.serves(f'/{n}.jpg', jpeg(size=(10 + n, 9)))}" for n in range(6)]
    file, folder = export(tmp_path, "label,image", *lines), tmp_path / "art"
    body = web.body_of

    def stopped(response, most):
        if response.url.endswith("/3.jpg"):
            raise KeyboardInterrupt
        return body(response, most)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(web, "body_of", stopped)
        fetched(file, folder)
    assert len(table(folder / "pictures.csv")) == 3
    assert len(list((folder / "pictures").iterdir())) == 3
    assert fetched(file, folder).pictures == 6
    assert server.asked["/0.jpg"] == 1


def test_other_things_stay(server, tmp_path):
    """A folder that holds anything else, or other pictures, is left alone."""
    file = export(tmp_path, "label,image", f"sea,{server.serves('/a.jpg', jpeg())}")
    (tmp_path / "art").mkdir()
    (tmp_path / "art" / "thesis.txt").write_text("the only copy")
    with pytest.raises(DatasetError, match="holds other things") as caught:
        fetched(file, tmp_path / "art")
    assert caught.value.slug == "folder-not-empty"
    fetched(file, tmp_path / "new")
    with pytest.raises(DatasetError, match="holds other pictures"):
        fetched(file, tmp_path / "new", size=512)
    with pytest.raises(DatasetError, match="is a file"):
        fetched(file, file)


def test_nothing_can_be_had(server, tmp_path):
    """When every picture is lost, that is an error that says where the reasons are."""
    file = export(tmp_path, "label,image", f"sea,{server.url('/a.jpg')}")
    with pytest.raises(DatasetError, match=r"not one picture .*lost\.csv") as caught:
        fetched(file, tmp_path / "art")
    assert caught.value.slug == "no-pictures"
    result = CliRunner().invoke(app, ["fetch", str(file)])
    assert "FOLDER" in str(result.exception)


def test_a_lost_picture_ends_the_command_with_status_1(server, tmp_path):
    """So a script knows of it."""
    lines = [f"sea,{server.serves('/a.jpg', jpeg())}", f"sea,{server.url('/b.jpg')}"]
    file = export(tmp_path, "label,image", *lines)
    command = ["fetch", str(file), str(tmp_path / "art"), "--rate", "1000"]
    assert CliRunner().invoke(app, command).exit_code == 1


# --- manifests ---------------------------------------------------------------------------------


def version_2(server: Museum, name: str, *, level: str | None = "level2", pages: int = 1) -> dict:
    """A manifest as museums serve them in version 2, with its pictures."""
    canvases = []
    for page in range(1, pages + 1):
        base = f"/iiif/{name}-{page}"
        profile = {} if level is None else {"profile": f"http://iiif.io/api/image/2/{level}.json"}
        server.serves(f"{base}/full/!1024,1024/0/default.jpg", jpeg(size=(102, 76)))
        server.serves(f"{base}/full/1024,/0/default.jpg", jpeg(size=(103, 76)))
        server.serves(f"{base}/full/full/0/default.jpg", jpeg(size=(400, 300)))
        canvases.append({
            "@id": f"{server.url(base)}/canvas", "@type": "sc:Canvas", "label": f"f. {page}r",
            "images": [{
                "@type": "oa:Annotation", "motivation": "sc:painting",
                "resource": {
                    "@id": f"{server.url(base)}/full/full/0/default.jpg",
                    "@type": "dctypes:Image", "width": 4000, "height": 3000,
                    "service": {"@context": "http://iiif.io/api/image/2/context.json",
                                "@id": server.url(base), **profile},
                },
            }],
        })  # fmt: skip
    return {
        "@context": "http://iiif.io/api/presentation/2/context.json",
        "@id": server.url(f"/{name}/manifest"),
        "@type": "sc:Manifest",
        "label": [{"@value": "Der Mond", "@language": "de"},
                  {"@value": "The Moon", "@language": "en"}],
        "metadata": [{"label": "Creator", "value": "<a href='/ada'>Ada &amp; Bo</a>"},
                     {"label": [{"@value": "Genre", "@language": "en"}],
                      "value": ["night", "sky"]}],
        "license": "https://creativecommons.org/publicdomain/zero/1.0/",
        "attribution": "Museum of the Moon",
        "related": {"@id": f"https://museum.org/{name}", "format": "text/html"},
        "sequences": [{"@type": "sc:Sequence", "canvases": canvases}],
    }  # fmt: skip


def version_3(server: Museum, name: str, *, level: str | None = "level2") -> dict:
    """A manifest of version 3, with its picture."""
    base = f"/iiif/{name}"
    profile = {} if level is None else {"profile": level}
    server.serves(f"{base}/full/!1024,1024/0/default.jpg", jpeg(size=(102, 76)))
    server.serves(f"{base}/full/,1024/0/default.jpg", jpeg(size=(76, 103)))
    server.serves(f"{base}/full/max/0/default.jpg", jpeg(size=(300, 400)))
    body = {
        "id": f"{server.url(base)}/full/max/0/default.jpg", "type": "Image", "width": 3000,
        "height": 4000,
        "service": [{"@id": "https://museum.org/login", "profile": "http://iiif.io/api/auth/1/login"},
                    {"id": server.url(base), "type": "ImageService3", **profile}],
    }  # fmt: skip
    return {
        "@context": "http://iiif.io/api/presentation/3/context.json",
        "id": server.url(f"/{name}/manifest"),
        "type": "Manifest",
        "label": {"fr": ["La Mer"], "en": ["The Sea"]},
        "metadata": [{"label": {"de": ["Künstler"]}, "value": {"none": ["Ada"]}},
                     {"label": {"en": ["Style"]}, "value": {"en": ["marine"]}}],
        "rights": "http://creativecommons.org/licenses/by/4.0/",
        "requiredStatement": {"label": {"en": ["Credit"]}, "value": {"en": ["<b>Museum</b>"]}},
        "homepage": [{"id": f"https://museum.org/{name}", "type": "Text"}],
        "items": [{
            "id": f"{server.url(base)}/canvas", "type": "Canvas", "label": {"none": ["front"]},
            "items": [{"type": "AnnotationPage", "items": [
                {"type": "Annotation", "motivation": "painting", "body": body},
                {"type": "Annotation", "motivation": "commenting", "body": {"type": "TextualBody"}},
            ]}],
        }],
    }  # fmt: skip


def test_a_manifest_of_version_2(server, tmp_path):
    """Each page is a picture in the size asked for; label, artist, rights and link are kept."""
    address = server.serves("/moon/manifest", version_2(server, "moon", pages=2))
    rows = table(fetched(address, tmp_path / "art").table)
    assert len(rows) == 2
    assert rows[1] == {
        "path": rows[1]["path"],
        "label": "The Moon",
        "artist": "Ada & Bo",
        "rights": "https://creativecommons.org/publicdomain/zero/1.0/; Museum of the Moon",
        "source": "https://museum.org/moon",
        "address": server.url("/iiif/moon-2/full/full/0/default.jpg"),
        "page": "f. 2r",
        "collection": "",
        "manifest": address,
        "Creator": "Ada & Bo",
        "Genre": "night; sky",
    }
    assert Image.open(tmp_path / "art" / rows[1]["path"]).size == (102, 76)


def test_a_manifest_of_version_3(server, tmp_path):
    """The same in the words of version 3; from a file as from an address."""
    path = tmp_path / "sea.json"
    path.write_text(json.dumps(version_3(server, "sea")), encoding="utf-8")
    [row] = table(fetched(path, tmp_path / "art").table)
    assert (row["label"], row["artist"], row["Style"]) == ("The Sea", "Ada", "marine")
    assert row["rights"] == "http://creativecommons.org/licenses/by/4.0/; Museum"
    assert row["source"] == "https://museum.org/sea"
    assert Image.open(tmp_path / "art" / row["path"]).size == (102, 76)


def info(level: str, *, version: int = 2, **more: object) -> dict:
    profile = [f"http://iiif.io/api/image/2/{level}.json", {"formats": ["jpg"]}]
    return {
        "@context": f"http://iiif.io/api/image/{version}/context.json",
        "profile": profile if version == 2 else level,
        "width": 4000,
        "height": 3000,
        **more,
    }


SIZES = [{"width": 500, "height": 375}, {"width": 1100, "height": 825},
         {"width": 4000, "height": 3000}]  # fmt: skip


@pytest.mark.parametrize(
    ("level", "description", "asked"),
    [
        ("level2", None, "!1024,1024"),
        ("level1", None, "1024,"),
        ("level0", info("level0", sizes=SIZES), "1100,"),
        ("level0", info("level0"), "full"),
        ("level0", None, "full"),
        (None, info("level2"), "!1024,1024"),
        (None, info("level1"), "1024,"),
        (None, info("level2", width=800, height=600), "full"),
        (None, info("level0", version=3, sizes=SIZES), "1100,825"),
        (None, info("level1", version=3, width=3000, height=4000), ",1024"),
        (None, info("level2", version=3, width=300, height=400), "max"),
        (None, None, "full"),
    ],
)
def test_sizes_by_level(level, description, asked, server, tmp_path):
    """A server is asked for what its level lets it make, and described where that is not said."""
    manifest = version_2(server, "moon", level=level)
    for size in ("1100,", "1100,825", ",1024", "max"):
        server.serves(f"/iiif/moon-1/full/{size}/0/default.jpg", jpeg())
    if description:
        server.serves("/iiif/moon-1/info.json", description)
    fetched(server.serves("/manifest.json", manifest), tmp_path / "art")
    assert server.asked[f"/iiif/moon-1/full/{asked}/0/default.jpg"] == 1
    assert sum("/full/" in path for path in server.asked) == 1


def test_a_manifest_that_names_a_small_rendition(server, tmp_path):
    """Its sides are not taken for those of the picture, which would be asked for in full."""
    manifest = version_2(server, "moon", level="level1")
    resource = manifest["sequences"][0]["canvases"][0]["images"][0]["resource"]
    resource |= {"@id": server.url("/iiif/moon-1/full/!300,300/0/default.jpg"),
                 "width": 300, "height": 225}  # fmt: skip
    server.serves("/iiif/moon-1/info.json", info("level1"))
    fetched(server.serves("/manifest.json", manifest), tmp_path / "art")
    assert server.asked["/iiif/moon-1/full/1024,/0/default.jpg"] == 1


def test_a_server_that_refuses_the_size(server, tmp_path):
    """It is asked for the picture as the manifest names it."""
    manifest = version_3(server, "sea")
    server.serves("/iiif/sea/full/!1024,1024/0/default.jpg", refuses(501))
    made = fetched(server.serves("/manifest.json", manifest), tmp_path / "art")
    assert Image.open(tmp_path / "art" / table(made.table)[0]["path"]).size == (300, 400)


def test_a_table_of_iiif_addresses(server, tmp_path):
    """Addresses of image servers, their descriptions and manifests may stand in one table."""
    for name in ("a", "b"):
        server.serves(f"/iiif/{name}/info.json", info("level2"))
        server.serves(f"/iiif/{name}/full/!512,512/0/default.jpg", jpeg())
    manifest = version_2(server, "moon", pages=2)
    for page in (1, 2):
        server.serves(f"/iiif/moon-{page}/full/!512,512/0/default.jpg", jpeg())
    file = export(
        tmp_path,
        "label,iiif",
        f"sea,{server.url('/iiif/a/full/full/0/default.jpg')}",
        f"sky,{server.url('/iiif/b/info.json')}",
        f"night,{server.serves('/moon/manifest.json', manifest)}",
    )
    rows = table(fetched(file, tmp_path / "art", size=512).table)
    assert [row["label"] for row in rows] == ["sea", "sky", "night", "night"]
    assert [row["page"] for row in rows] == ["", "", "f. 1r", "f. 2r"]
    assert rows[3]["artist"] == "Ada & Bo"
    assert not [path for path in server.asked if "/full/full/" in path]


@pytest.mark.parametrize("version", [2, 3])
def test_a_collection(version, server, tmp_path):
    """The pictures of all its manifests, of collections in it, and of those that hold it too."""
    server.serves("/moon/manifest", version_2(server, "moon"))
    server.serves("/sea/manifest", version_3(server, "sea"))
    top, inner = server.url("/top"), server.url("/inner")
    if version == 2:
        server.serves("/top", {
            "@type": "sc:Collection", "@id": top, "label": "Museum",
            "manifests": [{"@id": server.url("/moon/manifest"), "@type": "sc:Manifest"}],
            "collections": [{"@id": inner, "@type": "sc:Collection"}],
            "members": [{"@id": server.url("/moon/manifest"), "@type": "sc:Manifest"}],
        })  # fmt: skip
        server.serves("/inner", {
            "@type": "sc:Collection", "@id": inner, "label": "Marine",
            "manifests": ["not one", {"@id": server.url("/sea/manifest"), "@type": "sc:Manifest"},
                          {"@id": server.url("/gone"), "@type": "sc:Manifest", "label": "Gone"}],
            "collections": [{"@id": top, "@type": "sc:Collection"}],
        })  # fmt: skip
    else:
        server.serves("/top", {
            "type": "Collection", "id": top, "label": {"en": ["Museum"]},
            "items": [{"id": server.url("/moon/manifest"), "type": "Manifest"},
                      {"id": inner, "type": "Collection"}],
        })  # fmt: skip
        server.serves("/inner", {
            "type": "Collection", "id": inner, "label": {"en": ["Marine"]},
            "items": [{"id": top, "type": "Collection"},
                      {"id": server.url("/gone"), "type": "Manifest", "label": {"en": ["Gone"]}},
                      version_3(server, "sea")],
        })  # fmt: skip
    made = fetched(top, tmp_path / "art")
    assert {row["label"]: row["collection"] for row in table(made.table)} == {
        "The Moon": "Museum", "The Sea": "Museum / Marine"}  # fmt: skip
    [lost] = table(tmp_path / "art" / "lost.csv")
    assert (lost["label"], lost["address"]) == ("Gone", server.url("/gone"))
    assert "404" in lost["reason"]
    assert server.asked["/moon/manifest"] == 1


def test_the_pages_of_a_collection(server, tmp_path):
    """A long collection of version 2 comes in pages."""
    for number in (1, 2):
        server.serves(f"/m{number}", version_2(server, f"m{number}"))
        page = {"@type": "sc:Collection", "label": "All", "manifests": [{"@id": f"m{number}"}]}
        server.serves(
            f"/page{number}", page | ({"next": server.url("/page2")} if number == 1 else {})
        )
    top = {"@type": "sc:Collection", "label": "All", "first": server.url("/page1")}
    rows = table(fetched(server.serves("/top", top), tmp_path / "art").table)
    assert [row["collection"] for row in rows] == ["All", "All"]


def test_what_is_no_picture_in_a_manifest(server, tmp_path):
    """A film, an empty page and a choice: named as lost, named as lost, and the first taken."""
    manifest = version_3(server, "sea")
    [page] = manifest["items"]
    body = page["items"][0]["items"][0]["body"]
    film = {"id": "https://museum.org/film.mp4", "type": "Video"}
    manifest["items"] = [
        {**page, "items": [{"items": [{"motivation": "painting", "body": film}]}]},
        {**page, "items": []},
        {**page, "items": [{"items": [{"motivation": "painting", "body": {
            "type": "Choice", "items": [body, film]}}]}]},
    ]  # fmt: skip
    made = fetched(server.serves("/manifest.json", manifest), tmp_path / "art")
    assert made.pictures == 1
    reasons = [row["reason"] for row in table(tmp_path / "art" / "lost.csv")]
    assert reasons == ["page front is no picture but Video", "page front has no picture"]


@pytest.mark.parametrize("document", [{}, {"@type": "sc:Manifest"}, {"type": "Collection"},
                                      {"type": "Manifest", "items": "none"}])  # fmt: skip
def test_documents_without_pictures(document, server, tmp_path):
    """They are an error, and nothing is asked of anybody."""
    with pytest.raises(DatasetError, match="not one picture") as caught:
        fetched(server.serves("/manifest.json", document), tmp_path / "art")
    assert caught.value.slug == "no-pictures"


@pytest.mark.parametrize("what", ["/missing.json", "none.csv"])
def test_a_manifest_that_cannot_be_had(what, server, tmp_path):
    """The address or the file is named."""
    what = server.url(what) if what.startswith("/") else str(tmp_path / what)
    with pytest.raises(DatasetError, match=r"404|No such file") as caught:
        fetched(what, tmp_path / "art")
    assert caught.value.slug == "no-document"
    if "none" in what:
        with pytest.raises(DatasetError, match="no file, no address"):
            fetch(what, tmp_path / "art")


def test_documents_are_asked_for_once_while_a_fetch_goes_on(server, tmp_path, monkeypatch):
    """After an interruption the manifests of a collection need not be had again; at the end none
    is kept, so that the next fetch sees what is new.
    """
    server.serves("/moon/manifest", version_2(server, "moon"))
    top = {
        "type": "Collection",
        "items": [{"id": server.url("/moon/manifest"), "type": "Manifest"}],
    }
    address = server.serves("/top", top)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(museum, "decode", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        fetched(address, tmp_path / "art")
    fetched(address, tmp_path / "art")
    assert server.asked["/moon/manifest"] == 1
    assert not (tmp_path / "art" / "documents").exists()
