"""Where the artefacts of a study lie in its folder, and that no two of them share a place.

>>> from overpaint.study import read_study
>>> next(place for place in places(read_study("demo")) if place.startswith("comparisons"))
'comparisons/photographs--fine_tuned'
"""

from typing import TYPE_CHECKING

from overpaint.errors import StudyError
from overpaint.files import RESERVED
from overpaint.study.asked import asks_for
from overpaint.study.causes import pairs_of_weights

if TYPE_CHECKING:
    from overpaint.study.model import Study

LONGEST = 200
"""The most letters of a file's or folder's name: file systems take 255 bytes, drafts need some."""


def places(study: "Study") -> dict[str, str]:
    """The folders of all artefacts, by path below the study folder: the kind of each.

    Raises StudyError where two would be one: of equal names, or of names that differ in upper and
    lower case only, which many file systems do not tell apart; and for a name that is too long, or
    that Windows keeps for its devices.
    """
    kinds: dict[str, str] = {}
    owners: dict[str, str] = {}  # by path in lower case

    def have(kind: str, folder: str, name: str, owner: str) -> None:
        path = f"{folder}/{name}"
        _check_name(name, owner)
        other = owners.setdefault(path.casefold(), owner)
        if other != owner:
            raise StudyError(
                "names-meet",
                f"{owner} and {other} would both lie in {path}"
                f"{'' if path in kinds else ', which differs in upper and lower case only'}: "
                "take other names",
            )
        kinds[path] = kind

    _check_name(study.study, f"study {study.study!r}")
    for name in study.datasets:
        have("dataset", "datasets", name, f"dataset {name!r}")
        have("thumbnails", "thumbnails", name, f"dataset {name!r}")
        have("pairwise", "pairwise", name, f"dataset {name!r}")
        _check_name(f"{name}-train.zarr", f"dataset {name!r}")
    for name in study.nodes():
        owner = f"network {name!r}"
        have("network", "networks", name, owner)
        have("renderings", "renderings", name, owner)
        have("features", "features", name, owner)  # a group of each dataset's splits in it
        if asks_for(study, "probe") is not False:
            have("probe", "probes", name, owner)  # a folder of each dataset in it
    for name in study.ensembles:
        have("ensemble", "ensembles", name, f"ensemble {name!r}")
    of_pairs = {"comparison": "comparisons", "renderings": "renderings"}
    of_pairs |= {"concepts": "concepts"} if asks_for(study, "concepts") is not False else {}
    of_pairs |= {"gaze": "gazes"} if study.gaze is None or study.gaze.pictures else {}
    for pair in study.compare:
        for kind, folder in of_pairs.items():
            have(kind, folder, "--".join(pair.pair), f"the pair [{', '.join(pair.pair)}]")
    for names in pairs_of_weights(study):
        have("causes", "causes", "--".join(names), f"the pair [{', '.join(names)}]")
    return kinds


def _check_name(name: str, owner: str) -> None:
    if len(name) > LONGEST:
        raise StudyError(
            "long-name",
            f"{owner[:60]}… needs a file of {len(name)} letters in its name: at most {LONGEST}",
        )
    if name.split(".", maxsplit=1)[0].lower() in RESERVED:
        raise StudyError(
            "reserved-name", f"{owner} has a name that Windows keeps for a device: take another"
        )
