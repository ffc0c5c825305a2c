"""Messages on a study speak our words, name `--set` where it was `--set`, and refuse idle keys."""

import re

import pytest

from overpaint.datasets.opening import dataset
from overpaint.errors import DatasetError, StudyError
from overpaint.study import read_study

STUDY = """\
study: tiny
datasets:
  art: {kind: atelier, task: manners, sizes: {train: 8, val: 4, test: 4}}
  table: {kind: table, root: ., file: t.csv, path: p, label: [a, b], classes: [a, b]}
networks:
  source: {load: inception_small, weights: random, seed: 1}
  tuned: {from: source, fit: art, recipe: mode_a, with: {epochs: 2, auxiliary: [0.3]}, repeats: 2}
  again: {from: source, fit: art, recipe: mode_a, with: {stages: [{train: head, epochs: 1}, all]}}
  lora: {from: source, fit: art, recipe: lora, with: {lora: {rank: 4, where: [all]}}}
  svm: {from: source, fit: art, recipe: linear_svm}
ensembles: {both: [tuned, again]}
compare: [{pair: [source, tuned], on: art/test, reduction: mean}]
maximal_images: 10
features: {precision: float32}
render: {layers: [mixed4b], channels: most_changed(2), steps: 3, size: 48, canvas: fourier}
causes: [rewind, between]
"""

KEYS = (
    *("study", "seed", "maximal_images", "datasets", "networks", "ensembles", "compare"),
    *("features", "render", "datasets.art", "datasets.art.kind", "datasets.art.task"),
    *("datasets.art.sizes", "datasets.art.sizes.train", "datasets.art.cache"),
    *("datasets.art.disjoint", "datasets.table.label", "datasets.table.classes"),
    *("datasets.table.root", "datasets.table.files", "datasets.table.separator"),
    *("networks.source", "networks.source.load", "networks.source.weights"),
    *("networks.source.seed", "networks.tuned.from", "networks.tuned.fit"),
    *("networks.tuned.recipe", "networks.tuned.with", "networks.tuned.repeats"),
    *("networks.tuned.with.epochs", "networks.tuned.with.head_lr"),
    *("networks.tuned.with.momentum", "networks.tuned.with.auxiliary"),
    *("networks.tuned.with.crop", "networks.tuned.with.crop_scale", "networks.tuned.with.flip"),
    *("networks.tuned.with.augment", "networks.tuned.with.clip_norm"),
    *("networks.tuned.with.stages", "networks.tuned.with.lora", "networks.tuned.with.optimiser"),
    *("networks.tuned.with.train", "networks.tuned.with.nonsense", "networks.again.with.stages"),
    *("networks.lora.with.lora.rank", "networks.lora.with.lora.where"),
    *("networks.lora.with.lora.nonsense", "ensembles.both", "features.precision"),
    *("features.store", "features.nonsense", "render.layers", "render.channels", "render.steps"),
    *("render.size", "render.together", "render.canvas", "render.colours", "render.nonsense"),
    *("causes", "nonsense", "datasets.art.nonsense"),
)

VALUES = (
    *("x", "''", "3.7", "-1", "0", "1e400", ".nan", "true", "null", "[]", "{}", "[1]", "[x, -2]"),
    *("{a: 1}", "[[1]]", "[{train: 3}]", "{1: 2}", "2001-01-01", "99999999999", "'\\0'"),
)

FOREIGN = re.compile(
    r"Input should|valid (integer|string|number|list|tuple|dictionary|boolean)|Extra inputs|"
    r"Value error|Field required|validation error|pydantic|errors\.|https?://|Unable to|"
    r"should (be|have|match)|\bctx\b|NoneType|<class"
)


@pytest.fixture
def study(tmp_path):
    """The path of a study that is right."""
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def test_the_study_is_right(study):
    """So whatever is said below is said of what was set."""
    read_study(str(study))


@pytest.mark.parametrize("key", KEYS)
def test_an_error_of_set_is_in_our_words_and_names_it(study, key):
    """For values of every kind: none of pydantic's phrases, and `--set KEY=VALUE` at the end."""
    for value in VALUES:
        try:
            read_study(str(study), [f"{key}={value}"])
        except StudyError as error:
            said = str(error)
            assert not FOREIGN.search(said), said
            assert len(said) < 700, said
            assert "--set" in said or "study.yaml, line" in said, said
            if error.slug in ("bad-value", "unknown-key"):
                assert f"--set {key}={value}" in said, said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("seed: x", "seed is to be a whole number, got 'x' (study.yaml, line 17)"),
        ("seed: 3.5", "seed is to be a whole number, got 3.5"),
        ("features: {precision: float64}", "features.precision is to be 'float32', 'tf32' or"),
        ("render: {layers: [a], channels: all, steps: 0}", "render.steps is to be at least 1"),
        ("render: {layers: [a], channels: {a: 1}}", "render.channels is to be a text or is to be"),
        ("ensembles: {both: [tuned]}", "ensembles.both is to have at least 2 entries"),
        ("causes: [rewnd]", "causes: there is no cause 'rewnd'; did you mean 'rewind'"),
        ("causes: [probe, probe]", "causes: 'probe' stands twice"),
        ("causes: []", "causes: an empty list: say false to look for none"),
        ("causes: often", "causes: is to be true, false or a list of rewind, between"),
        ("compare: [[source]]", "compare.0.1 is missing"),
        ("compare: [{pair: [source, tuned], on: art}]", "compare.0.on is to be DATASET/SPLIT"),
    ],
)
def test_a_message_says_what_is_wanted(study, line, said):
    """The key, what it is to be, what it is, and where."""
    key = line.partition(":")[0]
    lines = [other for other in STUDY.splitlines() if not other.startswith(f"{key}:")]
    study.write_text("\n".join([*lines, line]) + "\n")
    with pytest.raises(StudyError) as caught:
        read_study(str(study))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{of: [source, tuned], at: worst}", "mix.mixed.at is to be 'best' or is to be a number"),
        ("{of: [source, tuned], at: 3}", "is to be at most 2"),
        ("{of: [source]}", "networks.mix.mixed.of.1 is missing"),
        ("{of: [source, tuned], on: art}", "unknown key 'on' in networks.mix.mixed; known: of, at"),
        ("{of: [source, tuned]}, seed: 1", "'mixed' is all that is said of a mixed network"),
    ],
)
def test_a_mix_says_what_is_wanted(study, entry, said):
    """Of two networks, at a place or the best, and nothing else."""
    with pytest.raises(StudyError) as caught:
        read_study(str(study), [f"networks.mix={{mixed: {entry}}}"])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("networks.svm.with={epochs: 9}", "networks.svm.with.epochs does nothing: a linear SVM"),
        ("networks.svm.with={batch_size: 9}", "a linear SVM goes down no gradient"),
        ("networks.svm.with={flip: true}", "a linear SVM goes down no gradient"),
        ("networks.tuned.with={train: head, backbone_lr: 0.1}", "only the head is trained"),
        ("networks.tuned.with={optimiser: adam, momentum: 0.5}", "the optimiser adam has none"),
        ("networks.tuned.with={auxiliary_dropout: 0.5}", "no heads below 'auxiliary'"),
        ("networks.lora.with={as_published: true}", "no published runs of lora"),
        (
            "networks.again.with={stages: [{train: head, head_lr: 1, epochs: 1}], head_lr: 0.1}",
            "each of the stages has its own",
        ),
        (
            "networks.again.with={stages: [{train: head, backbone_lr: 1}, all], epochs: 4}",
            "networks.again.with.stages.0.backbone_lr does nothing: this stage trains only",
        ),
        ("networks.source={load: inception_v1, seed: 3}", "nothing of this network is drawn"),
        ("datasets.table={kind: table, root: ., files: {train: t}, split: s}", "each split"),
        ("datasets.table={kind: hub, root: ., revision: v1}", "a folder ('root') has none"),
        ("causes=[rewind, forgetting]", "causes.1 does nothing: it looks at the pairs below"),
        ("compare=[]", "render does nothing: it draws channels of the pairs"),
    ],
)
def test_keys_that_do_nothing_beside_others_are_refused(study, override, why):
    """Who wrote them meant something by it."""
    with pytest.raises(StudyError) as caught:
        read_study(str(study), [override])
    assert caught.value.slug == "idle-key"
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"cache": "maybe"}, "cache is to be true or false, got 'maybe'; the keys are"),
        ({"nonsense": 1}, "there is no key 'nonsense'; the keys are"),
        ({"group": "x"}, "needs one capture group"),
    ],
)
def test_a_dataset_of_pythons_is_told_likewise(tmp_path, keys, said):
    """In the words of a study file."""
    with pytest.raises(DatasetError) as caught:
        dataset(tmp_path, **keys)
    assert said in str(caught.value)
    assert not FOREIGN.search(str(caught.value))


@pytest.mark.parametrize("key", ["networks.tund.with", "datasets.tabel.root"])
def test_a_misspelt_name_in_set_is_told_beside_those_of_the_file(study, key):
    """It begins an entry that lacks all else: the name that was meant is told."""
    name = key.split(".")[1]
    with pytest.raises(StudyError, match=f"there is no '{name}' in the file") as caught:
        read_study(str(study), [f"{key}=x"] if "root" in key else [f"{key}.epochs=3"])
    assert "known: " in str(caught.value)


def test_a_misspelt_recipe_is_told_before_what_else_is_missing(tmp_path):
    """The recipe that was meant, of an entry that has no parent either."""
    path = tmp_path / "study.yaml"
    path.write_text("study: x\nnetworks: {frozen: {fit: art, recipe: frozn}}\n")
    with pytest.raises(StudyError, match="did you mean 'frozen'"):
        read_study(str(path))
