"""What was tried of a comparison, as the report reads it: causes, probes, difference concepts.

A study that did not ask for them has no such folder, which is no omission; what a manifest tells of
and is not there, is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from overpaint.records import (
    BetweenRow,
    CausesFacts,
    ConceptFacts,
    ConceptImageRow,
    ConceptRow,
    ProbeRow,
    RewindRow,
    StudyFolder,
    manifest_path,
    table,
)
from overpaint.report.study.reader import Reader

NEEDED: dict[type, str] = {BetweenRow: "alpha", ConceptRow: "q"}
"""Numbers without which a row says nothing: of no run they are missing."""


@dataclass(frozen=True, kw_only=True)
class CauseRecords:
    """What was tried of two networks; a table is empty where that was not."""

    facts: CausesFacts
    rewind: pd.DataFrame  # RewindRow
    between: pd.DataFrame  # BetweenRow
    forgetting: pd.DataFrame  # BetweenRow, on the task of the network before
    concepts: pd.DataFrame  # ConceptRow
    concept_images: pd.DataFrame  # ConceptImageRow
    concept_facts: ConceptFacts
    probes: pd.DataFrame  # ProbeRow, of the two networks and of others of the study

    @classmethod
    def nothing(cls) -> "CauseRecords":
        """Of a comparison of which nothing was tried."""
        return cls(
            facts=CausesFacts(),
            rewind=table([], RewindRow),
            between=table([], BetweenRow),
            forgetting=table([], BetweenRow),
            concepts=table([], ConceptRow),
            concept_images=table([], ConceptImageRow),
            concept_facts=ConceptFacts(),
            probes=table([], ProbeRow),
        )

    @classmethod
    def read(
        cls,
        reader: Reader,
        folder: StudyFolder,
        pair: tuple[str, str],
        probes: Iterable[Path],
    ) -> "CauseRecords":
        """Read what was tried of a pair, and these probes."""
        causes, concepts = folder.causes(*pair), folder.concepts(*pair)
        tables = [_read(reader, place, "probe", ProbeRow) for place in probes]
        tried = reader.manifest(causes) if causes.is_dir() else None
        manifest = reader.manifest(concepts) if concepts.is_dir() else None
        return cls(
            facts=reader.facts(causes, tried, CausesFacts),
            rewind=_read(reader, causes, "rewind", RewindRow).sort_values("position"),
            between=_read(reader, causes, "between", BetweenRow),
            forgetting=_read(reader, causes, "forgetting", BetweenRow),
            concepts=_read(reader, concepts, "concepts", ConceptRow),
            concept_images=_read(reader, concepts, "images", ConceptImageRow),
            concept_facts=reader.facts(concepts, manifest, ConceptFacts),
            probes=pd.concat(
                [frame for frame in tables if not frame.empty] or [table([], ProbeRow)],
                ignore_index=True,
            ),
        )

    def way(self, name: str = "between") -> pd.DataFrame:
        """The rows of the way that all layers went together, from one end on."""
        rows: pd.DataFrame = getattr(self, name)
        return rows[rows["layer"].fillna("") == ""].sort_values("alpha")


def _read(reader: Reader, place: Path, name: str, row: type) -> pd.DataFrame:
    """A table of an artefact: empty, and nothing said, where it was not asked for."""
    path = place / f"{name}.parquet"
    if not place.is_dir():
        return table([], row)
    if manifest_path(place).is_file():
        reader.check(place)
    if row in (RewindRow, BetweenRow) and not path.is_file():
        return table([], row)  # of three causes one or two may be asked for
    frame = reader.table(path, row)
    if (number := NEEDED.get(row)) and frame[number].isna().any():
        reader.say(path, f"holds in {frame[number].isna().sum():,} of its rows no “{number}”")
        frame = frame.dropna(subset=[number])
    return frame
