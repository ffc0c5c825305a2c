"""Shards, archives and exports of museums that are broken, or more than they seem."""

import gzip
import io
import json
import os
import struct
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bad_pictures import saved, zeros
from watched import MEGABYTES, SECONDS, Outcome, watched

import overpaint as op
from overpaint.datasets import fetch, web
from overpaint.datasets.iiif import works
from overpaint.datasets.museum import fetch_pictures
from overpaint.progress import Progressing

GOOD = saved((32, 32), "PNG")


def shard(*members: tuple[str, bytes], **more: object) -> bytes:
    """A tar of such members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in more.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def sample(**fields: bytes) -> bytes:
    """A shard of two samples: one that is as it should be, and one with these fields beside it."""
    good = [("000.png", GOOD), ("000.cls", b"sea")]
    return shard(*good, *((f"001.{name}", data) for name, data in {"png": GOOD, **fields}.items()))


def end_of(tar: bytes) -> bytes:
    """A shard without the zeros that end it, so that more may follow."""
    return tar.rstrip(b"\0").ljust(-(-len(tar.rstrip(b"\0")) // 512) * 512, b"\0")


def header(kind: bytes, size: int, name: str = "001.png") -> bytes:
    """The block of a member that claims a size, and nothing behind it."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def bomb(count: int) -> bytes:
    """A compressed shard of a picture of so many zeros: a thousandth as large."""
    data = io.BytesIO()
    with gzip.GzipFile(fileobj=data, mode="wb", compresslevel=1) as file:
        file.write(header(tarfile.REGTYPE, count, "000.png"))
        for _ in range(count // 2**20):
            file.write(bytes(2**20))
    return data.getvalue()


def of_json(text: str) -> Callable[[], bytes]:
    return lambda: sample(json=text.encode())


SHARDS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "JSON 100,000 deep": (
        of_json('{"label": ' + "[" * 10**5 + "]" * 10**5 + "}"),
        "broken-shard",
        "deep",
    ),
    "JSON 500 deep": (of_json('{"label": ' + "[" * 500 + "]" * 500 + "}"), "broken-shard", "deep"),
    "half a letter in a label": (of_json('{"label": "sea\\ud800"}'), "bad-label", "letters"),
    "a number of 5,000 digits": (of_json('{"label": ' + "9" * 5000 + "}"), "broken-shard", "4300"),
    "a class number of 5,000 digits": (
        lambda: sample(cls=b"9" * 5000),
        "bad-label",
        "5000 letters",
    ),
    "a class number of 400 digits": (lambda: sample(cls=b"9" * 400), "", "2 pictures"),
    "a label of a million letters": (lambda: sample(cls=b"a" * 10**6), "bad-label", "letters"),
    "a label that is a list of lists": (of_json('{"label": [[1]]}'), "bad-label", ""),
    "a label that is true": (of_json('{"label": true}'), "bad-label", ""),
    "a label that is 1e999": (of_json('{"label": 1e999}'), "bad-label", ""),
    "JSON that is a list": (of_json("[]"), "missing-label", ""),
    "JSON of no text": (lambda: sample(json=b"\xff\xfe{"), "broken-shard", ""),
    "a class of no text": (lambda: sample(cls=b"\xff\xfe\xff"), "broken-shard", ""),
    "a label of 2 MB": (
        lambda: sample(json=b'{"label": "' + b"a" * 2**21 + b'"}'),
        "broken-shard",
        "claims",
    ),
    "0.5 MB that are 524": (lambda: bomb(2**29 - 2**20), "broken-shard", "unpack"),
    "9 MB that are 2,000": (lambda: bomb(2**31), "broken-shard", ""),
    "a picture of 2^60 bytes": (lambda: header(tarfile.REGTYPE, 2**60), "broken-shard", ""),
    "a name of 2^40 letters": (
        lambda: header(tarfile.GNUTYPE_LONGNAME, 2**40),
        "broken-shard",
        "header",
    ),
    "a pax header of 2^33 bytes": (
        lambda: header(tarfile.XHDTYPE, 2**33),
        "broken-shard",
        "header",
    ),
    "a global pax header of 2^33": (
        lambda: header(tarfile.XGLTYPE, 2**33),
        "broken-shard",
        "header",
    ),
    "a pax header of nonsense": (
        lambda: header(tarfile.XHDTYPE, 512) + b"99999999999 path=\n".ljust(512, b"\0") + GOOD,
        "broken-shard",
        "",
    ),
    "a name of 100,000 letters": (
        lambda: shard(("a" * 10**5 + ".png", GOOD), ("b.cls", b"a")),
        "broken-shard",
        "letters",
    ),
    "a sparse member of 2^60": (
        lambda: shard(
            ("001.png", b"x"),
            pax_headers={
                "GNU.sparse.major": "0",
                "GNU.sparse.minor": "1",
                "GNU.sparse.name": "001.png",
                "GNU.sparse.size": str(2**60),
                "GNU.sparse.map": "0,1",
            },
        ),
        "broken-shard",
        "",
    ),
    "a sparse map of nonsense": (
        lambda: shard(
            ("001.png", b"x"), pax_headers={"GNU.sparse.map": "a,b", "GNU.sparse.size": "9"}
        ),
        "broken-shard",
        "",
    ),
    "a link in place of a picture": (
        lambda: (
            end_of(sample(cls=b"sky"))
            + shard(("002.png", b""), type=tarfile.SYMTYPE, linkname="/etc/passwd")
        ),
        "",
        "1 link",
    ),
    "a device in place of a picture": (
        lambda: (
            end_of(sample(cls=b"sky"))
            + shard(("002.png", b""), type=tarfile.CHRTYPE, devmajor=1, devminor=5)
        ),
        "",
        "1 link",
    ),
    "a name that leads out": (
        lambda: (
            end_of(sample(cls=b"sky")) + shard(("../../out.png", GOOD), ("../../out.cls", b"sea"))
        ),
        "",
        "3 pictures",
    ),
    "a picture of EPS": (
        lambda: sample(cls=b"sky", png=b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        "",
        "it is EPS",
    ),
    "no tar": (lambda: b"\0\1\2" * 999, "broken-shard", ""),
    "an empty file": (lambda: b"", "broken-shard", ""),
    "gzip cut short": (lambda: gzip.compress(sample(cls=b"a"))[:99], "broken-shard", ""),
}


def holds(outcome: Outcome, slug: str, reason: str) -> None:
    assert outcome.slug == slug, outcome
    assert reason in outcome.message, outcome
    assert len(outcome.message) < 2500
    assert outcome.megabytes < MEGABYTES, outcome
    assert outcome.seconds < SECONDS, outcome


def opened(root: Path, **more: object) -> str:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        dataset = op.dataset(root, kind="shards", **more)
    return f"{len(dataset.pictures)} pictures; {[str(warning.message) for warning in told]}"


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    """What is written out goes into a cache of its own."""
    monkeypatch.setenv("OVERPAINT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("case", SHARDS)
def test_a_bad_shard_is_refused_or_read(case, tmp_path):
    """With its slug, within a gigabyte and 20 seconds, and nothing lies outside the cache."""
    make, slug, reason = SHARDS[case]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.tar").write_bytes(make())
    before = {path for path in tmp_path.rglob("*") if "cache" not in path.parts}
    holds(watched(lambda: opened(tmp_path / "data")), slug, reason)
    assert {path for path in tmp_path.rglob("*") if "cache" not in path.parts} - before <= {
        tmp_path / "cache"
    }


@pytest.mark.parametrize(
    "pattern",
    [
        "**x",
        "a**",
        "{*,b}*.tar",
        "",
        ".",
        "/etc/*",
        "../*",
        "a\0b",
        "{0..9999999}.tar",
        "a" * 9999,
        "{1.." + "9" * 5000 + "}",
        "{{{{{{{{{{a,b}",
        "\x1b[2J",
    ],
)
def test_a_bad_pattern_of_shards_is_refused(pattern, tmp_path):
    """A pattern that leads out, means far too many or none is told with the key."""
    (tmp_path / "train.tar").write_bytes(sample(cls=b"sky"))
    holds(watched(lambda: opened(tmp_path, splits={"train": pattern})), "bad-dataset", "splits")


def test_a_fifo_called_as_a_shard_is_not_waited_for(tmp_path):
    """It is named, and the message says what it is."""
    os.mkfifo(tmp_path / "train.tar")
    holds(watched(lambda: opened(tmp_path)), "broken-shard", "a pipe")


# --- archives ------------------------------------------------------------------------------------


def archive(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        warnings.simplefilter("ignore")
        for name, data in members:
            packed.writestr(name, data)
    return buffer.getvalue()


def claiming(size: int) -> bytes:
    """An archive whose one member claims a size."""
    data = archive(("a/b.jpg", bytes(999)))
    return data.replace(struct.pack("<I", 999), struct.pack("<I", size))


ARCHIVES = {
    "a name that leads out": (lambda: archive(("../a", b"")), "unsafe-archive"),
    "an absolute name": (lambda: archive(("/etc/a", b"")), "unsafe-archive"),
    "a name of Windows": (lambda: archive(("c:\\a", b"")), "unsafe-archive"),
    "a name that is a dot": (lambda: archive((".", b"a")), "unsafe-archive"),
    "a thousand times its size": (lambda: archive(("a", bytes(2 * 10**8))), "unsafe-archive"),
    "a claim of 4 GB": (lambda: claiming(2**32 - 2), "unsafe-archive"),
    "a claim of less than it holds": (lambda: claiming(9), "broken-archive"),
    "a file that is a folder, too": (
        lambda: archive(("a/b", b""), ("c/d", b""), ("a", b"")),
        "broken-archive",
    ),
    "a name too long": (lambda: archive(("a" * 999, b"")), "broken-archive"),
    "no zip": (lambda: b"PK\3\4" + bytes(99), "broken-archive"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_a_bad_archive_is_refused_whole(case, tmp_path):
    """Nothing of it is left, in its folder or beside it."""
    make, slug = ARCHIVES[case]
    (tmp_path / "a.zip").write_bytes(make())
    holds(watched(lambda: fetch.unpack(tmp_path / "a.zip", tmp_path / "out")), slug, "")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


# --- museums -------------------------------------------------------------------------------------

DEEP = '{"type": "Collection", "items": [' * 400 + "]}" * 400
EXPORTS: dict[str, tuple[str, str, str]] = {
    "10,000 deep": ("[" * 10**4 + "]" * 10**4, "no-document", "deep"),
    "collections 400 deep": (DEEP, "no-document", "deep"),
    "a number of 5,000 digits": ('{"a": ' + "1" * 5000 + "}", "no-document", "4300"),
    "33 MB": ('{"a": "' + "a" * 2**25 + '"}', "no-document", "limit"),
    "cut short": ('{"type": "Manifest", "items": [', "no-document", "JSON"),
    "odd types": ('{"type": 3, "items": "a", "label": [[1, {"en": 2}], null]}', "no-pictures", ""),
    "sizes that are none": (
        json.dumps(
            {
                "type": "Manifest",
                "items": [
                    {
                        "type": "Canvas",
                        "items": [
                            {
                                "items": [
                                    {
                                        "body": {
                                            "id": "http://[::1",
                                            "type": "Image",
                                            "width": 1e400,
                                            "height": 10**400,
                                            "service": [
                                                {
                                                    "id": "http://127.0.0.1:9/",
                                                    "type": "ImageService2",
                                                    "profile": "level2",
                                                    "width": float("nan"),
                                                }
                                            ],
                                        }
                                    }
                                ]
                            }
                        ],
                    }
                ],
            }
        ),
        "no-pictures",
        "",
    ),
    "half letters": (
        (
            '{"type": "Manifest", "label": "\\ud800", "items": [{"type": "Canvas", "label":'
            ' "\\udfff", "items": [{"items": [{"body": {"id": "http://[\\ud800", "type":'
            ' "Image"}}]}]}]}'
        ),
        "no-pictures",
        "",
    ),
    "a table of broken addresses": (
        "image\nhttp://[x\nhttp://[y\nfile:///etc/passwd\n",
        "no-pictures",
        "",
    ),
}


@pytest.mark.parametrize("case", EXPORTS)
def test_a_bad_export_of_a_museum_is_refused(case, tmp_path):
    """A manifest or a table of anything: told, and where pictures are named, none is lost."""
    text, slug, reason = EXPORTS[case]
    file = tmp_path / ("a.csv" if text.startswith("image") else "a.json")
    file.write_text(text)

    def fetched() -> object:
        return fetch_pictures(str(file), tmp_path / "out", rate=1000, progress=Progressing(quiet()))

    holds(watched(fetched), slug, reason)


def quiet() -> object:
    from rich.console import Console

    return Console(file=io.StringIO())


def test_collections_without_end_are_left(tmp_path):
    """A server that names a next page for ever is followed for a while, and told."""

    def get(address: str) -> dict[str, object]:
        return {"type": "Collection", "next": f"{address}1"}

    lost = list(works(get("http://a/"), "http://a/", get))
    assert [row.reason for row in lost] == ["collections without end"]


@pytest.fixture
def server():
    """A server that answers as its table says: path -> status, headers and parts of a body."""
    answers: dict[str, tuple[int, dict[str, str], object]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, parts = answers[self.path]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for part in parts:
                    self.wfile.write(part)
            except OSError:
                pass  # who asked has had enough

        def log_message(self, *_: object) -> None:
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}", answers
    serving.shutdown()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((302, {"Location": "file:///etc/passwd"}, []), "no address of the web"),
        ((302, {"Location": "gopher://a/"}, []), "no address of the web"),
        ((302, {"Location": "/a"}, []), "without end"),
        ((302, {"Location": "http://["}, []), ""),
        ((200, {}, [bytes(2**20)] * 600), "more than 512 MB"),
        ((200, {"Content-Length": "9"}, [b"a"]), "3 times"),
        ((200, {"Content-Encoding": "gzip"}, [b"no gzip"]), ""),
        ((200, {"Content-Encoding": "deflate"}, [zeros(2**30)]), "more than 512 MB"),
    ],
)
def test_a_lying_server_is_told(answer, reason, server, tmp_path, monkeypatch):
    """It can neither lead to a file nor send without end."""
    address, answers = server
    answers["/a"] = answer
    monkeypatch.setattr(web, "PAUSE", 0.01)
    monkeypatch.setattr(web, "TRIES", 3)
    with pytest.raises(ValueError, match=reason):
        web.Web(1000, tmp_path).get(f"{address}/a")


def test_a_server_outside_does_not_lead_inside(server, tmp_path, monkeypatch):
    """What the museum's server says is inside our network is not asked for."""
    address, answers = server
    answers["/a"] = (302, {"Location": f"{address.replace('127.0.0.1', 'localhost')}/b"}, [])
    answers["/b"] = (200, {}, [b"secret"])
    assert web.Web(1000, tmp_path).get(f"{address}/a").data == b"secret"  # inside from inside
    monkeypatch.setattr(web, "is_inside", lambda host: host == "localhost")
    with pytest.raises(ValueError, match="inside this network"):
        web.Web(1000, tmp_path).get(f"{address}/a")


def test_a_document_of_500_megabytes_is_not_read(server, tmp_path):
    """Of JSON less is taken than of a picture: it grows in memory."""
    address, answers = server
    answers["/a"] = (200, {}, [b"[" * 2**20] * 500)
    outcome = watched(lambda: refused(lambda: web.Web(1000, tmp_path).document(f"{address}/a")))
    holds(outcome, "", "more than 32 MB")


def refused(call: Callable[[], object]) -> str:
    try:
        call()
    except ValueError as error:
        return str(error)
    return "not refused"
