"""The study in one sentence: the clauses of the first page, and what is not known."""

from dataclasses import replace

import pytest
from parsed import read_page

from overpaint.records import RouteDifference, StudyFolder
from overpaint.report.pages.answer import UNKNOWN, answers
from overpaint.report.parts.routes import routes
from overpaint.report.study.causes import CauseRecords
from overpaint.report.study.reading import Records, read_records


@pytest.fixture
def records(whole) -> Records:
    """The records of the whole study, to change in memory."""
    return read_records(StudyFolder(whole))


def told(records: Records, about: str) -> list[tuple[str, str]]:
    """The answer and the rest of each clause on a dataset."""
    answer = next(each for each in answers(records) if each.about == about)
    return [(clause.answer, clause.text.replace("\xa0", " ")) for clause in answer.clauses]


def apart(low: float, high: float) -> dict[tuple[str, str], RouteDifference]:
    gap = RouteDifference(
        score="mAP", n_first=3, n_second=3, difference=0.03, low=low, high=high, status="ok"
    )
    return {("single", "double"): gap}


def test_a_sentence_answers_four_questions(whole):
    """The first page says of each dataset who won, by luck or not, and what changed."""
    page = read_page(whole / "site/index.html")
    opening = page.text.split('<section aria-labelledby="lineage"')[0]
    for question in ("Which route won?", "Is it more than luck?", "Which layers changed?",
                     "Did that matter?"):  # fmt: skip
        assert opening.count(f"<small>{question}</small>") == 2, question


def test_twins_of_both_routes_tell_luck(records):
    """Only where both routes were repeated is the lead called more than luck, with its interval."""
    sure = replace(records, repeats=replace(records.repeats, differences=apart(0.012, 0.048)))
    won, luck, *_ = told(sure, "On iconart")
    lead = "3.0 points (1.2 to 4.8) above single"
    assert won == ("double", f"with mAP 57.9 %, the mean of 3 trainings, {lead}")
    assert luck == ("more than luck", "with other seeds the lead is 1.2 to 4.8 points (95 %)")


def test_a_lead_that_seeds_may_turn_is_no_win(records):
    """Where the interval holds 0 the route only leads, and it may be luck."""
    won, luck, *_ = told(records, "On iconart")
    assert won[0] == "double leads"
    assert won[1].endswith("above single, an order that is not settled")
    assert luck == ("it may be luck", "with other seeds the lead is −1.1 to 7.1 points (95 %)")


def test_without_twins_luck_is_not_known(records):
    """Of routes that were trained once it is said that this does not tell."""
    won, luck, *_ = told(records, "On rasta")
    assert won[0] == "fine_tuned"  # the intervals of the two lie apart
    assert luck == (
        UNKNOWN,
        "fine_tuned and gentle were each trained once, which does not tell the luck of its seed",
    )


def test_the_layer_that_changed_most_is_named(records):
    """It is that of the smallest CKA of the winner's own training, beside luck where that is
    known.
    """
    layers = told(records, "On rasta")[2]
    assert layers[0] == "mixed5b"
    assert layers[1].startswith("most from imagenet to fine_tuned: 1 − CKA 0.50")
    assert "two trainings" not in layers[1]
    beside = told(records, "On iconart")[2][1]
    assert ", 2.0 times what two trainings differ by" in beside
    assert beside.endswith("; 5 of 6 layers changed beyond that")
    known = records.comparisons["fine_tuned--double"]
    silent = replace(known, layers=known.layers.assign(beside_luck=None, cka_debiased_twins=None))
    other = replace(known, before="imagenet")
    beside = told(replace(records, comparisons={"a": silent, "b": other}), "On iconart")[2][1]
    assert beside.endswith(
        f"; from {other.title_before} to {other.title_after} 5 of 6 layers changed beyond "
        "what two trainings differ by"
    )


def test_a_change_mattered_where_it_is_missed(records):
    """The cost of setting that layer back is told with its interval; below 0 it is not certain."""
    answer, text = told(records, "On rasta")[3]
    assert answer == "yes"
    assert text.startswith("set back alone, mixed5b costs 2")
    assert text.endswith(", the most of all")
    pair = records.comparisons["imagenet--fine_tuned"]
    rewind = pair.causes.rewind.assign(low=-0.01)
    unsure = replace(pair, causes=replace(pair.causes, rewind=rewind))
    few = replace(records, comparisons={pair.name: unsure})
    answer, text = told(few, "On rasta")[3]
    assert answer == "not for certain"
    assert text.endswith("; no layer alone is missed for certain")
    rewind.loc[rewind["layer"] == "mixed4d", ["cost", "low", "high"]] = 0.001, 0.0005, 0.002
    sure = replace(pair, causes=replace(pair.causes, rewind=rewind))
    text = told(replace(records, comparisons={pair.name: sure}), "On rasta")[3][1]
    assert "; mixed4d is missed for certain, 0.1 points" in text


def test_what_was_not_tried_is_not_known(records):
    """Without rewinds it is not known what mattered; without a comparison, what changed."""
    pair = records.comparisons["imagenet--fine_tuned"]
    bare = replace(pair, causes=CauseRecords.nothing())
    untried = replace(records, comparisons={pair.name: bare})
    assert told(untried, "On rasta")[3] == (
        UNKNOWN, "no layer was set back; with “causes: true” a study tries that")  # fmt: skip
    alone = replace(records, comparisons={})
    assert [answer for answer, _ in told(alone, "On rasta")[2:]] == [UNKNOWN, UNKNOWN]


def test_a_winner_that_was_not_compared_hides_no_change(records):
    """Then the best of those that were compared tells which layers changed, and whether that
    mattered; of a winner of which only the head was trained it is said that it changed none.
    """
    pair = records.comparisons["imagenet--fine_tuned"]
    best, *_ = [route for route in routes(records, "rasta") if not route.members]
    other = replace(pair, before="imagenet", after="gentle")
    moved = replace(records, comparisons={other.name: other})
    assert best.name == "fine_tuned"
    layers, mattered = told(moved, "On rasta")[2:]
    assert layers[0] == "mixed5b"
    assert layers[1].startswith("fine_tuned was not compared; of the others, most from imagenet to")
    assert mattered[0] == "yes"
    entry = records.study.networks["fine_tuned"]
    frozen = entry.model_copy(update={"recipe": "frozen", "overrides": {}})
    networks = records.study.networks | {"fine_tuned": frozen}
    study = records.study.model_copy(update={"networks": networks})
    vars(study).pop("all_networks", None)
    told_so = told(replace(moved, study=study), "On rasta")[2][1]
    assert told_so.startswith(
        "fine_tuned changes none, as only its head was trained; of the others"
    )


def test_one_route_has_nothing_to_win(lean, quick):
    """A route without a rival is not said to have won."""
    clauses = told(read_records(StudyFolder(lean)), "On rasta")
    assert clauses[0][0] == "nothing to win"
    assert clauses[1] == (UNKNOWN, "there is no other route to compare it with")


def test_networks_of_elsewhere_have_no_winner(records):
    """A study that scores nothing still says what changed and whether that mattered."""
    networks = {name: replace(network, scores=None) for name, network in records.networks.items()}
    unscored = replace(records, networks=networks, ensembles={})
    answer, *rest = answers(unscored)
    assert (answer.about, rest) == ("From imagenet to fine_tuned", [])
    assert [clause.answer for clause in answer.clauses] == [UNKNOWN, "mixed5b", "yes"]
