"""A program that copies files: a line of JSON with pairs of paths; a line with the size and the
digest of each, and with what the last one met.

It is run by its path in a process of its own (`drafts.Copier`), and needs nothing of the rest.
"""

import hashlib
import json
import os
import sys


def main() -> None:
    """Copy until there is no more to copy."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(copied(json.loads(line))) + "\n")
        sys.stdout.flush()


def copied(pairs: list[list[str]]) -> tuple[list[str], list[object] | None]:
    """Copy some files, each with its time."""
    told: list[str] = []
    for source, place in pairs:
        try:
            with open(source, "rb", buffering=0) as file:  # noqa: PTH123  (of very many files)
                data, status = file.read(), os.fstat(file.fileno())
            with open(place, "wb", buffering=0) as file:  # noqa: PTH123
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
            os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
        except OSError as error:
            return told, [error.errno, error.strerror, error.filename or place]
        told.append(f"{len(data)} {hashlib.sha256(data).hexdigest()}")
    return told, None


if __name__ == "__main__":
    main()
