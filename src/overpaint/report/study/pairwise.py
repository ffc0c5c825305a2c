"""All networks of a dataset with all, as the report reads it; there where a study asks for it."""

from dataclasses import dataclass

import pandas as pd

from overpaint.records import PairwiseFacts, PairwiseRow, StudyFolder
from overpaint.report.study.reader import Reader


@dataclass(frozen=True, kw_only=True)
class PairwiseRecords:
    """A row for each two networks of a dataset."""

    dataset: str
    facts: PairwiseFacts
    pairs: pd.DataFrame  # PairwiseRow
    notes: list[str]

    @classmethod
    def read(cls, folder: StudyFolder, dataset: str) -> "PairwiseRecords":
        """Read what a run left of a dataset."""
        reader, place = Reader(folder.root), folder.pairwise(dataset)
        manifest = reader.manifest(place)
        return cls(
            dataset=dataset,
            facts=reader.facts(place, manifest, PairwiseFacts),
            pairs=reader.table(place / "pairwise.parquet", PairwiseRow),
            notes=reader.notes,
        )
