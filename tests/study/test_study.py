"""Study files: what is right is read, what is wrong is named with its place."""

from pathlib import Path

import pytest

from overpaint.errors import StudyError
from overpaint.study import Study, read_study, shipped

GOOD = """\
study: tiny
datasets:
  art: {kind: folder, root: pictures}
networks:
  imagenet: {load: inception_small, weights: random}
  tuned:
    from: imagenet
    fit: art
    recipe: mode_a
    with: {epochs: 2}
  again: {from: tuned, fit: art, recipe: frozen}
compare:
  - [imagenet, tuned]
  - {pair: [tuned, again], on: art/train}
"""


def read(tmp_path: Path, text: str, *overrides: str) -> Study:
    file = tmp_path / "study.yaml"
    file.write_text(text)
    return read_study(str(file), overrides)


def test_good_study(tmp_path):
    """A study is read with its defaults, and its YAML reads back as the same study."""
    study = read(tmp_path, GOOD)
    assert study.maximal_images == 100
    assert study.lineage() == ["imagenet", "tuned", "again"]
    assert study.networks["tuned"].training().epochs == 2
    again = read(tmp_path, study.to_yaml())
    assert again == study


def test_children_may_stand_before_their_parents(tmp_path):
    """The order of the file does not matter to the lineage."""
    text = GOOD.replace("imagenet: {load", "zz: {load").replace("from: imagenet", "from: zz")
    text = text.replace("[imagenet, tuned]", "[zz, tuned]")
    lines = text.splitlines()
    moved = [line for line in lines if "zz: {load" in line]
    rest = [line for line in lines if "zz: {load" not in line]
    at = rest.index("compare:")
    study = read(tmp_path, "\n".join(rest[:at] + moved + rest[at:]))
    assert study.lineage() == ["zz", "tuned", "again"]


def test_override(tmp_path):
    """--set replaces one key, deep in the file, with a YAML value."""
    study = read(tmp_path, GOOD, "networks.tuned.with.epochs=7", "seed=3")
    assert study.networks["tuned"].training().epochs == 7
    assert study.seed == 3


def test_random_starts_are_networks(tmp_path):
    """A network of which anything starts at random has its initialisation beside it."""
    text = GOOD.replace("recipe: frozen", "recipe: end_from_scratch")
    assert read(tmp_path, text).nodes() == [
        "imagenet", "tuned.init", "tuned", "again.init", "again"]  # fmt: skip


@pytest.mark.parametrize("name", shipped())
def test_shipped_studies(name):
    """Every study that ships is valid."""
    assert read_study(name).study == name


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[2] / "studies").glob("*.yaml")))
def test_own_studies(file):
    """Every study of the checkout is valid, and says how to run it."""
    assert read_study(str(file)).study == file.stem
    assert f"overpaint run studies/{file.name}" in file.read_text()


BAD = [
    ("unknown-key", "fit: art\n", "fits: art\n", ["'fits'", "did you mean 'fit'", "line 8"]),
    ("unknown-key", "root: pictures", "roots: pictures", ["'roots'", "'root'", "line 3"]),
    ("unknown-key", "study: tiny", "study: tiny\nsede: 1", ["'sede'", "'seed'", "line 2"]),
    ("bad-value", "kind: folder", "kind: fodler", ["'fodler'", "mean 'folder'?", "line 3"]),
    ("bad-value", "{kind: folder, root: pictures}", "{root: p}", ["needs a 'kind'", "line 3"]),
    ("unknown-parent", "from: imagenet", "from: imagnet", ["'tuned'", "'imagenet'?", "line 7"]),
    ("unknown-dataset", "fit: art\n", "fit: arts\n", ["'arts'", "'art'", "line 8"]),
    ("bad-value", "recipe: mode_a", "recipe: mode_x", ["'mode_x'", "mode_a", "line 6"]),
    ("bad-value", "{epochs: 2}", "{epoch: 2}", ["'epoch'", "'epochs'", "networks.tuned"]),
    ("bad-value", "{epochs: 2}", "{epochs: 0}", ["epochs", "networks.tuned"]),
    ("cycle", "from: imagenet", "from: again", ["tuned from again from tuned", "line"]),
    ("unknown-network", "[imagenet, tuned]", "[imagenet, tund]", ["'tund'", "'tuned'", "line 13"]),
    ("bad-value", "on: art/train", "on: art", ["compare.1", "line 14"]),
    ("pair-twice", "pair: [tuned, again]", "pair: [imagenet, tuned]", ["twice", "line 14"]),
    ("bad-value", "study: tiny", "study: ../tiny", ["../tiny", "line 1"]),
    ("duplicate-key", "    fit: art\n", "    fit: art\n    fit: art\n", ["lines 8 and 9"]),
    ("not-yaml", "study: tiny", "study: [tiny", ["study.yaml"]),
]


@pytest.mark.parametrize(
    ("slug", "old", "new", "said"), BAD, ids=[f"{b[0]}-{b[2][:20]}" for b in BAD]
)
def test_bad_studies(tmp_path, slug, old, new, said):
    """Each mistake is named with what, where, and what would be right."""
    assert GOOD.count(old) == 1
    with pytest.raises(StudyError) as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert caught.value.slug == slug
    for part in said:
        assert part in str(caught.value)


def test_nothing_is_executed(tmp_path):
    """A YAML tag that would build a Python object is refused."""
    with pytest.raises(StudyError) as caught:
        read(tmp_path, "study: !!python/object/apply:os.system ['true']")
    assert caught.value.slug == "not-yaml"


def test_missing_study():
    """A name that is no file and does not ship is an error that lists what ships."""
    with pytest.raises(StudyError, match="demo") as caught:
        read_study("nowhere.yaml")
    assert caught.value.slug == "no-such-study"


def test_repeats_are_networks_with_parents_of_their_number(tmp_path):
    """Each repeat has a seed of its own, and comes from the same repeat of its parent."""
    text = GOOD.replace("recipe: mode_a", "recipe: mode_a\n    repeats: 3").replace(
        "recipe: frozen", "recipe: frozen, repeats: 4"
    )
    study = read(tmp_path, text)
    assert study.all_networks.keys() >= {"tuned", "tuned.2", "tuned.3", "again", "again.4"}
    parents = [study.all_networks[name].parent for name in study.repeated("again")]
    assert parents == ["tuned", "tuned.2", "tuned.3", "tuned"]
    assert len({study.seed_of(name) for name in ("tuned", "tuned.2", "tuned.3")}) == 3
    assert study.repeated("tuned") == ["tuned", "tuned.2", "tuned.3"]
    assert read(tmp_path, study.to_yaml()).all_networks == study.all_networks


@pytest.mark.parametrize(
    ("line", "slug"),
    [
        ("ensembles: {both: [tuned, agian]}", "unknown-network"),
        ("ensembles: {both: [imagenet, tuned]}", "unknown-network"),
        ("ensembles: {tuned: [tuned, again]}", "name-taken"),
        ("ensembles: {one: [tuned]}", "bad-value"),
    ],
)
def test_wrong_ensembles(tmp_path, line, slug):
    """An ensemble is of two or more trained networks of one dataset, under a name of its own."""
    with pytest.raises(StudyError) as caught:
        read(tmp_path, GOOD + line + "\n")
    assert caught.value.slug == slug


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("  mix: {mixed: {of: [imagenet, nobody]}}", "mixed of network 'nobody'"),
        ("  mix: {mixed: {of: [tuned, imagenet]}}", "'imagenet', which is not trained"),
        ("  mix: {mixed: {of: [tuned, mix]}}", "mixed of network 'mix'"),
        (
            "  mix: {mixed: {of: [imagenet, tuned]}}\n  a: {from: mix, fit: art, recipe: mode_a}",
            "which is mixed: a training starts from",
        ),
    ],
)
def test_what_cannot_be_mixed_is_refused(tmp_path, line, said):
    """Networks that are not mixed themselves, the second trained; and no training from a mix."""
    with pytest.raises(StudyError) as caught:
        read(tmp_path, GOOD.replace("compare:", f"{line}\ncompare:"))
    assert said in str(caught.value)


def test_a_mix_is_of_the_second_network(tmp_path):
    """It stands last among the networks, is fitted to what that is fitted to, and reads back."""
    line = "  mix: {mixed: {of: [imagenet, tuned], at: 0.4}}\n"
    study = read(tmp_path, GOOD.replace("networks:\n", f"networks:\n{line}"))
    assert list(study.all_networks) == ["imagenet", "tuned", "again", "mix"]
    mix = study.all_networks["mix"]
    assert (mix.fit, mix.recipe, mix.parents) == ("art", None, ("imagenet", "tuned"))
    assert read(tmp_path, study.to_yaml()) == study


# --- titles ------------------------------------------------------------------------------------


def test_a_network_is_called_by_its_title(tmp_path):
    """A repeat has its number besides, an initialisation what it is; without a title, the name."""
    text = GOOD.replace("  tuned:\n", "  tuned:\n    title: ' doucement réglé '\n    repeats: 2\n")
    study = read(tmp_path, text)
    names = ("imagenet", "tuned", "tuned.2", "tuned.init", "tuned.2.init", "elsewhere")
    assert [study.title_of(name) for name in names] == [
        "imagenet",
        "doucement réglé",
        "doucement réglé (2)",
        "doucement réglé, before training",
        "doucement réglé (2), before training",
        "elsewhere",
    ]
    assert read(tmp_path, study.to_yaml()).title_of("tuned") == "doucement réglé"


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("''", "bad-value"),
        (f"'{61 * 'a'}'", "bad-value"),
        ('"a\\nb"', "bad-value"),
        ('"a\\tb"', "bad-value"),
        ('"\\e[2Ja"', "bad-value"),
        ('"\\u202egnp"', "bad-value"),
        ("again", "name-taken"),
        ("imagenet", "name-taken"),
    ],
)
def test_a_title_that_none_can_be(tmp_path, title, slug):
    """It is of 1 to 60 letters in one line, without signs that steer, and no other's name."""
    text = GOOD.replace("  tuned:\n", f"  tuned:\n    title: {title}\n")
    with pytest.raises(StudyError) as caught:
        read(tmp_path, text)
    assert caught.value.slug == slug
    assert "line 6" in str(caught.value) or "title" in str(caught.value)
