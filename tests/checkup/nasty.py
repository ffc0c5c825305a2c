"""Small collections, each with what goes wrong in real ones; and what is to be said of them."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image


def painting(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A picture like no other of another seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def put(path: Path, picture: Image.Image, **settings) -> Path:
    """A picture in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **settings)
    return path


def sound(root: Path, classes: str = "ab", count: int = 12, start: int = 0) -> Path:
    """Class folders without a fault."""
    for number, label in enumerate(classes):
        for index in range(count):
            put(root / label / f"{index:02}.png", painting(start + 100 * number + index))
    return root


def broken_files(root: Path) -> Path:
    sound(root)
    (root / "a/empty.jpg").write_bytes(b"")
    whole = put(root / "a/cut.jpg", painting(900)).read_bytes()
    (root / "a/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "b/page.jpg").write_text("<html>404</html>")
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 9)), (b"IEND", b""))
    (root / "b/bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks)
    )  # fmt: skip
    put(root / "b/ribbon.png", painting(901, (2, 900)))
    return root


def odd_pictures(root: Path) -> Path:
    sound(root)
    put(root / "a/press.jpg", painting(910).convert("CMYK"))
    deep = np.random.default_rng(1).integers(0, 2**16, (9, 12), dtype=np.uint16)
    put(root / "a/scan.png", Image.fromarray(deep).resize((160, 120)))
    put(root / "a/palette.png", painting(911).quantize(32))
    frames = [painting(912 + n) for n in range(3)]
    put(root / "b/moving.gif", frames[0], save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 6
    put(root / "b/lying.jpg", painting(920), exif=exif)
    put(root / "b/grey.jpg", painting(921).convert("L").convert("RGB"))
    put(root / "b/scroll.png", painting(922, (800, 100)))
    put(root / "b/black.png", Image.new("RGB", (80, 80), "black"))
    return root


def copies_in_two_splits(root: Path) -> Path:
    for number, split in enumerate(("Train", "Validation", "Test")):
        sound(root / split, start=1000 * (number + 1))
    (root / "Test/a/same.png").write_bytes((root / "Train/a/00.png").read_bytes())
    put(root / "Validation/b/again.jpg", Image.open(root / "Train/b/01.png"), quality=60)
    put(root / "Test/b/small.png", Image.open(root / "Train/b/02.png").resize((80, 60)))
    put(root / "Test/a/cut.png", Image.open(root / "Train/a/03.png").crop((2, 2, 158, 118)))
    put(root / "Train/a/twice.jpg", Image.open(root / "Train/a/04.png"), quality=80)
    return root


def two_labels(root: Path) -> Path:
    sound(root)
    (root / "b/same.png").write_bytes((root / "a/00.png").read_bytes())
    put(root / "b/again.jpg", Image.open(root / "a/01.png"), quality=70)
    return root


def uneven(root: Path) -> Path:
    sound(root, count=60)
    sound(root, classes="c", count=8, start=5000)
    sound(root, classes="d", count=2, start=6000)
    return root


def lacking_in_splits(root: Path) -> Path:
    sound(root / "train", classes="ab")
    sound(root / "val", classes="abc", count=4, start=2000)
    sound(root / "test", classes="bc", count=4, start=3000)
    return root


ARTISTS = ("manet", "monet", "degas", "renoir", "sisley", "morisot")


def groups(root: Path) -> Path:
    """An artist paints one thing only, and is in all splits."""
    for number, split in enumerate(("Training", "dev", "Test")):
        for index, artist in enumerate(ARTISTS):
            for work in range(4):
                path = root / split / "ab"[index % 2] / f"{artist}_work-{number}-{work}.png"
                put(path, painting(1000 * number + 10 * index + work))
    return root


def table_and_files(root: Path) -> Path:
    rows = ["file,style,set"]
    for index in range(36):
        put(root / f"pictures/{index:02}.png", painting(index))
        split = ("train", "validation", "test")[index % 3]
        rows.append(f"pictures/{index:02}.png,{('Rococo', 'Baroque')[index % 2]},{split}")
    rows += ["pictures/gone.png,Rococo,train", "pictures/lost.png,Baroque,test"]
    put(root / "pictures/nobodys.png", painting(77))
    (root / "styles.csv").write_text("\n".join(rows))
    return root


def empty_class(root: Path) -> Path:
    sound(root)
    (root / "c").mkdir()
    (root / "a/empty.jpg").write_bytes(b"")
    (root / "b/same.png").write_bytes((root / "a/00.png").read_bytes())
    return root


def museum_export(root: Path) -> Path:
    rows = ["path,label,artist,rights,source,address"]
    for index in range(40):
        put(root / f"pictures/moon-{index}.png", painting(index))
        label, artist = ("moon", "sun")[index % 2], ("Ito", "Sato", "Mori", "Abe")[index % 4]
        rows.append(f"pictures/moon-{index}.png,{label},{artist},CC0,https://m.org/{index},")
    (root / "pictures.csv").write_text("\n".join(rows))
    (root / "lost.csv").write_text("address,reason\nhttps://m.org/99,404\n")
    (root / "fetch.json").write_text(json.dumps({"pictures of": "export.csv", "size": 1024}))
    (root / "pictures/moon-7.png").unlink()
    return root


def several_labels(root: Path) -> Path:
    rows = ["image;motifs", *(f"{n}.png;{('sea,sky', 'sea', 'sky', 'Sea')[n % 4]}"
                              for n in range(48))]  # fmt: skip
    for index in range(48):
        put(root / f"{index}.png", painting(index))
    (root / "5.png").write_bytes((root / "4.png").read_bytes())
    (root / "motifs.csv").write_text("\n".join(rows))
    return root


def no_classes(root: Path) -> Path:
    for index in range(6):
        put(root / f"{index}.png", painting(index))
    (root / "3.png").write_bytes(b"")
    return root


def two_validations(root: Path) -> Path:
    for number, split in enumerate(("train", "val", "valid", "test")):
        sound(root / split, count=4, start=1000 * (number + 1))
    (root / "test/a/00.png").write_bytes((root / "train/a/00.png").read_bytes())
    return root


Told = dict[str, set[str]]

NASTY: dict[Callable[[Path], Path], Told] = {
    broken_files: {
        "empty": {"a/empty.jpg"},
        "truncated": {"a/cut.jpg"},
        "unreadable": {"b/page.jpg"},
        "too-large": {"b/bomb.png"},
        "too-narrow": {"b/ribbon.png"},
    },
    odd_pictures: {
        "cmyk": {"a/press.jpg"},
        "deep": {"a/scan.png"},
        "palette": {"a/palette.png", "b/moving.gif"},
        "animated": {"b/moving.gif"},
        "turned": {"b/lying.jpg"},
        "grey": {"a/scan.png", "b/grey.jpg", "b/black.png"},
        "long": {"b/scroll.png"},
        "blank": {"b/black.png"},
    },
    copies_in_two_splits: {
        "copies-in-two-splits": {"Test/a/same.png"},
        "near-copies-in-two-splits": {"Validation/b/again.jpg", "Test/b/small.png",
                                      "Test/a/cut.png"},
        "near-copies-in-one-split": {"Train/a/twice.jpg"},
    },
    two_labels: {
        "copies-under-two-labels": {"a/00.png", "b/same.png"},
        "near-copies-under-two-labels": {"a/01.png", "b/again.jpg"},
    },
    uneven: {
        "class-too-small": {"d"},
        "class-of-few": {"c"},
        "uneven-classes": {"a", "b", "c", "d"},
    },
    lacking_in_splits: {
        "class-not-in-train": {"c"},
        "class-not-in-test": {"a"},
    },
    groups: {
        "groups-in-val": {f"dev/{'ab'[i % 2]}/{artist}_work-1-{work}.png"
                          for i, artist in enumerate(ARTISTS) for work in range(4)},
        "groups-in-test": {f"Test/{'ab'[i % 2]}/{artist}_work-2-{work}.png"
                           for i, artist in enumerate(ARTISTS) for work in range(4)},
    },
    table_and_files: {
        "missing": {"pictures/gone.png", "pictures/lost.png"},
        "without-label": {"pictures/nobodys.png"},
    },
    empty_class: {
        "refused": set(),
        "empty": {"a/empty.jpg"},
        "copies-under-two-labels": {"a/00.png", "b/same.png"},
    },
    museum_export: {
        "missing": {"pictures/moon-7.png"},
        "groups-in-val": set(),
        "groups-in-test": set(),
    },
    several_labels: {
        "copies-under-two-labels": {"4.png", "5.png"},
        "classes-alike": set(),
    },
    no_classes: {
        "refused": set(),
        "empty": {"3.png"},
        "without-label": {f"{n}.png" for n in range(6)},
        "one-class": set(),
    },
    two_validations: {
        "refused": set(),
        "copies-in-two-splits": {"test/a/00.png"},
    },
}  # fmt: skip
"""The complaints that are to be made of each, and the pictures or classes that they are to name;
none where all that is asked is that it is told."""
