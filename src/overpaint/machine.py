"""What the machine refuses, in one message: a full disk, a forbidden place, a limit.

Whatever writes does so below `refusals_told`, where an error of the system, or of a library that
hides one, becomes a MachineError: what is full or forbidden, what is safe, and what helps.

>>> with refusals_told(Path("runs/art/weights.safetensors")):
...     raise OSError(errno.EDQUOT, "Disk quota exceeded")
Traceback (most recent call last):
overpaint.errors.MachineError: no room to write runs/art/weights.safetensors: your quota there is
used up. What is finished stays as it is: ...
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from overpaint.errors import MachineError, OverpaintError

SAFE = "What is finished stays as it is:"

DRAFT = re.compile(r"^\.(.+)\.[^.]+\.draft$")
"""The name of what is not whole yet, with the name that it will have."""

PROBE = 1 << 16
"""Bytes that are written to learn whether a disk takes any, where a library does not say."""

TEXTS = re.compile(r"\b(?:os error|errno:?|Os \{ code:) (\d+)\b", re.IGNORECASE)
"""How Rust and C++ tell the system's number in words: safetensors, Arrow, vl-convert."""

DISGUISES = ("PytorchStreamWriter", "inline_container", "unexpected pos", " requested and ")
"""What PyTorch, and at last NumPy, says where a file did not take all of its bytes."""

SAID = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT,
    errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTDIR, errno.EEXIST, errno.EISDIR,
    errno.ENOTEMPTY, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG, errno.ELOOP, errno.EILSEQ,
    errno.EIO, errno.EBUSY, errno.ETXTBSY, errno.ENOMEM, errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS,
})  # fmt: skip
"""The numbers that tell of files; a refused connection is none."""

BY_ITSELF = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""What is believed of any error that came before another: nobody handles these and goes on."""


@contextmanager
def refusals_told(place: Path | None = None) -> Iterator[None]:
    """Below it the machine's refusals are MachineErrors; `place` is what is being written or read,
    for an error that does not say it.
    """
    try:
        yield
    except OverpaintError:
        raise
    except BaseException as error:
        refusal = machine_error(error, place)
        if refusal is None:
            raise
        raise refusal from error


def check_writable(path: Path) -> None:
    """Raises a MachineError where no file can be written at `path`, before work is spent on it."""
    missing = [folder for folder in path.parents if not _lies(folder)]
    with refusals_told(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            number = _what_a_write_meets(path)
            if number is not None:
                raise OSError(number, os.strerror(number), str(path))
        finally:
            for folder in missing:
                with suppress(OSError):
                    folder.rmdir()


def hand_on(error: BaseException, place: Path | None = None) -> None:
    """Raises a MachineError where an error of reading or fetching is the machine's refusal; else
    it says something of the file, and whoever met it tells that. A file that is not there does.
    """
    refusal = machine_error(error, place)
    if refusal and refusal.slug != "vanished":
        raise refusal from error


def machine_error(error: BaseException, place: Path | None = None) -> MachineError | None:
    """What the machine refused, as far as an error tells of that; None for one that tells of none.

    >>> machine_error(ValueError("a mistake of ours")) is None
    True
    >>> print(machine_error(FileNotFoundError(errno.ENOENT, "No such file", "runs/art/x.json")))
    there is no runs/art/x.json, or not any more: ...
    """
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        return None  # an end that is asked for; Rust's panics are no Exceptions either
    number, path = _refusal(error)
    if number is None and place and any(word in str(error) for word in DISGUISES):
        # a few bytes may fit where the many did not
        number = _what_a_write_meets(place) or (errno.EFBIG if _limit() else errno.ENOSPC)
    if number is None and "oneshot canceled" in str(error):  # vl-convert, whose thread has failed
        number = _what_opening_meets()
    if number is None:
        return None
    path = place if path is None else path
    return _in_words(number, path and Path(*(DRAFT.sub(r"\1", part) for part in path.parts)))


def is_machines(error: BaseException) -> bool:
    """Whether an error of reading a file is the machine's, and says nothing of the file.

    >>> is_machines(OSError(errno.EMFILE, "Too many open files"))
    True
    >>> is_machines(FileNotFoundError(errno.ENOENT, "No such file"))
    False
    """
    number, _ = _refusal(error)
    return number in (*BY_ITSELF, errno.ENOMEM, errno.EIO, errno.ESTALE)


def _refusal(error: BaseException) -> tuple[int | None, Path | None]:
    """The system's number in an error, or in what led to it, and the file that it names."""
    cause: BaseException | None = error
    first = True
    while cause is not None:
        named = getattr(cause, "filename", None)
        path = Path(os.fsdecode(named)) if isinstance(named, str | bytes | os.PathLike) else None
        number = cause.errno if isinstance(cause, OSError) else None
        if number is None and not isinstance(cause, OverpaintError):
            match = TEXTS.search(str(cause))
            number = int(match[1]) if match else None
        if number in SAID and (first or number in BY_ITSELF):
            return number, path
        # what an error was raised `from` is what it is about; what merely came before may be not
        first = first and cause.__cause__ is not None
        cause = cause.__cause__ or cause.__context__
    return None, None


def _what_a_write_meets(place: Path) -> int | None:
    """The system's number for a write of a few bytes beside `place`."""
    probe = place.with_name(f".{place.name}.{os.getpid()}.probe")
    try:
        with probe.open("wb") as file:
            file.write(bytes(PROBE))
    except OSError as error:
        return error.errno
    finally:
        with suppress(OSError):
            probe.unlink()
    return None


def _what_opening_meets() -> int | None:
    """The system's number where not even some files more can be opened."""
    opened: list[int] = []
    try:
        opened += (os.open(os.devnull, os.O_RDONLY) for _ in range(12))
    except OSError as error:
        return error.errno
    finally:
        for file in opened:
            os.close(file)
    return None


def _in_words(number: int, path: Path | None) -> MachineError:
    where = "what was to be written (to standard output?)" if path is None else _short(str(path))
    reason, again = os.strerror(number).lower(), "give the same command again"
    if number in (errno.ENOSPC, errno.EDQUOT):
        slug = "no-space"
        text = (
            f"no room to write {where}: {_what_is_full(number, path)}. {SAFE} make room, or name a "
            f"folder on another disk, and {again}"
        )
    elif number == errno.EFBIG:
        slug = "too-large"
        text = (
            f"{where} is larger than {_largest()}. {SAFE} raise the limit (ulimit -f unlimited), "
            f"or name a folder on another kind of disk, and {again}"
        )
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        slug, text = "not-allowed", _what_is_forbidden(number, path)
    elif number in (errno.ENOENT, errno.ESTALE, errno.ENODEV, errno.ENXIO):
        slug = "vanished"
        text = (
            f"there is no {where}, or not any more: if it was moved, removed or unmounted "
            f"meanwhile, put it back, and {again}"
        )
    elif number in (errno.ENOTDIR, errno.EEXIST):
        slug = "not-a-folder"
        above = [] if path is None else [path, *path.parents]
        file = next((place for place in above if place.is_file()), where)
        text = f"{where} cannot be made: {file} is a file, and no folder; name another"
    elif number in (errno.EISDIR, errno.ENOTEMPTY):
        slug = "is-a-folder"
        text = f"{where} is a folder, and should be a file: name another, or remove it"
    elif number in (errno.EMFILE, errno.ENFILE):
        slug = "too-many-files"
        text = (
            f"no more files can be opened{'' if path is None else f', {where} among them'}: "
            f"{_most_files(number)}. {SAFE} raise the limit (ulimit -n 4096), and {again}"
        )
    elif number in (errno.ENAMETOOLONG, errno.ELOOP, errno.EILSEQ):
        slug, text = "bad-path", f"the system does not take the path {where}: {reason}"
    else:
        slug = "machine-refused"
        text = f"the system refuses {where}: {reason}. {SAFE} when that is mended, {again}"
    return MachineError(slug, text)


def _what_is_full(number: int, path: Path | None) -> str:
    """In words, what has run out where a path lies, and how much is left of it."""
    if number == errno.EDQUOT:
        return "your quota there is used up"
    if path is None:
        return "its disk is full"
    try:
        status = os.statvfs(_existing(path))
    except (AttributeError, OSError):
        return "its disk is full"
    if status.f_files and not status.f_favail and status.f_bavail:
        free = in_bytes(status.f_bavail * status.f_frsize)
        return (
            f"its disk, with {free} free, takes no further file: none of its {status.f_files:,} "
            "inodes is left"
        )
    free, whole = (
        in_bytes(blocks * status.f_frsize) for blocks in (status.f_bavail, status.f_blocks)
    )
    return f"its disk has {free} of {whole} left"


def _largest() -> str:
    """In words, the largest file that may be written."""
    limit = _limit()
    if limit is None:
        return "a file may be on its disk"
    return f"a file may be here: {in_bytes(limit)}, by the limit on file sizes (ulimit -f)"


def _limit() -> int | None:
    """The bytes of a file at most, where this process has such a limit."""
    with suppress(ImportError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        return None if limit == resource.RLIM_INFINITY else limit
    return None


def _most_files(number: int) -> str:
    """In words, how many files may be open."""
    with suppress(ImportError):
        import resource

        if number == errno.EMFILE:
            return f"the limit is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} for a process"
    return "the machine's limit is reached"


def _what_is_forbidden(number: int, path: Path | None) -> str:
    """In words, what may not be read, written or entered, why, and what helps."""
    helps = "name another place, or have the permission changed"
    if path is None:
        return f"the system does not allow it ({os.strerror(number).lower()}): {helps}"
    there = _existing(path)
    if number == errno.EROFS:
        return f"{path} cannot be written: its disk is read-only. {SAFE} name a folder on another"
    with suppress(OSError):
        closed = next((above for above in reversed(path.absolute().parents)
                       if above.is_dir() and not os.access(above, os.X_OK)), None)  # fmt: skip
        if closed is not None:
            return f"{path} cannot be reached: {_owned(closed)}, and may not be entered; {helps}"
    if there != path and not _lies(path):
        return f"{path} cannot be made: {_owned(there)}, and may not be written into; {helps}"
    verb = "written" if os.access(path, os.R_OK) else "read"
    if path.is_dir():
        verb = "written into" if os.access(path, os.R_OK) else "looked into"
    return f"{_owned(path)}, and may not be {verb}; {helps}"


def _owned(path: Path) -> str:
    """A path, whose it is, and who asks, where that can be known."""
    with suppress(OSError, ImportError, KeyError, AttributeError):
        import pwd

        status = path.stat()
        owner, asker = (pwd.getpwuid(user).pw_name for user in (status.st_uid, os.geteuid()))
        whose = "you" if owner == asker else f"{owner}, not to you ({asker})"
        return f"{path} belongs to {whose}, with the mode {stat.filemode(status.st_mode)}"
    return str(path)


def _existing(path: Path) -> Path:
    """A path, or the nearest folder above it that is there."""
    absolute = path.absolute()
    return next((above for above in (absolute, *absolute.parents) if _lies(above)), absolute)


def _lies(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _short(text: str) -> str:
    return text if len(text) < 200 else f"{text[:100]} … {text[-60:]} ({len(text)} letters)"


def in_bytes(count: float) -> str:
    """A number of bytes for people.

    >>> in_bytes(0), in_bytes(2_345), in_bytes(12_345_678), in_bytes(3.2e12)
    ('0 bytes', '2.3 kB', '12 MB', '3.2 TB')
    """
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.5 or unit == "TB":
            break
    return f"{count:.1f} {unit}" if count < 9.95 else f"{count:.0f} {unit}"


def free_at(path: Path) -> int | None:
    """The bytes that are free where a path lies or will; None where the system does not say."""
    try:
        status = os.statvfs(_existing(path))
    except (AttributeError, OSError):
        return None
    return status.f_bavail * status.f_frsize
