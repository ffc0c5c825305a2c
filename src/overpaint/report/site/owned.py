"""Which files of a study folder's site are ours."""

import os
import re
from contextlib import suppress

from overpaint.errors import RecordError
from overpaint.records import Listing, StudyFolder, check_folder, read_json
from overpaint.records.belongings import refuse_link
from overpaint.records.listing import lies_below
from overpaint.records.marker import refuse_links

SIGNS = (
    ("index.html", b"<p>Made by overpaint from the study folder;"),
    ("assets/style.css", b"/* A quiet wall for pictures"),
)
"""What the files of a site say that is from before there were listings, or was cut off."""

PLACES = re.compile(
    r"(index|findings|data|method|against-[^/]+)\.html|assets/[^/]+|"
    r"networks/[^/]+\.html|comparisons/.+\.(html|js)|charts/.+\.(svg|png|pdf)|"
    r"data/.+\.csv|tables/.+\.(csv|tex|md)|pictures/.+\.(png|jpg)"
)
"""What such a site has, and may be written anew."""


OF_REPORT = {"study.yaml", "site", "site.json", "site.manifest.json", "site.files", "exported"}
"""What is in a folder that has nothing but a study, and its report."""


def check_reported(folder: StudyFolder) -> None:
    """Raises RecordError, as `check_folder`, for a folder that no report is to be written into.

    That of a study that has not begun may have a report of what there will be.
    """
    names = {path.name for path in folder.root.iterdir() if not path.name.startswith(".overpaint")}
    if names <= OF_REPORT:
        refuse_links(folder.root)
    else:
        check_folder(folder.root)


def listing_of(folder: StudyFolder) -> Listing:
    """The files of the site that are ours.

    Raises RecordError where the place of the site holds something else, or is a link; nothing is
    written.
    """
    refuse_link(folder.site)
    listing = Listing(folder.site, folder.site_files)
    is_listed = folder.site_files.is_file()
    if (is_listed and folder.site_state.is_file()) or not os.path.lexists(folder.site):
        return listing
    names = [
        path.relative_to(folder.site).as_posix()
        for path in folder.site.rglob("*")
        if path.is_symlink() or path.is_file()
    ]
    with suppress(RecordError, KeyError, TypeError, AttributeError):
        last = read_json(folder.site_state)
        for part in last["parts"].values():
            listing.places |= set(filter(lies_below, map(str, part["files"])))
        listing.places |= set(filter(lies_below, map(str, last["keys"])))
    is_ours = (
        is_listed
        or listing.places.intersection(names)
        or any(sign in (folder.site / name).read_bytes() for name, sign in SIGNS if name in names)
    )
    if is_ours:
        listing.rewritable |= {name for name in names if PLACES.fullmatch(name)}
    elif names:
        raise RecordError(
            "not-ours",
            f"{folder.site} holds {names[0]!r} and no report of overpaint's: move it away, and run "
            "the same command again",
        )
    return listing
