"""Claims: several processes share work that lies in one folder, each part done by one of them.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as place, Claims(Path(place)) as ours, Claims(Path(place)) as theirs:
...     ours.take("block 0"), theirs.take("block 0"), theirs.take("block 1")
(True, False, True)

A claim is a lock on a file, so it ends with its process, also with one that is killed; the others
then find the part undone and claim it.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout


class Claims:
    """What this process has claimed; let go at the end of the block at the latest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: dict[str, FileLock] = {}

    def take(self, part: str) -> bool:
        """Claim a part; False when it is somebody else's.

        Whether it still needs to be done is to be seen after that, not before.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # By default a lock belongs to the thread that took it; here another may let it go.
        lock = FileLock(self.folder / f"{part}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self.held[part] = lock
        return True

    def release(self, part: str) -> None:
        """Let a part go."""
        lock = self.held.pop(part)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for part in list(self.held):
            self.release(part)
