"""The kinds of datasets: the one list, of which all that depends on the kind is made.

>>> KINDS["folder"].__name__
'FolderEntry'
"""

from typing import Annotated, get_args

from pydantic import Field

from overpaint.datasets.atelier import AtelierEntry
from overpaint.datasets.entry import CollectionEntry
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.hub import HubEntry
from overpaint.datasets.iconart import IconArtEntry
from overpaint.datasets.paintings import PaintingsEntry
from overpaint.datasets.rasta import RastaEntry
from overpaint.datasets.shards import ShardsEntry
from overpaint.datasets.table import TableEntry

DatasetEntry = Annotated[
    FolderEntry
    | TableEntry
    | RastaEntry
    | PaintingsEntry
    | IconArtEntry
    | ShardsEntry
    | HubEntry
    | AtelierEntry,
    Field(discriminator="kind"),
]

KINDS: dict[str, type[CollectionEntry]] = {
    get_args(entry.model_fields["kind"].annotation)[0]: entry
    for entry in get_args(get_args(DatasetEntry)[0])
}
"""The entry of each kind, by the name that a study gives it."""
