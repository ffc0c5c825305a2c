"""The linear SVM on features, against scikit-learn's own grid search on the same folds."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.svm import LinearSVC

from overpaint.errors import MeasureError
from overpaint.seeds import seed_for
from overpaint.training.linear_svm import GRID, linear_svm

NAMES = ["angel", "book", "crown"]


def collection(n=90, seed=0, *, many):
    """Features [n, 12] that tell the labels with some errors."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, 12)).astype(np.float32)
    hints = features[:, :3] + [0.2, 0.7, 1.5] * rng.standard_normal((n, 3))
    return features, (hints > 0.4).astype(int) if many else hints.argmax(axis=1)


def searched(features, target, scoring):
    """scikit-learn's search for C, and its machine fitted anew to everything."""
    chance = seed_for(0, "linear svm") % 2**31
    folds = StratifiedKFold(3, shuffle=True, random_state=chance)
    machine = LinearSVC(dual=True, max_iter=1000, random_state=chance)
    search = GridSearchCV(machine, {"C": GRID}, scoring=scoring, cv=folds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search.fit(features.astype(float), target)


def test_grid():
    """The paper's: 20 values from 1e-5 to 1e-2, and six more of which one is there already."""
    assert len(GRID) == 25
    assert GRID[0] == pytest.approx(1e-5)
    assert GRID[19:] == (0.01, 0.2, 1, 2, 10, 100)
    assert np.diff(np.log10(GRID[:20])) == pytest.approx(np.full(19, 3 / 19))


def test_several_labels():
    """Each class has the C, the score and the decisions of its own search by scikit-learn."""
    features, labels = collection(many=True)
    svm = linear_svm(features, labels, NAMES, seed=0)
    decisions = svm.decisions(features)
    for c, row in enumerate(svm.rows):
        search = searched(features, labels[:, c], "average_precision")
        assert row.cost == search.best_params_["C"]
        assert row.cv_score == pytest.approx(search.best_score_)
        assert (row.label, row.n, row.status) == (NAMES[c], labels[:, c].sum(), "ok")
        assert decisions[:, c] == pytest.approx(search.decision_function(features.astype(float)))
        grid = [(each.cost, each.cv_score) for each in svm.grid if each.label == NAMES[c]]
        theirs = zip(GRID, search.cv_results_["mean_test_score"], strict=True)
        assert np.array(grid) == pytest.approx(np.array(list(theirs)))
    assert len({row.cost for row in svm.rows}) > 1


@pytest.mark.parametrize("classes", [3, 2])
def test_single_labels(classes):
    """All classes share the C of the best accuracy; two classes have two rows too."""
    features, labels = collection(many=False)
    labels = np.minimum(labels, classes - 1)
    svm = linear_svm(features, labels, NAMES[:classes], seed=0)
    search = searched(features, labels, "accuracy")
    assert {row.cost for row in svm.rows} == {search.best_params_["C"]}
    assert [row.cv_score for row in svm.rows] == pytest.approx([search.best_score_] * classes)
    assert svm.weights.shape == (classes, 12)
    decisions = svm.decisions(features)
    theirs = search.decision_function(features.astype(float)).reshape(len(features), -1)
    assert decisions[:, -theirs.shape[1] :] == pytest.approx(theirs)
    assert (decisions.argmax(axis=1) == search.predict(features.astype(float))).all()
    assert {row.label for row in svm.grid} == {""}


def test_the_last_fit_takes_val():
    """C is chosen on train alone; the weights are those of train and val together."""
    features, labels = collection(many=True)
    more, their_labels = collection(40, seed=1, many=True)
    alone = linear_svm(features, labels, NAMES, seed=0)
    both = linear_svm(features, labels, NAMES, val_features=more, val_labels=their_labels, seed=0)
    assert both.grid == alone.grid
    assert [row.n for row in both.rows] == (labels.sum(0) + their_labels.sum(0)).tolist()
    chance = seed_for(0, "linear svm") % 2**31
    machine = LinearSVC(C=both.rows[1].cost, dual=True, random_state=chance).fit(
        np.concatenate([features, more]).astype(float),
        np.concatenate([labels, their_labels])[:, 1],
    )
    assert both.weights[1] == pytest.approx(machine.coef_[0])
    assert both.bias[1] == pytest.approx(machine.intercept_[0])


@pytest.mark.parametrize("many", [True, False])
def test_workers_change_nothing(many):
    """Two processes give the bits that one gives."""
    features, labels = collection(many=many)
    one, two = (linear_svm(features, labels, NAMES, seed=0, workers=n) for n in (1, 2))
    assert one.weights.tobytes() == two.weights.tobytes()
    assert (one.rows, one.grid) == (two.rows, two.grid)


def test_labels_that_say_nothing():
    """A class that none, all, or hardly any pictures show has a status; the others a machine."""
    features, labels = collection(many=True)
    labels = np.column_stack([labels[:, 0], np.zeros(90, int), np.ones(90, int), np.arange(90) < 2])
    svm = linear_svm(features, labels, [*NAMES, "dove"], seed=0)
    assert [row.status for row in svm.rows] == [
        "ok",
        "no picture shows it",
        "every picture shows it",
        "too few pictures to cross-validate: C = 1",
    ]
    assert [row.cost is None for row in svm.rows] == [False, True, True, False]
    decisions = svm.decisions(features)
    assert (decisions[:, 1] < -1000).all()
    assert (decisions[:, 2] > 0).all()
    assert decisions[:2, 3].mean() > decisions[2:, 3].mean() + 0.3
    assert {row.label for row in svm.grid} == {"angel"}


def test_classes_without_pictures():
    """A class of which train and val have no picture is never named; one class alone always is."""
    features, labels = collection(many=False)
    svm = linear_svm(features, labels * 2, [*"abcde"], seed=0)
    assert [row.status for row in svm.rows] == ["ok", "no picture shows it"] * 2 + ["ok"]
    assert set(svm.decisions(features).argmax(axis=1)) <= {0, 2, 4}
    alone = linear_svm(features, np.ones(90, int), ["a", "b"], seed=0)
    assert (alone.decisions(features).argmax(axis=1) == 1).all()
    assert (alone.decisions(features)[:, 1] > 0).all()


def test_a_rare_class_is_no_noise(recwarn):
    """A class with fewer pictures than folds, and slow fits, are told in rows, not in warnings."""
    features, labels = collection(many=False)
    features[:, 0] *= 1e4
    labels[0] = 3
    svm = linear_svm(features, labels, [*"abcd"], seed=0)
    assert not recwarn.list
    assert not all(row.converged for row in svm.grid)
    assert svm.rows[3].n == 1


def test_not_converged():
    """A fit that stopped before its end says so."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((300, 2)) * [1e4, 1]
    labels = (rng.random((300, 1)) < 0.5).astype(int)
    labels[:2] = 1
    labels[2:] = 0
    svm = linear_svm(features, labels, ["angel"], seed=0)
    assert svm.rows[0].converged is False
    assert "not converged in 1,000 iterations" in svm.rows[0].status


def test_convergence_of_folds():
    """A row of the grid has converged when each of its folds has."""
    features, labels = collection(many=False)
    features[:, 0] *= 30
    svm = linear_svm(features, labels, NAMES, seed=0)
    chance = seed_for(0, "linear svm") % 2**31
    folds = list(StratifiedKFold(3, shuffle=True, random_state=chance).split(features, labels))
    mixed = 0
    for row in svm.grid:
        machine = LinearSVC(C=row.cost, dual=True, random_state=chance)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            done = [
                machine.fit(features[fit].astype(float), labels[fit]).n_iter_ < 1000
                for fit, _ in folds
            ]
        assert row.converged is all(done)
        mixed += any(done) and not all(done)
    assert mixed


@pytest.mark.parametrize(
    ("features", "slug"),
    [(np.ones((3, 2)), "images-differ"), (np.full((4, 2), np.nan), "not-finite")],
)
def test_refused(features, slug):
    """Other pictures than labels, and numbers that are none, also in val."""
    labels = np.array([0, 1, 0, 1])
    with pytest.raises(MeasureError) as error:
        linear_svm(features, labels, NAMES, seed=0)
    assert error.value.slug == slug
    with pytest.raises(MeasureError) as error:
        linear_svm(np.ones((4, 2)), labels, NAMES, val_features=features, val_labels=labels, seed=0)
    assert error.value.slug == slug
