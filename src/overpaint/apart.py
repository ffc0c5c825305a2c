"""Features whose numbers lie at an address: a group in a folder, its chunks elsewhere.

The folder has all that tells of them: the group's metadata, the pictures, the manifest. The chunks
lie at an address that is made of what the features are of (weights, pictures, settings, batch), so
that a chunk which is there is right, whoever wrote it, and others never meet.
"""

from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any, Self

import zarr
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from overpaint.datasets.remote import RemoteFolder, failure
from overpaint.errors import RecordError
from overpaint.records import read_json

CHUNKS = "chunks"
"""The attribute of a group that says where they lie, if not with it."""


def chunks_of(path: Path) -> str:
    """The address of a group's chunks; "" where they lie with it."""
    attributes = read_json(path / "zarr.json").get("attributes", {})
    return str(attributes.get(CHUNKS, ""))


def open_group(path: Path, mode: Any) -> zarr.Group:
    """The group at a path, wherever its chunks are.

    Raises FileNotFoundError where there is none, and DatasetError for an address that cannot be
    reached.
    """
    if not (path / "zarr.json").is_file() or not (address := chunks_of(path)):
        return zarr.open_group(path, mode=mode)
    RemoteFolder(address).reach()
    read_only = mode == "r"
    chunks = FsspecStore.from_url(address, read_only=read_only)
    return zarr.open_group(Apart(LocalStore(path, read_only=read_only), chunks), mode=mode)


class Apart(WrapperStore[LocalStore]):
    """A store whose metadata lie in a folder, and whose chunks lie at an address."""

    def __init__(self, store: LocalStore, chunks: FsspecStore) -> None:
        super().__init__(store)
        self.chunks = chunks

    def _with_store(self, store: LocalStore) -> Self:
        return type(self)(store, self.chunks)

    def with_read_only(self, read_only: bool = False) -> Self:
        """The same for reading, or not for reading alone."""
        return type(self)(
            self._store.with_read_only(read_only), self.chunks.with_read_only(read_only)
        )

    def home(self, key: str) -> Store:
        """Where a key belongs. The pictures' ids are no features, and stay in the folder."""
        return self.chunks if "/c/" in key and not key.startswith("images/") else self._store

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The value of a key. Who only reads is not given what a chunk would be that is gone."""
        home = self.home(key)
        if home is self._store:
            return await home.get(key, prototype, byte_range)
        try:
            value = await home.get(key, prototype, byte_range)
        except Exception as error:
            raise failure(error, f"{self.chunks.path}/{key}") from None
        if value is None and self.read_only:
            raise RecordError(
                "unfinished-features",
                f"{self._store.root} tells of features that are no longer whole, {key} of "
                f"{self.chunks.path} is gone: remove the manifest and run the study again",
            )
        return value

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        for key, prototype, byte_range in requests:
            yield key, await self.get(key, prototype, byte_range)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """The values of several keys."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        return await self.home(key).exists(key)

    async def set(self, key: str, value: Buffer) -> None:
        """Store a value, whole or not at all."""
        try:
            await self.home(key).set(key, value)
        except Exception as error:
            if self.home(key) is self._store:
                raise
            raise failure(error, f"{self.chunks.path}/{key}") from None

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Store a value where there is none."""
        await self.home(key).set_if_not_exists(key, value)

    async def delete(self, key: str) -> None:
        """Remove a value."""
        await self.home(key).delete(key)
