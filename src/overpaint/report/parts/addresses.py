"""The addresses of the pages, stable: they can be sent to somebody who has the same study.

What stands in angle brackets is a name; one that is no safe file name is replaced by its letters
and eight digits of its digest.
"""

from functools import lru_cache
from urllib.parse import quote

from overpaint.report.parts.text import as_printed, slug

OVERVIEW = "index.html"
FINDINGS = "findings.html"
DATA = "data.html"
METHOD = "method.html"
NETWORK = "networks/<network>.html"
COMPARISON = "comparisons/<before>--<after>.html"
LAYER = "comparisons/<before>--<after>/<layer>.html"
CHANNEL = "comparisons/<before>--<after>/<layer>.html#<channel>"
CLASS = "comparisons/<before>--<after>/classes/<class>.html"
MAP = "comparisons/<before>--<after>/map.html"
PICTURES = "pictures/<dataset>.html"

NO_LAYER = ("classes", "map")
"""What lies beside the pages of layers and is called otherwise."""


def address(pattern: str, names: dict[str, str]) -> str:
    """The address of a page by the names of what it shows.

    >>> address(LAYER, {"before": "a", "after": "b", "layer": "mixed4d"})
    'comparisons/a--b/mixed4d.html'

    A layer that is called as the folder of the classes' pages, or as the map, has another one.

    >>> address(CHANNEL, {"before": "a", "after": "b", "layer": "classes", "channel": "3"})
    'comparisons/a--b/layer-classes-d40c85f4.html#3'
    """
    return _address(pattern, tuple(names.items()))


@lru_cache(2**14)  # each channel has ten facts, of which many lead to the same
def _address(pattern: str, names: tuple[tuple[str, str], ...]) -> str:
    for kind, name in names:
        is_taken = kind == "layer" and name.lower() in NO_LAYER
        pattern = pattern.replace(f"<{kind}>", slug(f"layer {name}" if is_taken else name))
    return pattern


def network_page(name: str, anchor: str = "") -> str:
    """The address of the page of a trained network, or of an anchor on it.

    >>> network_page("double.2", "classes")
    'networks/double.2.html#classes'
    """
    return f"{address(NETWORK, {'network': name})}{'#' if anchor else ''}{anchor}"


def picture_page(dataset: str, image: str) -> str:
    """The address of a picture on the page of its dataset.

    >>> picture_page("rasta", "test/a b.jpg")
    'pictures/rasta.html#test%2Fa%20b.jpg'
    """
    return f"{address(PICTURES, {'dataset': dataset})}#{picture_anchor(image)}"


def picture_anchor(image: str) -> str:
    """The anchor of a picture, which a script makes of its name by `encodeURIComponent`.

    >>> picture_anchor("'><b>.jpg")
    "'%3E%3Cb%3E.jpg"
    """
    return quote(as_printed(image), safe="!*'()")
