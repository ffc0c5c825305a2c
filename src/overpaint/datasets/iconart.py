"""IconArt_v1 (Gonthier et al. 2018): several of seven Christian motifs a picture.

It has the sets train and test; the validation pictures are drawn from train.
"""

from pathlib import Path

from overpaint.datasets.catalogue import Picture
from overpaint.datasets.paintings import jpeg
from overpaint.datasets.table import Row, inside, marked, read_pictures, split_of

CLASSES = ("angel", "Child_Jesus", "crucifixion_of_Jesus", "Mary", "nudity", "ruins",
           "Saint_Sebastien")  # fmt: skip


def iconart_root(root: Path) -> Path:
    """The folder IconArt_v1, of which the folder above may be given as well."""
    below = root / "IconArt_v1"
    return below if below.is_dir() else root


def read_iconart(root: Path) -> list[Picture]:
    """The catalogue of IconArt_v1: `JPEGImages/<item>.jpg` and `ImageSets/Main/IconArt_v1.csv`.

    Raises DatasetError as a table does, with the line.
    """

    def picture(row: Row, where: str) -> Picture:
        image = inside(f"JPEGImages/{jpeg(str(row['item']))}", root, where)
        return Picture(image, split_of(row["set"], where), marked(row, CLASSES, where))

    file = root / "ImageSets" / "Main" / "IconArt_v1.csv"
    return read_pictures(file, ["item", "set", *CLASSES], picture)
