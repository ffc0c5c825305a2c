"""The map of a collection, and the page of any picture."""

import json
import re
from dataclasses import replace
from html import unescape
from urllib.parse import unquote

import numpy as np
import pytest
from parsed import collection, pages, read_page
from tiny_study import BREAKOUT, HOSTILE, SCRIPT

from overpaint.defaults import SHOWN_IMAGES
from overpaint.records import ImageRow, PlaneRow, read_rows, read_table, write_rows, write_table
from overpaint.report import build
from overpaint.report.site import sheets

PAIR = "comparisons/imagenet--fine_tuned"
MAP = f"{PAIR}/map.html"
TILE = re.compile(
    r'<a class="f(\d+)[^"]*" transform="translate\((\d+) (\d+)\)"(?: href="([^"]*)")?'
    r' aria-label="([^"]*)"(?: data-kinds="([^"]*)")?(?: data-group="(\d+)")?>'
)


def planes(folder, place: str = MAP) -> list[list[tuple]]:
    """The tiles of both planes: frame, x, y, link, name, classes, group."""
    text = (folder / "site" / place).read_text("utf-8")
    return [TILE.findall(part) for part in text.split("<figure>")[1:]]


def change_facts(folder, pair: str, change) -> None:
    """Change what the manifest of a comparison says of its planes, as one of an older program."""
    path = folder / "comparisons" / pair / "manifest.json"
    data = json.loads(path.read_text())
    change(data["facts"])
    path.write_text(json.dumps(data | {"files": None, "seal": ""}))


# --- the map -------------------------------------------------------------------------------------


def test_each_picture_stands_once_on_each_plane(whole):
    """In one order, inside the frame, as the table has the places, upwards being up."""
    table = read_table(whole / PAIR / "plane.parquet")
    before, after = planes(whole)
    assert [tile[4].partition(", ")[0] for tile in before] == table["image"].tolist()
    assert [tile[3] for tile in before] == [tile[3] for tile in after]
    page = read_page(whole / "site" / MAP)
    [box] = {named["viewbox"] for _, named in page.tags if named.get("class") == "plane"}
    width, height = map(int, box.split()[2:])
    for side, tiles in (("before", before), ("after", after)):
        x, y = (np.array([int(tile[at]) for tile in tiles]) for at in (1, 2))
        assert (x >= 0).all()
        assert (x <= width - 24).all()
        assert (y >= 0).all()
        assert (y <= height - 24).all()
        scale = np.ptp(x) / np.ptp(table[f"x_{side}"])
        assert np.abs((x - x[0]) - (table[f"x_{side}"] - table[f"x_{side}"][0]) * scale).max() < 2
        assert np.corrcoef(y, table[f"y_{side}"])[0, 1] < -0.99


def test_a_picture_of_a_map_leads_to_its_page(whole):
    """Which is there, and by its name."""
    anchors = read_page(whole / "site/pictures/rasta.html").ids
    for _, _, _, href, name, _, _ in planes(whole)[0]:
        place, _, anchor = unescape(href).partition("#")
        assert place == "../../pictures/rasta.html"
        assert anchor in anchors
        assert unquote(anchor) == unescape(name).partition(", ")[0]


def test_frames_and_legend_tell_the_classes(whole):
    """The class of a picture has the frame of the legend, and the legend counts its pictures."""
    text = (whole / "site" / MAP).read_text("utf-8")
    rows = {row.image: row.labels for row in read_rows(
        whole / "datasets/rasta/images.parquet", ImageRow)}  # fmt: skip
    legend = {
        unescape(label): (number, frame, int(n))
        for number, frame, label, n in re.findall(
            r'data-kind="(\d+)"><svg class="swatch f(\d+)".*?<a href="[^"]*">(.*?)</a></bdi> '
            r"<small>(\d+)</small>", text
        )
    }  # fmt: skip
    tiles = planes(whole)[0]
    for frame, _, _, _, name, kinds, _ in tiles:
        [label] = rows[unescape(name).partition(", ")[0]]
        assert legend[label][:2] == (kinds, frame)
    for label, (_, _, n) in legend.items():
        assert n == sum(rows[unescape(tile[4]).partition(", ")[0]] == [label] for tile in tiles)
    assert {*legend} <= {*HOSTILE}


def test_numbers_stand_with_n_and_chance(whole):
    """The share of neighbours kept, what chance gives, both trusts, and what a plane is not."""
    page = read_page(whole / "site" / MAP).plain
    kept = (
        "Of the 10 nearest neighbours of a picture, 40.0\xa0% are kept; unrelated features would "
        "keep 5.0\xa0%"
    )
    for words in (kept, "The 6 pictures of rasta/test by what mixed5b", "chance 5.0\xa0%", "0.912",
                  "0.934", "say nothing"):  # fmt: skip
        assert " ".join(words.split()) in page, words


@pytest.mark.usefixtures("quick")
def test_a_draw_is_told_as_one(lean):
    """Of how many pictures those on the map were drawn."""
    change_facts(lean, "imagenet--fine_tuned", lambda facts: facts["plane"].update(of=7000))
    build(lean)
    page = read_page(lean / "site" / MAP).plain
    assert "6 pictures drawn from the 7,000 of rasta/test" in page
    assert "6 of 7,000, drawn" in page


@pytest.mark.usefixtures("quick")
def test_an_older_comparison_says_that_it_has_no_map(lean):
    """Plainly, as no omission; no page, no link, and the pages of pictures do without."""
    change_facts(lean, "imagenet--fine_tuned", lambda facts: facts.pop("plane"))
    (lean / PAIR / "plane.parquet").unlink()
    build(lean)
    page = read_page(lean / "site" / f"{PAIR}.html")
    assert "made before there were any. The next overpaint run of the study makes it." in page.plain
    assert "plane.parquet" not in page.plain
    assert not (lean / "site" / MAP).exists()
    assert not any("map.html" in text.text for text in pages(lean / "site").values())
    assert "map.html" not in (lean / "site/assets/index.js").read_text()
    assert all(not any(seen.near) for picture in collection(lean / "site").values()
               for seen in picture.seen)  # fmt: skip


@pytest.mark.usefixtures("quick")
def test_why_there_are_no_planes_is_told(lean):
    """By what the measure said, as text."""
    status = f"needs at least 22 images; got 5 {SCRIPT}"
    change_facts(
        lean, "imagenet--fine_tuned", lambda facts: facts.update(plane={"status": status, "n": 0})
    )
    write_rows(lean / PAIR / "plane.parquet", [], PlaneRow)
    build(lean)
    page = read_page(lean / "site" / f"{PAIR}.html")
    assert f"There is no map of the pictures: {status}." in page.plain
    assert not page.foreign


@pytest.mark.usefixtures("quick")
def test_places_that_are_none_cost_only_their_picture(lean):
    """A place that is no number is left out, a very large one is drawn, and all at one too."""
    path = lean / PAIR / "plane.parquet"
    table = read_table(path)
    table.loc[0, "x_after"] = float("nan")
    table.loc[1, "y_before"] = 1e300
    write_table(path, table)
    build(lean)
    assert [len(side) for side in planes(lean)] == [len(table) - 1] * 2
    same = table.assign(x_before=0.5, y_before=0.5, x_after=0.5, y_after=0.5)
    write_table(path, same)
    build(lean)
    assert [len(side) for side in planes(lean)] == [len(table)] * 2


@pytest.mark.usefixtures("quick")
def test_groups_can_frame_too(lean):
    """Where pictures have groups the map has a list of them, the most frequent first."""
    path = lean / "datasets/rasta/images.parquet"
    mapped = read_table(lean / PAIR / "plane.parquet")["image"].tolist()
    rows = read_rows(path, ImageRow)
    write_rows(path, [replace(row, group=SCRIPT if row.image in mapped[:2] else
                              "Vermeer" if row.image in mapped[:3] else "") for row in rows],
               ImageRow)  # fmt: skip
    build(lean)
    assert [tile[6] for tile in planes(lean)[0]] == ["0", "0", "1", "", "", ""]
    text = (lean / "site" / MAP).read_text("utf-8")
    assert "Groups: 2" in text
    assert SCRIPT not in text


@pytest.mark.usefixtures("quick")
def test_a_large_collection_has_small_sheets(lean, monkeypatch):
    """Where thumbnails are files, a map loads small ones, and pages of pictures the files."""
    monkeypatch.setattr(sheets, "MOST", 3)
    build(lean)
    text = (lean / "site" / MAP).read_text("utf-8")
    [src] = {*re.findall(r'href="\.\./\.\./(pictures/rasta-map-\w+-1\.jpg)"', text)}
    assert (lean / "site" / src).is_file()
    boxes = re.findall(r'viewBox="\d+ \d+ (\d+) (\d+)" preserve', text)
    assert {*boxes} == {("48", "36")}
    of_train = collection(lean / "site")["train/0002.jpg"]
    assert re.fullmatch(r"pictures/rasta/[0-9a-f]{12}\.jpg", of_train.src)
    assert collection(lean / "site")["test/0011.jpg"].src == src


def test_maps_are_linked(whole):
    """From the comparison, from a class to its pictures, and from the page of all pictures."""
    site = whole / "site"
    assert "imagenet--fine_tuned/map.html" in (site / f"{PAIR}.html").read_text("utf-8")
    assert "map.html" in (site / "pictures/rasta.html").read_text("utf-8")
    kinds = read_page(site / MAP).ids
    linked = 0
    for name, page in pages(site).items():
        if name.startswith(f"{PAIR}/classes/"):
            links = [link for link in page.links if "map.html#" in link]
            assert all(link.partition("#")[2] in kinds for link in links)
            linked += len(links)
    assert linked == 4  # the classes of the six pictures


# --- a picture -----------------------------------------------------------------------------------


def test_every_picture_that_is_shown_has_a_page(whole):
    """Each thumbnail that a page of the study has of a dataset leads to a picture of its list."""
    site = whole / "site"
    links = {
        unescape(link).partition("pictures/")[2]
        for page in pages(site).values()
        for link in page.links
        if "pictures/" in link and ".html#" in link
    }
    assert len(links) > 30
    for link in links:
        place, _, anchor = link.partition("#")
        assert anchor in read_page(site / "pictures" / place).ids
    for dataset in ("rasta", "iconart"):
        names = [unquote(each) for each in read_page(site / f"pictures/{dataset}.html").ids
                 if each.endswith("jpg")]  # fmt: skip
        assert names == list(collection(site, dataset))
        assert BREAKOUT in names


def test_what_networks_say_is_that_of_their_predictions(whole):
    """The three most probable classes by network, right where the picture shows them."""
    shown = collection(whole / "site")
    for network in ("fine_tuned", "gentle", "svm", "scratch"):
        table = read_table(whole / f"networks/{network}/predictions.parquet").set_index("image")
        for image, row in table.iterrows():
            chances = sorted(((value, name[2:-1]) for name, value in row.items()
                              if name != "labels"), reverse=True)  # fmt: skip
            told = shown[image].said[network]
            assert [label for label, _, _ in told] == [name for _, name in chances[:3]]
            assert [share for _, share, _ in told] == [f"{100 * chance:.1f}\xa0%" if chance > 0.0005
                    else "<0.1\xa0%" for chance, _ in chances[:3]]  # fmt: skip
            assert [right for _, _, right in told] == [name in row["labels"] for _, name in
                                                       chances[:3]]  # fmt: skip
    for picture in shown.values():
        right = sum(told[0][2] for told in picture.said.values())
        if picture.said:
            assert picture.summary.endswith(f"; {right} of 4 networks name it rightly.")
        else:
            assert picture.summary.endswith("it is of train.")


def test_excited_channels_are_those_of_the_table(whole):
    """Of how many channels a picture is a maximal image, and the first eight by its rank."""
    table = read_table(whole / PAIR / "maximal.parquet")
    table = table[table["rank"] <= SHOWN_IMAGES]
    for picture in collection(whole / "site").values():
        [seen] = [each for each in picture.seen if each.title == "imagenet → fine_tuned"]
        for at, side in enumerate(("before", "after")):
            own = table[(table["image"] == picture.name) & (table["network"] == side)]
            assert seen.total[at] == len(own)
            excited = seen.excited[at]
            assert [rank for _, _, rank in excited] == sorted(own["rank"])[:8]
            units = set(own[["layer", "channel", "rank"]].itertuples(index=False, name=None))
            assert {*excited} <= units
            assert len({*excited}) == len(excited)


def test_neighbours_are_those_of_the_table(whole):
    """In order, before and after, with how many are kept."""
    shown = collection(whole / "site")
    for row in read_rows(whole / PAIR / "plane.parquet", PlaneRow):
        [seen] = [each for each in shown[row.image].seen if each.title == "imagenet → fine_tuned"]
        assert seen.near == (list(row.nearest_before), list(row.nearest_after))
        assert seen.kept == f"{round(10 * row.kept)} of 10"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("source", "leads"),
    [("https://museum.org/7?a=1&b=2", True), ("HTTP://museum.org/7", True),
     ("javascript:alert(1)", False), ("data:text/html,x", False), ("Inv. 12", False),
     ("file:///etc/passwd", False), (SCRIPT, False)],
)  # fmt: skip
def test_a_source_is_a_link_only_to_the_web(lean, source, leads):
    """What is no address is text, beside the rights in words."""
    path = lean / "datasets/rasta/images.parquet"
    rows = [replace(row, source=source, rights="http://creativecommons.org/licenses/by/4.0/")
            for row in read_rows(path, ImageRow)]  # fmt: skip
    write_rows(path, rows, ImageRow)
    build(lean)
    for picture in collection(lean / "site").values():
        assert ("Source", source, source if leads else "") in picture.facts
        assert ("Rights", "CC BY 4.0", "") in picture.facts


@pytest.mark.usefixtures("quick")
def test_changed_predictions_reach_the_page_of_pictures(lean):
    """It is made again when what a network says is other."""
    build(lean)
    path = lean / "networks/fine_tuned/predictions.parquet"
    table = read_table(path)
    columns = [name for name in table if str(name).startswith("p(")]
    image = table["image"][0]
    before = collection(lean / "site")[image].said["fine_tuned"]
    write_table(path, table.assign(**{columns[0]: 0.0, columns[1]: 1.0}))
    build(lean)
    after = collection(lean / "site")[image].said["fine_tuned"]
    assert after != before
    assert after[0][:2] == (columns[1][2:-1], "100\xa0%")
