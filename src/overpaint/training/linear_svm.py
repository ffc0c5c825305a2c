"""Off the shelf: a linear SVM on the features of a network that is not trained at all.

>>> rng = np.random.default_rng(0)
>>> labels = np.repeat([0, 1], 20)
>>> features = rng.normal(size=(40, 3)) + 4 * labels[:, None]
>>> svm = linear_svm(features, labels, ["calm", "storm"], seed=0)
>>> svm.weights.shape, [row.status for row in svm.rows]
((2, 3), ['ok', 'ok'])
>>> bool((svm.decisions(features).argmax(axis=1) == labels).all())
True

On what the head of a network is given, the SVM is that network with another head (`svm_head`).
Nothing here imports torch: each process that helps to fit imports this module.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed  # type: ignore[import-untyped]
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from overpaint.errors import MeasureError
from overpaint.measures.scores import Floats, Ints, average_precision
from overpaint.records import SvmGridRow, SvmRow
from overpaint.seeds import seed_for

GRID = tuple(sorted({*np.logspace(-5, -2, 20).tolist(), 0.01, 0.2, 1.0, 2.0, 10.0, 100.0}))
COST = 1.0
"""The C where too few pictures show a class to choose one."""
ITERATIONS = 1000
NEVER = -1e6
"""The decision on a class that no picture shows: it is not to be named."""
SMALL = 2**18
"""Fewer numbers than this are done in this process: workers would take longer to start."""


@dataclass(frozen=True)
class LinearSvm:
    """A linear SVM for each class, and how its C was chosen."""

    weights: Floats  # [C, D]
    bias: Floats  # [C]
    rows: list[SvmRow]
    grid: list[SvmGridRow]

    def decisions(self, features: NDArray[Any]) -> Floats:
        """How far each image lies on the side of each class [N, C]; above 0 it is there."""
        return np.asarray(features @ self.weights.T + self.bias)


def linear_svm(
    features: NDArray[Any],
    labels: Ints,
    classes: Sequence[str],
    *,
    val_features: NDArray[Any] | None = None,
    val_labels: Ints | None = None,
    seed: int,
    folds: int = 3,
    workers: int | None = None,
) -> LinearSvm:
    """A linear SVM on the features [N, D] of `train`: C by cross-validation, then fitted anew.

    labels: [N] class numbers, or [N, C] of 0/1. Several labels: each class has the C of its best
    average precision, meant over the folds. Single labels, one class against the rest: all share
    the C of the best accuracy. Among equals the smallest. With val_features and val_labels the
    last fit is on `train` and `val` together; C is chosen on `train` alone.

    Stratified shuffled folds; squared hinge, L2, dual, at most 1,000 iterations, no class weights,
    no scaling of features. A class that no picture shows, or all, or too few to cross-validate,
    and a fit that did not converge, are told in the class's `status`.

    workers: processes; by default one a core, unless the features are small. The result is the
    same for any number; each takes about 24 bytes a number of the features. Time grows with
    N × D × classes, and most goes to the large C, which seldom converge.

    Raises MeasureError: `images-differ`, `not-finite`.

    Source: the off-the-shelf baseline of Gonthier et al. 2020; the solver is LIBLINEAR, Fan et al.
    2008.
    """
    x, y = _checked(features, labels)
    all_x, all_y = x, y
    if val_features is not None and val_labels is not None:
        val_x, val_y = _checked(val_features, val_labels)
        all_x, all_y = np.concatenate([x, val_x]), np.concatenate([y, val_y])
    chance = seed_for(seed, "linear svm") % 2**31  # as much as scikit-learn takes
    processes = workers or (1 if x.size < SMALL else cpu_count())
    # Processes, not threads: the solver has one generator of random numbers a process.
    with Parallel(n_jobs=processes) as parallel:
        grid = _cross_validated(parallel, x, _targets(y, classes), folds, chance)
        chosen: dict[str, SvmGridRow] = {}
        for row in grid:  # from the least C up: among equals the first stays
            if row.label not in chosen or row.cv_score > chosen[row.label].cv_score:
                chosen[row.label] = row
        fitted = parallel(
            delayed(_fit)(all_x, target, chosen[label].cost if label in chosen else COST, chance)
            for label, target in _targets(all_y, classes).items()
        )
    weights, bias = np.zeros((len(classes), x.shape[1])), np.full(len(classes), NEVER)
    if y.ndim == 1:
        weights[fitted[0].present], bias[fitted[0].present] = fitted[0].weights, fitted[0].bias
    else:
        for number, machine in enumerate(fitted):
            if machine.present[-1] == 1:
                weights[number], bias[number] = machine.weights[-1], machine.bias[-1]
    return LinearSvm(weights, bias, _rows(classes, all_y, chosen, fitted), grid)


def _checked(features: NDArray[Any], labels: Ints) -> tuple[Floats, Ints]:
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or len(x) != len(labels):
        raise MeasureError(
            "images-differ",
            f"an SVM needs a row and a label a picture; got {x.shape} and {len(labels)} labels",
        )
    if not np.isfinite(x).all():
        row = int(np.argmin(np.isfinite(x).all(axis=1)))
        raise MeasureError("not-finite", f"features hold NaN or infinity, first in row {row}")
    return x, labels


def _targets(labels: Ints, classes: Sequence[str]) -> dict[str, Ints]:
    """What each SVM is to tell apart: all classes (""), or each label from its absence."""
    if labels.ndim == 1:
        return {"": labels}
    return dict(zip(classes, labels.T, strict=True))


# --- choosing C ----------------------------------------------------------------------------------


def _cross_validated(
    parallel: Parallel, x: Floats, targets: dict[str, Ints], folds: int, chance: int
) -> list[SvmGridRow]:
    splits = {label: _folds(target, folds, chance) for label, target in targets.items()}
    points = [(label, cost) for label in targets if splits[label] for cost in GRID]
    scored = parallel(
        delayed(_fold_score)(x, targets[label], cost, fit, test, chance, single=not label)
        for label, cost in points
        for fit, test in splits[label]
    )
    results = np.array(scored, np.float64).reshape(len(points), folds, 2)
    return [
        SvmGridRow(
            label=label, cost=cost, cv_score=float(scores.mean()), converged=bool(converged.all())
        )
        for (label, cost), (scores, converged) in zip(
            points, results.transpose(0, 2, 1), strict=True
        )
    ]


def _folds(target: Ints, folds: int, chance: int) -> list[tuple[Ints, Ints]]:
    """Rows to fit and to test; none where a fold could lack one of the two largest classes."""
    counts = np.sort(np.unique(target, return_counts=True)[1])
    if len(counts) < 2 or counts[-2] < folds:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a rare class; its row shows its pictures
        maker = StratifiedKFold(folds, shuffle=True, random_state=chance)
        return list(maker.split(target, target))


def _fold_score(
    x: Floats, target: Ints, cost: float, fit: Ints, test: Ints, chance: int, *, single: bool
) -> tuple[float, bool]:
    """Accuracy, or average precision, on the rows to test; whether the fit converged."""
    fitted = _fit(x[fit], target[fit], cost, chance)
    decisions = x[test] @ fitted.weights.T + fitted.bias
    if single:
        named = fitted.present[decisions.argmax(axis=1)]
        return float((named == target[test]).mean()), fitted.converged
    once = np.ones((1, len(test)))
    return float(average_precision(decisions[:, -1], target[test], once)[0]), fitted.converged


# --- fitting -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fitted:
    """One row of weights for each class number that is present, in ascending order."""

    present: Ints
    weights: Floats
    bias: Floats
    converged: bool


def _fit(x: Floats, target: Ints, cost: float, chance: int) -> _Fitted:
    present = np.unique(target)
    if len(present) == 1:  # nothing to tell apart: always there
        return _Fitted(present, np.zeros((1, x.shape[1])), np.ones(1), True)
    machine = LinearSVC(C=cost, dual=True, max_iter=ITERATIONS, random_state=chance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is told in the status
        machine.fit(x, target)
    weights, bias = machine.coef_, machine.intercept_
    if len(present) == 2:  # one machine tells both
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    return _Fitted(present, weights, bias, bool(machine.n_iter_ < ITERATIONS))


def _rows(
    classes: Sequence[str],
    labels: Ints,
    chosen: dict[str, SvmGridRow],
    fitted: Sequence[_Fitted],
) -> list[SvmRow]:
    """A row for each class: its C, how well it did, and what is the matter with it."""
    single = labels.ndim == 1
    counts = np.bincount(labels, minlength=len(classes)) if single else labels.sum(axis=0)
    rows = []
    for number, (label, count) in enumerate(zip(classes, counts.tolist(), strict=True)):
        if count in (0, len(labels)):
            rows.append(
                SvmRow(
                    label=label,
                    n=count,
                    cost=None,
                    cv_score=None,
                    converged=None,
                    status="every picture shows it" if count else "no picture shows it",
                )
            )
            continue
        choice = chosen.get("" if single else label)
        converged = fitted[0 if single else number].converged
        notes = []
        if choice is None:
            notes.append(f"too few pictures to cross-validate: C = {COST:g}")
        if not converged:
            notes.append(f"not converged in {ITERATIONS:,} iterations")
        rows.append(
            SvmRow(
                label=label,
                n=count,
                cost=choice.cost if choice else COST,
                cv_score=choice.cv_score if choice else None,
                converged=converged,
                status="; ".join(notes) or "ok",
            )
        )
    return rows
