"""Study: datasets, lineage, pairs and renderings, read from a YAML file; no torch.

`model` is the whole, `reading` the file; what may be said of a dataset stands beside its reader, in
`overpaint.datasets`.
"""

from overpaint.study.model import NetworkEntry, Pair, RenderEntry, Study
from overpaint.study.reading import parse, read_study, shipped

__all__ = [
    "NetworkEntry",
    "Pair",
    "RenderEntry",
    "Study",
    "parse",
    "read_study",
    "shipped",
]
