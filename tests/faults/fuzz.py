"""Real tiny files of every kind, changed at random, given to the doors they come in by.

python tests/faults/fuzz.py [seconds] [seed]   # prints what is no message of ours, and ends with 1

A legitimate result or an OverpaintError is right; anything else is a failure, and so are a call of
more than 20 seconds of the processor and one that takes more than a gigabyte. What fails is kept in
the folder fuzz-failures below the folder of temporary files; seed and number make it again.
"""

import io
import json
import os
import random
import resource
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from bad_weights import caffemodel, graph, saved
from watched import MEGABYTES, SECONDS, resident

import overpaint as op
from overpaint.datasets.museum import named_by
from overpaint.datasets.web import Web
from overpaint.errors import OverpaintError
from overpaint.networks.weights.opening import read_tensors
from overpaint.pixels.images import survey
from overpaint.records import read_json, read_manifest, read_table
from overpaint.study import read_study

STUDY = """study: tiny
seed: 3
datasets:
  art: {kind: folder, root: pictures, group: "/([^/_]+)_"}
  labels: {kind: table, root: pictures, file: labels.csv, label: style}
networks:
  start: {load: inception_small, weights: random}
  tuned: {from: start, fit: art, recipe: mode_a, with: {epochs: 2, lr: 1.0e-3}}
compare: [[start, tuned]]
render: {layers: [mixed3a], channels: 4}
"""
TABLE = 'path,label,split,artist\na/1.jpg,sea|sky,train,Ann\na/2.jpg,sky,val,"Bo, C"\n'
MANIFEST = {
    "type": "Manifest",
    "label": {"en": ["Moon"]},
    "metadata": [{"label": "Artist", "value": "A"}],
    "items": [
        {
            "type": "Canvas",
            "label": "1",
            "items": [
                {
                    "items": [
                        {
                            "motivation": "painting",
                            "body": {
                                "id": "http://[/a.jpg",
                                "type": "Image",
                                "width": 9,
                                "height": 9,
                                "service": [
                                    {
                                        "id": "http://a/",
                                        "type": "ImageService2",
                                        "profile": "level2",
                                    }
                                ],
                            },
                        }
                    ]
                }
            ],
        }
    ],
}

TOKENS = (
    *(
        b"\0",
        b"\xff",
        b"\n",
        b"-",
        b"[",
        b"{",
        b"&a *a",
        b"!!python/object:os.system",
        b"1e999",
        b"NaN",
    ),
    *(
        b"9" * 40,
        b"../",
        b"\xed\xa0\x80",
        b'"\\ud800"',
        b"null",
        b"true",
        b"<<",
        b"%s",
        b"**",
        b": ",
    ),
    *(
        struct.pack("<I", 2**32 - 1),
        struct.pack(">I", 2**31 - 1),
        struct.pack("<Q", 2**62),
        bytes(64),
    ),
)


def mutated(data: bytes, draw: random.Random) -> bytes:
    """The same with a few places changed: bits, bytes, tokens, parts moved, doubled or cut."""
    text = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 12))):
        place = draw.randrange(len(text) + 1)
        length = min(draw.choice((1, 2, 4, 16, 200)), len(text) - place)
        match draw.randrange(7):
            case 0 if place < len(text):
                text[place] ^= 1 << draw.randrange(8)
            case 1:
                text[place : place + length] = draw.randbytes(length)
            case 2:
                text[place:place] = draw.choice(TOKENS)
            case 3:
                token = draw.choice(TOKENS)
                text[place : place + len(token)] = token
            case 4:
                del text[place : place + length]
            case 5:
                text[place:place] = text[place : place + length] * draw.choice((1, 3, 50))
            case _:
                other = draw.randrange(len(text) + 1)
                text[place:place] = text[other : other + length]
    return bytes(text[: draw.randrange(len(text) + 1)] if draw.random() < 0.05 else text)


@dataclass(frozen=True, kw_only=True)
class Door:
    """A way in: its files, and who opens one."""

    name: str
    seeds: tuple[bytes, ...]
    ending: str
    opened: Callable[[Path], object]


def picture(kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x0112], tags[0x010F], tags[0x8769] = 6, "a camera", {0x829A: (1, 50)}
    return tags.tobytes()


def shard() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in (
            ("0.png", picture("PNG")),
            ("0.json", b'{"label": ["sea", 3]}'),
            ("1.png", picture("PNG")),
            ("1.cls", b"sky"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def parquet() -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame({"path": ["a.jpg", "b.jpg"], "label": ["x", "y"]}).to_parquet(buffer)
    return buffer.getvalue()


def beside(path: Path, name: str) -> Path:
    """The file by another name, alone in a folder."""
    folder = path.with_name("alone")
    folder.mkdir(exist_ok=True)
    for other in folder.iterdir():
        other.unlink()
    target = folder / name
    target.write_bytes(path.read_bytes())
    return folder


def table_of(path: Path) -> object:
    return op.dataset(path.parent, kind="table", file=str(path), label="label")


def exported(path: Path) -> object:
    return list(named_by(str(path), None, Web(1e9, path.parent / "documents"), lambda _: None))


def doors() -> list[Door]:
    small = {"a.weight": torch.ones(3, 4), "b": {"c": torch.zeros(2, dtype=torch.int64)}}
    import safetensors.torch

    plain = safetensors.torch.save({"a.weight": torch.ones(3, 4), "b": torch.zeros(2)})
    pictures = (
        picture("JPEG", exif=exif()),
        picture("JPEG", progressive=True),
        picture("PNG", exif=exif()),
        picture("PNG", "P"),
        picture("TIFF"),
        picture("TIFF", compression="tiff_lzw"),
        picture("WEBP", exif=exif()),
        picture("GIF"),
        picture("BMP"),
        picture("PPM"),
        picture("TGA"),
        picture("JPEG2000"),
        picture("PCX"),
        picture("SGI"),
        picture("ICO"),
        picture("AVIF"),
        picture("DDS"),
        picture("QOI"),
    )
    manifest = b'{"kind": "network", "version": 1, "inputs": {}, "settings": {"a": 1}, "facts": {}}'
    return [
        Door(
            name="study",
            seeds=(STUDY.encode(),),
            ending="yaml",
            opened=lambda p: read_study(str(p)),
        ),
        Door(
            name="table",
            seeds=(TABLE.encode(), TABLE.encode("utf-16")),
            ending="csv",
            opened=table_of,
        ),
        Door(name="parquet", seeds=(parquet(),), ending="parquet", opened=table_of),
        Door(
            name="JSON lines",
            seeds=(b'{"path": "a.jpg", "label": "x"}\n' * 2,),
            ending="jsonl",
            opened=table_of,
        ),
        Door(
            name="manifest",
            seeds=(manifest,),
            ending="json",
            opened=lambda p: read_manifest(beside(p, "manifest.json")),
        ),
        Door(name="record", seeds=(manifest,), ending="json", opened=read_json),
        Door(name="records", seeds=(parquet(),), ending="parquet", opened=read_table),
        Door(
            name="caffemodel",
            seeds=(caffemodel([2, 3], 6),),
            ending="caffemodel",
            opened=read_tensors,
        ),
        Door(
            name="graph",
            seeds=(graph([1, 1, 2, 3], [0.5] * 6), graph([4], [1.0])),
            ending="pb",
            opened=read_tensors,
        ),
        Door(name="safetensors", seeds=(plain,), ending="safetensors", opened=read_tensors),
        Door(
            name="PyTorch",
            seeds=(saved(small), saved(small, _use_new_zipfile_serialization=False)),
            ending="pt",
            opened=read_tensors,
        ),
        Door(name="picture", seeds=pictures, ending="jpg", opened=survey),
        Door(
            name="shard",
            seeds=(shard(),),
            ending="tar",
            opened=lambda p: op.dataset(beside(p, "train.tar"), kind="shards"),
        ),
        Door(name="museum", seeds=(json.dumps(MANIFEST).encode(),), ending="json", opened=exported),
    ]


KEPT = Path(tempfile.gettempdir()) / "fuzz-failures"


def failures(seconds: float, seed: int = 0, only: str = "") -> Iterator[str]:
    """What goes wrong in that time, each with the file that did it.

    The doors are entered in a fork: a library that ends its process is told as well, and the next
    fork goes on behind the file that did it.
    """
    ways = [door for door in doors() if only in door.name]
    end, count = time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory() as place:
        os.environ["OVERPAINT_CACHE"] = f"{place}/cache"
        while time.monotonic() < end:
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    enter(ways, Path(place), seed, count, end, writing)
                finally:
                    os._exit(0)
            os.close(writing)
            with os.fdopen(reading) as lines:
                for line in lines:
                    count, fault = json.loads(line)
                    if fault:
                        yield kept(ways[count % len(ways)], seed, count, fault)
            _, state = os.waitpid(child, 0)
            if os.WIFSIGNALED(state):
                fault = f"the process ended by signal {os.WTERMSIG(state)}"
                yield kept(ways[count % len(ways)], seed, count, fault)
            count += 1
    print(f"{count} files", file=sys.stderr)  # noqa: T201


def kept(door: Door, seed: int, count: int, fault: str) -> str:
    """A failure in a line, its file kept: what the seed and the number make of the door's."""
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{door.name}-{seed}-{count}.{door.ending}").write_bytes(changed(door, seed, count))
    return f"{door.name} {seed}-{count}: {fault}"


def changed(door: Door, seed: int, count: int) -> bytes:
    """One of a door's files, changed as the seed and a number say."""
    draw = random.Random(f"{seed}-{count}")  # noqa: S311 - nothing secret is drawn
    return mutated(draw.choice(door.seeds), draw)


def enter(ways: list[Door], place: Path, seed: int, first: int, end: float, writing: int) -> None:
    """Give files to the doors until the time is up; a line for each before, and one of a fault."""
    torch.set_num_threads(1)  # a fork has none of the threads that its process began
    warnings.simplefilter("ignore")
    before = resident()
    count = first
    while time.monotonic() < end:
        door = ways[count % len(ways)]
        os.write(writing, f"{json.dumps([count, ''])}\n".encode())
        path = place / f"a.{door.ending}"
        path.write_bytes(changed(door, seed, count))
        begin = time.process_time()
        fault = ""
        try:
            door.opened(path)
        except OverpaintError as error:
            fault = "an error without a message" if not (str(error) and error.slug) else ""
        except Exception as error:  # that is what is looked for
            fault = f"{error!r:.200}\n{traceback.format_exc(limit=-3)}"
        taken = time.process_time() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if taken > SECONDS:
            fault = f"{taken:.0f} seconds"
        if peak - before > MEGABYTES:
            fault, before = f"{peak - before:.0f} MB", peak
        if fault:
            os.write(writing, f"{json.dumps([count, fault])}\n".encode())
        count += 1


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    found = 0
    for fault in failures(seconds, seed, sys.argv[3] if len(sys.argv) > 3 else ""):
        print(fault, flush=True)  # noqa: T201
        found += 1
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
