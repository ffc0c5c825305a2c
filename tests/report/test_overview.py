"""The first page: routes that were repeated, ensembles, leaks, advice, and what failed."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from parsed import csv_at, pages, read_page
from tiny_study import FAILED, MAIN, SCRIPT

from overpaint.records import (
    AdviceRow,
    RouteDifference,
    StudyFolder,
    read_json,
    write_json,
    write_rows,
)
from overpaint.report import build
from overpaint.report.pages import overview
from overpaint.report.parts.routes import apart, best_route, routes
from overpaint.report.study.reading import Records, read_records


@pytest.fixture(scope="module")
def index(whole):
    return read_page(whole / "site/index.html")


@pytest.fixture
def records(whole) -> Records:
    """The records of the whole study, to change in memory."""
    return read_records(StudyFolder(whole))


def part(page, title: str) -> str:
    """The text of the section with a heading."""
    return page.unlinked.split(f'<h2 id="{title}"')[1].split("<h2 ")[0]


def plain(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def scored(records: Records, **values: float | None) -> Records:
    """The records with other main scores; None takes a network's scores away."""
    networks = dict(records.networks)
    for name, value in values.items():
        found = networks[name.replace("_2", ".2").replace("_3", ".3")]
        scores = found.scores
        if value is not None:
            main = replace(scores.scores["mAP"], value=value, low=value - 0.01, high=value + 0.01)
            scores = replace(scores, scores={"mAP": main})
        networks[found.name] = replace(found, scores=scores if value is not None else None)
    return replace(records, networks=networks)


# --- routes that were repeated -----------------------------------------------------------------


def test_repeats_stand_beneath_their_first(index):
    """Routes are in the order of their means, and the repeats of each follow it, marked."""
    table = part(index, "scores-iconart").split("</table>")[0]
    lines = re.findall(r'<tr( class="repeat")?><th scope="row"><a [^>]*>(.*?)</a>', table)
    assert [name for _, name in lines] == ["double", "double.2", "double.3",
                                           "single", "single.2", "single.3"]  # fmt: skip
    assert [bool(kind) for kind, _ in lines] == [False, True, True, False, True, True]


@pytest.mark.parametrize("name", ["double", "single"])
def test_the_spread_is_that_of_the_scores(index, name):
    """Mean, deviation, extremes and each value are those of the trainings' scores."""
    values = [MAIN[name], MAIN[f"{name}.2"], MAIN[f"{name}.3"]]
    mean, deviation = np.mean(values) * 100, np.std(values, ddof=1) * 100
    told = (
        f"{name} 3 {mean:.1f} % {deviation:.1f} points {min(values):.1%} to {max(values):.1%} "
        f"{values[0]:.1%}, {values[1]:.1%}, {values[2]:.1%}"
    )
    table = part(index, "scores-iconart").split("Repeated trainings")[2].split("</table>")[0]
    assert re.sub(r"(\d)%", r"\1 %", told) in plain(table)


def test_differences_are_told_with_their_interval(index, whole):
    """A sentence tells how far two routes differ, and the CSV holds its numbers."""
    told = (
        "double scores 3.0 points above single on average of 3 and 3 trainings "
        "(95 % −1.1 to 7.1): not settled."
    )
    assert told in plain(part(index, "scores-iconart"))
    row = pd.read_csv(csv_at(whole / "site", "overview/scores-iconart.differences")).iloc[0]
    assert [f"{100 * row[name]:.1f}" for name in ("difference", "low", "high")] == \
        ["3.0", "-1.1", "7.1"]  # fmt: skip
    assert "Repeated trainings" not in part(index, "scores-rasta")


AB, BA = "a on average of 4 and 3 trainings", "b on average of 3 and 4 trainings"


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((0.02, 0.01, 0.03, "ok"), f"b scores 2.0 points above {AB} (95 % 1.0 to 3.0): settled."),
        ((-0.02, -0.03, -0.01, "ok"),
         f"a scores 2.0 points above {BA} (95 % 1.0 to 3.0): settled."),
        ((-0.02, -0.05, 0.01, "ok"),
         f"a scores 2.0 points above {BA} (95 % −1.0 to 5.0): not settled."),
        ((0.0, -0.01, 0.01, "ok"), f"b scores as {AB} (95 % −1.0 to 1.0): not settled."),
        ((0.02, None, None, "no interval"), f"b scores 2.0 points above {AB}: no interval."),
    ],
)  # fmt: skip
def test_a_difference_in_words(numbers, told):
    """The better route comes first, whichever the record names first."""
    difference, low, high, status = numbers
    gap = RouteDifference(
        score="top1",
        n_first=3,
        n_second=4,
        difference=difference,
        low=low,
        high=high,
        status=status,
    )
    sentence = apart("a", "b", gap)
    assert sentence.replace("\xa0", " ") == told


def test_the_best_route_is_told_by_its_mean(index):
    """Where routes were repeated the finding speaks of means, and of what other seeds may give."""
    assert (
        "On iconart, double classifies best on average: mAP 57.9 % over 3 trainings (56.1–59.3) on "
        "6 pictures (too few to rely on the interval), where chance is 25.0 %. That is 3.0 points "
        "above single, 54.9 % on average of 3 trainings; with other seeds the lead is −1.1 to 7.1 "
        "points (95 %), so the order is not settled."
    ) in index.plain


def test_one_lucky_training_does_not_win(records):
    """The route with the best training is not the best when its mean is lower."""
    lucky = scored(records, single=0.99, single_2=0.3, single_3=0.3)
    assert [route.name for route in routes(lucky, "iconart")] == ["double", "single"]
    assert best_route(lucky, "iconart").startswith("On iconart, double classifies best on average")


@pytest.mark.parametrize("turned", [False, True])
def test_a_settled_order(records, turned):
    """An interval above zero settles the order, whichever route the record names first."""
    gap = RouteDifference(
        score="mAP", n_first=3, n_second=3, difference=0.03, low=0.012, high=0.048, status="ok"
    )
    other = RouteDifference(
        score="mAP", n_first=3, n_second=3, difference=-0.03, low=-0.048, high=-0.012, status="ok"
    )
    differences = {("double", "single"): other} if turned else {("single", "double"): gap}
    sure = replace(records, repeats=replace(records.repeats, differences=differences))
    told = best_route(sure, "iconart").replace("\xa0", " ")
    assert "with other seeds the lead is 1.2 to 4.8 points (95 %), so the order is settled." in told


def test_a_single_training_settles_nothing(records):
    """Against a route with one training the order is not settled, however wide the gap."""
    few = scored(records, single=0.1, single_2=None, single_3=None)
    told = best_route(few, "iconart").replace("\xa0", " ")
    assert "above single, a single training with 10.0 % (9.0–11.0)" in told
    assert "does not tell its luck, so the order is not settled." in told


def test_without_a_record_of_repeats(records):
    """Without `repeats.json` the means are told, and that nothing is known of other seeds."""
    bare = replace(records, repeats=replace(records.repeats, differences={}))
    assert "whether other seeds would keep the order is not known." in best_route(bare, "iconart")


def test_repeats_stand_in_one_box(index):
    """The lineage has one box a route; its repeats and their mean stand in it, with anchors."""
    tree = part(index, "lineage")
    assert len(re.findall(r'<article class="node ', tree)) == 10
    boxes = re.split(r'<article class="node ', tree)
    box = next(each for each in boxes if 'id="network-double"' in each)
    assert 'id="network-double.2"' in box
    assert 'id="network-double.3"' in box
    assert "57.9 % mean mAP of 3, 56.1–59.3 each of 3 trainings" in plain(box)
    assert tree.count('id="network-double"') == 1
    assert 'href="networks/double.html"' in box.split("<details")[1]
    assert 'href="networks/double.3.html"' in box


# --- ensembles ---------------------------------------------------------------------------------


def test_an_ensemble_has_a_line(index):
    """An ensemble stands in the table by its score, with its members and without a page."""
    table = part(index, "scores-rasta").split("</table>")[0]
    line = table.split('<tr class="ensemble">')[1].split("</tr>")[0]
    assert plain(line).startswith("together ensemble of fine_tuned and gentle 64.1 % 62.6–65.6")
    assert "<a " not in line
    assert table.index("together") < table.index("networks/fine_tuned.html")
    assert "The ensemble together of fine_tuned and gentle scores higher still" in index.plain


def test_an_ensemble_below_the_best_is_no_finding(records):
    """An ensemble that is not above the best route is not in the finding."""
    weak = records.ensembles["together"]
    score = replace(weak.scores.scores["top1"], value=0.6)
    weak = replace(weak, scores=replace(weak.scores, scores={"top1": score}))
    told = best_route(replace(records, ensembles={"together": weak}), "rasta")
    assert "fine_tuned classifies best" in told
    assert "ensemble" not in told


# --- groups -----------------------------------------------------------------


def test_groups_have_columns_where_there_are_any(index):
    """Known and unknown groups are two columns with their N, for the dataset that has groups."""
    rasta, iconart = (part(index, f"scores-{name}") for name in ("rasta", "iconart"))
    assert "top-1, known groups" in rasta
    assert "70.4 % 67.3–72.3 N 3" in plain(rasta)
    assert "42.0 % 37.3–47.3 N 2" in plain(rasta)
    assert "chance 25.0 % 25.0 % 25.0 % 40.0 % 50.0 %" in plain(rasta)
    assert "Known groups: pictures by artists" in rasta
    assert "groups" not in iconart


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "facts",
    [
        {"leak": 3},
        {"leak": [{"split": "test"}]},
        {"duplicates": [1]},
        {"duplicates": [{"first": "x"}]},
    ],
)
def test_doubts_that_are_none(lean, facts):
    """What a manifest tells of leaks in another shape is noted, and the rest is there."""
    path = lean / "datasets/rasta/manifest.json"
    data = read_json(path)
    data["facts"] |= facts
    write_json(path, data)
    build(lean)
    told = f"datasets/rasta/manifest.json does not tell of “{next(iter(facts))}” as a run does."
    assert told in read_page(lean / "site/index.html").plain


# --- advice ------------------------------------------------------------------------------------


def test_advice_beside_what_came_of_it(index):
    """Each start has LogME, neighbours, a plain guess, chance and N, and what came of it."""
    told = plain(part(index, "advice"))
    assert (
        "iconart/train fine_tuned 0.412 37.7 % 31.0–44.0 – 27.9 % 20 double 57.9 % "
        "mAP, mean of 3 trainings"
    ) in told
    assert "imagenet −0.113 35.2 % 29.0–41.0 – 27.9 % 20 single 54.9 %" in told
    assert 'href="#network-imagenet"' in part(index, "advice")
    assert "too few pictures" in told
    assert SCRIPT in index.words.split("Which start looked best")[1]


@pytest.mark.usefixtures("quick")
def test_no_advice(lean):
    """Where none was asked for there is no section and nothing is missing."""
    build(lean)
    page = read_page(lean / "site/index.html")
    assert "Which start looked best" not in page.plain
    assert "Missing" not in page.plain


def test_advice_for_a_repeat_tells_of_its_own_children(whole, tmp_path, quick):
    """A start that is itself a repeat is credited with what began from it alone."""
    folder = tmp_path / "advised"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("site"))
    text = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(
        text.replace(
            "recipe: mode_a\n    with: {}\n    repeats: 1",
            "recipe: mode_a\n    with: {}\n    repeats: 2",
        )
    )
    shutil.copytree(folder / "networks/fine_tuned", folder / "networks/fine_tuned.2")
    row = advice_row("fine_tuned.2")
    write_rows(folder / "advice.parquet", [row], AdviceRow)
    build(folder)
    told = plain(part(read_page(folder / "site/index.html"), "advice"))
    assert "double.2 56.1 % mAP, 54.6–57.6" in told


def advice_row(network: str) -> AdviceRow:
    return AdviceRow(
        network=network,
        dataset="iconart",
        split="train",
        n=9,
        logme=0.1,
        neighbour=0.3,
        low=0.2,
        high=0.4,
        chance=0.2,
        status="ok",
    )


# --- what failed -------------------------------------------------------------------------------


def test_failures_are_told_once(index):
    """A failure is told with its reason, and no file that it kept away is called missing."""
    for name, why in FAILED.items():
        assert f"{name} failed: {why}" in index.plain
        assert f"networks/{name}/" not in index.plain
    assert "comparisons/imagenet--broken/" not in index.plain
    assert "Ensemble hindered was not made: broken failed." in index.plain
    assert "; 2 failed;" in index.plain
    assert "Failed: broken." in plain(part(index, "scores-rasta"))
    assert "Failed: after_broken." in plain(part(index, "scores-iconart"))
    assert "Not scored yet" not in index.plain


def test_failures_in_the_lineage(index):
    """The box of a failed network says so, and so does that of its descendant."""
    boxes = re.split(r'<article class="node ', part(index, "lineage"))
    failed = [each for each in boxes if each.startswith("trained failed")]
    assert [re.search('id="(.*?)"', each)[1] for each in failed] == \
        ["network-broken", "network-after_broken"]  # fmt: skip
    assert all(" failed mode_" in plain(each.split("</article>")[0]) for each in failed)


def test_pages_of_what_failed(whole):
    """The pages of a failed network and of its comparison say so, without empty charts."""
    found = pages(whole / "site")
    network, compared = found["networks/broken.html"], found["comparisons/imagenet--broken.html"]
    assert f"Failed: {FAILED['broken']}" in network.plain
    assert "Not scored: the training failed." in network.plain
    assert "This comparison was not made: broken failed." in compared.plain
    for page in (network, compared):
        assert 'class="chart' not in page.text
        assert "Missing" not in page.plain
    assert "not made: broken failed" in plain(part(found["index.html"], "comparisons"))


def test_stale_records_of_what_failed(lean, quick):
    """What an earlier run left of a network that fails now is not shown as if it were new."""
    write_json(lean / "failures.json", {"fine_tuned": "it diverged [diverged]"})
    build(lean)
    page = read_page(lean / "site/index.html")
    assert "62.3" not in page.plain
    assert "classifies best" not in page.plain
    assert "it diverged [diverged]" in read_page(lean / "site/networks/fine_tuned.html").plain


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("failures.json", "failures.json cannot be read."),
        ("repeats.json", "repeats.json cannot be read."),
        ("advice.parquet", "advice.parquet cannot be read."),
        ("ensembles/together/scores.json", "ensembles/together/scores.json cannot be read."),
        ("networks/svm/svm.parquet", "networks/svm/svm.parquet cannot be read."),
    ],
)
def test_broken_records(whole, tmp_path, broken, told):
    """A new record that is none is noted by its name, and the rest is read."""
    folder = tmp_path / "broken"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("site", "renderings"))
    (folder / broken).write_bytes(b"\0 no record")
    assert told in all_notes(read_records(StudyFolder(folder)))


@pytest.mark.parametrize("value", [[], {}, {"spreads": {"single": {}}, "differences": []}, 3])
def test_records_of_another_shape(whole, tmp_path, value):
    """JSON of another shape is noted, whatever it holds."""
    folder = tmp_path / "odd"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("site", "renderings"))
    (folder / "repeats.json").write_text(json.dumps(value))
    (folder / "failures.json").write_text("[1]")
    notes = all_notes(read_records(StudyFolder(folder)))
    assert "repeats.json does not hold the spread of repeated trainings." in notes
    assert "failures.json does not hold what failed." in notes


def all_notes(records: Records) -> list[str]:
    parts = [*records.networks.values(), *records.ensembles.values(), records.repeats]
    return [*records.notes, *(note for each in parts for note in each.notes)]


def test_what_two_trainings_of_one_route_make_different_is_luck(records):
    """It is told as that beside the changes, and no channel of it is worth looking at."""
    pair = next(iter(records.comparisons.values()))
    control = replace(pair, before="double", after="double.2")
    changed = replace(records, comparisons={"pair": pair, "control": control})
    told = [each.text for each in overview.change_findings(changed)]
    assert told[0].startswith("From imagenet to fine_tuned, ")
    assert told[1].startswith(
        "Between double and double.2, by luck alone, as only their seeds differ, mixed5b differs"
    )
    assert told[1].endswith(" on 6 pictures.")
    assert {id(each) for _, each in overview.chosen_channels(changed)} == {id(pair)}


def test_a_network_and_itself_are_no_two_trainings(records):
    """Nothing differs there, not even by luck."""
    pair = next(iter(records.comparisons.values()))
    assert not records.is_control(replace(pair, before="double", after="double"))
    assert not records.is_control(replace(pair, before="double.init", after="double"))
    assert records.is_control(replace(pair, before="double.3", after="double.2"))
