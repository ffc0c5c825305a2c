"""The lineage as a picture: boxes, edges with their pictures and bars, at any depth."""

import re
import shutil
from dataclasses import replace

import pytest
from parsed import read_page

from overpaint.records import StudyFolder
from overpaint.report import build
from overpaint.report.parts.edges import strongest, tallest_change
from overpaint.report.parts.tree import Tree, training
from overpaint.report.site.files import Site
from overpaint.report.site.incremental import IncrementalFiles
from overpaint.report.study.reading import read_records
from overpaint.study import Study


@pytest.fixture
def site(tmp_path) -> Site:
    """A site that is written to nowhere that matters."""
    return Site(IncrementalFiles(tmp_path / "site"))


@pytest.fixture
def records(whole):
    """The records of the whole study, to change in memory."""
    return read_records(StudyFolder(whole))


def test_pictures_stand_before_lists(whole):
    """The lineage is the first section after the sentence, and pictures come before scores."""
    text = read_page(whole / "site/index.html").text
    headings = re.findall(r'<h2 id="(.*?)"', text)
    assert headings[:4] == ["lineage", "exhibits", "won", "changed"]
    assert text.index('class="pair"') < text.index('class="findings"')


def test_an_edge_shows_the_channel_that_kept_the_fewest_images(records, site):
    """Of the channels that were drawn, that with the least overlap, before and after."""
    pair = records.comparisons["imagenet--fine_tuned"]
    link, kind, before, after = strongest(site, records, pair)
    channels = pair.channels.set_index(["layer", "channel"])["overlap"]
    drawn = {unit: channels[unit] for unit in pair.facts.shown}
    assert link.text == "{}:{}".format(*min(drawn, key=drawn.get))
    assert kind == "drawn"
    assert "renderings/imagenet/" in before.src
    assert "renderings/fine_tuned/" in after.src


def test_an_edge_without_drawings_shows_images(records, site):
    """Where no channel was drawn, the first maximal image of a channel before and after."""
    pair = records.comparisons["imagenet--fine_tuned"]
    undrawn = replace(pair, facts=replace(pair.facts, shown=[]))
    link, kind, before, after = strongest(site, records, undrawn)
    alive = pair.channels[(pair.channels["n_before"] > 0) & (pair.channels["n_after"] > 0)]
    layer, channel = link.text.split(":")
    chosen = alive[(alive["layer"] == layer) & (alive["channel"] == int(channel))].iloc[0]
    assert chosen["overlap"] == alive["overlap"].min()
    assert kind == "maximal"
    assert before.src.startswith("pictures/rasta-")
    assert after.src.startswith("pictures/rasta-")


def test_an_edge_without_any_picture(records, site):
    """Where there are neither drawings nor maximal images an edge has its bars alone."""
    pair = records.comparisons["imagenet--fine_tuned"]
    bare = replace(pair, facts=replace(pair.facts, shown=[]), maximal=None)
    tree = Tree.of(site, replace(records, comparisons={pair.name: bare}))
    [edge] = [node.edge for node in tree.nodes if node.edge]
    assert (edge.channel, edge.before, edge.after) == (None, None, None)
    assert len(edge.bars) == 6


def test_bars_tell_change_luck_and_what_is_missed(records, site):
    """A bar a layer, higher where CKA is lower, with luck where twins tell it, and a foot where
    the layer is missed for certain.
    """
    edges = {node.link.text: node.edge for node in Tree.of(site, records).nodes}
    heights = [bar.height for bar in edges["fine_tuned"].bars]
    assert heights == sorted(heights)
    assert heights[0] == 0
    assert {bar.luck for bar in edges["fine_tuned"].bars} == {None}
    assert all(bar.luck is not None for bar in edges["double"].bars)
    rewind = records.comparisons["imagenet--fine_tuned"].causes.rewind
    sure = rewind[(rewind["how"] == "only") & (rewind["low"] > 0)]["layer"].tolist()
    told = [bar.title.split(":")[0] for bar in edges["fine_tuned"].bars if bar.missed]
    assert told == sure
    assert sure


def test_an_initialisation_that_is_not_compared_has_no_box(records, site):
    """It stands in the box of what was trained from it, where its anchor leads."""
    alone = Tree.of(site, replace(records, comparisons={}))
    nodes = {node.id: node for node in alone.nodes}
    assert "network-scratch.init" not in nodes
    assert nodes["network-scratch"].starts == ("network-scratch.init",)
    assert "network-scratch.init" in {node.id for node in Tree.of(site, records).nodes}


def test_levels_are_counted(records, site):
    """Up to five levels lie across, as their class says; more go down at any width."""
    assert Tree.of(site, records).levels == 3


def test_a_long_lineage_goes_down(lean, quick, tmp_path):
    """Of a descent of seven networks with long names the boxes stand one beneath the other."""
    folder = tmp_path / "deep"
    shutil.copytree(lean, folder)
    study = read_records(StudyFolder(folder)).study
    names = ["fine_tuned", *(f"{'long_' * 12}{number}" for number in range(6))]
    networks = {"imagenet": {"load": "inception_v1.tf_in1k"}}
    for parent, name in zip(["imagenet", *names], names, strict=False):
        networks[name] = {"from": parent, "fit": "rasta", "recipe": "mode_a"}
    data = study.model_dump(mode="json", by_alias=True, exclude_none=True) | {"networks": networks}
    StudyFolder(folder).study.write_text(Study.model_validate(data).to_yaml())
    build(folder)
    text = read_page(folder / "site/index.html").text
    assert '<ul class="tree">' in text
    assert all(f'id="network-{name}"' in text for name in names)


def test_the_tallest_bar_is_that_of_the_largest_change(records):
    """It is 1 where a CKA falls below 0, and nothing where none is known is in the way."""
    pair = records.comparisons["imagenet--fine_tuned"]

    def tallest(*values: float | None) -> float:
        pairs = {
            str(number): replace(pair, layers=pair.layers.assign(cka=value, cka_debiased=value))
            for number, value in enumerate(values)
        }
        return tallest_change(replace(records, comparisons=pairs))

    assert tallest(0.9, 0.6, float("nan")) == pytest.approx(0.4)
    assert tallest(0.9, -0.01) == 1
    assert tallest(0.999) == tallest() == 0.02


def test_a_recipe_that_is_cut_short_and_the_one_that_auto_took_are_told(records):
    """Fewer epochs than the recipe's stand beside these; more are a change as any other."""
    entry, network = records.study.networks["fine_tuned"], records.networks["fine_tuned"]

    def told(recipe: str, taken: str | None, **overrides: object) -> str:
        changed = entry.model_copy(update={"recipe": recipe, "overrides": overrides})
        study = records.study.model_copy(update={"all_networks": {"fine_tuned": changed}})
        facts = replace(network.facts, recipe=taken and {"name": taken})
        networks = {"fine_tuned": replace(network, facts=facts)}
        return training(replace(records, study=study, networks=networks), "fine_tuned")

    assert told("mode_a", "mode_a", epochs=3, flip=True) == (
        "mode_a, epochs 3 instead of 20; flip yes")  # fmt: skip
    assert told("mode_a", None, epochs=30) == "mode_a, epochs 30"
    assert told("auto", "lp_ft", epochs=6) == "auto (lp_ft), epochs 6 instead of 30"
    assert told("auto", None) == "auto"
