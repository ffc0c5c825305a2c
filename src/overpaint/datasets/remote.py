"""Files at an address that fsspec knows: `s3://`, `gs://`, `https://`, `memory://` and others.

>>> address("s3://museum/shards")
's3://museum/shards'
>>> address("s3://me:secret@museum/shards")
Traceback (most recent call last):
ValueError: an address may hold no user, password or signature: ...

They are read in parts. Parts that are asked for one after the other come in blocks, with the next
blocks under way; parts from all over a file come each by itself. The last blocks are kept in
memory, so that neighbours share one request, and nothing is written to disk.

Who may read is settled by the environment, as the library of each kind of address has it
(`AWS_PROFILE`, `GOOGLE_APPLICATION_CREDENTIALS`, …); nothing of it is printed or kept here.
"""

import hashlib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from overpaint.errors import DatasetError

BLOCK = 1 << 22
AHEAD = 4
"""Blocks that are under way before they are asked for."""

KEPT = 64
"""Blocks in memory at most: 256 MiB."""

REQUESTS = 8
"""At once, for what is read ahead."""

IN_A_ROW = 3
"""Parts one after the other, before blocks are read ahead: by chance a few are neighbours."""

LARGEST_LIST = 1 << 26
"""Bytes of the page in which a server of the web lists its files: some 500,000 of them."""

MOST_FILES = 500_000
"""That a pattern may name, of whatever kind of address: each takes memory, and is asked about."""

TRIES = 3
WAIT = 0.5
"""Seconds before a second try; each later one waits twice as long."""

PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp",
            "https": "aiohttp", "az": "adlfs", "abfs": "adlfs"}  # fmt: skip
"""What fsspec needs for a kind of address."""


# --- addresses -----------------------------------------------------------------------------------


def is_address(text: object) -> bool:
    """Whether a text is an address rather than a path."""
    return isinstance(text, str) and "://" in text


def address(text: str) -> str:
    """An address as a study may give it; a ValueError for one that holds what is secret."""
    parts = urlsplit(text)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "an address may hold no user, password or signature: it is kept in the folder and "
            f"printed; give them in the environment, where the library for {parts.scheme}:// "
            "looks for them"
        )
    if not is_address(text):
        raise ValueError(f"{text!r} is no address, as s3://museum/features")
    if "::" in text:
        raise ValueError("an address may not lead through another ('::')")
    return text.rstrip("/")


def without_secrets(message: str) -> str:
    """A message without what an address in it may tell.

    >>> without_secrets("403 for https://me:secret@museum.org/a.tar?signature=12ab now")
    '403 for https://museum.org/a.tar now'
    """
    return re.sub(r"(://[^\s?'\"]*)\?[^\s'\")]*", r"\1", re.sub(r"://[^/\s@]+@", "://", message))


# --- files and folders there ---------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class RemoteFolder:
    """All that lies below an address."""

    address: str

    def __str__(self) -> str:
        return self.address

    def glob(self, pattern: str) -> "list[RemoteFile]":
        """The files below whose names fit a pattern, in order; none where none does."""
        system, root = self._system
        path = f"{root}/{pattern}"
        try:
            if not re.search(r"[*?\[]", pattern):
                infos = {path: system.info(path)}
            else:
                infos = system.glob(path, detail=True)
            # a list of links tells no sizes
            infos = {
                name: info if info.get("size") is not None else system.info(name)
                for name, info in infos.items()
                if info.get("type") != "directory" and name.startswith(f"{root}/")
            }
        except Exception as error:
            if is_missing(error) and not is_forbidden(error):
                return []
            raise failure(error, f"{self.address}/{pattern}") from None
        if len(infos) > MOST_FILES:
            raise DatasetError(
                "too-many-shards",
                f"{len(infos):,} files fit {self.address}/{pattern}, above the limit of "
                f"{MOST_FILES:,}: name the shards in splits, as train-{{000..099}}.tar",
            )
        return sorted(
            RemoteFile(self, name.removeprefix(f"{root}/"), info["size"] or 0, token(info))
            for name, info in infos.items()
        )

    def reach(self) -> None:
        """Find out whether fsspec knows the address and has what it needs for it."""
        _ = self._system

    def has(self, path: str) -> bool:
        """Whether there is a file, as it is now."""
        system, root = self._system
        try:
            return bool(system.exists(f"{root}/{path}"))
        except Exception as error:
            raise failure(error, f"{self.address}/{path}") from None

    @cached_property
    def blocks(self) -> "Blocks":
        """What is read of its files."""
        return Blocks(self._part)

    @cached_property
    def _system(self) -> tuple[Any, str]:
        """Fsspec's file system for the address, and what it calls the place."""
        kind = self.address.partition("://")[0]
        try:
            import fsspec

            bounded = {"get_client": bounded_client} if kind in ("http", "https") else {}
            system, root = fsspec.core.url_to_fs(self.address, **bounded)
        except ImportError as error:
            package = PACKAGES.get(kind)
            advice = f"pip install {package}" if package else without_secrets(str(error))
            raise DatasetError(
                "missing-package",
                f"{self.address} cannot be read without a package that is not here: {advice}",
            ) from None
        except ValueError as error:
            raise DatasetError(
                "bad-address", f"{self.address} is no address that fsspec knows: {error}"
            ) from None
        except Exception as error:
            raise failure(error, self.address) from None
        return system, str(root).rstrip("/")

    def _part(self, path: str, start: int, stop: int) -> bytes:
        """The bytes from `start` to before `stop`, by one request; tried again when it fails."""
        system, root = self._system
        where = f"{self.address}/{path}"
        for attempt in range(TRIES):
            try:
                data: bytes = system.cat_file(f"{root}/{path}", start=start, end=stop)
            except Exception as error:
                if is_missing(error) or is_forbidden(error) or attempt == TRIES - 1:
                    raise failure(error, where) from None
                time.sleep(WAIT * 2**attempt)
            else:
                break
        if len(data) > stop - start:  # of the web's servers see `bounded_client`
            raise DatasetError(
                "no-parts",
                f"{where}: the server sends the whole file where a part is asked for (no 'Range'); "
                "put the shards on another, or onto a disk",
            )
        if len(data) < stop - start:
            raise DatasetError(
                "broken-shard", f"cannot read the shard {where}, it may be cut off: it has only "
                f"{len(data)} of the {stop - start} bytes from {start} on"
            )  # fmt: skip
        return data


async def bounded_client(**settings: Any) -> Any:
    """A session of aiohttp for fsspec that reads no more of an answer than was asked for, and one
    byte: a server that does not know `Range`, or knows no end, fills no memory.
    """
    import aiohttp

    class Bounded(aiohttp.ClientResponse):
        async def read(self) -> bytes:
            part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.request_info.headers.get("Range", ""))
            most = int(part[2]) - int(part[1]) + 1 if part else LARGEST_LIST
            if self._body is None:
                data = bytearray()
                async for piece in self.content.iter_chunked(1 << 16):
                    data += piece
                    if len(data) > most:
                        self.close()
                        break
                if len(data) > most and not part:
                    raise DatasetError(
                        "too-many-shards",
                        f"{self.url} lists more files than {most >> 20} MB of names: name the "
                        "shards in splits, as train-{000..099}.tar",
                    )
                self._body = bytes(data[: most + 1])
            return self._body

    return aiohttp.ClientSession(response_class=Bounded, **settings)


@dataclass(frozen=True, kw_only=True)
class Status:
    """Size and time of change, or what stands for the time."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True, order=True)
class RemoteFile:
    """A file below an address, as it is now."""

    folder: RemoteFolder
    path: str  # below the folder
    size: int
    token: str  # what tells this state of it from another

    def __str__(self) -> str:
        return f"{self.folder}/{self.path}"

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name

    def stat(self) -> Status:
        """Its size, and its state as a number."""
        digest = hashlib.sha256(self.token.encode()).digest()
        return Status(st_size=self.size, st_mtime_ns=int.from_bytes(digest[:7], "big"))

    def part(self, start: int, length: int) -> bytes:
        """So many bytes from `start` on; a DatasetError where there are fewer."""
        return self.folder.blocks.read(self.path, self.size, start, start + length)

    def stream(self) -> "Stream":
        """The file from its beginning on."""
        return Stream(self)


class Stream:
    """A file that is read from its beginning to its end, as `tarfile` wants it."""

    def __init__(self, file: RemoteFile) -> None:
        self.file, self.position = file, 0

    def read(self, size: int) -> bytes:
        """The next bytes, fewer at the end."""
        data = self.file.part(self.position, min(size, self.file.size - self.position))
        self.position += len(data)
        return data


def token(info: dict[str, Any]) -> str:
    """What fsspec tells of a file that is another once the file is."""
    names = ("size", "ETag", "etag", "md5Hash", "Content-MD5", "LastModified", "Last-Modified",
             "last_modified", "updated", "mtime", "created")  # fmt: skip
    return "|".join(str(info.get(name, "")) for name in names)


# --- what may go wrong ---------------------------------------------------------------------------


def causes(error: BaseException) -> list[BaseException]:
    """An error and what it came from."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return chain


def is_missing(error: BaseException) -> bool:
    """Whether an error says that a file is not there."""
    return isinstance(error, FileNotFoundError) or getattr(error, "status", None) in (404, 410)


def is_forbidden(error: BaseException) -> bool:
    """Whether an error, or what it came from, says that one may not."""
    names = ("NoCredentialsError", "DefaultCredentialsError", "ClientAuthenticationError")
    return any(
        isinstance(cause, PermissionError)
        or getattr(cause, "status", None) in (401, 403)
        or type(cause).__name__ in names
        for cause in causes(error)
    )


def failure(error: Exception, where: str) -> Exception:
    """The error to raise for one of fsspec's or of the library below it."""
    if isinstance(error, DatasetError):
        return error
    if is_forbidden(error):
        return DatasetError(
            "no-permission",
            f"{where} may not be read with the credentials in the environment, or without any",
        )
    if is_missing(error):
        return DatasetError("no-shards", f"there is no {where}")
    reason = without_secrets(f"{type(error).__name__}: {error}").rstrip(": ")
    return OSError(f"{where} cannot be read: {reason}")


# --- reading ahead -------------------------------------------------------------------------------


class Blocks:
    """Parts of files, with blocks read ahead where they are asked for one after the other."""

    def __init__(self, load: Callable[[str, int, int], bytes]) -> None:
        self.load = load
        self.pool = ThreadPoolExecutor(REQUESTS, thread_name_prefix="read ahead")
        self.lock = threading.Lock()
        self.kept: OrderedDict[tuple[str, int], Future[bytes]] = OrderedDict()
        self.last: dict[str, tuple[int, int]] = {}  # where a part ended, and how many in a row

    def read(self, path: str, size: int, start: int, stop: int) -> bytes:
        """The bytes of a file of `size` bytes from `start` to before `stop`."""
        if stop <= start:
            return b""
        numbers = range(start // BLOCK, (stop - 1) // BLOCK + 1)
        with self.lock:
            end, in_a_row = self.last.get(path, (0, 0))
            in_a_row = in_a_row + 1 if abs(start - end) <= BLOCK else 0
            self.last[path] = (stop, in_a_row)
            at_hand = all((path, number) in self.kept for number in numbers)
        if not at_hand and (in_a_row < IN_A_ROW or stop > size):
            return self.load(path, start, stop)
        blocks = [self._block(path, size, number) for number in numbers]
        if in_a_row >= IN_A_ROW:
            ends = min(numbers[-1] + 1 + AHEAD, -(-size // BLOCK))
            for number in range(numbers[-1] + 1, ends):
                self._block(path, size, number)
        first = numbers[0] * BLOCK
        return b"".join(block.result() for block in blocks)[start - first : stop - first]

    def _block(self, path: str, size: int, number: int) -> Future[bytes]:
        """A block, kept or under way."""
        key = path, number
        with self.lock:
            block = self.kept.pop(key, None)
            if block is None or (block.done() and block.exception() is not None):
                start = number * BLOCK
                block = self.pool.submit(self.load, path, start, min(start + BLOCK, size))
            self.kept[key] = block  # as the last that was asked for
            while len(self.kept) > KEPT:
                self.kept.popitem(last=False)
        return block
