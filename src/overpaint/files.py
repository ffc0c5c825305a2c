"""Files and folders as far as pictures need them: on a disk, or inside what lies elsewhere.

>>> from pathlib import Path
>>> folder: Folder = Path("pictures")
>>> str(folder / "cat.jpg")
'pictures/cat.jpg'

And what is to be a file is one: `read_regular` reads no pipe, which would wait for ever, and no
device, which has no end.
"""

import errno
import hashlib
import json
import os
import re
import stat
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from overpaint.errors import shortened

LARGEST_JSON = 2**25
"""Bytes of a JSON from outside, at most: in memory it may take twenty times as many."""

DEEPEST_JSON = 100
"""Lists and objects in each other: what is deeper trips who writes it again."""


def no_file(path: Path) -> str:
    """What a path leads to that is no file, in words; "" for a file, and for nothing.

    A pipe would be waited for, and a device has no end.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    return "" if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "something else")


def json_from(data: bytes | str) -> Any:
    """The value of a JSON from outside; a ValueError for what is none, too large or too deep.

    >>> json_from("[" * 100_000)
    Traceback (most recent call last):
    ValueError: nested too deeply
    """
    if len(data) > LARGEST_JSON:
        raise ValueError(f"{len(data)} bytes, above the limit of {LARGEST_JSON}")
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        if "set_int_max_str_digits" in str(error):  # Python's advice to switch its limit off
            raise ValueError("a number of more than 4300 digits") from None
        raise
    level = [value]
    for _ in range(DEEPEST_JSON):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise ValueError("nested too deeply")


def json_of(path: Path) -> Any:
    """The same of a file, with the OSError of one that cannot be read."""
    return json_from(read_regular(path, LARGEST_JSON))


class Dated(Protocol):
    """What is known again by its size and time of change."""

    def stat(self) -> Any:
        """With `st_size` and `st_mtime_ns`; an OSError when there is no such file."""


class File(Dated, Protocol):
    """A file that is read whole: a Path, or a picture that lies inside another file."""

    def read_bytes(self) -> bytes:
        """All of it; an OSError when it cannot be read."""


class Folder(Protocol):
    """Where pictures lie: a Path, or what finds each by its id."""

    def __truediv__(self, name: str, /) -> File:
        """The file of an id."""


# --- their names ----------------------------------------------------------------------------------

_PORTS = {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
RESERVED = {"con", "prn", "aux", "nul", *_PORTS}
"""What Windows calls devices, whatever ending follows."""


@lru_cache(maxsize=2**16)
def safe_name(text: str) -> str:
    """A name that is safe as a file, an address and an anchor; an ordinary name is its own.

    >>> safe_name("mixed4d"), safe_name("layer4.1.conv2"), safe_name("../x")
    ('mixed4d', 'layer4.1.conv2', 'x-d6b96a97')
    """
    ordinary = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,149}", text)
    if ordinary and text[-1] != "." and text.split(".", maxsplit=1)[0].lower() not in RESERVED:
        return text
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:40]
    key = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{readable or 'name'}-{key[:8]}"


# --- on a disk -----------------------------------------------------------------------------------

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What may lie where a file is expected."""

OF_THE_FILE = (errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR, errno.ENAMETOOLONG)
"""Errors of opening that tell of what lies there, and not of the machine."""

NAME_BYTES = 255
"""The longest name of a file or folder, on most systems."""


def read_regular(path: Path, most: int) -> bytes:
    """All bytes of a file.

    Raises OSError where there is none, where it is a pipe, a device or a folder, and where it has
    more bytes than `most`; the reason is its `strerror`.

    >>> read_regular(Path("/dev/null"), 100)
    Traceback (most recent call last):
    OSError: [Errno 22] it is a device and no file: '/dev/null'
    """
    with open_regular(path, most) as file:
        # some files of /proc say that they are empty, some have nothing to say yet
        data = file.read(most + 1) or b""
    if len(data) > most:
        raise OSError(errno.EINVAL, f"it has more than {most:,} bytes", str(path))
    return data


def open_regular(path: Path, most: int) -> BinaryIO:
    """A file opened for reading; an OSError as `read_regular` has it."""
    try:
        # Without this flag the opening of a pipe waits until somebody writes.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        number = os.open(path, flags)
    except ValueError as error:  # a NUL, half a letter
        raise OSError(errno.EINVAL, f"no file can be called so ({error})", str(path)) from None
    except OSError as error:
        if error.errno in OF_THE_FILE:
            raise OSError(errno.EINVAL, error.strerror, str(path)) from None
        raise
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode) or status.st_size > most:
        os.close(number)
        if not stat.S_ISREG(status.st_mode):
            kind = KINDS.get(stat.S_IFMT(status.st_mode), "something else")
            raise OSError(errno.EINVAL, f"it is {kind} and no file", str(path))
        raise OSError(errno.EINVAL, f"it has more than {most:,} bytes", str(path))
    return os.fdopen(number, "rb")


def absolute(base: Path, path: Path) -> Path:
    """A path that may begin with `~` or at a base, made absolute, links followed.

    >>> absolute(Path("/studies"), Path("../pictures")).as_posix()
    '/pictures'
    """
    return Path(os.path.realpath(base / path.expanduser()))  # which minds no circle of links


def check_place(place: Path | str) -> None:
    r"""Raises ValueError for what can be the place of no file.

    >>> check_place("pictures\0")
    Traceback (most recent call last):
    ValueError: 'pictures\x00' can be no place of a file: it holds a NUL
    >>> check_place("~no-one/x")
    Traceback (most recent call last):
    ValueError: '~no-one/x' can be no place of a file: '~no-one' is no user's home
    """
    text = str(place)
    reason = ""
    try:
        names = os.fsencode(text).split(b"/")
        Path(text).expanduser()
    except UnicodeEncodeError:
        reason = "it holds half a letter"
    except RuntimeError:
        reason = f"{Path(text).parts[0]!r} is no user's home"
    else:
        if "\0" in text:
            reason = "it holds a NUL"
        elif max(map(len, names)) > NAME_BYTES or len(os.fsencode(text)) > 4000:
            reason = "it is too long"
    if reason:
        raise ValueError(f"{shortened(text, 100)!r} can be no place of a file: {reason}")
