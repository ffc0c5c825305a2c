"""Probes and concepts from Python, and the tables that both a study and they are made of."""

from dataclasses import replace

import numpy as np
import pytest

import overpaint as op
from overpaint.comparison.concepts import concept_tables
from overpaint.comparison.probes import Known, probe_table
from overpaint.datasets.catalogue import Picture, Split
from overpaint.errors import MeasureError
from overpaint.measures.probe import linear_probe, neighbour_probe
from overpaint.seeds import generator


def split(pictures, tmp_path, name="test", count=48):
    """Reddish and bluish pictures in turn, by two artists and some by none."""
    files = sorted(pictures.rglob("*.png"))
    chosen = [files[number % 24] for number in range(count)]
    return Split(
        dataset="colours",
        name=name,
        root=pictures,
        pictures=tuple(
            Picture(
                image=path.relative_to(pictures).as_posix(),
                split=name,
                labels=(path.parent.name,),
                group=("Manet", "Klee", "")[number % 3],
                digest=str(number),
            )
            for number, path in enumerate(chosen)
        ),
        classes=("blue", "red"),
        multi_label=False,
    )


@pytest.fixture
def images(pictures, tmp_path):
    return split(pictures, tmp_path)


@pytest.fixture
def networks():
    return [op.load("inception_small", weights="random", seed=seed) for seed in (0, 1, 2)]


def test_op_probe_reads_every_layer_and_draws_curves(networks, images):
    """A row a network, layer and way; in a notebook two charts, and the level of chance."""
    known = op.probe(networks[:2], images, images, seed=3)
    assert known.rows["network"].unique().tolist() == ["before", "after"]
    assert known.rows["layer"].unique().tolist() == list(networks[0].layers)
    assert len(known.rows) == 2 * 2 * len(networks[0].layers)
    assert known.rows["value"].max() == 1.0  # colours are easily told, and train is test
    shown = known._repr_html_()
    assert shown.count("<svg") == 2
    assert "Chance is 50.0%." in shown
    assert op.probe({"mine": networks[0]}, images, images).rows["network"].unique() == ["mine"]


def test_probe_rows_are_the_measures(images):
    """The table holds what the two probes say of the features, by the seed's draws, and of a layer
    that cannot be measured why.
    """
    rng = np.random.default_rng(0)
    taught, asked = rng.standard_normal((2, 48, 6))
    layers = {"one": taught, "flat": np.ones((48, 3))}
    table = probe_table(
        "net",
        ["one", "flat"],
        Known(split=images, features=layers.__getitem__),
        Known(split=images, features={"one": asked, "flat": np.ones((48, 3))}.__getitem__),
        seed=5,
    )
    for row, measure in zip(
        table.to_dict("records"), (linear_probe, neighbour_probe), strict=False
    ):
        rng = generator(5, "probe", "colours", "test")
        artists = [picture.group for picture in images.pictures]
        score = measure(taught, images.labels, asked, images.labels, rng=rng, groups=artists)
        assert row["n_groups"] == score.n_groups == 2 + 16  # who has no artist is by himself
        assert (row["value"], row["low"], row["high"]) == (score.value, score.low, score.high)
    flat = table[table["layer"] == "flat"]
    assert set(flat["status"]) == {"constant-features"}
    assert flat["value"].isna().all()


def test_probes_of_other_classes_are_refused(networks, images):
    """What was taught some classes is not asked for others."""
    other = replace(images, classes=("blue", "green", "red"))
    with pytest.raises(MeasureError) as error:
        op.probe(networks[:1], images, other)
    assert error.value.slug == "images-differ"


def test_op_concepts_shows_pictures(networks, images):
    """Tables of all layers with the luck of the repeats; in a notebook the pictures of those that
    are sure, named by their labels.
    """
    before, after, again = networks
    seen = op.concepts(before, after, images, repeats=[again])
    assert seen.n == 48
    assert set(seen.concepts["layer"]) == set(before.layers)
    assert seen.concepts["luck"].notna().all()
    assert set(seen.images["label"]) == {"blue", "red"}
    assert (seen.sure()["q"] <= 0.05).all()
    assert f"{len(seen.sure())} of {len(seen.concepts)} concepts are sure" in seen._repr_html_()
    certain = replace(seen, concepts=seen.concepts.assign(q=0.01, beyond_luck=None))
    shown = certain._repr_html_()
    assert len(certain.sure()) == len(seen.concepts)
    assert shown.count('<img src="data:image/jpeg;base64,') >= 6 * 5
    assert 'alt="red"' in shown


def test_labels_are_escaped(images):
    """What a label says is shown, not obeyed."""
    rng = np.random.default_rng(0)
    hostile = tuple(replace(picture, labels=("<script>",)) for picture in images.pictures)
    features = rng.standard_normal((2, 48, 16))
    seen = concept_tables(
        (lambda _: features[0], lambda _: features[1]),
        replace(images, pictures=hostile, classes=("<script>",)),
        ["<b>"],
        seed=0,
    )
    shown = replace(seen, concepts=seen.concepts.assign(q=0.0))._repr_html_()
    assert "<script>" not in shown
    assert "<b><b>" not in shown
    assert "&lt;script&gt;" in shown


def test_a_layer_without_concepts_is_told_of(images):
    """One of too few channels, one with NaN: each has its note, and the others have concepts."""
    rng = np.random.default_rng(0)
    layers = {
        "narrow": rng.standard_normal((48, 4)),
        "odd": np.full((48, 16), np.nan),
        "plain": rng.standard_normal((48, 16)),
    }
    other = {name: rng.standard_normal(features.shape) for name, features in layers.items()}
    seen = concept_tables((layers.__getitem__, other.__getitem__), images, list(layers), seed=0)
    assert set(seen.concepts["layer"]) == {"plain"}
    assert seen.concepts["position"].unique() == [2]
    assert [note.split(" has")[0] for note in seen.notes] == ["narrow", "odd"]
    assert "narrow has no concepts" in seen._repr_html_()
    nothing = concept_tables((layers.__getitem__, other.__getitem__), images, [], seed=0)
    assert "share no layer name" in nothing._repr_html_()


def test_too_few_pictures_are_refused(networks, pictures, tmp_path):
    """Eight groups of five take forty pictures."""
    with pytest.raises(MeasureError) as error:
        op.concepts(networks[0], networks[1], split(pictures, tmp_path, count=39))
    assert error.value.slug == "too-few-images"


def test_what_a_concept_shows_is_what_it_shows_beyond_the_rest(images):
    """The leading class and group, their shares, and the lift over all pictures, counted anew."""
    rng = np.random.default_rng(1)
    labels = images.labels
    after = rng.standard_normal((48, 16)) + 3 * np.eye(16)[labels]
    seen = concept_tables(
        (lambda _: rng.standard_normal((48, 16)), lambda _: after), images, ["x"], seed=0
    )
    by_image = {picture.digest: picture for picture in images.pictures}
    for row in seen.concepts.to_dict("records"):
        rows = seen.images[
            (seen.images["held_by"] == row["held_by"]) & (seen.images["number"] == row["number"])
        ]
        members = [by_image[name] for name in rows["digest"]]
        share = np.mean([member.labels == (row["top_class"],) for member in members])
        assert row["top_share"] == pytest.approx(share)
        assert row["top_lift"] == pytest.approx(share / 0.5)
        assert share >= 0.5
        by_artist = np.mean([member.group == row["top_group"] for member in members])
        assert row["top_group"] in ("Manet", "Klee")
        assert row["top_group_share"] == pytest.approx(by_artist)
        assert row["top_group_lift"] == pytest.approx(by_artist * 3)
