"""Findings: the statements of the paper, each put to this study, with its interval.

From tables, scores and stored features alone; no network runs, and torch is not needed. What a
study cannot decide is said to be undecided, and what it has not tried to be untested.

A statement is an entry of STATEMENTS: what it says, in words, and the function that tests it.
"""

from overpaint.findings.changes import (
    classes_finding,
    classes_more_finding,
    control_finding,
    double_finding,
    filters_finding,
    layers_finding,
)
from overpaint.findings.hypothesis import SPARED, Sampled
from overpaint.findings.results import (
    ComparedPair,
    ComparedRoutes,
    Results,
    Shown,
    TriedPair,
    ancestors,
    twins,
)
from overpaint.findings.statements import STATEMENTS, Statement, findings
from overpaint.findings.tried import (
    basin_finding,
    earlier_finding,
    forgot_finding,
    free_finding,
    matters_finding,
)

__all__ = [
    "SPARED",
    "STATEMENTS",
    "ComparedPair",
    "ComparedRoutes",
    "Results",
    "Sampled",
    "Shown",
    "Statement",
    "TriedPair",
    "ancestors",
    "basin_finding",
    "classes_finding",
    "classes_more_finding",
    "control_finding",
    "double_finding",
    "earlier_finding",
    "filters_finding",
    "findings",
    "forgot_finding",
    "free_finding",
    "layers_finding",
    "matters_finding",
    "twins",
]
