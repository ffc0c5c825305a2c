"""Where two networks look, as the report reads it; a study that did not look has no such folder."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from overpaint.records import GazeFacts, GazePictureRow, GazeTileRow, StudyFolder, table
from overpaint.report.study.reader import Reader


@dataclass(frozen=True, kw_only=True)
class GazeRecords:
    """The pictures, the tiles and their sheet; empty where it was not looked."""

    facts: GazeFacts
    pictures: pd.DataFrame  # GazePictureRow
    tiles: pd.DataFrame  # GazeTileRow
    sheet: Path | None

    @cached_property
    def numbers(self) -> dict[str, list[int]]:
        """Under which numbers a picture is looked on, by its name."""
        grouped = self.pictures.groupby("image", sort=False)["number"]
        return {str(image): numbers.astype(int).tolist() for image, numbers in grouped}

    @classmethod
    def nothing(cls) -> "GazeRecords":
        """Of a comparison whose networks nobody looked into."""
        return cls(
            facts=GazeFacts(),
            pictures=table([], GazePictureRow),
            tiles=table([], GazeTileRow),
            sheet=None,
        )

    @classmethod
    def read(cls, reader: Reader, folder: StudyFolder, before: str, after: str) -> "GazeRecords":
        """Read where two networks look."""
        place = folder.gaze(before, after)
        if not place.is_dir():
            return cls.nothing()
        manifest = reader.manifest(place)
        return cls(
            facts=reader.facts(place, manifest, GazeFacts),
            pictures=reader.table(place / "pictures.parquet", GazePictureRow),
            tiles=reader.table(place / "tiles.parquet", GazeTileRow),
            sheet=place / "sheet.webp",
        )
