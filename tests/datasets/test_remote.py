"""Shards at an address: the same pictures as on a disk, read in parts, and nothing written out."""

import gzip
import io
import re
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

import overpaint as op
from overpaint.datasets import remote
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.remote import Blocks, RemoteFolder
from overpaint.datasets.shards import ShardsEntry
from overpaint.errors import DatasetError, StudyError
from overpaint.features import features_of
from overpaint.networks import build
from overpaint.pixels.images import read
from overpaint.seeds import generator
from overpaint.study import read_study


def noise(number: int) -> bytes:
    buffer = io.BytesIO()
    pixels = generator(0, "remote", number).integers(0, 256, (70, 80, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def shard(numbers: range) -> bytes:
    """A tar file with these pictures, of two classes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in numbers:
            for ending, data in (("png", noise(number)), ("cls", b"%d" % (number % 2))):
                info = tarfile.TarInfo(f"{number:04}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


SHARDS = {
    "train-000.tar": shard(range(12)),
    "train-001.tar": shard(range(12, 24)),
    "val-000.tar": shard(range(24, 28)),
    "test-000.tar": shard(range(28, 36)),
}


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """Fsspec's file system in memory, empty afterwards."""
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def museum(memory) -> str:
    """The address of four shards."""
    for name, data in SHARDS.items():
        memory.pipe(f"/museum/{name}", data)
    return "memory://museum"


def opened(root: str | Path, work: Path, **more: object):
    return open_dataset("art", ShardsEntry(kind="shards", root=root, **more), workplace=work)[0]


def refused(root: str, work: Path, **more: object) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        opened(root, work, **more)
    return caught.value


def test_the_same_as_on_a_disk(museum, tmp_path):
    """Ids, labels, splits and digests are those of the shards in a folder; so are features."""
    for name, data in SHARDS.items():
        (tmp_path / "disk").mkdir(exist_ok=True)
        (tmp_path / "disk" / name).write_bytes(data)
    near, far = opened(tmp_path / "disk", tmp_path / "near"), opened(museum, tmp_path / "far")
    assert far.pictures == near.pictures
    assert far.classes == near.classes == ("0", "1")
    assert str(far.root) == museum
    for split in ("train", "val", "test"):
        one, other = near.split(split), far.split(split)
        assert [file.read_bytes() for file in other.paths] == [
            file.read_bytes() for file in one.paths
        ]
        assert one.digest == other.digest
    network = build("inception_small", classes=("0", "1"), seed=0)
    here, there = (
        features_of([(network, ["mixed4b"])], each.split("train"))[0]["mixed4b"]
        for each in (near, far)
    )
    assert np.array_equal(here, there)


def test_nothing_is_written_out(museum, tmp_path):
    """What is kept are tables of where each picture lies and what was seen of it."""
    opened(museum, tmp_path / "work")
    kept = {path.name for path in (tmp_path / "work/pictures").rglob("*") if path.is_file()}
    assert kept == {"export.json", "pictures.parquet", "looks.parquet"}


def test_a_shard_is_read_once(museum, tmp_path, monkeypatch):
    """The doctor's look comes from the first reading; a second run reads none, and one shard that
    has changed is noticed.
    """
    asked: Counter[str] = Counter()
    part = RemoteFolder._part

    def counted(self, path, start, stop):
        asked[path] += stop - start
        return part(self, path, start, stop)

    monkeypatch.setattr(RemoteFolder, "_part", counted)
    first = opened(museum, tmp_path / "work")
    assert all(asked[name] <= len(data) * 1.5 for name, data in SHARDS.items())
    asked.clear()
    assert opened(museum, tmp_path / "work").pictures == first.pictures
    assert not asked
    fsspec.filesystem("memory").pipe("/museum/val-000.tar", shard(range(40, 43)))
    assert len(opened(museum, tmp_path / "work").split("val")) == 3


def test_patterns(museum, tmp_path):
    """Braces name shards as WebDataset writes them, stars look; what is missing is named."""
    dataset = opened(museum, tmp_path / "a", splits={"train": "train-{000..001}.tar",
                                                      "test": "test*"})  # fmt: skip
    assert [len(dataset.split(name)) for name in ("train", "test")] == [24 - 2, 8]
    error = refused(museum, tmp_path / "b", splits={"train": "train-{000..002}.tar"})
    assert error.slug == "no-shards"
    assert "'train-002.tar'" in str(error)
    error = refused(museum, tmp_path / "c", splits={"train": "tain*"})
    assert "'tain*'; there: test-000.tar, train-000.tar" in str(error)
    with pytest.raises(ValueError, match="more than 100000 shards"):
        ShardsEntry(kind="shards", root=museum, splits={"train": "{0..999999}.tar"})
    with pytest.raises(ValueError, match="leads out of the root"):
        ShardsEntry(kind="shards", root=museum, splits={"train": "{a,../b}.tar"})


def test_braces_on_a_disk(tmp_path):
    """They mean the same below a folder."""
    (tmp_path / "disk").mkdir()
    for name, data in SHARDS.items():
        (tmp_path / "disk" / name).write_bytes(data)
    splits = {"train": "train-00{0,1}.tar", "test": "test-000.tar"}
    assert len(opened(tmp_path / "disk", tmp_path / "a", splits=splits).split("test")) == 8
    with pytest.raises(DatasetError, match=r"'train-002\.tar'"):
        opened(tmp_path / "disk", tmp_path / "b", splits={"train": "train-{000..002}.tar"})


@pytest.mark.parametrize("length", [700, 1100, 30000])
def test_a_shard_that_is_cut_off(museum, memory, tmp_path, length):
    """It is named, and nothing half written is left behind."""
    memory.pipe("/museum/test-000.tar", SHARDS["test-000.tar"][:length])
    error = refused(museum, tmp_path)
    assert error.slug == "broken-shard"
    assert "memory://museum/test-000.tar, it may be cut off" in str(error)
    assert not (tmp_path / "pictures").exists()


def test_a_bucket_of_files_without_end(museum, tmp_path, monkeypatch):
    """A pattern that more files fit than can be asked about is refused, whatever the address."""
    monkeypatch.setattr(remote, "MOST_FILES", 3)
    error = refused(museum, tmp_path)
    assert error.slug == "too-many-shards"
    assert "4 files fit memory://museum/" in str(error)
    monkeypatch.setattr(remote, "MOST_FILES", 4)
    assert len(opened(museum, tmp_path).split("test")) == 8


def test_a_shard_that_is_cut_off_later(museum, memory, tmp_path, monkeypatch):
    """A picture that has gone since the shards were read is a message, not half a picture."""
    monkeypatch.setattr(remote, "IN_A_ROW", 10**9)  # so that no block of it is in memory
    last = opened(museum, tmp_path).split("test").paths[-1]
    memory.pipe("/museum/test-000.tar", SHARDS["test-000.tar"][:30000])
    with pytest.raises(DatasetError, match="may be cut off") as caught:
        read(last)
    assert caught.value.slug == "broken-shard"


def test_a_compressed_shard(museum, memory, tmp_path):
    """It is refused before it is unpacked, whatever it is called: it may be a bomb."""
    memory.pipe("/museum/test-000.tar", gzip.compress(bytes(10**7)))
    error = refused(museum, tmp_path)
    assert error.slug == "compressed-shard"
    assert "test-000.tar is compressed" in str(error)


def test_addresses_that_lead_nowhere(memory, tmp_path):
    """An unknown kind, a package that is not there, an empty place: each with what would help."""
    assert refused("nonsense://museum", tmp_path).slug == "bad-address"
    error = refused("memory://nobody", tmp_path)
    assert error.slug == "no-shards"
    assert "there: no tar" in str(error)


@pytest.mark.parametrize(
    ("root", "package"), [("s3://museum/shards", "s3fs"), ("gs://museum/shards", "gcsfs")]
)
def test_a_package_that_is_not_there(tmp_path, monkeypatch, root, package):
    """The message names it."""

    def missing(*_args: object) -> None:
        raise ImportError(f"Install {package}")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    error = refused(root, tmp_path)
    assert error.slug == "missing-package"
    assert f"pip install {package}" in str(error)


def test_no_permission(museum, memory, tmp_path, monkeypatch):
    """It is told from a shard that is not there, and not tried again."""
    tries = []

    def forbidden(path, **_more):
        tries.append(path)
        raise PermissionError("Forbidden for key AKIA123")

    monkeypatch.setattr(memory, "cat_file", forbidden)
    error = refused(museum, tmp_path)
    assert error.slug == "no-permission"
    assert "AKIA123" not in str(error)
    assert len(tries) == 1


def test_a_request_that_fails_is_tried_again(museum, memory, tmp_path, monkeypatch):
    """Twice a lost connection is no matter; a third time it is an error without what is secret."""
    cat, failures = memory.cat_file, [0]
    monkeypatch.setattr(remote, "WAIT", 0)

    def flaky(path, **more):
        failures[0] += 1
        if failures[0] <= limit:
            raise ConnectionResetError("reset by https://me:secret@museum.org/x?signature=12ab")
        return cat(path, **more)

    monkeypatch.setattr(memory, "cat_file", flaky)
    limit = 2
    assert len(opened(museum, tmp_path / "a").pictures) == 36
    limit = 10**6
    error = refused(museum, tmp_path / "b")
    assert error.slug == "broken-shard"
    assert "reset by https://museum.org/x" in str(error)
    assert not re.search("secret|12ab", str(error))


@pytest.mark.parametrize(
    "root", ["s3://AKIA12:secret@museum/a", "https://museum.org/a?X-Amz-Signature=secret"]
)
def test_credentials_in_an_address(tmp_path, root):
    """They are refused, and not printed."""
    (tmp_path / "s.yaml").write_text(
        f"study: s\nnetworks: {{}}\ndatasets:\n  art: {{kind: shards, root: '{root}'}}\n"
    )
    with pytest.raises(StudyError, match=r"no user, password or signature.*line 4") as caught:
        read_study(str(tmp_path / "s.yaml"))
    assert "secret" not in str(caught.value)
    (tmp_path / "s.yaml").write_text(f"study: s\nnetworks: {{}}\nfeatures:\n  store: '{root}'\n")
    with pytest.raises(StudyError, match=r"no user, password or signature.*line 4") as caught:
        read_study(str(tmp_path / "s.yaml"))
    assert "secret" not in str(caught.value)
    with pytest.raises(DatasetError, match="no user, password or signature") as told:
        op.dataset(root, kind="shards")
    assert "secret" not in str(told.value)


def test_from_python(museum, tmp_path, monkeypatch):
    """`op.dataset` takes an address as it takes a folder."""
    monkeypatch.setenv("OVERPAINT_CACHE", str(tmp_path))
    dataset = op.dataset(museum, kind="shards")
    assert (dataset.name, len(dataset.split("train"))) == ("museum", 24)


# --- a server ------------------------------------------------------------------------------------


class Server(BaseHTTPRequestHandler):
    """Shards below /open and /whole (which knows no parts); what is below /closed is forbidden, and
    what is below /flood has no end, though it says that it has.
    """

    protocol_version = "HTTP/1.1"
    flooded = 0  # bytes that were sent of what has no end

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        folder, _, name = self.path.lstrip("/").partition("/")
        data = SHARDS.get(name)
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        status, headers = 200, {}
        if folder == "flood" and body:
            self.flood("text/html" if name == "" else "application/x-tar")
            return
        if folder == "closed":
            status, data = 403, b"no"
        elif folder == "open" and name == "":
            data = "".join(f'<a href="{each}">{each}</a>' for each in SHARDS).encode()
            headers["Content-Type"] = "text/html"
        elif data is None:
            status, data = 404, b"nothing"
        elif asked and folder == "open":
            first, last = map(int, asked.groups())
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            status, data = 206, data[first : last + 1]
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def handle(self):
        with suppress(ConnectionError):  # whoever asked has had enough
            super().handle()

    def flood(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for _ in range(2**12):  # 4 GiB
                self.wfile.write(b"100000\r\n" + bytes(2**20) + b"\r\n")
                Server.flooded += 2**20
        except OSError:
            self.close_connection = True

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server on this machine."""
    pytest.importorskip("aiohttp", reason="fsspec reads http with aiohttp")
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


NAMES = {"train": "train-{000..001}.tar", "val": "val-000.tar", "test": "test-000.tar"}


def test_a_server(server, tmp_path):
    """Shards of a server, named or found in its page; the pictures are the same."""
    named = opened(f"{server}/open", tmp_path / "a", splits=NAMES)
    listed = opened(f"{server}/open/", tmp_path / "b")
    assert named.pictures == listed.pictures
    assert [file.read_bytes() for file in named.split("test").paths] == [
        noise(number) for number in range(28, 36)
    ]


def test_a_server_that_refuses(server, tmp_path):
    """No permission, no such shard, no parts: each has its message."""
    assert refused(f"{server}/closed", tmp_path, splits=NAMES).slug == "no-permission"
    error = refused(f"{server}/open", tmp_path, splits={"train": "train-{000..007}.tar"})
    assert (error.slug, "'train-002.tar'" in str(error)) == ("no-shards", True)
    error = refused(f"{server}/whole", tmp_path, splits=NAMES)
    assert error.slug == "no-parts"


def test_a_server_without_end(server, tmp_path, monkeypatch):
    """Of an answer that never ends no more is read than was asked for, of a list no more than one
    of half a million names has.
    """
    Server.flooded = 0
    error = refused(f"{server}/flood", tmp_path, splits=NAMES)
    assert error.slug == "no-parts"
    assert "/flood/train-000.tar: the server sends the whole file" in str(error)
    assert Server.flooded < 2**26  # what lies in the system's buffers of the connection
    monkeypatch.setattr(remote, "LARGEST_LIST", 2**20)
    Server.flooded = 0
    assert refused(f"{server}/flood/", tmp_path).slug == "too-many-shards"
    assert Server.flooded < 2**26


# --- reading ahead -------------------------------------------------------------------------------


class Asked:
    """A file of a hundred blocks, and what is asked of it."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int]] = []
        self.data = np.arange(100 * 64, dtype=np.uint32).astype(np.uint8).tobytes()

    def __call__(self, _path: str, start: int, stop: int) -> bytes:
        self.parts.append((start, stop))
        return self.data[start:stop]


@pytest.fixture
def asked(monkeypatch) -> Asked:
    monkeypatch.setattr(remote, "BLOCK", 64)
    monkeypatch.setattr(remote, "KEPT", 10)
    return Asked()


def test_one_after_the_other(asked):
    """Neighbours share a request, the next blocks are under way, and little is asked twice."""
    blocks = Blocks(asked)
    size = len(asked.data)
    for start in range(0, size, 16):
        assert blocks.read("a", size, start, start + 16) == asked.data[start : start + 16]
        assert len(blocks.kept) <= 10
    blocks.pool.shutdown()
    assert len(asked.parts) <= 100 + remote.IN_A_ROW
    assert sum(stop - start for start, stop in asked.parts) <= size * 1.02


def test_from_all_over(asked):
    """Parts here and there cost no more bytes than they have."""
    blocks = Blocks(asked)
    size = len(asked.data)
    starts = generator(0, "all over").permutation(size // 16)[:100] * 16
    for start in starts.tolist():
        assert blocks.read("a", size, start, start + 16) == asked.data[start : start + 16]
    blocks.pool.shutdown()
    assert sum(stop - start for start, stop in asked.parts) <= 100 * 16 * 1.1


def test_a_block_that_failed_is_asked_for_again(asked):
    """An error is told to who asked, and kept by nobody."""
    broken = [True]

    def load(path: str, start: int, stop: int) -> bytes:
        if broken[0] and start >= 128:
            raise OSError("lost")
        return asked(path, start, stop)

    blocks = Blocks(load)
    for start in range(0, 128, 16):
        blocks.read("a", 640, start, start + 16)
    with pytest.raises(OSError, match="lost"):
        blocks.read("a", 640, 128, 144)
    broken[0] = False
    assert blocks.read("a", 640, 128, 144) == asked.data[128:144]
    blocks.pool.shutdown()
