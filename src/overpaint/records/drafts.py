"""Drafts: what is written stands under a name of nobody's until it is whole and on the disk.

A draft's name tells which process writes it: on which machine, with which number, since when, and
a random part. So no two drafts meet, in whatever containers or on whatever machines their processes
are, and the next run can tell those that nobody will finish.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as place:
...     draft = draft_of(Path(place) / "scores.json")
...     draft.touch()
...     is_draft(draft.name), writer_is_gone(draft), draft_of(Path(place) / "scores.json") == draft
(True, False, False)
"""

import ctypes
import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
import subprocess
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

from overpaint.machine import refusals_told

NAME = re.compile(
    r"\..*\.(?P<machine>[0-9a-f]{12})-(?P<process>\d+)-(?P<started>\d+)-[0-9a-f]{8}\.draft",
    re.DOTALL,
)
OLD = re.compile(r"\..+\.\d+\.draft", re.DOTALL)
"""Drafts of before: named by the process number alone, which is given again."""

PARTIAL = re.compile(r".*\.[0-9a-f]{32}\.partial", re.DOTALL)
"""What Zarr names the chunks that it has not written whole."""

ABANDONED = 24 * 3600
"""Seconds since the last change after which a draft of a process that cannot be asked for, because
it is on another machine, is taken for one that nobody finishes; where a lock says that nobody else
writes, it is none at once."""

TOGETHER = 1024
"""Files of a batch that are brought to the disk together, at most."""

AHEAD = 8
"""Such groups that may wait for the disk while the next is written."""

MANY = 32
"""Files from which on the system is told to write all that waits: one by one, each would have the
disk empty its cache, and on one that others use a thousand take a minute.
"""

MOMENT, MOMENTS = 0.02, 25
"""Seconds between two looks at whether a thread has written on, and how many there are."""

AT_ONCE = 64
"""Files that are copied by another process at a word: where ours is gone, it ends after them."""

FLUSHES = 8
"""Files that are brought to the disk at once: journals of file systems join what comes together."""

mine: set[Path] = set()
"""The drafts of this process that are neither finished nor given up."""

removed: set[Path] = set()
"""The folders of this process that were given up: a thread that was at one may write it anew."""


@cache
def this_machine() -> str:
    """Twelve letters for this start of this machine, and for the container where it is one: process
    numbers of no other mean the same.
    """
    try:
        container = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        container = ""
    return hashlib.sha256(f"{this_kernel()}\n{container}".encode()).hexdigest()[:12]


@cache
def this_kernel() -> str:
    """Where process numbers begin anew: a start of a machine, with all containers of it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{platform.node()} {uuid.getnode():x}"


def started(process: int) -> int | None:
    """When a process of this machine began, in hundredths of seconds; None where there is none."""
    import psutil

    try:
        found = psutil.Process(process)
        if found.status() == psutil.STATUS_ZOMBIE:
            return None
        return round(found.create_time() * 100)
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return 0


def runs_still(process: int, since: int) -> bool:
    """Whether the process of this machine that began then is still there, and no later one."""
    begun = started(process)
    # The clock may have been set since; numbers are not given again within seconds.
    return begun is not None and (begun == 0 or abs(begun - since) < 500)


def draft_of(path: Path) -> Path:
    """A place beside `path` to write to; nobody else has it. It is to be let go of by `forget`."""
    begin = path.name.encode()[:80].decode(errors="ignore")  # some names are as long as may be
    writer = f"{this_machine()}-{os.getpid()}-{_own_start(os.getpid())}-{secrets.token_hex(4)}"
    draft = path.with_name(f".{begin}.{writer}.draft")
    mine.add(draft)
    return draft


@cache
def _own_start(process: int) -> int:  # by number: a fork has another
    return started(process) or 0


def is_draft(name: str) -> bool:
    """Whether a name is that of a draft, of now or of before."""
    return bool(NAME.fullmatch(name) or OLD.fullmatch(name))


def finished(folder: Path, pattern: str) -> list[Path]:
    """What matches a pattern below a folder, in order, and is no draft or in one.

    A draft of a folder holds all that the folder will, its manifest too, and vanishes at any time.
    """
    return sorted(
        path
        for path in folder.glob(pattern)
        if not any(is_draft(part) for part in path.relative_to(folder).parts)
    )


def writer_is_gone(draft: Path, *, alone: bool = False) -> bool:
    """Whether nobody will finish a draft; `alone`: a lock says that no other machine writes."""
    parts = NAME.fullmatch(draft.name)
    if parts and parts["machine"] == this_machine():
        process = int(parts["process"])
        if process == os.getpid() and draft in mine:
            return False
        return not runs_still(process, int(parts["started"]))
    if alone:
        return True
    try:
        return time.time() - draft.lstat().st_mtime > ABANDONED
    except OSError:
        return False  # it has just been finished


def forget(draft: Path) -> None:
    """Remove a draft, if it is still there: a file, or a folder with all that is in it."""
    try:
        is_folder = stat.S_ISDIR(draft.lstat().st_mode)
    except OSError:
        is_folder = False
    if is_folder:
        shutil.rmtree(draft, ignore_errors=True)
        removed.add(draft)
    else:
        with suppress(OSError):
            draft.unlink()
    mine.discard(draft)


def forget_mine() -> None:
    """Remove the drafts of this process, which ends.

    Zarr's threads write on for a moment when a signal has ended what asked for it, and make their
    folder anew.
    """
    for draft in list(mine):
        forget(draft)
    for _ in range(MOMENTS):
        anew = [draft for draft in list(removed) if draft.exists()]
        if not anew:
            return
        for draft in anew:
            forget(draft)
        time.sleep(MOMENT)


def sweep(
    folder: Path, *, alone: bool = False, deep: bool = True, leave: Iterable[Path] = ()
) -> int:
    """Remove the drafts in a folder that nobody will finish; how many there were.

    No link is followed. `alone`: a lock says that nobody else writes here. `leave`: folders that
    are not looked through; without `deep`, none is.
    """
    skipped, count = {str(path) for path in leave}, 0
    floor = [str(folder)]
    while floor:
        try:
            with os.scandir(floor.pop()) as entries:
                inside = list(entries)
        except OSError:
            continue  # it is not there, or has just been moved
        for entry in inside:
            path = Path(entry.path)
            if NAME.fullmatch(entry.name) or (alone and is_draft(entry.name)):
                if writer_is_gone(path, alone=alone):
                    forget(path)
                    count += 1
            elif alone and PARTIAL.fullmatch(entry.name):
                forget(path)
                count += 1
            elif deep and entry.is_dir(follow_symlinks=False) and entry.path not in skipped:
                floor.append(entry.path)
    return count


@contextmanager
def downloading(path: Path) -> Iterator[Path]:
    """A folder to download to; `path`, a file, is what lies in it under that name at the end.

    What others left here that were killed goes first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, deep=False)
    draft = draft_of(path)
    draft.mkdir()
    try:
        yield draft
        sync(draft / path.name)
        (draft / path.name).replace(path)
        sync(path.parent)
    finally:
        forget(draft)


# --- to the disk ----------------------------------------------------------------------------------

UNABLE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF}
"""What a file system says that cannot be told to write now: it does so when it likes."""


def sync(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk before anything that follows."""
    if os.name == "nt" and path.is_dir():
        return  # Windows writes names by itself
    number = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in UNABLE:  # which does not say by itself what it is about
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(number)


def sync_all(paths: Iterable[Path]) -> None:
    """The same of many, some at a time: that is much quicker than one after the other."""
    in_threads(sync, paths)


def in_threads(work: Callable[[Path], None], paths: Iterable[Path]) -> None:
    """Do the same to many files, some at a time, as the disk likes it."""
    many = list(paths)
    if len(many) < 3:
        for path in many:
            work(path)
        return

    def share(first: int) -> None:
        for path in many[first::FLUSHES]:
            work(path)

    with ThreadPoolExecutor(FLUSHES, thread_name_prefix="sync") as pool:
        for _ in pool.map(share, range(FLUSHES)):
            pass


def sync_below(folder: Path) -> None:
    """Have all files of a folder on the disk, and the names of all."""
    places = [(Path(place), names) for place, _, names in os.walk(folder)]
    files = (place / name for place, names in places for name in names)
    sync_all([path for path in files if not path.is_symlink()])
    sync_all([place for place, _ in places])


# --- into their places ----------------------------------------------------------------------------


def put_in_place(draft: Path, path: Path) -> None:
    """Let a finished folder take the place of `path`; of several that do so at once the last stays.

    What was there is first moved out of the way, whole: no moment leaves a part of it under its
    name.
    """
    while True:
        aside = draft_of(path)
        try:
            with suppress(FileNotFoundError):
                path.rename(aside)
            try:
                draft.rename(path)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not draft.exists():
                    raise
                continue  # another has just put his there
            sync(path.parent)
            return
        finally:
            forget(aside)


def remove_folder(path: Path) -> None:
    """Remove a folder: it is gone at once, not file by file."""
    aside = draft_of(path)
    try:
        with suppress(FileNotFoundError):
            path.rename(aside)
    finally:
        forget(aside)


class Batch:
    """Files that come in great number: brought to the disk together, then renamed in their order.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place, Batch() as files:
    ...     path = Path(place) / "a.txt"
    ...     _ = files.draft(path).write_text("all of it")
    ...     there = path.exists()
    ...     files.flush()
    ...     there, path.read_text()
    (False, 'all of it')

    A group that is full goes to the disk while the next is written. `announce` is called before
    any file of a group takes its place.
    """

    def __init__(self, announce: Callable[[], None] = lambda: None) -> None:
        self.announce = announce
        self.waiting: dict[Path, Path] = {}  # by the place that is wanted, the draft
        self._folders: set[Path] = set()  # that are there
        self._sources: dict[Path, Path] = {}  # by the draft, what it is to be a copy of
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._copier = Copier()
        self.told: dict[Path, str] = {}  # "size digest" of what was copied apart, "" of the others
        self._groups: deque[Future[None]] = deque()  # that go to the disk, one after the other
        self._is_cut_off = False  # by an error: nothing that follows takes its place

    def draft(self, path: Path) -> Path:
        """A place to write to at once; the file takes its own at the next flush, or some before."""
        if path in self.waiting:
            self.flush()
        elif len(self.waiting) >= TOGETHER:
            self._hand_over()
        folder = path.parent
        if folder not in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        self.waiting[path] = draft_of(path)
        return self.waiting[path]

    def copy(self, source: Path, path: Path) -> None:
        """Have a copy of a file there, with its time, at the next flush, or some before."""
        draft = self.draft(path)  # which may begin another group
        self._sources[draft] = source

    def flush(self) -> None:
        """Have all files in their places, and on the disk."""
        self._hand_over()
        self._settle()

    def _hand_over(self) -> None:
        self._settle(AHEAD)
        if self.waiting:
            self.announce()
            self._groups.append(self._writer.submit(self._put, self.waiting, self._sources))
            self.waiting, self._sources = {}, {}

    def _put(self, waiting: dict[Path, Path], sources: dict[Path, Path]) -> None:
        """Put a group in its places, unless one before it could not be."""
        try:
            if not self._is_cut_off:
                self.told |= _put(waiting, sources, self._copier)
        except BaseException:
            self._is_cut_off = True
            raise
        finally:
            for draft in waiting.values():
                if draft in mine:
                    forget(draft)

    def _settle(self, but: int = 0) -> None:
        """Wait for the groups that go to the disk, all but some; raises what one met."""
        while len(self._groups) > but:
            self._groups.popleft().result()

    def drop(self) -> None:
        """Give up those that are not in their places."""
        for draft in self.waiting.values():
            forget(draft)
        self.waiting.clear()
        self._sources.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Flush, unless an error ends the block."""
        try:
            if kind is None:
                self.flush()
        finally:
            self._is_cut_off |= kind is not None
            self.drop()
            while self._groups:
                with suppress(Exception):  # of a group before the error that is told
                    self._settle()
            self._copier.end()


class Copier:
    """Copies very many files in a process of its own, while others are made here: threads of ours
    would take turns with what makes them.

    The process runs a file by its path, and needs nothing of the program that called us. Where
    there is none to be had, or it ends, files are copied here.
    """

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.is_lost = not sys.executable

    def copy(self, pairs: list[tuple[Path, Path]]) -> list[str]:
        """Copy files, each with its time; "size digest" of those that are copied, the first ones.
        Raises what a file met.
        """
        told: list[str] = []
        while len(told) < len(pairs) and not self.is_lost:
            some = pairs[len(told) : len(told) + AT_ONCE]
            try:
                copied, met = self._ask([[str(source), str(place)] for source, place in some])
            except (OSError, ValueError):  # among them no answer at all
                self.is_lost = True
            else:
                if met:
                    raise OSError(*met)
                told += copied
        return told

    def _ask(self, pairs: list[list[str]]) -> tuple[list[str], list[Any] | None]:
        process = self.process = self.process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(pairs) + "\n")
        process.stdin.flush()
        told, met = json.loads(process.stdout.readline())
        if len(told) < len(pairs) and not met:
            raise ValueError("not all are copied, and nothing is said of it")
        return told, met

    @staticmethod
    def _start() -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603  (a file of ours)
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("copy_apart.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="ascii",
        )

    def end(self) -> None:
        """Let the process end."""
        if self.process:
            with suppress(OSError):
                self.process.communicate()


_SYNC_DISK = (
    getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if os.name == "posix" else None
)
"""Linux's `syncfs`, which Python has not: writes all that waits for the disk of an open file."""


def _sync_disks(files: Iterable[Path]) -> None:
    """Have all that was written to the disks of some files on them, as `sync` has one file."""
    some = {path.parent: path for path in files}.values()  # a folder lies on one disk
    for file in {path.stat().st_dev: path for path in some}.values():
        with file.open("rb") as opened:
            if _SYNC_DISK and _SYNC_DISK(opened.fileno()):
                error = ctypes.get_errno()
                if error not in UNABLE:
                    raise OSError(error, os.strerror(error), str(file))


def _put(waiting: dict[Path, Path], sources: dict[Path, Path], copier: Copier) -> dict[Path, str]:
    """Have files on the disk, those to be copied too, then in their places; "size digest" of those
    that were copied apart.
    """
    copied: dict[Path, str] = {}  # by the draft

    def finish(path: Path) -> None:
        draft = waiting[path]
        if (source := sources.get(draft)) is not None and draft not in copied:
            with refusals_told(path):  # with its time, by which the next comparison is quick
                draft.write_bytes(source.read_bytes())
                status = source.stat()
                os.utime(draft, ns=(status.st_atime_ns, status.st_mtime_ns))
        if not is_many:
            sync(draft)

    is_many = len(waiting) >= MANY and _SYNC_DISK is not None
    if len(sources) >= MANY:
        with refusals_told():
            pairs = [(source, draft) for draft, source in sources.items()]
            copied = dict(zip(sources, copier.copy(pairs), strict=False))
    in_threads(finish, [path for path in waiting if waiting[path] not in copied or not is_many])
    if is_many:
        _sync_disks(waiting.values())
    for path, draft in waiting.items():
        draft.replace(path)
        mine.discard(draft)
    sync_all({path.parent for path in waiting})
    return {path: copied.get(draft, "") for path, draft in waiting.items()}
