"""The page of the method: definitions that others link to, settings in effect, provenance."""

import numpy as np
import pytest
from parsed import read_page

from overpaint.measures.cka import linear_cka
from overpaint.records import read_json, write_json
from overpaint.report import build
from overpaint.report.pages.method import unrelated_cka

DEFINED = (
    "cka", "cka_debiased", "luck", "procrustes", "mutual_neighbours", "weights", "pairwise",
    "rewind",
    "between", "probe", "concepts", "overlap", "entropy", "gain", "concentration", "specialised",
    "filter_change", "maximal", "rendering", "scores", "findings", "gaze", "attribution",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(whole):
    return read_page(whole / "site/method.html")


def test_every_measure_is_defined_with_its_source(page):
    """Each measure has an anchor of its name, and in it words, and where it comes from."""
    for name in DEFINED:
        own = page.text.split(f'<article id="{name}">')[1].split("</article>")[0]
        assert '<p class="source">' in own, name
        assert len(own) > 300, name
    assert "Gonthier et al. 2020" in page.plain


@pytest.mark.parametrize(("n", "p"), [(30, 300), (100, 100), (400, 40)])
def test_why_both_ckas(n, p):
    """Unrelated features have the biased CKA that the page says, and a debiased one of about 0."""
    rng = np.random.default_rng(0)
    draws = [rng.standard_normal((2, n, p)) for _ in range(8)]
    biased = np.mean([linear_cka(x, y) for x, y in draws])
    debiased = np.mean([linear_cka(x, y, debiased=True) for x, y in draws])
    assert biased == pytest.approx(unrelated_cka(p, n), rel=0.06)
    assert abs(debiased) < 0.05


def test_settings_are_those_of_the_trainings(page, whole):
    """What differs between trainings is in a table, what does not is told once."""
    recipes = {
        name: read_json(whole / f"networks/{name}/manifest.json")["facts"]["recipe"]
        for name in ("fine_tuned", "gentle", "scratch")
    }
    table = page.text.split("settings in which the trainings differ")[1].split("</table>")[0]
    heads = [text.split("<")[0] for text in table.split('<th scope="col">')[1:]][1:]
    for name, recipe in recipes.items():
        line = table.split(f">{name}</a></th>")[1].split("</tr>")[0]
        cells = [text.split("<")[0] for text in line.split('<td class="short">')[1:]]
        told = dict(zip(heads, cells, strict=True))
        assert told["epochs"] == str(recipe["epochs"])
        assert told["head lr"] == str(recipe["head_lr"])
        assert told["name"] == recipe["name"]
    assert "momentum" not in heads
    assert "momentum0.9" in page.plain.split("The same in all of them:")[1]


def test_the_seeds_of_repeats_stand_with_their_route(page, whole):
    """A repeated training has one line with the seed of each."""
    table = page.text.split("settings in which the trainings differ")[1].split("</table>")[0]
    assert "single.2" not in table
    line = table.split(">single</a></th>")[1].split("</tr>")[0]
    assert line.split('<td class="short">')[-1].split("<")[0].count(", ") == 2


def test_provenance(page, whole):
    """Each artefact's digest, the versions and the machine are told."""
    for name in ("networks/fine_tuned", "datasets/rasta", "comparisons/imagenet--fine_tuned"):
        made = read_json(whole / name / "manifest.json")
        assert made["key"] in page.words
        assert made["hardware"] in page.words
        assert all(f"{key} {value}" in page.plain for key, value in made["versions"].items())
    index = read_page(whole / "site/index.html")
    assert "method.html#provenance" in index.links
    assert "method.html#cite" in index.links


def test_how_to_cite(page):
    """Paper and program are there as BibTeX with balanced braces."""
    for entry in page.text.split("<pre")[1:]:
        text = entry.split("<code>")[1].split("</code>")[0]
        assert text.count("{") == text.count("}")
        assert text.startswith("@")
    assert "arXiv:2011.02727" in page.words
    assert "10.1007/978-3-030-68796-0_39" in page.words


@pytest.mark.parametrize(
    "facts",
    [
        {"recipe": "mode_a"},
        {"recipe": None, "parameters": "many"},
        {"preprocessing": 3},
        {"preprocessing": {"mean": [0.5, 0.4], "<b>": {"a": 1}}},
    ],
)
@pytest.mark.usefixtures("quick")
def test_facts_of_another_shape(lean, facts):
    """What a manifest tells in another shape is left out or told as text."""
    path = lean / "networks/fine_tuned/manifest.json"
    data = read_json(path)
    data["facts"] |= facts
    write_json(path, data)
    build(lean)
    page = read_page(lean / "site/method.html")
    assert "fine_tuned" in page.plain
    assert "<b>" not in page.text.split('id="settings"')[1]
