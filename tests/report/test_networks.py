"""The page of a trained network: groups, the linear SVM, the recipe, precision at 20."""

import re

import pytest
from parsed import read_page
from tiny_study import HOSTILE, SCRIPT

from overpaint.records import LoraRow, read_json, write_json, write_rows
from overpaint.report import build


@pytest.fixture(scope="module")
def page(whole):
    """The page of a network by its name."""
    return lambda name: read_page(whole / f"site/networks/{name}.html")


def field(page, name: str) -> str:
    """What the recipe says under a name."""
    return re.search(rf"<dt>{name}</dt><dd>(.*?)</dd>", page.text)[1]


def test_groups_stand_beside_the_main_score(page):
    """Known and unknown groups follow the main score with interval, chance and N, explained."""
    names = re.findall(r"<dt>(top-1.*?|top-3)</dt>", page("fine_tuned").text)
    assert names == ["top-1", "top-1, known groups", "top-1, unknown groups", "top-3"]
    told = page("fine_tuned").plain
    assert "70.4 %67.3–72.3; chance 40.0 %; N 3" in told
    assert "42.0 %37.3–47.3; chance 50.0 %; N 2" in told
    assert "unknown groups: by those that it did not see" in told
    assert "groups" not in page("double").plain


def test_precision_at_20_is_of_several_labels(page):
    """Only the classes of several labels a picture have a precision at 20."""
    assert "P@20" not in page("fine_tuned").plain
    single = page("fine_tuned").text.split('<h2 id="classes"')[1].split("</table>")[0]
    head, *lines = re.split("<tr[^>]*>", single)[1:]
    assert {line.count("<td") for line in lines} == {head.count("<th ") - 1} == {5}
    table = page("double").text.split('<h2 id="classes"')[1]
    assert "P@20" in table
    line = table.split("浮世絵")[1].split("</tr>")[0]
    assert re.findall(r">(\d[\d.]*)", line) == ["1", "58.3", "53.3", "56.3", "64.3", "59.5"]


def test_the_svm_has_a_table_in_place_of_a_history(page):
    """A linear SVM shows C, cross-validation and convergence of each class, and no epochs."""
    svm = page("svm")
    assert "How the training went" not in svm.plain
    assert "The weights of epoch" not in svm.plain
    table = svm.text.split('<h2 id="svm"')[1].split("</table>")[0]
    lines = [re.sub(r"<[^>]*>", " ", line).split() for line in table.split("<tr>")[2:]]
    assert [line[-5:] for line in lines[1:3]] == \
        [["7", "0.1", "51.2", "%", "yes"], ["7", "1", "51.2", "%", "yes"]]  # fmt: skip
    assert lines[0][-5:] == ["7", "0.01", "51.2", "%", "no"]
    assert f"no picture shows it {SCRIPT}" in svm.plain
    assert HOSTILE[0] in svm.words
    assert "The linear SVM" not in page("fine_tuned").plain


def test_the_recipe_reads_well(page):
    """Several values are set apart by commas, none is called none, an SVM has no learning rate."""
    assert field(page("scratch"), "auxiliary") == "0.3, 0.3"
    assert field(page("scratch"), "clip norm") == "none"
    assert field(page("fine_tuned"), "auxiliary") == "none"
    assert field(page("svm"), "optimiser") == "linear_svm"
    assert "head lr" in page("fine_tuned").plain
    assert "head lr" not in page("svm").plain


def test_a_repeat_names_the_others(page):
    """Each training of a repeated route leads to all of them."""
    for name in ("double", "double.3"):
        told = "One of 3 trainings that differ by their seed only: double, double.2, double.3"
        assert told in page(name).plain
    assert "by their seed only" not in page("fine_tuned").plain


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("confusion", [[[1]], [[1, 0, 0, 0]] * 3, [[1, 0]] * 4])
def test_confusions_of_other_classes(lean, confusion):
    """A confusion matrix that does not fit the classes is noted and not drawn."""
    path = lean / "networks/fine_tuned/scores.json"
    write_json(path, read_json(path) | {"confusion": confusion})
    build(lean)
    page = read_page(lean / "site/networks/fine_tuned.html").plain
    assert "holds a confusion matrix of other classes." in page
    assert "No confusions are left." in page


@pytest.mark.usefixtures("quick")
def test_adapters_have_rank_and_norm_by_layer(lean):
    """A network that was trained by LoRA has a chart of its adapters and a line for each kernel."""
    path = lean / "study.yaml"
    path.write_text(path.read_text("utf-8").replace("mode_a", "lora"), encoding="utf-8")
    rows = [
        LoraRow(
            layer=layer,
            position=position,
            kernel=f"{layer}.weight",
            rank=8,
            alpha=16,
            parameters=8 * 120,
            directions=100,
            norm=0.5 * position,
            norm_relative=0.01 * position,
            effective_rank=5.25 if position else None,
        )
        for position, layer in enumerate(("conv2d0", "mixed3a"))
    ]
    write_rows(lean / "networks/fine_tuned/lora.parquet", rows, LoraRow)
    build(lean)
    page = read_page(lean / "site/networks/fine_tuned.html")
    assert "What LoRA changed" in page.plain
    table = page.text.split('<h2 id="lora-numbers"')[1].split("</table>")[0]
    lines = [re.findall(r">([^<>]+)</t[hd]>", line) for line in table.split("<tr>")[2:]]
    assert lines == [
        ["conv2d0", "8 of 100", "–", "0.000", "0.000", "960"],
        ["mixed3a", "8 of 100", "5.2", "0.500", "0.010", "960"],
    ]
    assert "lora.csv" in page.text
