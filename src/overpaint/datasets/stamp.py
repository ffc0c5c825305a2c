"""Size and time of a file, by which it is known again without a look into it."""

from overpaint.files import Dated

Stamp = tuple[int, int]
"""Size and time of change of a file, in bytes and nanoseconds; (-1, 0) for none."""


def stamp(path: Dated) -> Stamp:
    """Size and time of a file.

    >>> from pathlib import Path
    >>> stamp(Path("nowhere"))
    (-1, 0)
    """
    try:
        status = path.stat()
    except OSError:
        return (-1, 0)
    return (status.st_size, status.st_mtime_ns)
