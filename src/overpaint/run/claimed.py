"""The study folder of a run: whose it is, seen before anything is made, and marked as the study's.

All that a run writes lies in places that are looked at here: nothing is written over, and nothing
removed, that is somebody else's.
"""

from overpaint.records import StudyFolder, check_folder, take_folder
from overpaint.records.belongings import refuse_checkpoint, refuse_strangers
from overpaint.report.site.owned import listing_of
from overpaint.study import Study
from overpaint.study.places import places

WITHIN = {"features": "*.zarr", "probe": "[!.]*"}
"""The kinds of which a place holds several, and how these are called."""


def claim(
    study: Study, folder: StudyFolder, *, dry: bool = False, of_any_study: bool = False
) -> None:
    """Have the study folder for this study; a dry run only looks.

    Raises RecordError for a folder that holds other things or another study, for a link in a place
    of ours, and for files of somebody else's where an artefact of the study is to be.
    """
    check_folder(folder.root, None if of_any_study else study.study)
    for place, kind in places(study).items():
        if kind not in WITHIN:
            refuse_strangers(folder.root / place, kind)
            continue
        for artefact in (folder.root / place).glob(WITHIN[kind]):
            refuse_strangers(artefact, kind)
    for name in study.all_networks:
        refuse_checkpoint(folder.checkpoint(name))
    listing_of(folder)
    if not dry:
        take_folder(folder.root, study.study, of_any_study=of_any_study)
