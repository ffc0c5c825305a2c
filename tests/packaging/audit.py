"""What overpaint brings along: the licences of it all, and the holes in it that are known.

    make audit
    python tests/packaging/audit.py [--pip-audit PROGRAM]

Licences are those that the installed packages tell of themselves: of what `overpaint` and its extra
`train` ask for and all that that asks for in turn, as far as it applies to this machine. A package
of several licences counts as the strictest of them, and of alternatives the mildest.

Holes are looked up by pip-audit at PyPI's advisory service, for all that is installed. Status 1: a
licence must be looked at, a hole is known, or the service was not reached and nothing is known.
"""

import argparse
import json
import re
import subprocess
import sys
import sysconfig
from collections import deque
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

KINDS = ("permissive", "file by file", "proprietary", "copyleft", "unknown")
"""From what asks for least to what must be looked at. File by file: who changes files of the
package itself publishes those (MPL); all else is free. Proprietary is what NVIDIA lets be used with
its GPUs.
"""

WORDS = {
    "copyleft": r"\b[AL]?GPL|general public licen[sc]e|\bEUPL|\bSSPL|\bCC[- ]BY[- ]SA|\bOSL|\bCPAL",
    "proprietary": r"proprietary|\bEULA|other/",
    "file by file": r"\bMPL|mozilla|\bEPL|\bCDDL",
    "permissive": r"\bMIT|\bBSD|0BSD|apache|\bISC|\bPSF|python software foundation|zlib|\bCC0|"
    r"\bBSL-1|boost software|CNRI|unlicense|public domain|\bHPND|\bNCSA|MIT-CMU",
}
"""What tells a kind, the strictest first."""

BY_HAND = {"cuda-toolkit": "proprietary: has no files, asks for NVIDIA's"}
"""What a package does not say of itself."""


@dataclass(frozen=True, kw_only=True)
class Licence:
    """One package, and what it says."""

    package: str
    version: str
    text: str
    kind: str  # one of KINDS
    brought_by: str  # overpaint, or its extra


def kind_of(text: str) -> str:
    """What a licence asks for, from its words or its SPDX expression.

    >>> kind_of("Apache-2.0 AND MIT"), kind_of("GPL-3.0-or-later"), kind_of("MPL-2.0 AND MIT")
    ('permissive', 'copyleft', 'file by file')
    >>> kind_of("GPL-2.0-only OR MIT"), kind_of("do as you please")
    ('permissive', 'unknown')
    """
    parts = re.split(r"\s(?:AND|OR)\s", text)
    if len(parts) > 1:
        both = re.search(r"\sAND\s", text)  # of a mixture the strictest, whatever the brackets say
        return (max if both else min)(map(kind_of, parts), key=KINDS.index)
    text = re.sub(r"GPL\S* WITH (GCC|Classpath)\S*", "permissive: MIT", text)
    return next(
        (kind for kind, words in WORDS.items() if re.search(rf"(?i){words}", text)), "unknown"
    )


def licence_text(package: metadata.Distribution) -> str:
    """What a package says: its SPDX expression, its short field, or else its classifiers."""
    about = package.metadata
    name = canonicalize_name(about["Name"])
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    field = (about.get("License") or "").strip()
    short = field if "\n" not in field and len(field) < 80 else ""  # some hold the whole text
    return (
        about.get("License-Expression")
        or short
        or " AND ".join(classifiers)
        or BY_HAND.get(name, "it does not say")
    )


def needed(extra: str = "", root: str = "overpaint") -> dict[str, metadata.Distribution]:
    """The installed packages that a package and its extra ask for, and all below them, by name."""
    packages: dict[str, metadata.Distribution] = {}
    waiting, seen = deque([(root, extra)]), set()
    while waiting:
        asked = waiting.popleft()
        if asked in seen:
            continue
        seen.add(asked)
        name, extra = asked
        try:
            package = packages[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # an optional package that is not there
        for line in package.requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                below = canonicalize_name(requirement.name)
                waiting += [(below, further) for further in ("", *requirement.extras)]
    del packages[root]
    return packages


def licences() -> list[Licence]:
    """Those of what overpaint brings by default and with `train`, by name."""
    default = needed()
    return [
        Licence(
            package=name,
            version=package.version,
            text=licence_text(package),
            kind=kind_of(licence_text(package)),
            brought_by="overpaint" if name in default else "train",
        )
        for name, package in sorted((needed("train") | default).items())
    ]


def to_look_at(rows: list[Licence]) -> list[Licence]:
    """Those that nobody should bring along without having thought about it."""
    return [row for row in rows if row.kind in ("copyleft", "unknown")]


def holes(program: str) -> tuple[list[str], str]:
    """The known holes in what is installed, a line each, and why they could not be looked up."""
    place = sysconfig.get_path("purelib")
    command = [program, "--path", place, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
        packages = json.loads(done.stdout)["dependencies"]
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        told = "" if isinstance(error, OSError | subprocess.TimeoutExpired) else done.stderr
        last = (told.strip().splitlines() or [str(error)])[-1]
        return [], last[:300]
    skipped = [
        package["skip_reason"]
        for package in packages
        if "skip_reason" in package and package["name"] != "overpaint"  # which PyPI need not have
    ]
    known = [
        f"{package['name']} {package['version']}: {hole['id']}, mended in "
        f"{', '.join(hole['fix_versions']) or 'no version yet'}"
        for package in packages
        for hole in package.get("vulns", [])
    ]
    # a mirror of PyPI may have packages and no advisories: to pip-audit that is no error
    remark = (
        f"{len(skipped)} of {len(packages)} packages, the first: {skipped[0]}" if skipped else ""
    )
    return known, remark


def main() -> None:
    """Print the table of licences, and the holes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pip-audit", default="pip-audit", help="the program")
    options = parser.parse_args()
    rows = licences()
    print("| package | version | brought by | licence | kind |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {row.package} | {row.version} | {row.brought_by} | {row.text} | {row.kind} |")
    odd = to_look_at(rows)
    counts = ", ".join(f"{sum(row.kind == kind for row in rows)} {kind}" for kind in KINDS)
    print(f"\n{len(rows)} packages: {counts}.")
    for row in odd:
        print(f"To be looked at: {row.package}, {row.kind}: {row.text}")
    known, unreached = holes(options.pip_audit)
    for hole in known:
        print(f"Known hole: {hole}")
    if unreached:
        print(f"Holes were NOT looked up, or not of all packages: {unreached}")
    elif not known:
        print("No hole is known in what is installed.")
    sys.exit(bool(odd or known or unreached))


if __name__ == "__main__":
    main()
