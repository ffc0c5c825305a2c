"""IconArt_v1 (Gonthier et al. 2018): several of seven Christian motifs a picture.

It has the sets train and test; the validation pictures are drawn from train.
"""

from pathlib import Path
from typing import Literal

from overpaint.datasets.catalogue import Catalogue, Picture
from overpaint.datasets.entry import CollectionEntry, Surroundings
from overpaint.datasets.labels import marked
from overpaint.datasets.paintings import jpeg
from overpaint.datasets.paths import inside
from overpaint.datasets.table import Row, read_pictures, split_of

CLASSES = ("angel", "Child_Jesus", "crucifixion_of_Jesus", "Mary", "nudity", "ruins",
           "Saint_Sebastien")  # fmt: skip


class IconArtEntry(CollectionEntry):
    """IconArt_v1, or the folder that holds it."""

    published = {"train": 2_978, "val": 0, "test": 2_977}  # noqa: RUF012

    kind: Literal["iconart"]
    root: Path

    def read(self, surroundings: Surroundings) -> Catalogue:
        root = surroundings.path(self.root)
        if (root / "IconArt_v1").is_dir():
            root /= "IconArt_v1"
        pictures = read_iconart(root)
        return Catalogue(root=root, pictures=pictures, classes=CLASSES, multi_label=True)


def read_iconart(root: Path) -> list[Picture]:
    """The catalogue of IconArt_v1: `JPEGImages/<item>.jpg` and `ImageSets/Main/IconArt_v1.csv`.

    Raises DatasetError as a table does, with the line.
    """

    def picture(row: Row, where: str) -> Picture:
        image = inside(f"JPEGImages/{jpeg(str(row['item']))}", root, where)
        labels = marked(row, CLASSES, where)
        return Picture(image=image, split=split_of(row["set"], where), labels=labels)

    file = root / "ImageSets" / "Main" / "IconArt_v1.csv"
    return read_pictures(file, ["item", "set", *CLASSES], picture)
