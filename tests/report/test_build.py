"""The site of a study folder: whole, self-contained, honest about what is missing."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pandas as pd
import pytest
from parsed import channels, csv_at, pages, read_page
from pdfs import read_pdf
from tiny_study import BREAKOUT, HOSTILE, SCRIPT, TINY, scored_pictures, study, write_study

from overpaint.errors import RecordError
from overpaint.records import (
    MaximalRow,
    StudyFolder,
    read_json,
    read_rows,
    read_table,
    write_json,
    write_rows,
    write_table,
    write_text,
)
from overpaint.report import build
from overpaint.report.pages.channel import SHORT
from overpaint.report.pages.subjects import NetworkSubject
from overpaint.report.study.reading import read_records

COMPARISON = "comparisons/imagenet--fine_tuned.html"


def spoil(path: Path, change) -> None:
    """Change a table of a study folder."""
    write_table(path, change(read_table(path)))


# --- the site as a whole -----------------------------------------------------------------------


def test_every_link_resolves(whole):
    """Each link of each page leads to a file of the site, and each fragment to an id in it."""
    site = whole / "site"
    ids = {name: page.ids for name, page in pages(site).items()}
    for name, page in pages(site).items():
        for link in page.links:
            if link == "data:,":
                continue
            if link.startswith("data:text/csv;"):
                assert link in [named["href"] for _, named in page.tags if "download" in named]
                continue
            assert not urlparse(link).scheme, f"{name} leads out of the site: {link}"
            path, fragment = urldefrag(link)
            target = (site / name).parent / unquote(path) if path else site / name
            assert target.is_file(), f"{name} links to {link}"
            if fragment:
                assert fragment in ids[target.resolve().relative_to(site.resolve()).as_posix()]


def test_every_file_is_reached(whole):
    """Nothing lies in the site that no page links to, but the list for scripts to search in."""
    site = whole / "site"
    reached = {"index.html", "assets/index.js"}
    for name, page in pages(site).items():
        scripts = [named[key] for _, named in page.tags
                   for key in ("data-channels", "data-pictures") if key in named]  # fmt: skip
        if any("data-channels" in named for _, named in page.tags):
            for channel in channels(site, name).values():
                reached |= {image.src for side in channel.images for image in side if image.src}
                reached |= {drawing[0] for drawing in channel.drawn if drawing}
        for link in [*page.links, *scripts]:
            if link.startswith("data:"):
                continue
            target = ((site / name).parent / unquote(urldefrag(link)[0])).resolve()
            reached |= {str(target.relative_to(site.resolve()))} if target.is_file() else set()
    found = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert found == reached


def test_ids_are_unique_and_stable(whole):
    """An id stands once on a page, and networks, layers and channels have the promised anchors."""
    for name, page in pages(whole / "site").items():
        assert len(page.ids) == len(set(page.ids)), name
    overview = read_page(whole / "site/index.html").ids
    named = [
        *study().all_networks,
        "scratch.init",
    ]  # other initialisations differ in their head only
    assert {f"network-{name}" for name in named} <= set(overview)
    compared = read_page(whole / "site" / COMPARISON).ids
    shown = read_json(whole / "comparisons/imagenet--fine_tuned/manifest.json")["facts"]["shown"]
    assert {f"layer-{layer}" for layer in TINY.layers} <= set(compared)
    assert {f"{layer}-{channel}" for layer, channel in shown} <= set(compared)


def test_hostile_text_is_only_text(whole):
    """Labels and file names that look like markup are shown as they are, and make no element."""
    found = pages(whole / "site")
    for name, page in found.items():
        assert page.foreign == [], name
        assert not any(key.startswith("on") for _, named in page.tags for key in named), name
    assert SCRIPT in found["networks/fine_tuned.html"].words
    assert "浮世絵" in found["networks/fine_tuned.html"].words
    alts = [named.get("aria-label") for tag, named in found[COMPARISON].tags if tag == "svg"]
    assert BREAKOUT in alts
    for drawing in (whole / "site").rglob("*.svg"):
        assert "<script" not in drawing.read_text(encoding="utf-8")


def test_file_names_are_safe(whole):
    """No file name of the site has anything but letters, digits, dot, dash and underscore."""
    for path in (whole / "site").rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", path.name), path


def test_the_site_stands_alone(whole):
    """No file of the site names the folder that it was made in, nor anything remote."""
    for path in (whole / "site").rglob("*"):
        if path.suffix in (".html", ".css", ".svg", ".csv"):
            text = path.read_text(encoding="utf-8")
            assert str(whole) not in text
            remote = [url for url in re.findall(r"https?://[^\s\"']+", text) if "w3.org" not in url]
            assert not remote, f"{path.name} names {remote}"


def test_pages_are_light(whole):
    """A page is far below 3 MB and its pictures wait until they are seen."""
    for path in (whole / "site").rglob("*.html"):
        assert path.stat().st_size < 3_000_000
        pictures = [named for tag, named in read_page(path).tags if tag == "img"]
        assert all(named["loading"] == "lazy" for named in pictures)
        # in the lists of layers and classes the style gives each picture its size
        in_lists = path.parent.parent.name == "comparisons" or path.parent.name == "classes"
        assert in_lists or all(int(each["width"]) and int(each["height"]) for each in pictures)
        assert all("alt" in named for named in pictures)


def test_same_records_same_bytes(whole, tmp_path):
    """The report of equal records is equal, byte for byte; its PDFs hold the same."""
    other = write_study(tmp_path / "again")
    build(other)
    sites = [
        {path.relative_to(site): path.read_bytes() for path in site.rglob("*") if path.is_file()}
        for site in (whole / "site", other / "site")
    ]
    for files in sites:
        files |= {path: read_pdf(data) for path, data in files.items() if path.suffix == ".pdf"}
    assert sites[0] == sites[1]


def test_a_failed_build_leaves_the_old_site(lean, monkeypatch):
    """Where a build fails half-way, the site before it is still there, whole."""
    build(lean)
    before = (lean / "site/index.html").read_bytes()

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(NetworkSubject, "made_from", fail)
    with pytest.raises(KeyboardInterrupt):
        build(lean)
    assert (lean / "site/index.html").read_bytes() == before
    assert [path.name for path in lean.iterdir() if "draft" in path.name] == []


def test_no_torch():
    """The report is made without torch."""
    code = "import sys, overpaint.report; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0


# --- numbers -----------------------------------------------------------------------------------


def test_scores_are_in_the_tables(whole):
    """Every number of the score table, chance and N too, is in the CSV beside it, rounded."""
    page = read_page(whole / "site/index.html")
    for dataset, networks in [("rasta", 5), ("iconart", 6)]:
        table = pd.read_csv(csv_at(whole / "site", f"overview/scores-{dataset}"))
        assert table["network"].nunique() == networks
        values = table[["value", "low", "high", "chance"]].to_numpy().ravel()
        told = {f"{value * 100:.1f}" for value in values}
        told |= {str(n) for n in table["n"]}
        part = page.text.split(f'<h2 id="scores-{dataset}"')[1].split("</table>")[0]
        cells = re.findall(r'<td class="number">(.*?)</td>', part)
        words = re.sub(r"<[^>]*>", " ", " ".join(cells))
        shown = set(re.findall(r"\d[\d.]*", words))
        assert shown <= told, shown - told
        assert len(shown) > 5


def test_the_best_route_is_named(whole):
    """The findings name the best network of each dataset with interval, N, chance and lead."""
    n = len(scored_pictures("rasta", TINY))
    assert (
        f"On rasta, fine_tuned classifies best: top-1 62.3 % (60.8–63.8) of {n} pictures in 3 "
        "groups (too few to rely on the interval), where chance is 25.0 %. That is 3.1 points "
        "above gentle 59.2 % (57.7–60.7); their intervals do not overlap."
    ) in read_page(whole / "site/index.html").plain


def test_overlapping_intervals_are_said_to_overlap(whole, tmp_path, quick):
    """Where the intervals of the two best overlap, the finding says so."""
    folder = tmp_path / "close"
    shutil.copytree(whole, folder)
    path = folder / "networks/gentle/scores.json"
    scores = read_json(path)
    scores["scores"]["top1"]["high"] = 0.61
    write_json(path, scores)
    build(folder)
    page = read_page(folder / "site/index.html")
    assert "their intervals overlap, so the order is not settled" in page.plain


def test_layers_most_and_least_changed(whole):
    """The overview tells which layer changed most and which least by CKA."""
    layers = read_table(whole / "comparisons/imagenet--fine_tuned/layers.parquet")
    by_cka = layers.set_index("layer")["cka_debiased"]
    assert (
        f"From imagenet to fine_tuned, {by_cka.idxmin()} changed most (debiased CKA "
        f"{by_cka.min():.3f}) and {by_cka.idxmax()} least (1.000)"
    ) in read_page(whole / "site/index.html").plain


def test_only_exactly_one_is_one(lean):
    """A CKA just below one is not printed as 1.000, and a weight that moved is not identical."""
    folder = lean / "comparisons/imagenet--fine_tuned"
    spoil(folder / "layers.parquet", lambda frame: frame.assign(cka=0.99999))
    spoil(folder / "weights.parquet", lambda frame: frame.assign(l2=1e-9, status="ok"))
    build(lean)
    page = read_page(lean / "site" / COMPARISON)
    table = page.text.split("Layers in numbers")[1].split("</table>")[0]
    assert table.count(">0.999") + table.count("&gt;0.999") == len(TINY.layers)
    assert "dentical" not in page.plain


def test_identical_weights_are_called_identical(lean):
    """Weights that did not move at all are called identical."""
    folder = lean / "comparisons/imagenet--fine_tuned"
    spoil(folder / "weights.parquet", lambda frame: frame.assign(l2=0.0, l2_relative=0.0))
    build(lean)
    page = read_page(lean / "site" / COMPARISON)
    assert "The weights of the two networks are identical." in page.plain


def test_the_channels_that_specialised_are_ranked(whole):
    """The surest stand first, and the page tells how many there are, of how many tested, and how
    many chance would give; the layers' counts add up to it.
    """
    channels = read_table(whole / "comparisons/imagenet--fine_tuned/channels.parquet")
    tested = channels["specialised_q"].notna().sum()
    sure = channels[channels["specialised_q"] <= 0.05]
    assert 0 < len(sure) < tested < len(channels)
    page = read_page(whole / "site" / COMPARISON)
    assert (
        f"{len(sure)} channels of {tested} tested concentrated more than labels scattered at "
        "random over the pictures would have made them, at a false discovery rate of 5.0 %: about "
        f"{0.05 * len(sure):.1f} may be there by chance."
    ) in page.plain
    table = page.text.split('id="concentrated"')[1].split("</table>")[0]
    listed = re.findall(r'<th scope="row">(?:<a [^>]*>)?(\w+):(\d+)', table)
    order = sure.sort_values(["specialised_q", "concentration"], ascending=[True, False])
    expected = zip(order["layer"], order["channel"], strict=True)
    assert listed == [(layer, str(channel)) for layer, channel in expected][:30]
    p = channels["specialised_p"].dropna()
    assert (
        f"One by one, {(p <= 0.05).sum()} became more concentrated at p ≤ 0.05 and "
        f"{(p >= 0.95).sum()} less, at p ≥ 0.95; chance gives {0.05 * len(p):.1f} each."
    ) in page.plain
    layers = page.text.split("Layers in numbers")[1].split("</table>")[0]
    counts = re.findall(r">(\d+) of (\d+)<", layers)
    assert sum(int(found) for found, _ in counts) == len(sure)
    assert sum(int(of) for _, of in counts) == tested


def test_no_channel_that_specialised(lean):
    """Where none is sure the page says so, with the smallest q, and lists the most concentrated."""
    path = lean / "comparisons/imagenet--fine_tuned/channels.parquet"
    spoil(path, lambda frame: frame.assign(specialised_q=frame["specialised_q"].clip(lower=0.27)))
    build(lean)
    page = read_page(lean / "site" / COMPARISON)
    assert "No channel concentrated more than" in page.plain
    assert "the smallest q is 0.270. These concentrated most." in page.plain
    best = read_table(path).nlargest(1, "concentration").iloc[0]
    table = page.text.split('id="concentrated"')[1].split("</table>")[0]
    assert re.search(r"(\w+:\d+)", table)[1] == f"{best['layer']}:{best['channel']}"


def test_states_of_channels_are_told_in_words(lean):
    """A network compared with itself is said to respond the same; duplicates are said to be out."""
    path = lean / "comparisons/imagenet--fine_tuned/channels.parquet"
    spoil(path, lambda frame: frame.assign(status="identical"))
    build(lean)
    page = read_page(lean / "site" / COMPARISON).plain
    number_of = len(read_table(path))
    told = (
        f"{number_of} channels of {number_of}: the same response to every picture before and after."
    )
    assert told in page
    assert "2 pictures of the latter were left out as the same file under another name." in page


def test_frames_mark_what_both_rows_share(whole):
    """The framed pictures are those that stand among the shown of both networks."""
    folder = whole / "comparisons/imagenet--fine_tuned"
    units = set(map(tuple, read_json(folder / "manifest.json")["facts"]["shown"]))
    rows = [row for row in read_rows(folder / "maximal.parquet", MaximalRow)
            if row.rank <= SHORT and (row.layer, row.channel) in units]  # fmt: skip
    expected = 0
    for unit in units:
        before, after = (
            {row.image for row in rows if (row.layer, row.channel, row.network) == (*unit, side)}
            for side in ("before", "after")
        )
        expected += 2 * len(before & after)
    page = read_page(whole / "site" / COMPARISON)
    framed = [named for tag, named in page.tags if tag == "li" and named.get("class") == "shared"]
    assert len(framed) == expected
    assert 0 < expected < len(rows)


def test_the_lineage_is_a_tree(whole):
    """A network trained from another stands inside it in the lineage, after its training."""
    page = read_page(whole / "site/index.html")
    tree = page.text.split('<ul class="tree across levels-3">')[1].split("</section>")[0]
    places = [tree.index(f'id="network-{name}"') for name in ("imagenet", "fine_tuned", "double")]
    assert places == sorted(places)
    inside = tree[places[1] : places[2]]
    assert inside.count("<ul>") - inside.count("</ul>") == 1
    assert "mode_b, epochs 4 instead of 20" in tree
    assert "where scratch began, drawn at random" in tree


def test_several_labels_have_no_confusions(whole):
    """A network for several labels a picture has no confusion matrix, and the page says why."""
    page = read_page(whole / "site/networks/double.html")
    assert "no class is taken for another" in page.plain
    assert not (whole / "site/charts/networks/double/confusion.svg").exists()
    assert (whole / "site/charts/networks/fine_tuned/confusion.svg").exists()


def test_confusions_are_of_the_predictions(whole):
    """The confusion matrix counts the tested pictures, and its diagonal those named rightly."""
    pairs = pd.read_csv(csv_at(whole / "site", "networks/fine_tuned/confusion"))
    frame = read_table(whole / "networks/fine_tuned/predictions.parquet")
    right = 0
    for _, row in frame.iterrows():
        chances = {name: row[f"p({name})"] for name in HOSTILE}
        right += max(chances, key=chances.get) == row["labels"][0]
    assert pairs["n"].sum() == len(frame)
    assert pairs[pairs["true"] == pairs["predicted"]]["n"].sum() == right


def test_left_out_pictures_are_named(whole):
    """A picture that could not be used is named with its reason."""
    page = read_page(whole / "site/data.html")
    assert "not decodable: truncated file" in page.plain
    assert "Pictures that could not be used: not decodable (1)." in page.plain


# --- what is missing ---------------------------------------------------------------------------


def test_no_study(tmp_path):
    """A folder without a study is refused, and the message names the file that is missing."""
    with pytest.raises(RecordError, match=r"study\.yaml is missing") as caught:
        build(tmp_path)
    assert caught.value.slug == "missing-record"


@pytest.mark.parametrize("text", ["study: [", "study: x\nnetworks: 3", "nothing"])
def test_a_broken_study(tmp_path, text):
    """A study file that holds no study is refused."""
    write_text(tmp_path / "study.yaml", text)
    with pytest.raises(RecordError, match="holds no study") as caught:
        build(tmp_path)
    assert caught.value.slug == "broken-record"


def test_a_study_that_has_not_begun(tmp_path):
    """A folder with nothing but the study has a report of what there will be, all of it missing."""
    write_text(tmp_path / "study.yaml", study(lean=True).to_yaml())
    build(tmp_path)
    found = pages(tmp_path / "site")
    assert set(found) == {"index.html", "findings.html", "data.html", "method.html", COMPARISON,
                          "networks/fine_tuned.html"}  # fmt: skip
    assert "Not finished:" in found["index.html"].plain
    assert "No picture is recorded." in found["data.html"].plain
    assert "untested" in found["index.html"].plain
    for name in ("datasets/rasta/images.parquet", "networks/fine_tuned/scores.json",
                 "comparisons/imagenet--fine_tuned/layers.parquet"):  # fmt: skip
        assert f"{name} is missing." in found["index.html"].plain
    assert "Not scored yet: fine_tuned." in found["index.html"].plain
    assert "This comparison has not been measured yet." in found[COMPARISON].plain


@pytest.mark.parametrize(
    ("gone", "page"),
    [
        ("comparisons/imagenet--fine_tuned/layers.parquet", COMPARISON),
        ("comparisons/imagenet--fine_tuned/weights.parquet", COMPARISON),
        ("comparisons/imagenet--fine_tuned/channels.parquet", COMPARISON),
        ("comparisons/imagenet--fine_tuned/maximal.parquet", COMPARISON),
        ("comparisons/imagenet--fine_tuned/matrix.parquet", COMPARISON),
        ("comparisons/imagenet--fine_tuned/responses.parquet", COMPARISON),
        ("comparisons/imagenet--fine_tuned/manifest.json", COMPARISON),
        ("probes/fine_tuned/rasta/probe.parquet", COMPARISON),
        ("renderings/fine_tuned/renderings.parquet", COMPARISON),
        ("networks/fine_tuned/history.parquet", "networks/fine_tuned.html"),
        ("networks/fine_tuned/scores.json", "networks/fine_tuned.html"),
        ("networks/fine_tuned/predictions.parquet", "networks/fine_tuned.html"),
        ("networks/fine_tuned/manifest.json", "networks/fine_tuned.html"),
        ("datasets/rasta/manifest.json", "data.html"),
        ("datasets/rasta/images.parquet", "data.html"),
    ],
)
@pytest.mark.usefixtures("quick")
def test_a_missing_file(lean, gone, page):
    """Without a file there is a report, and its page and the overview say which it is."""
    (lean / gone).unlink()
    build(lean)
    for name in {page, "index.html"}:
        assert f"{gone} is missing." in read_page(lean / "site" / name).plain


def test_broken_files(lean):
    """Files that are no records are told of, each by its name."""
    broken = [*lean.rglob("*.parquet"), *lean.rglob("*.json")]
    # which probes belong to a comparison, and whether it has planes, is told by its manifest, which
    # is broken too
    unread = [
        *lean.glob("networks/*.init/*"),
        *lean.glob("probes/*/*/*"),
        *lean.glob("comparisons/*/plane.parquet"),
    ]
    broken = [path for path in broken if path not in unread]
    for path in broken:
        path.write_bytes(b"\0 no record")
    build(lean)
    page = read_page(lean / "site/index.html").plain
    told = [path for path in broken if f"{path.relative_to(lean)} cannot be read." in page]
    assert len(told) == len(broken) > 10


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("layers", "cka"),
        ("layers", "position"),
        ("weights", "l2_relative"),
        ("channels", "overlap"),
        ("channels", "entropy_after"),
        ("channels", "concentration"),
        ("channels", "channel"),
        ("maximal", "digest"),
    ],
)
def test_a_missing_column(lean, table, column):
    """Without a column the rest of the page is there, and it says which column is missing."""
    path = lean / f"comparisons/imagenet--fine_tuned/{table}.parquet"
    spoil(path, lambda frame: frame.drop(columns=column))
    build(lean)
    page = read_page(lean / "site" / COMPARISON).plain
    assert f"imagenet--fine_tuned/{table}.parquet lacks the column “{column}”." in page
    assert "nan" not in page.lower().split()


@pytest.mark.parametrize("table", ["layers", "weights", "channels"])
def test_numbers_that_could_not_be_measured(lean, table):
    """A table whose measures are all empty leaves a page, without a chart of them."""
    path = lean / f"comparisons/imagenet--fine_tuned/{table}.parquet"
    keep = ("layer", "position", "channel", "channels", "n_images", "parameters", "status")
    spoil(
        path,
        lambda frame: frame.assign(
            **{name: None for name in frame.columns if name not in keep}, status="too few images"
        ),
    )
    build(lean)
    assert "Nothing to draw" in read_page(lean / "site" / COMPARISON).plain


@pytest.mark.parametrize("place", ["comparisons/imagenet--fine_tuned", "datasets/rasta",
                                   "networks/fine_tuned"])  # fmt: skip
@pytest.mark.parametrize("field", ["facts", "versions", "hardware", "inputs", "key"])
@pytest.mark.usefixtures("quick")
def test_a_manifest_of_another_shape(lean, place, field):
    """A manifest whose field is of another kind is told of, and the rest is there."""
    path = lean / place / "manifest.json"
    write_json(path, read_json(path) | {field: [3]})
    build(lean)
    told = f"{place}/manifest.json does not hold what a manifest does."
    assert told in read_page(lean / "site/index.html").plain


@pytest.mark.parametrize(
    ("place", "fact"),
    [
        *(("comparisons/imagenet--fine_tuned", name)
          for name in ("n_cka", "n_maximal", "k", "classes", "shown")),
        ("networks/fine_tuned", "parent"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["x", {"a": 1}, [[1, 2]], None])
@pytest.mark.usefixtures("quick")
def test_a_fact_of_another_kind(lean, place, fact, value):
    """A fact that pages count on is left out, and told of, where it is of another kind."""
    path = lean / place / "manifest.json"
    data = read_json(path)
    data["facts"][fact] = value
    write_json(path, data)
    build(lean)
    index = read_page(lean / "site/index.html").plain
    told = f"{place}/manifest.json does not tell of “{fact}” as a run does."
    assert (told in index) == (value is not None and (fact, value) != ("parent", "x"))


def test_missing_pictures(lean):
    """Without a rendering or a thumbnail the card is there, and says what is not."""
    shown = read_json(lean / "comparisons/imagenet--fine_tuned/manifest.json")["facts"]["shown"]
    layer, channel = shown[0]
    (lean / f"renderings/fine_tuned/{layer}/{channel}.png").unlink()
    (lean / f"renderings/imagenet/{layer}/{channel}.png").write_bytes(b"no picture")
    shutil.rmtree(lean / "thumbnails")
    build(lean)
    page = read_page(lean / "site" / COMPARISON)
    for name in ("imagenet", "fine_tuned"):
        told = f"{layer}:{channel} of {name}: the feature visualisation is missing."
        assert told in page.plain
        assert f"{layer}:{channel} of {name}: 4 thumbnails missing." in page.plain
    assert "no picture" in page.plain


def test_a_broken_scores_file(lean):
    """Scores that are JSON but no scores are told of, not shown."""
    write_json(lean / "networks/fine_tuned/scores.json", {"scores": {}})
    build(lean)
    page = read_page(lean / "site/networks/fine_tuned.html")
    assert "scores.json does not hold the scores of a network." in page.plain


def test_names_cannot_leave_the_folder(lean):
    """A digest or a layer that is a path to elsewhere brings no file into the site."""
    secret = lean.parent / "secret.png"
    folder = StudyFolder(lean)
    shutil.copy(next(folder.renderings("imagenet").rglob("*.png")), secret)
    place = folder.comparison("imagenet", "fine_tuned")
    manifest = read_json(place / "manifest.json")
    manifest["facts"]["shown"] = [["../../..", 0]]
    write_text(place / "manifest.json", json.dumps(manifest))
    shutil.copy(secret, lean.parent / "0.png")
    shutil.copy(secret, lean.parent / "secret.jpg")
    rows = [
        replace(row, layer="../../..", channel=0, digest="../../../secret")
        for row in read_rows(place / "maximal.parquet", MaximalRow)[:2]
    ]
    write_rows(place / "maximal.parquet", rows, MaximalRow)
    build(lean)
    assert not list((lean / "site/pictures").glob("renderings/*/[!m]*/*"))
    assert not [path for path in (lean / "site").rglob("*") if "secret" in path.name]


@pytest.mark.usefixtures("quick")
def test_no_two_files_differ_in_case_only(lean):
    """Classes that do so, and a layer that is called as the folder of classes, have own pages."""
    place = StudyFolder(lean).comparison("imagenet", "fine_tuned")
    names = {HOSTILE[0]: "Red", HOSTILE[1]: "red", HOSTILE[2]: "3"}
    for table in ("channels", "responses"):
        frame = read_table(place / f"{table}.parquet").replace(names)
        write_table(place / f"{table}.parquet", frame.replace("mixed4a", "classes"))
    write_table(
        place / "layers.parquet", read_table(place / "layers.parquet").replace("mixed4a", "classes")
    )
    build(lean)
    site = lean / "site"
    files = [path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()]
    assert len({name.casefold() for name in files}) == len(files)
    below = "comparisons/imagenet--fine_tuned"
    of_classes = [name for name in files if name.startswith(f"{below}/classes/")]
    assert sum("/class-red-" in name.lower() for name in of_classes) == 2
    assert f"{below}/classes/3.html" in of_classes
    assert any(name.startswith(f"{below}/layer-classes-") for name in files)


def test_where_nothing_was_to_be_drawn_no_rendering_is_missed(lean):
    """Of two networks without any of the layers that are drawn there are none, and no note."""
    (place,) = (lean / "comparisons").iterdir()
    told = read_json(place / "manifest.json")
    write_json(place / "manifest.json", told | {"facts": told["facts"] | {"shown": []}})
    shutil.rmtree(lean / "renderings")
    (pair,) = read_records(StudyFolder(lean)).comparisons.values()
    assert not [note for note in pair.notes if "renderings" in note]
