"""Where pictures come from and by what rights they are shown, as the table of a dataset says."""

import re

import pandas as pd

from overpaint.report.parts.rows import Origin

ADDRESS = re.compile(r"https?://[^\s/]\S{0,999}", re.IGNORECASE)
"""What becomes a link; nothing else does, for a table may hold `javascript:` and worse."""

LONGEST = 160
"""The characters of a text that stands with each of many pictures; the data page has it whole."""

LICENCES = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/(licenses|publicdomain)/([a-z+-]+)(?:/(\d[\d.]*))?"
    r"(?:/\S*[^\s;,.])?/?",
    re.IGNORECASE,
)
STATEMENTS = re.compile(
    r"https?://(?:www\.)?rightsstatements\.org/(?:vocab|page)/([A-Z]+(?:-[A-Z]+)*)(?:/[\d.]*\d)?/?",
    re.IGNORECASE,
)
IN_WORDS = {
    "inc": "in copyright",
    "inc-ow-eu": "in copyright, an EU orphan work",
    "inc-edu": "in copyright, educational use permitted",
    "inc-nc": "in copyright, non-commercial use permitted",
    "inc-ruu": "in copyright, rights-holders unlocatable or unidentifiable",
    "noc-cr": "no copyright, contractual restrictions",
    "noc-nc": "no copyright, non-commercial use only",
    "noc-oklr": "no copyright, other known legal restrictions",
    "noc-us": "no copyright, United States",
    "cne": "copyright not evaluated",
    "und": "copyright undetermined",
    "nkc": "no known copyright",
}
"""The statements of rightsstatements.org, which IIIF manifests give by their addresses."""


def origins(images: pd.DataFrame) -> dict[str, Origin]:
    """The origins of those pictures of a dataset of which something is said, by picture."""
    columns = images[["image", "source", "rights"]]
    telling = columns[(columns["source"] != "") | (columns["rights"] != "")]
    return {
        image: origin(source, rights)
        for image, source, rights in telling.itertuples(index=False, name=None)
    }


def origin(source: str, rights: str) -> Origin:
    """What a table says of a picture, fit for a page.

    >>> origin("https://museum.org/7", "http://creativecommons.org/licenses/by-sa/4.0/")
    Origin(href='https://museum.org/7', remark='Rights: CC BY-SA 4.0')
    >>> origin("javascript:alert(1)", "")
    Origin(href=None, remark='Source: javascript:alert(1)')
    """
    leads = ADDRESS.fullmatch(source) is not None
    remarks = {"Source": "" if leads else short(source), "Rights": short(in_words(rights))}
    return Origin(
        href=source if leads else None,
        remark=". ".join(f"{name}: {text}" for name, text in remarks.items() if text),
    )


def in_words(rights: str) -> str:
    """Rights with the addresses of usual licences and statements in words.

    >>> in_words("https://creativecommons.org/publicdomain/zero/1.0/; Photograph: A. Moon")
    'CC0 1.0; Photograph: A. Moon'
    >>> in_words("http://rightsstatements.org/vocab/NoC-US/1.0/")
    'no copyright, United States'
    """

    def licence(match: re.Match[str]) -> str:
        kind, name, version = match.groups(default="")
        if kind.lower() == "licenses":
            return f"CC {name.upper()} {version}".rstrip()
        return f"CC0 {version}".rstrip() if name.lower() == "zero" else "public domain"

    def statement(match: re.Match[str]) -> str:
        return IN_WORDS.get(match[1].lower(), match[0])

    return STATEMENTS.sub(statement, LICENCES.sub(licence, rights))


def short(text: str) -> str:
    """A text on one line and not too long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1].rstrip()}…"
