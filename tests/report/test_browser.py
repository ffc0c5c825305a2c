"""The site in a real browser."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from axe_playwright_python.sync_playwright import Axe
from parsed import channels, collection, read_page, read_script
from playwright.sync_api import expect
from site_walk import DESK, LOAD_IMAGES, PHONE, browsing, listen, walked
from tiny_study import BREAKOUT, HOSTILE, SCRIPT

from overpaint.records import ReceptiveFields, read_json
from overpaint.report.export.one_file import one_file
from overpaint.report.parts.outline import outlines

PAIR = "comparisons/imagenet--fine_tuned"
LAYER = f"{PAIR}/mixed4d.html"
CHANNEL = f"{LAYER}#3"
MAP = f"{PAIR}/map.html"
PICTURE = "pictures/rasta.html#test%2F0011.jpg"
ARTEFACTS = Path(__file__).parents[2] / "artefacts"


@pytest.fixture(scope="module")
def site(whole, tmp_path_factory) -> Path:
    """A copy of the site, alone in another place; not to be changed."""
    place = tmp_path_factory.mktemp("moved away") / "site"
    return shutil.copytree(whole / "site", place).resolve()


@pytest.fixture(scope="module")
def browser():
    with browsing() as found:
        yield found


def whereabouts(url: str) -> str:
    """The file of an address, and the channel that it names."""
    parts = urlparse(url)
    return unquote(parts.path) + (f"#{parts.fragment}" if parts.fragment.isdigit() else "")


class Reader:
    """Somebody who reads a site: where they are, and what went wrong."""

    def __init__(self, browser, site: Path, **manner):
        self.context = browser.new_context(**{"viewport": {"width": DESK, "height": 844}} | manner)
        self.page = self.context.new_page()
        self.page.set_default_timeout(8000)
        self.site, self.faults = site, listen(self.page, site)

    def go(self, place: str) -> None:
        self.page.goto("about:blank")
        self.page.goto((self.site / place).as_uri() if "#" not in place else self.address(place))
        if place.partition("#")[2].isdigit():
            expect(self.page.locator("#facts div").first).to_be_attached()  # its data has come

    def address(self, place: str) -> str:
        path, _, fragment = place.partition("#")
        return f"{(self.site / path).as_uri()}#{fragment}"

    @property
    def at(self) -> str:
        """The page, or the channel on it, from the root of the site."""
        return str(Path(whereabouts(self.page.url)).relative_to(self.site))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def arrives(self, place: str) -> None:
        """The address is there at once; what it says is shown an event later."""
        self.page.wait_for_url(lambda url: whereabouts(url).endswith(place))
        self.page.evaluate("() => new Promise((settled) => setTimeout(settled))")

    def search(self, words: str) -> list[str]:
        """The results for words, typed into the box that `/` opens."""
        self.press("/")
        expect(self.page.locator(".told")).not_to_be_empty()  # the index has come
        self.page.locator("#search-box").fill(words)
        return self.page.locator(".results a > bdi").all_inner_texts()

    def closes(self) -> None:
        """Escape; the browser closes what is open a moment later."""
        self.press("Escape")
        expect(self.page.locator("dialog[open]")).to_have_count(0)

    @property
    def told(self) -> str:
        return self.page.locator(".told").inner_text()

    @property
    def shown(self) -> list[str]:
        """The channels that the page of a layer shows, in their order.

        By their text content: a tile below the fold is not laid out yet, and has no inner text.
        """
        return self.page.locator(".tile:visible").locator("b").all_text_contents()


@pytest.fixture
def reading(browser):
    """Opens readers; nothing may have gone wrong for any of them."""
    readers = []

    def opened(site: Path, **manner) -> Reader:
        readers.append(Reader(browser, site, **manner))
        return readers[-1]

    yield opened
    for each in readers:  # one that stays open takes the focus from the next
        each.context.close()
    assert [fault for each in readers for fault in each.faults] == []


@pytest.fixture
def reader(reading, site) -> Reader:
    return reading(site)


# --- every page --------------------------------------------------------------------------------


def test_the_site_opens_from_disk(browser, site):
    """Every page opens from disk: no message, no request elsewhere, no overflow, all pictures."""
    assert walked(browser, site) == []


def test_the_report_in_one_file_opens_from_disk(browser, whole, tmp_path):
    """So does the report in one file, and all its pictures are in it."""
    one_file(whole, tmp_path / "report.html")
    assert walked(browser, tmp_path.resolve()) == []


def test_the_walk_objects(browser, tmp_path):
    """The walk tells of a script, a missing picture, a request elsewhere, a page too wide."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text(
        '<!doctype html><p style="width: 500px">wide</p><img src="missing.png" alt="">'
        '<img src="file:///etc/hostname" alt=""><script>console.log("hello")</script>'
    )
    faults = "\n".join(walked(browser, site))
    for fault in ("console: hello", "broken image", "asked for file:///etc/hostname", "wide"):
        assert fault in faults


def dangling(site: Path) -> list[str]:
    """Links of a site that lead nowhere, with the page that they stand on."""
    pages = {path.resolve(): read_page(path) for path in site.rglob("*.html")}
    anchors = {path: {named["id"] for _, named in page.tags if "id" in named}
               for path, page in pages.items()}  # fmt: skip
    found = []
    for path, page in pages.items():
        for tag, named in page.tags:
            link = urlparse(named.get("href" if tag in ("a", "link") else "src") or "")
            if link.scheme or not (link.path or link.fragment):
                continue
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            # As browsers look for it: as it stands, then decoded.
            spellings = {link.fragment, unquote(link.fragment)}
            there = bool(spellings & anchors.get(target, set())) or not link.fragment
            if not (target.is_file() and there):
                found.append(f"{path.relative_to(site.resolve())}: {link.geturl()}")
    return found


def test_every_link_and_anchor_resolves(site):
    assert dangling(site) == []


def test_every_link_of_a_channel_resolves(site):
    """So does all that the scripts have: classes, definitions, the channels beside, pictures."""
    anchors = {path: {*read_page(path).ids} for path in site.rglob("*.html")}
    count = 0
    for page in (site / "comparisons").glob("*/*.html"):
        if not page.with_suffix(".js").is_file():
            continue
        place = page.relative_to(site).as_posix()
        data = read_script(page.with_suffix(".js"))
        links = [href for href in data["names"].values() if href]
        links += [end[1] for end in data["beside"] if end]
        pictures = []
        for channel in channels(site, place).values():
            links += [fact[2] for fact in channel.facts.values() if fact[2]]
            pictures += [drawing[0] for drawing in (*channel.drawn, *channel.together) if drawing]
            pictures += [image.src for side in channel.images for image in side if image.src]
        for link in links:
            path, _, anchor = (link if not link.startswith("#") else place + link).partition("#")
            assert not anchor or anchor in anchors[site / path], link
            assert (site / path).is_file(), link
        assert all((site / picture).is_file() for picture in pictures)
        count += len(links) + len(pictures)
    assert count > 1000


def test_a_dangling_link_is_told(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html">b</a><a href="#c">c</a><a href="#d" id="d">')
    assert dangling(tmp_path) == ["a.html: b.html", "a.html: #c"]


KINDS = {
    "overview": "index.html",
    "findings": "findings.html",
    "data": "data.html",
    "method": "method.html",
    "network": "networks/fine_tuned.html",
    "comparison": f"{PAIR}.html",
    "layer": LAYER,
    "channel": CHANNEL,
    "class": f"{PAIR}/classes/name-e3b16e6a.html",
    "map": f"{MAP}#test%2F0011.jpg",
    "pictures": "pictures/rasta.html",
    "picture": PICTURE,
}


def violations(page, *rules: str) -> list[str]:
    """What axe finds that is serious or critical; by all its rules, or some."""
    options = {"preload": False} | ({"runOnly": list(rules)} if rules else {})
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['html'][:120]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_used_by_all(reading, site, scheme):
    """Axe finds nothing serious on a page of each kind, nor in what opens over it."""
    reader = reading(site, color_scheme=scheme)
    rules = ("color-contrast",) if scheme == "dark" else ()  # nothing else differs
    found = []
    for kind, place in KINDS.items():
        reader.go(shown_channel(site) if kind == "channel" else place)
        found += [f"{kind}: {each}" for each in violations(reader.page, *rules)]
    reader.search("mixed4d")
    found += [f"search: {each}" for each in violations(reader.page, *rules)]
    reader.closes()
    reader.press("?")
    found += [f"keys: {each}" for each in violations(reader.page, *rules)]
    assert found == []


def test_axe_objects(reading, tmp_path):
    """Axe is really asked: a picture without words, pale text."""
    (tmp_path / "a.html").write_text(
        '<!doctype html><html lang="en"><title>a</title>'
        '<img src="data:,"><p style="color: #ccc">pale'
    )
    reader = reading(tmp_path.resolve())
    reader.go("a.html")
    told = "\n".join(violations(reader.page))
    assert "image-alt" in told
    assert "color-contrast" in told


# --- search ------------------------------------------------------------------------------------


def test_a_channel_is_found_by_its_name(reader):
    """`/`, the layer and the number, Enter."""
    reader.go("index.html")
    results = reader.search("mixed4d:3")
    assert results == ["mixed4d:3"] * 3  # in each comparison
    reader.press("Enter")
    reader.arrives(CHANNEL)


def test_results_are_walked_through(reader):
    """Arrows go down and up through results, a letter back into the box, Enter opens one."""
    reader.go("data.html")
    results = reader.search("mixed4d")
    assert len(results) == 3
    reader.press("ArrowDown", "ArrowDown", "ArrowUp", "s")
    assert reader.page.locator("#search-box").input_value() == "mixed4ds"
    reader.press("Backspace", "ArrowDown", "ArrowDown")
    chosen = reader.page.evaluate("document.activeElement.href")
    assert chosen == reader.page.locator(".results a").nth(1).evaluate("each => each.href")
    reader.press("Enter")
    reader.page.wait_for_url(chosen)


@pytest.mark.parametrize(
    ("words", "first"),
    [("overv", "Overview"), ("NETWORK single.2", "single.2"), ("浮世", "浮世絵"),
     ("الخط", "الخط العربي"), ("conv2d2  3", "conv2d2:3"), ("fine_t", "fine_tuned")],
)  # fmt: skip
def test_the_best_result_stands_first(reader, words, first):
    reader.go(f"{PAIR}.html")
    assert reader.search(words)[0] == first


def test_every_result_leads_somewhere(reader, site):
    """Results of all kinds, from a page deep in the site."""
    reader.go(CHANNEL)
    kinds = set()
    for words in ("", "class", "mixed 7"):
        assert reader.search(words)
        for link in reader.page.locator(".results a").evaluate_all(
            "all => all.map(each => [each.href, each.querySelector('small').textContent])"
        ):
            kinds.add(link[1].split(" ")[0])
            assert Path(unquote(urlparse(link[0]).path)).is_file()
            assert link[0].startswith(site.as_uri())
        reader.closes()
    assert kinds == {
        *("page", "network", "comparison", "map", "pictures", "layer", "channel", "class")
    }


def test_the_search_keeps_the_focus(reader):
    """Tab stays inside; Escape closes and gives the focus back; the button opens it as well."""
    reader.go(LAYER)
    reader.page.get_by_role("button", name="Search").click()
    assert reader.page.evaluate("document.activeElement.id") == "search-box"
    reader.page.locator("#search-box").fill("overview")
    for _ in range(6):
        reader.press("Tab")
        assert reader.page.evaluate("document.activeElement.matches('body, dialog *')")
    reader.closes()
    assert reader.page.evaluate("document.activeElement.textContent").startswith("Search")


def test_nothing_found_is_said(reader):
    reader.go("index.html")
    assert reader.search("no such thing") == []
    assert reader.told == "Nothing here is called “no such thing”."


def test_hostile_names_are_text(reader):
    """A class that is a script and the name of a picture that breaks out: shown, not run."""
    reader.go("index.html")
    assert SCRIPT in reader.search(SCRIPT)
    reader.closes()
    assert reader.search(BREAKOUT) == []
    assert BREAKOUT in reader.told
    assert not reader.page.locator("dialog img, dialog script").count()
    assert reader.page.evaluate("document.scripts.length") == 2  # this one and the index


def test_hostile_names_in_the_index_are_text(reading, site, tmp_path):
    """An index in which everything is called by hostile names."""
    shutil.copytree(site, tmp_path / "site")
    entries = [
        {"kind": kind, "name": name, "at": "index.html", "of": name}
        | {"channels": [0], "classes": [BREAKOUT]}
        for name in (BREAKOUT, SCRIPT)
        for kind in ("comparison", "layer", "class")
    ]
    (tmp_path / "site/assets/index.js").write_text(
        f"window.OVERPAINT_INDEX = {json.dumps(entries)};"
    )
    reader = reading((tmp_path / "site").resolve())
    reader.go("index.html")
    results = reader.search("alert")
    channel = reader.search("0")
    count = reader.page.locator("dialog img, dialog script").count()
    assert sorted(results) == [BREAKOUT] * 3 + [SCRIPT] * 3
    assert channel == [f"{BREAKOUT}:0", f"{SCRIPT}:0"]
    assert count == 0


def test_the_index_is_loaded_when_it_is_asked_for(reading, site, tmp_path):
    """No page loads it before; without it the search says so."""
    shutil.copytree(site, tmp_path / "site")
    (tmp_path / "site/assets/index.js").unlink()
    reader = reading((tmp_path / "site").resolve())
    reader.go("index.html")
    assert reader.faults == []
    assert reader.search("x") == []
    assert reader.told == "The list of pages, assets/index.js, is missing from this site."
    assert [each for each in reader.faults if "ERR_FILE_NOT_FOUND" not in each] == []
    reader.faults.clear()


# --- keys --------------------------------------------------------------------------------------


def test_arrows_lead_through_the_channels(reader):
    """Right and left, over the end of a layer too; `u` up to the place in the layer, and on."""
    reader.go(f"{PAIR}/mixed4a.html#7")
    reader.press("ArrowRight")
    reader.arrives("mixed4d.html#0")
    reader.press("ArrowRight")
    reader.arrives("mixed4d.html#1")
    reader.press("ArrowLeft")
    reader.arrives("mixed4d.html#0")
    reader.press("u")
    reader.arrives(LAYER)
    assert reader.page.url.endswith("#c0")
    reader.press("ArrowLeft")
    reader.arrives("mixed4a.html")
    reader.press("u")
    reader.arrives(f"{PAIR}.html")
    reader.press("u")
    reader.arrives("index.html")


def test_keys_do_nothing_while_something_else_is_done(reader, site):
    """With a modifier, in a field, in a box that scrolls, behind a dialog, at the last channel."""
    place = shown_channel(site)
    reader.go(place)
    for key in ("Control+ArrowRight", "Alt+u", "Shift+ArrowRight", "x"):
        reader.press(key)
    reader.page.locator("#reveal").focus()
    reader.press("ArrowRight", "u")
    reader.press("Tab")
    reader.press("?", "ArrowRight", "/")
    assert reader.page.locator("dialog[open] h2").all_inner_texts() == ["Keys"]
    reader.closes()
    assert reader.at == place
    reader.go(f"{PAIR}.html")
    reader.page.locator(".scroll").first.focus()
    reader.press("ArrowRight", "ArrowLeft")
    assert reader.at == f"{PAIR}.html"
    reader.go(f"{PAIR}/mixed5b.html#7")
    reader.press("ArrowRight")
    reader.page.wait_for_timeout(100)
    assert reader.at == f"{PAIR}/mixed5b.html#7"


def test_keys_can_be_turned_off(reader):
    """WCAG 2.1.4: keys of one letter can be turned off, and stay so on the next page."""
    reader.go(CHANNEL)
    reader.press("?")
    reader.page.get_by_label("Keys are on").uncheck()
    reader.closes()
    reader.go(LAYER)
    reader.press("/", "?")
    assert not reader.page.locator("dialog[open]").count()
    reader.page.get_by_role("button", name="Keys").click()
    reader.page.get_by_label("Keys are on").check()
    reader.closes()
    reader.press("/")
    assert reader.page.locator("dialog[open] h2").inner_text() == "Search"


# --- the channels of a layer -------------------------------------------------------------------


LAST = f"{PAIR}/mixed5b.html"


def told_of(site: Path, layer: str = LAYER) -> dict[str, dict[str, str]]:
    """What the page of a layer tells a script of each channel."""
    tiles = [named for tag, named in read_page(site / layer).tags
             if tag == "li" and named.get("class") == "tile"]  # fmt: skip
    return {each["data-channel"]: each for each in tiles}


@pytest.mark.parametrize(
    ("order", "sign"),
    [("concentration", -1), ("change", -1), ("overlap", 1), ("entropy-after", 1)],
)
def test_channels_are_sorted(reader, site, order, sign):
    """By what is asked for; those without a value stand last, and none is lost."""
    reader.go(LAYER)
    reader.page.get_by_label("In order of").select_option(order)
    told = told_of(site)
    expected = sorted(
        told,
        key=lambda each: (
            f"data-{order}" not in told[each],
            sign * float(told[each].get(f"data-{order}", 0)),
        ),
    )
    assert reader.shown == expected
    assert reader.shown != sorted(expected, key=int)
    assert reader.page.locator("#shown").inner_text() == "8 of 8 channels shown."


@pytest.mark.parametrize(
    ("label", "value", "belongs"),
    [
        ("Led after by", SCRIPT, lambda each: each.get("data-leading") == SCRIPT),
        ("Led after by", HOSTILE[2], lambda each: each.get("data-leading") == HOSTILE[2]),
        ("Only", "dead", lambda each: "data-dead" in each),
        ("Only", "alive", lambda each: "data-dead" not in each),
        ("Only", "specialised", lambda each: float(each.get("data-q", 1)) <= 0.05),
        (
            "Concentration from",
            "0.2",
            lambda each: float(each.get("data-concentration", -1)) >= 0.2,
        ),
        ("Filter change from", "0.2", lambda each: float(each["data-change"]) >= 0.2),
        ("Overlap to", "0.3", lambda each: float(each["data-overlap"]) <= 0.3),
    ],
)
def test_channels_are_chosen(reader, site, label, value, belongs):
    """Only those that are like that, and how many; a reset shows all again."""
    layer = LAST if value == "specialised" else LAYER
    reader.go(layer)
    field = reader.page.get_by_label(label)
    is_list = field.evaluate("each => each.tagName") == "SELECT"
    (field.select_option if is_list else field.fill)(value)
    told = told_of(site, layer)
    expected = [each for each in told if belongs(told[each])]
    assert 0 < len(expected) < len(told)
    assert reader.shown == expected
    assert reader.page.locator("#shown").inner_text() == f"{len(expected)} of 8 channels shown."
    reader.page.get_by_role("button", name="All channels").click()
    expect(reader.page.locator("#shown")).to_have_text("8 of 8 channels shown.")
    assert reader.shown == list(told)


def test_a_view_can_be_sent(reader, reading, site):
    """What was chosen stands in the address, and another reader sees the same."""
    reader.go(LAYER)
    reader.page.get_by_label("In order of").select_option("concentration")
    reader.page.get_by_label("Led after by").select_option(HOSTILE[3])
    reader.page.get_by_label("Only").select_option("alive")
    other = reading(site)
    other.go("index.html")
    other.page.goto(reader.page.url)
    shown, told = other.shown, other.page.locator("#shown").inner_text()
    other.page.evaluate("location.hash = 'sort=nonsense&state=dead'")
    expect(other.page.locator("#shown")).to_have_text("1 of 8 channels shown.")
    order = other.page.get_by_label("In order of").input_value()
    assert shown == reader.shown
    assert 0 < len(shown) < 8
    assert told == reader.page.locator("#shown").inner_text()
    assert order == ""


def test_the_address_of_a_channel_in_its_layer_stands(reader):
    reader.go(f"{LAYER}#c5")
    expect(reader.page.locator(".tile:target")).to_be_in_viewport()
    assert reader.page.locator(".tile:target b").text_content() == "5"
    assert len(reader.shown) == 8


# --- a channel ---------------------------------------------------------------------------------


def test_a_channel_is_shown_as_its_data_have_it(reader, site):
    """Name, title, sentence, numbers, ranks, pictures by rank, frames on those of both sides."""
    for number, channel in channels(site, LAYER).items():
        reader.go(f"{LAYER}#{number}")
        page = reader.page
        assert page.title() == f"mixed4d:{number} · imagenet → fine_tuned · overpaint"
        assert page.locator("#unit h1").inner_text() == f"mixed4d : {number}"
        assert page.locator("#summary").text_content() == channel.summary
        for where, facts in (("#facts", channel.facts), ("#ranks", channel.ranks)):
            told = page.locator(f"{where} > div").evaluate_all(
                "all => all.map(each => [each.querySelector('dt').textContent,"
                " each.querySelector('dd span').textContent,"
                " each.querySelector('dd small')?.textContent ?? ''])"
            )
            assert told == [[name, *fact[:2]] for name, fact in facts.items()]
        for when, images in zip(("before", "after"), channel.images, strict=True):
            items = page.locator(f"#unit .maximal.{when} .thumbs > li")
            names = items.evaluate_all(
                "all => all.map(each => each.querySelector('.cell').getAttribute('aria-label'))"
            )
            shared = items.evaluate_all("all => all.map(each => each.className === 'shared')")
            both = {image.name for image in channel.images[0]} & {
                image.name for image in channel.images[1]
            }
            assert names == [image.name for image in images]
            assert shared == [image.name in both for image in images]
        assert not page.locator("#layer").is_visible()


SHAPES = """all => all.map(each => [
  each.getAttribute("viewBox"), ...[...each.children].map(path => path.getAttribute("d")),
])"""


def test_what_a_channel_has_seen_is_drawn_by_the_script(reader, site, whole):
    """The script draws over the pictures of a channel what stands over those of a card."""
    manifest = read_json(whole / PAIR / "manifest.json")
    fields = manifest["facts"]["receptive_fields"]
    images = channels(site, LAYER)[3].images
    reader.go(CHANNEL)
    for side, when in enumerate(("before", "after")):
        outline = outlines(ReceptiveFields(**fields[when]))["mixed4d"]
        drawn = reader.page.locator(f"#unit .maximal.{when} .seen").evaluate_all(SHAPES)
        expected = [outline.draw(*image.place, 112, 84) for image in images[side]]
        assert len(drawn) == len(expected) > 5
        for (box, *paths), markup in zip(drawn, expected, strict=True):
            assert f'viewBox="{box}"' in markup
            numbers = [float(part) for path in paths for part in re.findall(r"[\d.]+", path)]
            others = [
                float(part)
                for path in re.findall(r' d="(.*?)"', markup)
                for part in re.findall(r"[\d.]+", path)
            ]
            assert numbers == pytest.approx(others, abs=0.2)


def test_back_and_forward_through_channels(reader):
    """The browser's own way back leads from channel to channel, and to the layer as it was."""
    reader.go(f"{LAYER}#sort=overlap")
    before = reader.shown
    reader.page.locator(".tile:visible > a").first.click()
    first = reader.page.locator("#number")
    expect(first).to_have_text(before[0])
    reader.press("ArrowRight", "ArrowRight")
    expect(first).to_have_text(str(int(before[0]) + 2))
    reader.page.go_back()
    expect(first).to_have_text(str(int(before[0]) + 1))
    reader.page.go_back()
    expect(first).to_have_text(before[0])
    reader.page.go_back()
    expect(reader.page.locator("#unit")).to_be_hidden()
    assert reader.shown == before
    assert reader.page.title() == "mixed4d · imagenet → fine_tuned · overpaint"
    reader.page.go_forward()
    expect(first).to_have_text(before[0])


def test_a_channel_that_is_not_there_is_the_layer(reader):
    reader.go(LAYER)
    reader.page.goto(reader.address(f"{LAYER}#99"))
    assert len(reader.shown) == 8
    assert not reader.page.locator("#unit").is_visible()


def test_an_address_of_an_old_report_is_found(reader):
    """What stood for a channel in a report before this one, put into the search, leads to it."""
    reader.go("index.html")
    assert reader.search(f"{PAIR}/mixed4d/3.html")[0] == "mixed4d:3"
    reader.closes()
    assert reader.search("mixed4d.html#3")[0] == "mixed4d:3"


def test_without_its_data_a_channel_says_so(reading, site, tmp_path):
    """Where the script of a layer is lost, the view says which; the layer still reads."""
    shutil.copytree(site, tmp_path / "site")
    (tmp_path / f"site/{PAIR}/mixed4d.js").unlink()
    reader = reading((tmp_path / "site").resolve())
    reader.page.goto(reader.address(CHANNEL))
    expect(reader.page.locator("#summary")).to_contain_text("mixed4d.js")
    reader.press("u")
    expect(reader.page.locator("#unit")).to_be_hidden()
    assert len(reader.shown) == 8
    assert [each for each in reader.faults if "ERR_FILE_NOT_FOUND" not in each] == []
    reader.faults.clear()


# --- before and after --------------------------------------------------------------------------


def shown_channel(site: Path) -> str:
    """A channel with feature visualisations of both networks."""
    return next(
        f"{PAIR}/{path.name}#{number}"
        for path in sorted((site / PAIR).glob("*.html"))
        if path.with_suffix(".js").is_file()
        for number, channel in channels(site, f"{PAIR}/{path.name}").items()
        if all(channel.drawn)
    )


def hidden(reader) -> str:
    return (
        reader.page.locator(".stage img").nth(1).evaluate("each => getComputedStyle(each).clipPath")
    )


def test_the_slider_reveals(reader, site):
    """By key and by hand: less of the one, more of the other."""
    reader.go(shown_channel(site))
    slider = reader.page.get_by_label("before | after")
    assert hidden(reader).endswith("50%)")
    slider.focus()
    reader.press("ArrowRight", "ArrowRight")
    assert hidden(reader).endswith("52%)")
    assert slider.get_attribute("aria-valuetext") == "52 % before, 48 % after"
    reader.press("End")
    assert hidden(reader).endswith("100%)")
    reader.page.locator(".stage").scroll_into_view_if_needed()
    box = reader.page.locator(".stage").bounding_box()
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
    reader.page.mouse.move(x, y)
    reader.page.mouse.down()
    reader.page.mouse.up()
    assert hidden(reader).endswith("25%)")


def test_what_is_printed(reader, site):
    """On paper the two pictures stand side by side, and nothing that wants a hand."""
    reader.go(shown_channel(site))
    reader.page.emulate_media(media="print")
    left, right = (
        each.bounding_box() for each in reader.page.locator("#slider > .rendering:visible").all()
    )
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    for what in (".tools", ".over-each-other", ".beside"):
        assert not reader.page.locator(f"{what}:visible").count()


# --- without a script, and on a telephone ------------------------------------------------------


def test_without_a_script_everything_reads(reading, site):
    """All channels with their numbers and pictures; nothing that would do nothing.

    The address of a channel leads to it in the list, and a chosen one has a card.
    """
    reader = reading(site, java_script_enabled=False)
    reader.go(LAYER)
    listed = reader.shown
    form = reader.page.locator("#choice").is_visible()
    place = shown_channel(site)
    reader.page.goto(reader.address(place))
    tile = reader.page.locator(".tile:has(> a:target)")
    pictures = tile.locator("img:visible, svg:visible").count()
    numbers = tile.locator("dd").all_inner_texts()
    buttons = reader.page.locator("button:visible, input:visible").count()
    view = reader.page.locator("#unit").is_visible()
    reader.page.locator("[rel=prev]:visible").click()
    reader.go(f"{PAIR}.html")
    cards = reader.page.locator(".card h3 a").evaluate_all("all => all.map(each => each.href)")
    assert listed == [str(number) for number in range(8)]
    assert not form
    assert not view
    assert (pictures, buttons) == (2 + 2 * 3, 0)
    assert len(numbers) == 6
    assert all(numbers)
    assert reader.address(place) in cards


def test_on_a_telephone_all_can_be_touched(reading, site):
    """Search, choice and slider by touch, at 390 pixels."""
    telephone = {"viewport": {"width": PHONE, "height": 844}, "has_touch": True, "is_mobile": True}
    reader = reading(site, **telephone)
    reader.go(LAYER)
    reader.page.get_by_label("Only").select_option("dead")
    shown = reader.shown
    reader.page.get_by_role("button", name="Search").tap()
    reader.page.locator("#search-box").fill("mixed4d 3")
    reader.page.locator(".results a").first.tap()
    reader.arrives(CHANNEL)
    reader.go(shown_channel(site))
    reader.page.locator(".stage").tap(position={"x": 20, "y": 20})
    wide = reader.page.evaluate("document.documentElement.scrollWidth")
    moved = not hidden(reader).endswith("50%)")
    assert shown == ["0"]
    assert wide == PHONE
    assert moved


# --- to be looked at ---------------------------------------------------------------------------


UNFOLD = """() => {
  const folded = document.querySelectorAll("li, .card, .confusion");
  for (const each of folded) each.style.contentVisibility = "visible";
}"""


@pytest.mark.parametrize("script", [True, False])
def test_a_mark_opens_what_it_stands_for(reading, site, script):
    """A point of a chart leads to its channel and a cell to the pictures of its pair, with a script
    or without.
    """
    reader = reading(site, java_script_enabled=script)
    for page, mark in ((f"{PAIR}.html", "#scatter"), ("networks/fine_tuned.html", "#confusion")):
        reader.go(page)
        link = reader.page.locator(f"{mark} svg a").first
        place = link.get_attribute("href")
        link.scroll_into_view_if_needed()
        link.click(force=True)  # what stands on it is a link to the same
        reader.page.wait_for_url(f"**/{place.removeprefix('../')}")


def test_a_channel_begins_with_its_images_and_ends_with_how_to_draw_it(reader, site):
    """Maximal images come first; a channel that was not drawn has no empty frame, and its last line
    says what a study would have to say.
    """
    undrawn = [number for number, row in channels(site, LAYER).items() if not any(row.drawn)]
    reader.go(f"{LAYER}#{undrawn[0]}")
    headings = reader.page.locator("#unit h2:visible").all_inner_texts()
    assert headings == ["Maximal activation images", "In numbers"]
    told = reader.page.locator("#undrawn").inner_text()
    assert told.endswith(f"a study draws it with “render: {{channels: [mixed4d:{undrawn[0]}]}}”.")
    box = reader.page.locator("#undrawn").bounding_box()
    assert box["y"] > reader.page.locator("#ranks").bounding_box()["y"]


@pytest.mark.parametrize("manner", ["1200-light", "390-light", "1200-dark"])
def test_pictures_of_pages_are_kept(reading, site, manner):
    """Seven pages, as they look, in `artefacts/`."""
    width, scheme = manner.split("-")
    viewport = {"width": int(width), "height": 844}
    reader = reading(site, viewport=viewport, color_scheme=scheme)
    ARTEFACTS.mkdir(exist_ok=True)
    for kind in ("overview", "comparison", "layer", "channel", "findings", "map", "picture"):
        reader.go(shown_channel(site) if kind == "channel" else KINDS[kind])
        reader.page.evaluate(UNFOLD)
        reader.page.evaluate(LOAD_IMAGES)
        path = ARTEFACTS / f"{kind}-{manner}.png"
        reader.page.screenshot(path=path, full_page=True)
        assert path.stat().st_size > 10_000


# --- the map of a collection, and a picture ------------------------------------------------------


def tiles(reader: Reader, side: int):
    return reader.page.locator(".plane").nth(side).locator(":scope > a")


def ringed(reader: Reader) -> list[str]:
    """Where the ring is on each plane; "" where there is none."""
    return reader.page.locator(".mark").evaluate_all(
        "all => all.map(each => each.childElementCount ? each.getAttribute('transform') : '')"
    )


def places(reader: Reader, number: int) -> list[str]:
    return [tiles(reader, side).nth(number).get_attribute("transform") for side in (0, 1)]


def test_a_picture_of_the_map_is_found_on_both_planes(reader):
    """Under the pointer or with the focus it is ringed in both, and told below."""
    reader.go(MAP)
    assert ringed(reader) == ["", ""]
    expect(reader.page.locator("#marked")).to_be_hidden()
    tiles(reader, 1).nth(2).dispatch_event("pointerover")
    assert ringed(reader) == places(reader, 2)
    name = tiles(reader, 0).nth(2).get_attribute("aria-label")
    assert reader.page.locator("#marked p").inner_text().split("\n")[0] == name.replace(
        ", ", " ", 1
    )
    tiles(reader, 0).nth(4).focus()
    assert ringed(reader) == places(reader, 4)
    reader.press("Escape")
    assert ringed(reader) == ["", ""]


def test_arrows_lead_over_a_plane(reader):
    """To the nearest picture that way, one stop of the tab key a plane; the page stays."""
    reader.go(MAP)
    assert reader.page.locator(".plane > a[tabindex='0']").count() == 2
    xs = [int(places(reader, number)[0][10:-1].split()[0]) for number in range(6)]
    leftmost = xs.index(min(xs))
    tiles(reader, 0).nth(leftmost).focus()
    visited = [leftmost]
    at = "[...document.querySelectorAll('.plane')[0].children].indexOf(document.activeElement)"
    for _ in range(6):
        reader.press("ArrowRight")
        visited.append(reader.page.evaluate(at))
    along = [xs[number] for number in visited]
    assert along == sorted(along)
    assert along[-1] > along[0]
    assert reader.at == MAP
    reader.press("Enter")
    reader.page.wait_for_url("**/pictures/rasta.html#*")


def test_a_class_that_is_chosen_stands_out(reader, reading, site):
    """The others fade on both planes, and the address says so to another reader."""
    reader.go(MAP)
    value = reader.page.locator("#map-choice option[value^=class-]").first.get_attribute("value")
    reader.page.locator("#map-choice [name=kind]").select_option(value)
    number = reader.page.locator(f"[id='{value}']").get_attribute("data-kind")
    kinds = tiles(reader, 0).evaluate_all("all => all.map(each => each.dataset.kinds)")
    faint = [
        tiles(reader, side).evaluate_all("all => all.map(each => each.matches('.faint'))")
        for side in (0, 1)
    ]
    assert faint == [[kind != number for kind in kinds]] * 2
    assert any(faint[0])
    assert not all(faint[0])
    other = reading(site)
    other.page.goto(reader.page.url)
    assert other.page.locator(".plane .faint").count() == 2 * sum(faint[0])
    reader.page.get_by_role("button", name="All pictures").click()
    expect(reader.page.locator(".plane .faint")).to_have_count(0)


def test_a_finger_marks_first_and_follows_then(reading, site):
    """On a telephone a touch rings the picture, the next one on it opens its page."""
    reader = reading(site, viewport={"width": PHONE, "height": 844}, has_touch=True, is_mobile=True)
    reader.go(MAP)
    reader.page.locator("#planes").evaluate("each => each.scrollIntoView({behavior: 'instant'})")
    tiles(reader, 0).nth(3).locator("rect").tap(force=True)
    marked = ringed(reader)
    assert marked[0]
    assert reader.at == MAP
    number = [places(reader, each) for each in range(6)].index(marked)
    tiles(reader, 0).nth(number).locator("rect").tap(force=True)
    reader.page.wait_for_url("**/pictures/rasta.html#*")


def test_a_larger_plane_scrolls_in_its_place(reading, site):
    """It is as large as asked for, the page is not, and the other plane goes to the picture."""
    reader = reading(site, viewport={"width": PHONE, "height": 844})
    reader.go(MAP)
    wide = "document.querySelector('.plane').clientWidth"
    before = reader.page.evaluate(wide)
    reader.page.get_by_label("Larger").select_option("4")
    assert reader.page.evaluate(wide) == pytest.approx(4 * before, rel=0.02)
    assert reader.page.evaluate("document.documentElement.scrollWidth") == PHONE
    tiles(reader, 0).nth(1).focus()
    assert reader.page.evaluate("""() => {
      const [sight, ring] = [".sight", ".mark circle"].map(
        (name) => document.querySelectorAll(name)[1].getBoundingClientRect());
      const [x, y] = [ring.x + ring.width / 2, ring.y + ring.height / 2];
      return sight.left <= x && x <= sight.right && sight.top <= y && y <= sight.bottom;
    }""")


def test_a_picture_is_shown_as_its_data_have_it(reader, site):
    """Name, title, summary, what networks say, neighbours and channels, for all of them."""
    pictures = list(collection(site).values())
    reader.go("pictures/rasta.html")
    for number, picture in enumerate(pictures):
        reader.page.evaluate(f"location.hash = encodeURIComponent({json.dumps(picture.name)})")
        page = reader.page
        expect(page.locator("#summary")).to_have_text(picture.summary)
        assert page.title() == f"{picture.name} · Pictures of rasta · overpaint"
        assert page.locator("#picture h1").text_content() == picture.name
        assert not page.locator("#pictures").is_visible()
        told = page.locator("#saying tbody tr").evaluate_all(
            "all => all.map(each => [...each.children].map(cell => cell.textContent))"
        )
        assert [line[0] for line in told] == list(picture.said)
        for line, classes in zip(told, picture.said.values(), strict=True):
            for cell, (label, share, right) in zip(line[1:], classes, strict=True):
                assert cell.startswith(f"{label} {share}")
                assert cell.endswith("right") == right
        links = page.locator("#pairs .thumbs a").evaluate_all(
            "all => all.map(each => decodeURIComponent(each.hash.slice(1)))"
        )
        assert links == [name for seen in picture.seen for side in seen.near for name in side]
        channels_told = page.locator("#pairs .excited a").all_text_contents()
        excited = [unit for seen in picture.seen for side in seen.excited for unit in side]
        assert channels_told == [f"{layer}:{channel}" for layer, channel, _ in excited]
        if number == 12:
            break


def test_arrows_lead_through_the_pictures(reader):
    """Right and left; back and forward too; `u` up to the list, at the place of nothing else."""
    reader.go("pictures/rasta.html")
    reader.page.locator("#picture-list a").nth(1).click()
    expect(reader.page.locator("#picture h1")).to_have_text("train/0001.jpg")
    expect(reader.page.locator("#facts div").first).to_be_attached()
    reader.press("ArrowRight")
    expect(reader.page.locator("#picture h1")).to_have_text("train/0002.jpg")
    reader.press("ArrowLeft")
    expect(reader.page.locator("#picture h1")).to_have_text("train/0001.jpg")
    reader.page.go_back()
    expect(reader.page.locator("#picture h1")).to_have_text("train/0002.jpg")
    reader.press("u")
    expect(reader.page.locator("#pictures")).to_be_visible()
    expect(reader.page.locator("#picture")).to_be_hidden()


def test_pictures_are_found_by_words(reader):
    """Of names, classes and what stands with them; how many is said."""
    reader.go("pictures/rasta.html")
    box = reader.page.get_by_label("A name, a class, a group")
    box.fill("test/00")
    visible = reader.page.locator("#picture-list li:visible b")
    assert all("test/00" in name for name in visible.all_text_contents())
    assert visible.count() == 6
    expect(reader.page.locator("#picture-count")).to_have_text("6 of 33 pictures shown.")
    box.fill("alert(1)")
    assert 0 < visible.count() < 33


def test_hostile_pictures_are_text(reader):
    """A picture whose name breaks out has its page, and nothing of it runs."""
    reader.go("pictures/rasta.html")
    reader.page.locator("#picture-list a", has_text=BREAKOUT).click()
    expect(reader.page.locator("#picture h1")).to_have_text(BREAKOUT)
    expect(reader.page.locator("#facts div").first).to_be_attached()
    assert not reader.page.locator("#picture img[onerror], #picture script").count()
    assert reader.page.title().startswith(BREAKOUT)


@pytest.mark.parametrize("place", [MAP, "pictures/rasta.html", PICTURE])
def test_maps_and_pictures_fit_a_telephone(reading, site, place):
    reader = reading(site, viewport={"width": PHONE, "height": 844})
    reader.go(place)
    reader.page.wait_for_timeout(200)
    assert reader.page.evaluate("document.documentElement.scrollWidth") == PHONE


@pytest.mark.parametrize("name", ["mixed4d:3", "mixed4d-3"])
def test_a_channel_by_its_name_leads_to_where_it_is_shown(reader, name):
    """A channel's name behind the address of its comparison is enough; a card's stays a card's."""
    reader.page.goto(f"{(reader.site / PAIR).as_uri()}.html#{name}")
    reader.arrives(CHANNEL)
    card = reader.page.locator("article.card")
    reader.page.goto(f"{(reader.site / PAIR).as_uri()}.html")
    reader.page.goto(f"{(reader.site / PAIR).as_uri()}.html#{card.first.get_attribute('id')}")
    expect(card.first).to_be_in_viewport()
    assert reader.at == f"{PAIR}.html"


def test_a_thumbnail_leads_to_its_picture(reader):
    """From a channel's maximal images, drawn by the script, to the page of one of them."""
    reader.go(CHANNEL)
    link = reader.page.locator("#unit .maximal .thumbs a").first
    name = link.locator(".cell").get_attribute("aria-label")
    link.click()
    expect(reader.page.locator("#picture h1")).to_have_text(name)


def test_pictures_read_without_a_script(reading, site):
    """The list has every picture and what networks say; an address leads to its place."""
    reader = reading(site, java_script_enabled=False)
    reader.page.goto((site / "pictures/rasta.html").as_uri() + "#test%2F0011.jpg")
    tile = reader.page.locator(".tile:target")
    assert "test/0011.jpg" in tile.inner_text()
    assert "networks name it rightly" in tile.inner_text()
    assert reader.page.locator("#picture").is_hidden()
    reader.page.goto((site / MAP).as_uri())
    assert tiles(reader, 1).count() == 6
    assert reader.page.locator("#map-choice").is_hidden()
