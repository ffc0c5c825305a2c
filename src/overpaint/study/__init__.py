"""Study: datasets, lineage, pairs and renderings, read from a YAML file; no torch.

`entries` is what may be said of a dataset, `model` the whole, `reading` the file.
"""

from overpaint.study.entries import (
    KINDS,
    AtelierEntry,
    DatasetEntry,
    FolderEntry,
    HubEntry,
    IconArtEntry,
    PaintingsEntry,
    RastaEntry,
    ShardsEntry,
    TableEntry,
)
from overpaint.study.model import NetworkEntry, Pair, RenderEntry, Study
from overpaint.study.reading import parse, read_study, shipped

__all__ = [
    "KINDS",
    "AtelierEntry",
    "DatasetEntry",
    "FolderEntry",
    "HubEntry",
    "IconArtEntry",
    "NetworkEntry",
    "PaintingsEntry",
    "Pair",
    "RastaEntry",
    "RenderEntry",
    "ShardsEntry",
    "Study",
    "TableEntry",
    "parse",
    "read_study",
    "shipped",
]
