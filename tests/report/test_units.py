"""The pages of layers, the channels beside them, classes, the list of all, against the tables."""

import json
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsed import channels, csv_at, read_page, read_script
from tiny_study import HOSTILE, SCRIPT, TINY

from overpaint.defaults import SHOWN_IMAGES
from overpaint.pixels.boxes import Line
from overpaint.records import (
    ChannelRow,
    MaximalRow,
    PairRenderingRow,
    ReceptiveFields,
    ResponseRow,
    read_json,
    read_rows,
    read_table,
    write_json,
    write_rows,
    write_table,
)
from overpaint.report import build
from overpaint.report.parts.maximal import by_channel
from overpaint.report.parts.outline import Outline, outlines
from overpaint.report.parts.text import number, slug

PAIR = "comparisons/imagenet--fine_tuned"


@pytest.fixture(scope="module")
def rows(whole) -> list[ChannelRow]:
    return read_rows(whole / PAIR / "channels.parquet", ChannelRow)


# --- channels ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(whole, rows) -> dict:
    """What the pages of layers show of each channel, by layer and number."""
    layers = dict.fromkeys(row.layer for row in rows)
    return {
        (layer, number): channel
        for layer in layers
        for number, channel in channels(whole / "site", f"{PAIR}/{layer}.html").items()
    }


def test_every_channel_is_shown_with_its_numbers(shown, rows):
    """Each row of the table of channels has its numbers in the script of its layer."""
    assert len(rows) == len(TINY.layers) * 8
    assert [*shown] == [(row.layer, row.channel) for row in rows]
    for row in rows:
        page = shown[row.layer, row.channel].plain
        for value in (row.overlap, row.overlap_chance, row.entropy_before, row.entropy_after,
                      row.concentration, row.filter_change, row.gain_after):  # fmt: skip
            assert number(value) in page
        for label in (row.top_class_before, row.top_class_after):
            assert label is None or " ".join(label.split()) in page


def test_ranks_count_those_before(shown, rows):
    """A channel's rank is one more than the channels that stand before it; equals are alike."""
    keys = {
        "Most concentrated": lambda row: None if row.concentration is None else -row.concentration,
        "Most changed filter": lambda row: -row.filter_change,
        "Least overlap": lambda row: row.overlap,
    }
    for row in rows:
        ranks = shown[row.layer, row.channel].ranks
        assert ranks.keys() == keys.keys()
        for words, key in keys.items():
            rank, aside = ranks[words][:2]
            if key(row) is None:
                assert rank == "–"
                continue
            known = [key(each) for each in rows if key(each) is not None]
            assert int(rank) == 1 + sum(each < key(row) for each in known)
            assert aside == f"of {len(known)} channels"


def test_the_way_through_the_channels(whole, rows):
    """Each layer leads to the last channel of that before, and to the first of that after."""
    layers = list(dict.fromkeys(row.layer for row in rows))
    for at, layer in enumerate(layers):
        before, after = read_script(whole / f"site/{PAIR}/{layer}.js")["beside"]
        ends = [None, None]
        if at:
            last = [row for row in rows if row.layer == layers[at - 1]][-1]
            ends[0] = [f"{last.layer}:{last.channel}", f"{PAIR}/{last.layer}.html#{last.channel}"]
        if at + 1 < len(layers):
            first = next(row for row in rows if row.layer == layers[at + 1])
            ends[1] = [
                f"{first.layer}:{first.channel}", f"{PAIR}/{first.layer}.html#{first.channel}"
            ]  # fmt: skip
        assert [before, after] == ends


def test_a_channel_has_all_its_maximal_images(whole, shown, rows):
    """All maximal images of a channel are shown by rank, with their names and their classes."""
    every = read_rows(whole / PAIR / "maximal.parquet", MaximalRow)
    for row in rows:
        for side, images in zip(
            ("before", "after"), shown[row.layer, row.channel].images, strict=True
        ):
            own = [
                each
                for each in every
                if (each.layer, each.channel, each.network) == (row.layer, row.channel, side)
            ]
            own.sort(key=lambda each: each.rank)
            assert [image.name for image in images] == [each.image for each in own]
            assert [image.label for image in images] == [
                " ".join(each.label.splitlines()) for each in own
            ]
            for image in images:
                assert (whole / "site" / image.src).is_file()


def test_a_channel_knows_where_it_responded(whole, shown):
    """Beside each image stands the position of the strongest response, where it tells anything."""
    every = read_rows(whole / PAIR / "maximal.parquet", MaximalRow)
    for layer, is_located in (("mixed4d", True), ("mixed5b", False)):
        own = [each for each in every
               if (each.layer, each.channel, each.network) == (layer, 3, "before")]  # fmt: skip
        own.sort(key=lambda each: each.rank)
        places = [image.place for image in shown[layer, 3].images[0]]
        assert places == [(each.row, each.column) if is_located else None for each in own]
        assert ("A dot marks" in read_page(whole / f"site/{PAIR}/{layer}.html").plain) == is_located


def test_what_a_channel_has_seen_is_drawn_over_the_picture(whole, shown):
    """Over a thumbnail a dot where the response was strongest, and the box of what it saw."""
    field = read_json(whole / PAIR / "manifest.json")["facts"]["receptive_fields"]["before"]
    start, jump, size = field["layers"]["mixed4d"]["rows"]
    outline = outlines(ReceptiveFields(**field))["mixed4d"]
    for row, column in (image.place for image in shown["mixed4d", 3].images[0]):
        drawn = outline.draw(row, column, 112, 84)
        assert 'viewBox="0 0 112 84"' in drawn
        scale = 84 / 224  # the square of 84 pixels in the middle is all that the network is shown
        top, bottom = start + jump * row, start + jump * row + size
        left, right = start + jump * column, start + jump * column + size
        expected = [max(left, 0) * scale + 14, max(top, 0) * scale,
                    min(right, 224) * scale + 14, min(bottom, 224) * scale]  # fmt: skip
        told = [float(part) for part in re.search(r"M(\S+) (\S+)H(\S+)V(\S+?)H", drawn).groups()]
        assert np.abs(np.subtract(told, expected)).max() <= 0.25
        x, y = map(float, re.search(r'd="M(\S+) (\S+)h0"', drawn).groups())
        assert abs(x - min((left + right) / 2, 224) * scale - 14) <= 0.25
        assert abs(y - min((top + bottom) / 2, 224) * scale) <= 0.25


def test_a_box_of_all_that_is_shown_is_left_out():
    """Where the box holds the whole picture, the dot alone tells something."""
    seen = Line(start=-600, jump=32, size=1200)
    outline = Outline(rows=seen, columns=seen, size=224, resize=256).draw(3, 4, 112, 84)
    assert re.findall("<path .*?>", outline) == ['<path d="M61.1 36.8h0"/>']


LINE = [0, 1, 1]


@pytest.mark.parametrize(
    "field",
    [[], {"layers": 3}, {"size": 224, "layers": {"mixed4d": {"rows": LINE}}},
     {"size": 9, "resize": 9, "layers": {"mixed4d": {"rows": "123", "columns": "123"}}},
     {"size": 9, "resize": 9, "layers": {"mixed4d": {"rows": [0, 1, "x"], "columns": LINE}}},
     {"size": 9, "resize": 9, "layers": {"mixed4d": {"rows": "</svg>", "columns": LINE}}}],
)  # fmt: skip
@pytest.mark.usefixtures("quick")
def test_receptive_fields_that_make_no_sense(lean, field):
    """Receptive fields in another shape are noted, and the pictures are there without outlines."""
    path = lean / PAIR / "manifest.json"
    manifest = read_json(path)
    manifest["facts"]["receptive_fields"] = {"before": field, "after": field}
    write_json(path, manifest)
    build(lean)
    assert read_script(lean / f"site/{PAIR}/mixed4d.js")["seen"] == [None, None]
    assert 'class="seen"' not in read_page(lean / f"site/{PAIR}.html").text
    assert channels(lean / "site", f"{PAIR}/mixed4d.html")[3].images[0]
    told = f"{PAIR}/manifest.json does not tell of “receptive_fields” as a run does."
    assert told in read_page(lean / "site/index.html").plain


@pytest.mark.parametrize(
    "field",
    [None, ReceptiveFields(size=0, resize=0, layers={"a": {"rows": LINE, "columns": LINE}}),
     ReceptiveFields(size=9, resize=8, layers={"a": {"rows": LINE, "columns": LINE}}),
     ReceptiveFields(size=9, resize=9, layers={"a": {"rows": LINE}})],
)  # fmt: skip
def test_positions_that_cannot_be_told_apart(field):
    """A network that tells of no position, or of sizes that cannot be, has no outlines."""
    assert outlines(field) == {}


@pytest.mark.usefixtures("quick")
def test_what_both_networks_want(lean):
    """Renderings of both networks at once stand on the channel's page, with what they reach."""
    told = lean / "study.yaml"
    told.write_text(told.read_text().replace("together: false", "together: true"))
    layer, channel = read_json(lean / PAIR / "manifest.json")["facts"]["shown"][0]
    place = lean / "renderings/imagenet--fine_tuned"
    (place / layer).mkdir(parents=True)
    source = next((lean / "renderings/imagenet").rglob("*.png"))
    found = []
    for kind in ("both", "only_after"):
        (place / layer / f"{channel}-{kind}.png").write_bytes(source.read_bytes())
        found.append(
            PairRenderingRow(
                layer=layer,
                channel=channel,
                kind=kind,
                before=1.25,
                after=7.5,
                reach_before=3.0,
                reach_after=9.0,
                steps=8,
                size=16,
                seed=0,
                status="ok",
            )
        )
    write_rows(place / "renderings.parquet", found, PairRenderingRow)
    build(lean)
    together = channels(lean / "site", f"{PAIR}/{layer}.html")[channel].together
    assert [drawing[-1] for drawing in together] == [
        "what both networks want: 1.25 in imagenet, 7.50 in fine_tuned",
        "what only the network after wants: 1.25 in imagenet, 7.50 in fine_tuned",
    ]
    for drawing, kind in zip(together, ("both", "only_after"), strict=True):
        assert drawing[0].endswith(f"{channel}-{kind}.jpg")
        assert (lean / "site" / drawing[0]).is_file()


# --- layers ------------------------------------------------------------------------------------


def test_a_layer_tells_a_script_what_the_table_holds(whole, rows):
    """Each tile has the numbers of its row to sort by, and the words to choose by."""
    by_unit = {(row.layer, row.channel): row for row in rows}
    seen = set()
    for layer in TINY.layers:
        page = read_page(whole / f"site/{PAIR}/{layer}.html")
        for tile in (named for tag, named in page.tags if named.get("class") == "tile"):
            row = by_unit[layer, int(tile["data-channel"])]
            seen.add((layer, row.channel))
            for name, value in [("concentration", row.concentration), ("change", row.filter_change),
                                ("overlap", row.overlap), ("q", row.specialised_q),
                                ("entropy-after", row.entropy_after)]:  # fmt: skip
                told = tile.get(f"data-{name}")
                assert told is None if value is None else float(told) == pytest.approx(value, 1e-5)
            assert tile.get("data-leading") == row.top_class_after
            assert tile.get("data-leading-before") == row.top_class_before
            assert tile.get("data-dead") == ("after" if row.status == "dead_after" else None)
    assert seen == by_unit.keys()


# --- classes -----------------------------------------------------------------------------------


def test_a_class_lists_the_channels_it_leads(whole, rows):
    """A class's page has exactly the channels led by it, before and after, by their share."""
    for label in HOSTILE:
        page = read_page(whole / f"site/{PAIR}/classes/{slug(label)}.html")
        for when in ("before", "after"):
            part = page.text.split(f'id="led-{when}"')[1].split("</section>")[0]
            listed = re.findall(r'<th scope="row"><a href="[^"]*">(.*?)</a>', part)
            own = [row for row in rows if getattr(row, f"top_class_{when}") == label]
            shares = {
                f"{row.layer}:{row.channel}": getattr(row, f"top_share_{when}") for row in own
            }
            assert sorted(listed) == sorted(shares)
            assert all(shares[one] >= shares[other] for one, other in pairwise(listed))


def test_a_class_lists_the_channels_that_respond(whole):
    """The channels that respond most to a class stand on its page, the strongest first."""
    every = read_rows(whole / PAIR / "responses.parquet", ResponseRow)
    page = read_page(whole / f"site/{PAIR}/classes/{slug(HOSTILE[1])}.html")
    part = page.text.split('id="responding"')[1].split("</section>")[0]
    told = [re.findall(r'<th scope="row"><a href="[^"]*">(.*?)</a>', half)
            for half in part.split("<h3>")[1:]]  # fmt: skip
    for side, listed in zip(("after", "before"), told, strict=True):
        own = [row for row in every if (row.label, row.network) == (HOSTILE[1], side)]
        own.sort(key=lambda row: -row.standardised)
        assert listed == [f"{row.layer}:{row.channel}" for row in own[:20]]


def test_scores_of_a_class_are_of_its_dataset(whole):
    """The scores of the network after stand on a class's page, where it was fitted to the class."""
    page = read_page(whole / f"site/{PAIR}/classes/{slug(HOSTILE[1])}.html")
    assert "How well it is told from the others" in page.plain
    assert "57.3 %" in page.plain  # precision: the score of the network minus 0.05


def test_hostile_classes_have_safe_addresses(whole):
    """A class that looks like markup has a page under a harmless name, and is text on it."""
    page = read_page(whole / f"site/{PAIR}/classes/{slug(SCRIPT)}.html")
    assert SCRIPT in page.words
    assert page.foreign == []


# --- the list of all pages ---------------------------------------------------------------------


def test_the_index_names_every_page(whole, rows):
    """The script holds every network, comparison, layer, channel and class, and where it is."""
    text = (whole / "site/assets/index.js").read_text("ascii")
    entries = json.loads(text.split("window.OVERPAINT_INDEX = ")[1].removesuffix(";\n"))
    places = [entry["at"] for entry in entries]
    led = {}
    classes = next(each["classes"] for each in entries if each.get("at") == f"{PAIR}.html")
    for entry in entries:
        channels = [at for at, lead in enumerate(entry.get("channels", [])) if lead is not None]
        if entry["kind"] == "layer":
            page = read_page(whole / "site" / entry["at"])
            assert {str(at) for at in channels} <= {*page.ids}
        if entry["kind"] == "layer" and entry["at"].startswith(f"{PAIR}/"):
            led |= {(entry["name"], at): entry["channels"][at] for at in channels}
    site = whole / "site"
    every = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert len(places) == len(set(places))
    assert set(places) == every
    assert led == {
        (row.layer, row.channel): classes.index(row.top_class_after) if row.top_class_after else -1
        for row in rows
    }


# --- what is missing ---------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_without_a_manifest_the_pages_stand(lean):
    """Where a comparison does not say on what it was made, its channels are still told of."""
    (lean / PAIR / "manifest.json").unlink()
    build(lean)
    images = channels(lean / "site", f"{PAIR}/mixed4d.html")[1].images
    assert len(images[0]) > 5
    assert {image.src for image in images[0]} == {None}


@pytest.mark.usefixtures("quick")
def test_maximal_images_without_positions(lean):
    """A table without the positions shows its pictures, without dots, and it is said."""
    path = lean / PAIR / "maximal.parquet"
    write_table(path, read_table(path).drop(columns=["row", "column"]))
    build(lean)
    images = channels(lean / "site", f"{PAIR}/mixed4d.html")[3].images
    assert sum(map(len, images)) > 10
    assert {image.place for side in images for image in side} == {None}
    assert "A dot marks" not in read_page(lean / f"site/{PAIR}/mixed4d.html").plain
    assert 'class="seen"' not in read_page(lean / f"site/{PAIR}.html").text
    shown = pd.read_csv(csv_at(lean / "site", f"{PAIR}/table-maximal"))
    assert shown[["row", "column"]].isna().all(axis=None)
    assert "lacks the column “row”" in read_page(lean / "site/index.html").plain


@pytest.mark.usefixtures("quick")
def test_a_table_cut_off_in_the_middle(lean):
    """A table whose columns can be read but whose rows cannot is told of, and nothing else lost."""
    path = lean / PAIR / "maximal.parquet"
    data = bytearray(path.read_bytes())
    data[40 : len(data) // 2] = bytes(len(data) // 2 - 40)
    path.write_bytes(data)
    build(lean)
    assert "maximal.parquet cannot be read." in read_page(lean / "site/index.html").plain
    assert 1 in channels(lean / "site", f"{PAIR}/mixed4d.html")


# --- a million rows ----------------------------------------------------------------------------

cell = st.tuples(
    st.sampled_from(["b", "a"]),
    st.integers(0, 2),
    st.sampled_from(["before", "after"]),
    st.integers(1, SHOWN_IMAGES),
    st.integers(0, 4),
    st.sampled_from(["x", None]),
    st.sampled_from([(0, 3), (2, 1), (None, None)]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(cell, max_size=40, unique_by=lambda row: row[:4]))
def test_maximal_images_by_column(cells):
    """Taken by column, the maximal images of each channel are those that a walk by row finds."""
    columns = ["layer", "channel", "network", "rank", "image", "digest", "label", "row", "column"]
    frame = pd.DataFrame(
        [[*row[:4], f"i{row[4]}", f"d{row[4]}", row[5], *row[6]] for row in cells], columns=columns
    )
    frame = frame.astype({"channel": "int64", "rank": "int64", "row": "Int32", "column": "Int32"})
    found = by_channel(frame)
    slow, places = {}, {}
    for layer, channel, side, _, image, label, at in sorted(cells, key=lambda row: row[3]):
        slow.setdefault((layer, channel, side), []).append((f"i{image}", f"d{image}", label or ""))
        places.setdefault((layer, channel, side), []).append([-1 if x is None else x for x in at])
    assert {key: [found.pictures[at] for at in own] for key, own in found.rows.items()} == slow
    assert {key: own.tolist() for key, own in found.positions.items()} == places
    assert len(set(found.pictures)) == len(found.pictures)


# --- pictures that a network is sure of --------------------------------------------------------


def test_the_surest_pictures_of_a_network(whole):
    """The surest mistakes and hits stand on the page of a network, the surest first."""
    page = read_page(whole / "site/networks/fine_tuned.html")
    frame = read_table(whole / "networks/fine_tuned/predictions.parquet")
    sure = {True: [], False: []}
    for _, row in frame.iterrows():
        chances = {label: row[f"p({label})"] for label in HOSTILE}
        best = max(chances, key=chances.get)
        sure[best in row["labels"]].append((chances[best], row["image"], best))
    for right, name in [(True, "hits"), (False, "mistakes")]:
        part = page.text.split(f'id="{name}"')[1].split("</ol>")[0]
        told = re.findall(r"<b>.*?</b> (\S+?)\xa0%", part)
        best = [f"{chance * 100:.1f}" for chance, _, _ in sorted(sure[right], reverse=True)]
        assert told == best[:12]


@pytest.mark.usefixtures("quick")
def test_a_sure_picture_without_a_thumbnail(lean):
    """Where a thumbnail is not there, a box with the picture's name is."""
    for path in (lean / "thumbnails").rglob("*.jpg"):
        path.unlink()
    build(lean)
    page = read_page(lean / "site/networks/fine_tuned.html").plain
    assert "no picture: test/" in page


@pytest.mark.usefixtures("quick")
def test_predictions_that_are_not_known(lean):
    """A picture with a probability that is no number is left out, and the rest is there."""
    path = lean / "networks/fine_tuned/predictions.parquet"
    frame = read_table(path)
    frame.loc[frame.index[1:], f"p({HOSTILE[0]})"] = float("nan")
    write_table(path, frame)
    build(lean)
    part = read_page(lean / "site/networks/fine_tuned.html").text.split('id="surest"')[1]
    assert part.split("</section>")[0].count("<li>") == 1


@pytest.mark.usefixtures("quick")
def test_a_manifest_that_names_another_dataset(lean):
    """A comparison on a dataset that the study has not is told of without its pictures."""
    path = lean / PAIR / "manifest.json"
    told = read_json(path)
    told["facts"]["dataset"] = "../../secret"
    write_json(path, told)
    build(lean)
    assert not [each for each in (lean / "site").rglob("*") if "secret" in each.name]
