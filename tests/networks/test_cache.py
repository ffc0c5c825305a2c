"""The cache folder: found by name, downloaded whole, and never another file than the published."""

import hashlib
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from overpaint import cache
from overpaint.cache import Source, names_of, published, weights_file
from overpaint.errors import NetworkError
from overpaint.networks import load

DATA = b"weights of a kind" * 1000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """The address of a folder that is served from here; it holds one file, weights.caffemodel."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served/weights.caffemodel").write_bytes(DATA)
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("OVERPAINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


def publish(monkeypatch, url, algorithm="sha1", data=DATA):
    digest = hashlib.new(algorithm, data).hexdigest()
    source = Source("bvlc_googlenet.caffemodel", url, f"{algorithm}:{digest}")
    monkeypatch.setattr(cache, "CAFFEMODEL", source)
    monkeypatch.setitem(cache.SOURCES, "inception_v1", source)
    return digest


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_download(algorithm, server, folder, monkeypatch):
    """A file is downloaded into the cache folder under its name, and is there the next time."""
    publish(monkeypatch, f"{server}/weights.caffemodel", algorithm)
    assert weights_file("inception_v1") is None
    path = published("inception_v1")
    assert path == folder / "bvlc_googlenet.caffemodel" == weights_file("inception_v1")
    assert path.read_bytes() == DATA
    publish(monkeypatch, "http://127.0.0.1:9/gone", algorithm)
    assert published("inception_v1") == path
    assert [each.name for each in folder.iterdir()] == [path.name]


def test_download_of_another_file(server, folder, monkeypatch):
    """A server that gives another file is not believed, and nothing of it stays."""
    expected = publish(monkeypatch, f"{server}/weights.caffemodel", data=b"other")
    with pytest.raises(NetworkError, match=expected) as caught:
        published("inception_v1")
    assert caught.value.slug == "wrong-hash"
    assert hashlib.sha1(DATA, usedforsecurity=False).hexdigest() in str(caught.value)
    assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.parametrize("address", ["{server}/none.caffemodel", "http://127.0.0.1:9/a", "http:/x"])
def test_download_that_fails(address, server, folder, monkeypatch):
    """A download that fails names the address, the file and the folder."""
    url = address.format(server=server)
    publish(monkeypatch, url)
    with pytest.raises(NetworkError) as caught:
        load("inception_v1")
    assert caught.value.slug == "no-weights"
    for said in (url, "bvlc_googlenet.caffemodel", str(folder)):
        assert said in str(caught.value)


def test_another_file_in_the_folder(folder, monkeypatch):
    """A file of the right name with other bytes is refused with both hashes, and left alone."""
    expected = publish(monkeypatch, "http://127.0.0.1:9/a")
    folder.mkdir()
    (folder / "bvlc_googlenet.caffemodel").write_bytes(b"other")
    with pytest.raises(NetworkError) as caught:
        load("inception_v1")
    assert caught.value.slug == "wrong-hash"
    assert expected in str(caught.value)
    assert hashlib.sha1(b"other", usedforsecurity=False).hexdigest() in str(caught.value)
    assert (folder / "bvlc_googlenet.caffemodel").read_bytes() == b"other"


def test_the_first_choice(folder):
    """The converted file goes before the original; each name looks for its own files."""
    folder.mkdir()
    for name in ("bvlc_googlenet.caffemodel", "inception5h.zip", "timm-test_vit.pth"):
        (folder / name).touch()
    assert weights_file("inception_v1") == folder / "bvlc_googlenet.caffemodel"
    (folder / "bvlc_googlenet.safetensors").touch()
    for name in ("inception_v1", "inception_v1.bvlc_in1k"):
        assert weights_file(name) == folder / "bvlc_googlenet.safetensors"
    assert weights_file("inception_v1.tf_in1k") == folder / "inception5h.zip"
    assert weights_file("timm:test_vit") == folder / "timm-test_vit.pth"
    assert weights_file("timm:resnet18") is None
    assert weights_file("inception_small") is None
    assert names_of("runs/x/networks/y") == ()


def test_published_hashes():
    """The hashes are those that the weights are known by."""
    said = {name: source.hash for name, source in cache.SOURCES.items()}
    assert said["inception_v1"] == "sha1:405fc5acd08a3bb12de8ee5e23a96bec22f08204"
    assert said["inception_v1.tf_in1k"] == (
        "sha256:d13569f6a98159de37e92e9c8ec4dae8f674fbf475f69fe6199b514f756d4364"
    )


def test_the_file_is_what_is_loaded(folder, monkeypatch):
    """Weights of a name are read from its file in the folder, once the hash is right."""
    digest = hashlib.sha256(DATA).hexdigest()
    monkeypatch.setitem(
        cache.SOURCES,
        "inception_v1.tf_in1k",
        Source("inception5h.zip", "http://x", f"sha256:{digest}"),
    )
    folder.mkdir()
    (folder / "inception5h.zip").write_bytes(DATA)
    with pytest.raises(NetworkError, match=r"inception5h\.zip cannot be unpacked"):
        load("inception_v1.tf_in1k")


def test_no_torch():
    """To tell the file of a name needs neither torch nor the download library."""
    code = (
        "import sys, overpaint.cache as c; c.weights_file('inception_v1')\n"
        "sys.exit(str({'torch', 'pooch', 'requests'} & sys.modules.keys() or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
