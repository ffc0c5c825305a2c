"""The section What mattered of a comparison's page, from tables whose numbers are known."""

import shutil
from dataclasses import replace

import pandas as pd
import pytest
from parsed import Page, channels

from overpaint.records import RewindRow, StudyFolder, read_rows, write_rows
from overpaint.report import build
from overpaint.report.charts.mattered import (
    change_beside_cost,
    knows,
    sentence,
    where_it_changed_most,
)
from overpaint.report.study.reading import read_records


def page_of(folder, name="fine_tuned--double"):
    """The page of a comparison."""
    return (folder / f"site/comparisons/{name}.html").read_text("utf-8")


def test_what_mattered_stands_first(whole):
    """The section comes before all others, with its charts, each with a text, a table and data."""
    page = page_of(whole)
    assert page.index('id="mattered"') < page.index('id="rewinds"') < page.index('id="by-layer"')
    for name in ("rewinds", "way", "probes"):
        place = whole / f"site/charts/comparisons/fine_tuned--double/{name}"
        assert all(place.with_suffix(f".{kind}").exists() for kind in ("svg",))
        drawing = page.split(f'id="{name}">')[1].split("</section>")[0]
        assert "<svg " in drawing or f'fine_tuned--double/{name}.svg" width=' in drawing
    assert "Change and cost of setting back by layer, 6 layers; the largest cost is" in page
    assert page.count("<details>") >= 5


def test_the_sentence_sums_up_the_numbers(whole):
    """The dearest layer is named with its cost, its interval and how many layers are free."""
    rows = read_rows(
        StudyFolder(whole).causes("fine_tuned", "double") / "rewind.parquet", RewindRow
    )
    dearest = max((row for row in rows if row.how == "only"), key=lambda row: row.cost)
    text = Page(page_of(whole)).plain
    assert (
        f"What {dearest.layer} learned matters most: set back alone it costs "
        f"{100 * dearest.cost:.1f} points of mAP ({100 * dearest.low:.1f} to "
        f"{100 * dearest.high:.1f}); 3 of 5 changed layers can be set back alone" in text
    )


def costs(values, *, same=()):
    """A table of layers that cost so much, each give or take 2 points."""
    return pd.DataFrame(
        {
            "layer": [f"l{place}" for place in range(len(values))],
            "cost": values,
            "cost_low": [value - 0.02 for value in values],
            "cost_high": [value + 0.02 for value in values],
            "identical": [place in same for place in range(len(values))],
            "n": 100,
        }
    )


def test_what_is_not_missed_is_said():
    """Where no interval leaves out 0 no layer is said to matter, nor where nothing changed."""
    said = sentence(costs([0.0, 0.01, 0.005], same=(0,)), "top-1", "")
    assert said.startswith(
        "No layer alone is missed for certain: the dearest, l1, costs 1.0 points"
    )
    assert "2 of 2 changed layers can be set back alone" in said
    assert sentence(costs([0.0], same=(0,)), "top-1", "").startswith("No layer changed")


def test_change_stands_beside_cost(whole):
    """Each layer has 1 − debiased CKA with its interval beside what it costs, from the tables."""
    pair = read_records(StudyFolder(whole)).comparisons["fine_tuned--double"]
    rows = change_beside_cost(pair).set_index("layer")
    cka = pair.layers.set_index("layer")
    only = pair.causes.rewind.query("how == 'only'").set_index("layer")
    for layer in rows.index:
        row = rows.loc[layer]
        assert row["change"] == pytest.approx(1 - cka.loc[layer, "cka_debiased"])
        assert row["change_low"] == pytest.approx(1 - cka.loc[layer, "cka_debiased_high"])
        assert (row["cost"], row["cost_high"]) == (only.loc[layer, "cost"], only.loc[layer, "high"])
        assert row["sure"] == (only.loc[layer, "low"] > 0)
    assert rows["identical"].tolist() == [True, *[False] * 5]


def test_concepts_are_of_the_layers_that_changed_most(whole):
    """Three layers are shown, the most changed first, three groups of each, with their pictures."""
    pair = read_records(StudyFolder(whole)).comparisons["fine_tuned--double"]
    layers = where_it_changed_most(pair, pair.causes.concepts["layer"].unique())[:3]
    assert layers == ["mixed5b", "mixed4d", "mixed4a"]
    page = page_of(whole)
    assert page.count('<article class="concept"') == 9
    assert (
        page.index("concept-mixed5b")
        < page.index("concept-mixed4d")
        < page.index("concept-mixed4a")
    )
    first = page[page.index('id="concept-mixed5b') :].partition("</article>")[0]
    assert first.count("<image") == 6
    assert "All difference concepts: 16 groups" in page


def test_what_was_not_tried_is_one_line(lean, quick):
    """Without tables the section says how to get them, and nothing is called missing."""
    for name in ("causes", "concepts", "probes"):
        shutil.rmtree(lean / name)
    build(lean)
    page = page_of(lean, "imagenet--fine_tuned")
    text = Page(page).plain
    assert "With “causes: true” a study tries all that it can." in text
    assert page.count("Not tried here:") == 1
    assert 'id="rewinds"' not in page
    assert "rewind.parquet" not in page


def test_a_part_of_it_is_shown_alone(lean, quick):
    """With rewinds alone the chart of change and cost stands there, and the line names the rest."""
    for name in ("concepts", "probes"):
        shutil.rmtree(lean / name)
    (lean / "causes/imagenet--fine_tuned/between.parquet").unlink()
    build(lean)
    page = page_of(lean, "imagenet--fine_tuned")
    assert 'id="rewinds"' in page
    assert (
        "Not tried here: the way from before to after, what layers know and difference concepts."
        in Page(page).plain
    )


def test_no_layers_but_a_table(lean, quick):
    """A table of rewinds without rows, or with rows of one kind only, is no page's end."""
    place = lean / "causes/imagenet--fine_tuned/rewind.parquet"
    rows = read_rows(place, RewindRow)
    for part in ([], [row for row in rows if row.how == "from"], rows[:1], [*rows, *rows]):
        write_rows(place, part, RewindRow)
        build(lean)
    assert "No layer" not in page_of(lean, "imagenet--fine_tuned")


def test_change_stands_beside_luck(whole):
    """Where a route was trained twice each layer's and channel's change is so many times luck."""
    pair = read_records(StudyFolder(whole)).comparisons["fine_tuned--double"]
    rows = change_beside_cost(pair).set_index("layer")
    assert rows["luck"].to_numpy() == pytest.approx(rows["change"].to_numpy() / 2)
    text = Page(page_of(whole)).plain
    assert "as much as two trainings of one route differ, by their seed" in text
    assert text.count(f"2.0 timesluck {rows.loc['mixed5b', 'luck']:.3f}") == 2  # in both tables
    assert "4.0 times luck" in text
    channel = channels(whole / "site", "comparisons/fine_tuned--double/mixed4d.html")[3]
    assert "Change beside luck" in channel.facts
    other = Page(page_of(whole, "imagenet--fine_tuned")).plain
    assert "eside luck" not in other


def test_what_cka_may_come_from(whole):
    """The table of doubts names the pictures that CKA hangs on, and CKA without them."""
    text = Page(page_of(whole)).plain
    assert "What CKA may come from: 6 layers" in text
    assert "test/0011.jpg · test/0017.jpg" in text
    assert "permuted 0.310" in text
    assert "What CKA may come from" not in Page(page_of(whole, "imagenet--fine_tuned")).plain


def test_a_line_that_another_would_hide_is_told_instead(whole):
    """What keeps its parent's backbone has the parent's features; networks of other layers are not
    drawn between these, but where the layers are not known.
    """
    pair = read_records(StudyFolder(whole)).comparisons["fine_tuned--double"]
    probes = pair.causes.probes
    first = probes["network"].iloc[0]
    one = probes[probes["network"] == first]
    foreign = one.assign(network="foreign", layer=[f"stage {n}" for n in range(len(one))])
    entry = next(entry for entry in pair.study.networks.values() if entry.fit)
    frozen = entry.model_copy(update={"recipe": "frozen", "parent": first, "overrides": {}})
    entries = {**pair.study.all_networks, "still": frozen}
    study = pair.study.model_copy(update={"all_networks": entries})
    rows = pd.concat([one, one.assign(network="still"), foreign])
    drawn = knows(replace(pair, study=study, causes=replace(pair.causes, probes=rows)), "top-1")
    assert drawn is not None
    assert set(drawn.table["network"]) == {first}
    title = pair.study.title_of(first)
    assert f"still has the features of {title}, and so its line." in drawn.reading
    alone = knows(replace(pair, causes=replace(pair.causes, probes=foreign)), "top-1")
    assert alone is None
