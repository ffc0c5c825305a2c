"""Study: datasets, lineage, pairs and renderings, read from a YAML file; no torch.

`model` is the whole, `reading` the file; what may be said of a dataset stands beside its reader, in
`overpaint.datasets`.
"""

from overpaint.study.model import NetworkEntry, Pair, RenderEntry, Study
from overpaint.study.reading import read_study, shipped, study_in

__all__ = [
    "NetworkEntry",
    "Pair",
    "RenderEntry",
    "Study",
    "read_study",
    "shipped",
    "study_in",
]
