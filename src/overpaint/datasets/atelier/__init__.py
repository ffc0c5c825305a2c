"""The atelier: a collection made on the spot, for the demonstration and the tests.

`tasks` paints it: a scene (`scenes`) of some `subjects`, as a photograph or in one of the
`manners`.
"""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from overpaint.datasets.catalogue import Catalogue
from overpaint.datasets.entry import CollectionEntry, SplitName, Surroundings
from overpaint.datasets.table import read_table


class AtelierEntry(CollectionEntry):
    """A collection made on the spot."""

    writes_out: ClassVar[bool] = True

    kind: Literal["atelier"]
    task: Literal["photographs", "manners", "subjects"]
    sizes: dict[SplitName, Annotated[int, Field(ge=1, le=100_000)]] | None = None

    def read(self, surroundings: Surroundings) -> Catalogue:
        from overpaint.datasets.atelier.tasks import make

        root = surroundings.pictures
        make(root, self.task, surroundings.seed, dict(self.sizes.items()) if self.sizes else None)
        catalogue = read_table(
            root, root / "labels.csv", path="path", label="labels", split="split"
        )
        return replace(catalogue, multi_label=self.task == "subjects")
