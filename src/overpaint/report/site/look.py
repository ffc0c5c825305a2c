"""A look at the files of a study, by which it is known that a report need not be made again."""

import os
import time

from overpaint.records import StudyFolder, digest

OURS = {"site", "site.json", "site.manifest.json", "site.files", "exported", "logs"}
"""What lies in a study folder and on no page: the files of the report have a list of their own."""

SETTLED = 2.0
"""Seconds after which a file that is written again has another time, on any file system."""


def look_at(study: StudyFolder) -> str:
    """A digest of the names, sizes and times of all that a report may show; nothing where these
    would not tell of a change: a file has only just been written, or there is a link.
    """
    root, floor = str(study.root), [str(study.root)]
    files: list[tuple[str, int, int]] = []
    while floor:
        folder = floor.pop()
        try:
            with os.scandir(folder) as entries:
                inside = [entry for entry in entries if not entry.name.startswith(".")]
            for entry in inside:
                if folder == root and entry.name in OURS:
                    continue
                if entry.is_symlink():
                    return ""
                if entry.is_dir():
                    floor.append(entry.path)
                    continue
                status = entry.stat()
                # A time of writing can be set, as copying does; that of the entry cannot.
                moment = max(status.st_mtime_ns, status.st_ctime_ns)
                files.append((entry.path[len(root) :], status.st_size, moment))
        except OSError:
            return ""  # whoever reads it says so
    newest = max((moment for *_, moment in files), default=0)
    return digest(sorted(files)) if time.time_ns() - newest > SETTLED * 1e9 else ""
