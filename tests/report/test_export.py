"""What leaves the site: charts as PNG, PDF and CSV, tables, figures of a paper, one file."""

import csv
import html
import io
import re
import zipfile
from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsed import all_tables, csv_at, pages, read_page
from pdfs import read_pdf
from PIL import Image
from tiny_study import BREAKOUT, HOSTILE, SCRIPT

from overpaint.errors import RecordError
from overpaint.records import LayerRow, StudyFolder, read_json, read_rows, read_table, write_rows
from overpaint.report import build
from overpaint.report.charts import drawing, formats
from overpaint.report.export import escape, grid, paper, tables
from overpaint.report.export import figures as exports
from overpaint.report.site import spreadsheet
from overpaint.report.study.reading import Records, read_records

COMPARED = "comparisons/imagenet--fine_tuned"


@pytest.fixture(scope="module")
def records(whole) -> Records:
    return read_records(StudyFolder(whole))


# --- charts ------------------------------------------------------------------------------------


def test_every_chart_is_there_twice(whole):
    """Each chart of a page has links to SVG and CSV, the one to a file, the other with its rows."""
    site = whole / "site"
    drawn = 0
    for name, page in pages(site).items():
        for part in page.text.split('<section class="chart')[1:]:
            section = part.split("</section>")[0]
            if 'class="scroll paper' not in section:  # nothing to draw, and it says so
                continue
            links = re.findall(r'<a href="([^"]+)"(?: download="[^"]+")?>(SVG|CSV)</a>', section)
            assert [kind for _, kind in links] == ["SVG", "CSV"]
            assert ((site / name).parent / links[0][0]).is_file()
            table = links[1][0]
            if table.startswith("data:text/csv"):
                assert "%0A" in table
            else:
                assert ((site / name).parent / table).is_file()
            drawn += 1
    assert drawn > 20
    assert {path.suffix for path in (site / "charts").rglob("*") if path.is_file()} == {".svg"}
    assert "overpaint report FOLDER --figures DIR" in read_page(site / "method.html").plain


def test_a_png_has_twice_the_pixels(whole):
    """A PNG has two pixels for each of the chart, so that it is sharp."""
    svg = (whole / f"site/charts/{COMPARED}/cka.svg").read_text()
    width = float(re.search(r'width="([\d.]+)"', svg)[1])
    with Image.open(io.BytesIO(formats.png(svg))) as image:
        assert image.width == pytest.approx(2 * width, abs=2)


def test_a_pdf_holds_the_words_and_the_size_of_its_chart(whole):
    """Words of a PDF are letters of an embedded font, not shapes, on a page as large as the SVG."""
    for path in sorted((whole / "site/charts").rglob("*.svg"))[::3]:
        svg = path.read_text(encoding="utf-8")
        pdf = formats.pdf(svg)
        page = read_pdf(pdf)
        words = {html.unescape(word) for word in re.findall(r"<text[^>]*>(.*?)</text>", svg)}
        absent = {word for word in words if word.isascii() and word not in page.text}
        assert not absent, path
        assert [page.width, page.height] == [
            float(re.search(rf'{side}="([\d.]+)"', svg)[1]) for side in ("width", "height")
        ]
        assert b"/FontFile" in pdf


def test_equal_charts_show_the_same(whole):
    """A chart drawn again is the same PNG, and a PDF of the same words and size, whatever fonts."""
    for place in (f"{COMPARED}/scatter", "datasets/classes-rasta", f"{COMPARED}/entropy"):
        svg = (whole / f"site/charts/{place}.svg").read_text(encoding="utf-8")
        assert len({formats.png(svg) for _ in range(4)}) == 1, place
        assert len({read_pdf(formats.pdf(svg)) for _ in range(4)}) == 1, place


# --- CSV ---------------------------------------------------------------------------------------

FORMULAS = ("=1+1", '=HYPERLINK("x")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1")


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text):
    """A text that a spreadsheet would calculate has an apostrophe before it, in a head too."""
    written = spreadsheet.csv(pd.DataFrame({text: [text, "calm"], "n": [-1, 2]}))
    read = list(csv.reader(io.StringIO(written, newline="")))
    own = f"'{text}".replace("\r", " ")
    assert read == [[own, "n"], [own, "-1"], ["calm", "2"]]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_csv_keeps_every_name(text):
    """Apart from that apostrophe a name comes back from CSV as it was, a return as a blank."""
    read = list(csv.reader(io.StringIO(spreadsheet.csv(pd.DataFrame({"x": [text]})), newline="")))
    own = f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
    assert read[1:] == ([[own.replace("\r", " ")]] if text else [[""]])


@pytest.mark.usefixtures("quick")
def test_formulas_in_a_study(lean):
    """Pictures and classes that are formulas are harmless in every CSV of the site."""
    path = lean / "datasets/rasta/images.parquet"
    frame = read_table(path)
    frame["image"] = [f"=cmd|'/C calc'!A{n}" for n in range(len(frame))]
    frame["labels"] = [["@SUM(1)"]] * len(frame)
    frame.to_parquet(path)
    build(lean)
    told = 0
    for text in all_tables(lean / "site").values():
        for row in csv.reader(io.StringIO(text, newline="")):
            told += sum(cell.startswith("'=cmd") for cell in row)
            assert not [c for c in row if c[:1] in "=+@" and c[:1]]
    assert told == len(frame)


# --- LaTeX and Markdown ------------------------------------------------------------------------


def untex(text: str) -> str:
    """What LaTeX would print of escaped text: a slow reader of the commands that it may hold."""
    words = {r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^",
             r"\textquotedbl{}": '"', "$<$": "<", "$>$": ">", "$|$": "|", r"$\to$": "→", "$-$": "−",
             r"$\pm$": "±", r"$\times$": "×", "--": "–", r"\,": "\u202f", "~": "\xa0"}  # fmt: skip
    words |= {f"\\{letter}": letter for letter in "{}&%$#_"}
    found, place = "", 0
    while place < len(text):
        word = next((each for each in words if text.startswith(each, place)), None)
        assert word or text[place] not in "\\{}&%$#_~^", f"bare {text[place]!r}"
        found += words[word] if word else text[place]
        place += len(word) if word else 1
    return found


TURNING = "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Ends of lines, and signs that turn the direction of what follows."""

SHOWN = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=f"{TURNING}\ufffe\uffff-")
)


@given(SHOWN)
def test_latex_shows_any_text(text):
    """Escaped text prints as it is, and nothing in it is a command or a comment."""
    assert untex(escape.tex(text)) == text


@given(SHOWN)
def test_markdown_shows_any_text(text):
    """Escaped text has no bare letter that Markdown reads, and loses nothing."""
    escaped = escape.markdown(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>|&~$#!]", escaped)
    assert re.sub(r"\\([\\`*_\[\]<>|&~$#!])", r"\1", escaped) == text


@pytest.mark.parametrize("text", [*HOSTILE, SCRIPT, BREAKOUT, r"\input{/etc/passwd}", "a\nb\\\\"])
def test_hostile_names_in_tables(text):
    """Names of any kind stand in a table as one cell of one line."""
    table = grid.Grid(
        title=text,
        heads=("x", text),
        lines=((text, text), ("a", "b")),
        note=text,
        last=(text, ""),
    )
    latex, plain = grid.in_latex(table), grid.in_markdown(table)
    body = latex.split(r"\toprule")[1].split(r"\bottomrule")[0].strip().splitlines()
    lines = [line for line in body if line != r"\midrule"]
    assert [len(re.findall(r"(?<!\\)&", line)) for line in lines] == [1, 1, 1, 1]
    assert all(line.endswith(r" \\") for line in lines)
    assert "\\input" not in latex
    rows = [line for line in plain.splitlines() if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [3] * 5
    assert "<script" not in plain.replace("\\<", "")


def test_scores_are_printed_as_the_records_have_them(whole, records):
    """LaTeX and Markdown hold each network's scores, interval and N, rounded from its record."""
    latex = (whole / "site/tables/scores.tex").read_text()
    markdown = (whole / "site/tables/scores.md").read_text()
    for name in ("fine_tuned", "gentle", "svm", "scratch"):
        scores = read_json(whole / f"networks/{name}/scores.json")["scores"]
        told = [f"{100 * each['value']:.1f} ({100 * each['low']:.1f}--{100 * each['high']:.1f})"
                for each in scores.values()]  # fmt: skip
        own = name.replace("_", r"\_")
        line = next(line for line in latex.splitlines() if line.startswith(own))
        assert " & ".join([*told, "1", str(scores["top1"]["n"])]) in line
        line = next(line for line in markdown.splitlines() if line.startswith(f"| {own} "))
        assert " | ".join(each.replace("--", "–") for each in told) in line
    values = [read_json(whole / f"networks/{name}/scores.json")["scores"]["mAP"]["value"]
              for name in ("double", "double.2", "double.3")]  # fmt: skip
    mean, deviation = 100 * np.mean(values), 100 * np.std(values, ddof=1)
    assert rf"{mean:.1f} $\pm$ {deviation:.1f} & 3 & " in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    assert "chance &  & 25.0 & 25.0 & 25.0" in latex


def test_changes_are_means_over_layers_and_channels(whole):
    """The table of changes holds the paper's means, each taken anew from the records here."""
    folder = whole / COMPARED
    layers, weights, channels = (
        read_table(folder / f"{name}.parquet") for name in ("layers", "weights", "channels")
    )
    latex = (whole / "site/tables/changes.tex").read_text()
    lines = [x for x in latex.splitlines() if x.startswith(r"imagenet $\to$ fine\_tuned &")]
    assert len(lines) == 2
    for column in ("cka", "cka_debiased"):
        low, high = layers[f"{column}_low"].mean(), layers[f"{column}_high"].mean()
        assert f" {layers[column].mean():.3f} ({low:.3f}--{high:.3f}) &" in lines[0]
    assert f"& {weights['l2'].mean():.2f} & {weights['l2_relative'].mean():.3f} & 6 & 6" in lines[0]
    for column in ("entropy_before", "entropy_after"):
        mean, error = slow_mean(channels, column)
        told = f"{mean:.3f} ({mean - 1.96 * error:.3f}--{mean + 1.96 * error:.3f})"
        assert told in lines[1]
    mean, error = slow_mean(channels, "overlap")
    ends = f"({100 * (mean - 1.96 * error):.1f}--{100 * (mean + 1.96 * error):.1f})"
    assert f"{100 * mean:.1f} {ends} & 11.0" in lines[1]
    frozen = layers[layers["cka"] < 1]
    assert (f"1 of 6 layers are as before (CKA exactly 1), as frozen ones are; over the others the "
            f"means are {frozen['cka'].mean():.3f}") in latex  # fmt: skip


def slow_mean(channels: pd.DataFrame, column: str) -> tuple[float, float]:
    """Mean over channels and its standard error from the variances within layers."""
    values = [v for v in channels[column] if v == v]  # noqa: PLR0124
    spread = 0.0
    for layer in set(channels["layer"]):
        own = [v for v in channels[channels["layer"] == layer][column] if v == v]  # noqa: PLR0124
        mean = sum(own) / len(own)
        spread += len(own) * sum((v - mean) ** 2 for v in own) / (len(own) - 1)
    return sum(values) / len(values), sqrt(spread) / len(values)


def test_a_study_without_scores_or_changes_has_no_tables(records):
    """Where nothing was scored or compared there is no table of it."""
    bare = replace(records, networks={}, ensembles={})
    assert tables.score_grids(bare) == []
    assert tables.change_grids([]) == []


# --- figures of a paper ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def figures(whole, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("paper") / "figures"
    assert exports.figures(whole, out) == out
    return out


CALLED = {
    "cka": "linear_cka", "changes": "linear_cka", "weights": "l2_norm", "entropy": "class_entropy",
    "overlap": "overlapping_ratio", "scatter": "overlapping_ratio_and_class_entropy",
}  # fmt: skip
"""What the paper calls what a chart of the site shows."""


def test_all_figures_are_there(whole, figures, records):
    """Every chart of the site is there under the paper's name, as PDF, SVG, PNG and CSV, those of
    several comparisons beside them, a sheet for each drawn channel, and the tables; nothing else.
    """
    places = [path.relative_to(whole / "site/charts").with_suffix("")
              for path in (whole / "site/charts").rglob("*.svg")]  # fmt: skip
    charted = {place.parent / CALLED.get(place.name, place.name) for place in places}
    charted |= {
        Path(f"paper/{dataset}-{name}")
        for dataset in ("rasta", "iconart")
        for name in ("linear_cka", "l2_norm")
    }
    for place in charted:
        for kind in (".pdf", ".svg", ".png", ".csv"):
            assert (figures / f"{place}{kind}").is_file(), f"{place}{kind}"
    found = {path.relative_to(figures) for path in figures.rglob("*") if path.is_file()}
    sheets = {path for path in found if path.parts[0] == "maximal_activation_images"}
    shown = sum(len(pair.facts.shown) for pair in records.comparisons.values())
    assert len(sheets) == shown > 0
    others = {path for path in found - sheets if path.with_suffix("") not in charted}
    assert {path.as_posix() for path in others} == {
        "tables/scores.tex", "tables/scores.md", "tables/changes.tex", "tables/changes.md",
        "tables/changes.csv", "tables/causes.tex", "tables/causes.md", "tables/causes.csv",
        "methods.md", "methods.tex",
        *(
            f"contact-sheet-{number + 1}.png"
            for number in range(-(-(len(charted) + len(sheets)) // 30))
        ),
    }  # fmt: skip


def test_curves_of_several_comparisons(figures, records):
    """Each comparison of a dataset is a curve, as its records have it; no distance of the weights
    of networks without a common start.
    """
    for dataset in ("rasta", "iconart"):
        pairs = [pair for pair in records.comparisons.values() if pair.facts.dataset == dataset]
        alike = pd.read_csv(figures / f"paper/{dataset}-linear_cka.csv")
        assert alike["what"].unique().tolist() == [pair.title for pair in pairs]
        for pair in pairs:
            own = alike[alike["what"] == pair.title]
            assert own["value"].tolist() == pytest.approx(pair.layers["cka"].dropna().tolist())
        apart = pd.read_csv(figures / f"paper/{dataset}-l2_norm.csv")
        related = [p.title for p in pairs if records.study.related(p.before, p.after)]
        assert apart["what"].unique().tolist() == related


def test_a_sheet_shows_what_is_shared(whole, records):
    """Images that excite a channel before and after have a frame, on both sides; no other has."""
    pair = next(iter(records.comparisons.values()))
    layer, channel = pair.facts.shown[0]
    rows = pd.read_parquet(whole / f"comparisons/{pair.name}/maximal.parquet")
    rows = rows[(rows["layer"] == layer) & (rows["channel"] == channel)]
    before, after = (set(rows[rows["network"] == side]["image"]) for side in ("before", "after"))
    shared = len(before & after)
    assert 0 < shared < len(before)
    (sheet,) = [
        sheet for place, sheet in paper.sheets(records)
        if place == f"maximal_activation_images/{pair.name}/{layer}-{channel}"
    ]  # fmt: skip
    pixels = np.asarray(sheet).astype(int)
    frames = (np.abs(pixels - [0x12, 0x87, 0x6F]).sum(axis=2) == 0).sum()
    of_one = (paper.TILE + 2 * paper.FRAME) ** 2 - paper.TILE**2
    assert frames == pytest.approx(2 * shared * of_one, rel=0.1)


def test_methods_say_what_was_in_effect(whole, figures, records):
    """Each training has its recipe, each collection its pictures; LaTeX shows hostile names."""
    text, latex = ((figures / name).read_text() for name in ("methods.md", "methods.tex"))
    for network in records.trained:
        if records.route(network.name) == network.name and network.manifest:
            assert escape.markdown(f"{network.name} was trained") in text
            rate = network.facts.recipe["head_lr"]
            assert f"head lr {rate:g}" in text
    for dataset in records.datasets.values():
        tested = (dataset.usable["split"] == "test").sum()
        assert f"{tested} to test on" in text
    assert f"the {records.study.maximal_images} pictures" in text
    assert not re.search(r"(?<!\\)[_%#&]", latex)


def test_a_contact_sheet_shows_every_chart(figures):
    """Each is small on it, with its name."""
    sheets = sorted(figures.glob("contact-sheet-*.png"))
    charts = [path for path in figures.rglob("*.png") if path not in sheets]
    assert len(sheets) == -(-len(charts) // exports.ON_A_SHEET)
    with Image.open(sheets[0]) as sheet:
        shown = min(len(charts), exports.ON_A_SHEET)
        rows = -(-shown // exports.COLUMNS)
        assert sheet.width == exports.COLUMNS * (exports.ROOM[0] + 20)
        assert sheet.height / rows == exports.ROOM[1] + 52
        assert len(np.unique(np.asarray(sheet))) > 30


def test_figures_have_the_width_of_a_column_or_of_both(figures):
    """A figure is 3.5 or 7.16 inches wide: in its PDF as points, in its PNG as 300 dots an inch."""
    widths = set()
    for path in figures.rglob("*.pdf"):
        page = read_pdf(path.read_bytes())
        inches = page.width / 72
        assert inches == pytest.approx(3.5, abs=0.01) or inches == pytest.approx(7.16, abs=0.01)
        widths.add(round(inches, 1))
        with Image.open(path.with_suffix(".png")) as image:
            assert image.width == pytest.approx(300 * inches, abs=2)
            assert image.height == pytest.approx(300 * page.height / 72, abs=2)
            assert image.info["dpi"][0] == pytest.approx(300, abs=0.1)
    assert widths == {3.5, 7.2}


def test_figures_are_on_white_without_serifs(figures):
    """Figures for print are on white, and their letters have no serifs."""
    svg = (figures / f"{COMPARED}/linear_cka.svg").read_text()
    assert 'fill="#ffffff"' in svg
    assert set(re.findall(r'font-family="([^"]+)"', svg)) == {drawing.SANS}


def test_figures_leave_other_files_alone(lean, tmp_path, quick, monkeypatch):
    """What else is in the folder of a manuscript stays, and a failure writes nothing."""
    out = tmp_path / "manuscript"
    out.mkdir()
    (out / "main.tex").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(formats, "png_for_print", lambda _: 1 / 0)
        with pytest.raises(RecordError) as caught:
            exports.figures(lean, out)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert [path.name for path in out.iterdir()] == ["main.tex"]


def test_figures_need_a_folder(lean, tmp_path):
    """A file in the place of the folder is refused before anything is drawn."""
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(RecordError) as caught:
        exports.figures(lean, tmp_path / "taken")
    assert caught.value.slug == "not-a-folder"
    assert (tmp_path / "taken").read_text() == "mine"


# --- one file ----------------------------------------------------------------------------------


def test_the_archive_is_the_site(whole, tmp_path):
    """The ZIP has each file of the site and no other, index.html on top, in order."""
    file = exports.archive(whole / "site", tmp_path / "site.zip")
    with zipfile.ZipFile(file) as packed:
        assert packed.testzip() is None
        names = packed.namelist()
        for name in names:
            assert packed.read(name) == (whole / "site" / name).read_bytes()
            assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._/-]*", name)
            assert ".." not in name
        dates = {info.date_time for info in packed.infolist()}
    files = [path for path in (whole / "site").rglob("*") if path.is_file()]
    assert names == sorted(names, key=Path)
    assert "index.html" in names
    assert len(names) == len(files)
    assert dates == {(1980, 1, 1, 0, 0, 0)}


def test_equal_sites_are_equal_archives(whole, tmp_path):
    """A copy of a site with other dates and modes gives the same bytes."""
    copy = tmp_path / "copy"
    for path in sorted((whole / "site").rglob("*"), reverse=True):
        if path.is_file():
            place = copy / path.relative_to(whole / "site")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
            place.chmod(0o600)
    first = exports.archive(whole / "site", tmp_path / "a.zip").read_bytes()
    assert exports.archive(copy, tmp_path / "b.zip").read_bytes() == first


@pytest.mark.parametrize("place", ["site/site.zip", "site", "."])
def test_an_archive_outside_of_the_site(whole, place):
    """The archive cannot lie in the site that it holds, nor take the place of a folder."""
    before = sorted((whole / "site").iterdir())
    with pytest.raises(RecordError) as caught:
        exports.archive(whole / "site", whole / place)
    assert caught.value.slug == "bad-archive"
    assert sorted((whole / "site").iterdir()) == before


# --- the first page ----------------------------------------------------------------------------


def test_change_stands_on_the_edges(whole):
    """Where a network was compared with its parent, the mean CKA stands at its training."""
    index = read_page(whole / "site/index.html")
    tree = index.text.split('<ul class="tree')[1].split("</section>")[0]
    edges = dict.fromkeys(("fine_tuned", "gentle", "double", "scratch"))
    for name in edges:
        node = tree.split(f'id="network-{name}"')[1].split("</article>")[0]
        found = re.search(r'<a href="([^"]+)">mean CKA ([\d.]+)</a>', node)
        edges[name] = found and found.groups()
    for name, pair in [("fine_tuned", "imagenet--fine_tuned"), ("double", "fine_tuned--double"),
                       ("scratch", "scratch.init--scratch")]:  # fmt: skip
        mean = read_table(whole / f"comparisons/{pair}/layers.parquet")["cka_debiased"].mean()
        assert edges[name] == (f"comparisons/{pair}.html", f"{mean:.3f}")
    assert edges["gentle"] is None


@pytest.mark.usefixtures("quick")
def test_the_edge_falls_back_on_biased_cka(lean):
    """Where a layer has no debiased CKA the edge has the mean of the biased one."""
    path = lean / COMPARED / "layers.parquet"
    rows = read_rows(path, LayerRow)
    write_rows(path, [replace(rows[0], cka_debiased=None), *rows[1:]], LayerRow)
    build(lean)
    mean = np.mean([row.cka for row in rows])
    assert f">mean CKA {mean:.3f}</a>" in (lean / "site/index.html").read_text()


def test_numbers_that_stand_out(whole):
    """Beside each finding stands its number: the best score, the CKA of the layer most changed."""
    index = read_page(whole / "site/index.html")
    found = re.findall(r'stands-out"><span>(.*?)</span> <small>(.*?)</small>', index.text)
    told = [(value.replace("\xa0", " "), aside) for value, aside in found]
    assert told[:2] == [
        ("62.3 %", "fine_tuned, top-1 on rasta"),
        ("57.9 %", "double, mAP on iconart"),
    ]
    layers = read_table(whole / COMPARED / "layers.parquet").set_index("layer")["cka_debiased"]
    assert told[2] == (f"{layers.min():.3f}", f"{layers.idxmin()}, debiased CKA")
    curves = pd.read_csv(csv_at(whole / "site", "overview/changes"))
    own = curves[curves["what"] == "imagenet → fine_tuned"].set_index("layer")["value"]
    assert own.to_dict() == pytest.approx(layers.to_dict())


def test_three_channels_of_three_comparisons(whole):
    """The channels on the first page are the most concentrated of each comparison."""
    index = read_page(whole / "site/index.html")
    part = index.text.split('class="exhibits"')[1].split("</section>")[0]
    links = re.findall(r'<h3><a href="comparisons/(.*?)/(.*?)\.html#(\d+)">', part)
    assert len(links) == 3
    for pair, layer, channel in links:
        shown = read_json(whole / f"comparisons/{pair}/manifest.json")["facts"]["shown"]
        assert [layer, int(channel)] == shown[0]
    assert len({pair for pair, *_ in links}) == 3
