"""Published collections are fetched by their DOI and unpacked safely; without a network it is said
what to put where. No test reaches the network.
"""

import hashlib
import zipfile
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from overpaint.cli import app
from overpaint.datasets import fetch as module
from overpaint.datasets.fetch import fetch, unpack
from overpaint.datasets.iconart import IconArtEntry
from overpaint.datasets.opening import open_dataset
from overpaint.errors import DatasetError
from overpaint.study.reading import parse

HEAD = "item,angel,Child_Jesus,crucifixion_of_Jesus,Mary,nudity,ruins,Saint_Sebastien,set,Anno\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no network."""
    monkeypatch.setenv("OVERPAINT_CACHE", str(tmp_path / "cache"))

    def refuse(url, **options):
        raise requests.ConnectionError("no route to host\nand more")

    monkeypatch.setattr(requests, "get", refuse)
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def iconart(path: Path, picture: bytes) -> Path:
    rows = "Q1,1,0,0,0,0,0,0,train,1\n"
    return archive(
        path,
        {
            "IconArt_v1/": b"",
            "IconArt_v1/JPEGImages/Q1.jpg": picture,
            "IconArt_v1/ImageSets/Main/IconArt_v1.csv": (HEAD + rows).encode(),
            "__MACOSX/IconArt_v1/._JPEGImages": b"x",
        },
    )


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# --- fetching ----------------------------------------------------------------------------------


def test_an_archive_in_the_cache_needs_no_network(cache, tmp_path, pictures):
    """It is unpacked, and what the command says opens it."""
    iconart(cache / "IconArt_v1.zip", (pictures / "red" / "00.png").read_bytes())
    said = CliRunner().invoke(app, ["fetch", "iconart", str(tmp_path / "new" / "icons")])
    assert said.exit_code == 0
    data, _ = parse(said.stdout, "said")
    entry = IconArtEntry.model_validate(data["datasets"]["iconart"])
    assert entry.root == tmp_path / "new" / "icons"
    dataset, _ = open_dataset("iconart", entry, workplace=tmp_path / "work")
    assert dataset.pictures[0].labels == ("angel",)


def test_without_a_network(cache, tmp_path):
    """The error names the DOI, the file and the folder; nothing is left."""
    with pytest.raises(DatasetError, match="no route to host") as caught:
        fetch("iconart", tmp_path / "icons")
    assert caught.value.slug == "no-archive"
    for part in ("doi:10.5281/zenodo.4737435", "IconArt_v1.zip", str(cache)):
        assert part in str(caught.value)
    assert not (tmp_path / "icons").exists()


class Answer:
    """What a server says, as far as pooch looks at it."""

    status_code = 200

    def __init__(self, url: str, data: bytes = b"", facts: object = None) -> None:
        self.url, self.data, self.facts = url, data, facts
        self.headers = {"content-length": str(len(data))}

    def raise_for_status(self):
        pass

    def json(self):
        return self.facts

    def iter_content(self, chunk_size):
        yield self.data


@pytest.mark.parametrize("honest", [True, False])
def test_the_download_is_compared(cache, tmp_path, monkeypatch, honest):
    """The archive comes by way of the DOI, and only one of the publisher's hash is taken."""
    data = iconart(tmp_path / "a.zip", b"picture").read_bytes()
    told = hashlib.md5(data if honest else b"other").hexdigest()  # noqa: S324 - as Zenodo does
    asked = []

    def get(url, **options):
        asked.append(url)
        if url.startswith("https://doi.org/"):
            return Answer("https://zenodo.org/records/4737435")
        if "/content" not in url:
            entry = {
                "key": "IconArt_v1.zip",
                "checksum": f"md5:{told}",
                "links": {"self": f"{url}/files/IconArt_v1.zip/content"},
            }
            return Answer(url, facts={"files": [entry]})
        return Answer(url, data)

    monkeypatch.setattr(requests, "get", get)
    if honest:
        folder = fetch("iconart", tmp_path / "icons")
        assert files(folder) == {"JPEGImages/Q1.jpg", "ImageSets/Main/IconArt_v1.csv"}
        assert "10.5281/zenodo.4737435" in asked[0]
        assert (cache / "IconArt_v1.zip").read_bytes() == data
    else:
        with pytest.raises(DatasetError, match="hash") as caught:
            fetch("iconart", tmp_path / "icons")
        assert caught.value.slug == "no-archive"
        assert files(cache) == set()


def test_other_files_stay(cache, tmp_path):
    """A folder that holds anything is left alone."""
    iconart(cache / "IconArt_v1.zip", b"")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("the only copy")
    with pytest.raises(DatasetError, match="is there already") as caught:
        fetch("iconart", tmp_path / "data")
    assert caught.value.slug == "folder-not-empty"
    assert files(tmp_path / "data") == {"thesis.txt"}


def test_an_unknown_collection():
    """The known ones are named."""
    with pytest.raises(DatasetError, match="did you mean 'iconart'") as caught:
        fetch("iconarts")
    assert caught.value.slug == "unknown-collection"


# --- unpacking ---------------------------------------------------------------------------------


def test_unpack(tmp_path):
    """The one folder above all is left out; several are kept."""
    unpack(archive(tmp_path / "a.zip", {"top/x/1": b"1", "top/2": b"2"}), tmp_path / "a")
    assert files(tmp_path / "a") == {"x/1", "2"}
    unpack(archive(tmp_path / "b.zip", {"x/1": b"1", "2": b"2"}), tmp_path / "b")
    assert files(tmp_path / "b") == {"x/1", "2"}


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:/evil", "..\\evil"])
def test_names_that_lead_out(tmp_path, name):
    """An archive with such a name is refused whole, and the folder is not made."""
    made = archive(tmp_path / "a.zip", {"good": b"1", name: b"2"})
    with pytest.raises(DatasetError, match="leads out of its folder") as caught:
        unpack(made, tmp_path / "inner" / "a")
    assert caught.value.slug == "unsafe-archive"
    assert files(tmp_path) == {"a.zip"}


def test_links_are_not_followed(tmp_path):
    """A link in an archive becomes a file that holds where it led."""
    (tmp_path / "outside").mkdir()
    link = zipfile.ZipInfo("a/link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, str(tmp_path / "outside"))
        file.writestr("b", "1")
    unpack(tmp_path / "a.zip", tmp_path / "new")
    assert not (tmp_path / "new" / "a" / "link").is_symlink()
    assert (tmp_path / "new" / "a" / "link").read_text() == str(tmp_path / "outside")


def test_a_bomb(tmp_path, monkeypatch):
    """What would fill the disk is refused before a byte is written."""
    monkeypatch.setattr(module, "LARGEST", 1000)
    with pytest.raises(DatasetError, match="would unpack to 1001 bytes") as caught:
        unpack(archive(tmp_path / "a.zip", {"a": b"0" * 500, "b": b"0" * 501}), tmp_path / "new")
    assert caught.value.slug == "unsafe-archive"
    assert files(tmp_path) == {"a.zip"}


@pytest.mark.parametrize("harm", ["cut", "flip", "clash"])
def test_a_broken_archive(tmp_path, harm):
    """It is named, and nothing half unpacked is left."""
    members = {"x/a": bytes(range(256)) * 40, "x/b": b"1"} | (
        {"x/a/c": b""} if harm == "clash" else {}
    )
    made = archive(tmp_path / "a.zip", members)
    data = bytearray(made.read_bytes())
    if harm == "flip":
        data[60] ^= 255
    made.write_bytes(data[:-30] if harm == "cut" else data)
    with pytest.raises(DatasetError, match=r"cannot unpack .*a\.zip") as caught:
        unpack(made, tmp_path / "new")
    assert caught.value.slug == "broken-archive"
    assert files(tmp_path) == {"a.zip"}
