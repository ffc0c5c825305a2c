"""Numbers and names as the report prints them; a round number is printed only for a round value."""

from collections.abc import Iterable
from functools import lru_cache
from math import isnan

from overpaint.defaults import GROUPS
from overpaint.errors import printable, shortened
from overpaint.files import safe_name
from overpaint.records import Score

ABSENT = "–"
"""What stands in the place of a number that is not there."""

BIASED = (
    "The biased value of unrelated features is above 0, and close to 1 where channels are many and "
    "pictures few (0.94 for 4,096 channels and 256 pictures): each picture is wholly like itself "
    "in both networks. The debiased value leaves that out, and is 0 on average for unrelated "
    "features."
)
"""Why there are two values of CKA."""

LONGEST = 2500
"""The letters of a text on a page, above the longest message; its table has it whole."""

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def as_printed(text: str) -> str:
    """A text not longer than `LONGEST`, without signs that would turn the direction of the rest."""
    if text.isascii() and text.isprintable() and len(text) <= LONGEST:
        return text  # as almost all are, and there are a million
    return printable(shortened(text, LONGEST))


def known(value: float) -> float | None:
    """A value of a table, where "not there" is not a number.

    >>> known(0.5), known(float("nan"))
    (0.5, None)
    """
    return None if isnan(value) else float(value)


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals; "1.000" and "0.000" are kept for exactly one and zero.

    >>> number(0.61249), number(1.0), number(0.99999), number(0.0), number(1e-9), number(-0.25)
    ('0.612', '1.000', '>0.999', '0.000', '<0.001', '−0.250')
    >>> number(None)
    '–'
    """
    if value is None:
        return ABSENT
    text = f"{abs(value):.{digits}f}"
    least = 10.0**-digits
    if float(text) == 1 and abs(value) < 1:
        return f"{'<−' if value < 0 else '>'}{1 - least:.{digits}f}"
    if float(text) == 0 and value != 0:
        return f"{'>−' if value < 0 else '<'}{least:.{digits}f}"
    return ("−" if value < 0 else "") + text


def percent(share: float | None) -> str:
    r"""A share as a percentage with one decimal; 100 and 0 only for exactly all and nothing.

    >>> percent(0.6234), percent(1.0), percent(0.99999), percent(0.0), percent(0.0001)
    ('62.3\xa0%', '100\xa0%', '>99.9\xa0%', '0\xa0%', '<0.1\xa0%')
    """
    return ABSENT if share is None else f"{_percentage(share)}\xa0%"


def _percentage(share: float) -> str:
    text = f"{share * 100:.1f}".replace("-", "−")
    if share in (0, 1):
        return str(round(share * 100))
    return {"100.0": ">99.9" if share < 1 else text, "0.0": "<0.1"}.get(text, text)


def interval(low: float | None, high: float | None) -> str:
    """An interval of shares, in percent.

    >>> interval(0.61, 0.636), interval(0.98, 1.0)
    ('61.0–63.6', '98.0–100')
    """
    if low is None or high is None:
        return ABSENT
    return f"{_percentage(low)}–{_percentage(high)}"


def points(share: float) -> str:
    r"""A difference of two shares, without its sign where that is told in words.

    >>> points(0.0214), points(-0.01), points(0.0001)
    ('2.1', '−1.0', '<0.1')
    """
    text = f"{abs(share) * 100:.1f}"
    if text == "0.0" and share != 0:
        return "<0.1" if share > 0 else ">−0.1"
    return ("−" if share < 0 else "") + text


def count(value: float | None) -> str:
    """A whole number with its thousands set apart.

    >>> count(11012)
    '11,012'
    """
    return ABSENT if value is None else f"{int(value):,}"


def counted(value: int, noun: str) -> str:
    """A count with its noun.

    >>> counted(1, "channel"), counted(1200, "channel"), counted(2, "class")
    ('1 channel', '1,200 channels', '2 classes')
    """
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{value:,} {noun if value == 1 else plural}"


def p_value(p: float | None) -> str:
    r"""A probability of the tail, with its sign.

    >>> p_value(0.042), p_value(3.14e-7), p_value(0.0)
    ('p\xa0=\xa00.042', 'p\xa0=\xa03.1\xa0×\xa010⁻⁷', 'p\xa0<\xa010⁻³⁰⁰')
    >>> p_value(1.0), p_value(None)
    ('p\xa0=\xa01.000', 'p\xa0=\xa0–')
    """
    if p is None or p >= 0.001:
        return f"p\xa0=\xa0{number(p)}".replace("=\xa0>", ">\xa0")
    if p < 1e-300:
        return "p\xa0<\xa010⁻³⁰⁰"
    mantissa, exponent = f"{p:.1e}".split("e")
    return f"p\xa0=\xa0{mantissa}\xa0×\xa010{str(int(exponent)).translate(SUPERSCRIPTS)}"


def q_value(q: float | None) -> str:
    r"""A false discovery rate, with its sign; nothing where nothing was tested.

    >>> q_value(0.042), q_value(None)
    ('q\xa0=\xa00.042', '')
    """
    return "" if q is None else p_value(q).replace("p", "q", 1)


def times(ratio: float | None) -> str:
    """A change beside another, as a multiple of it.

    >>> times(3.14), times(0.97), times(2000.0), times(0.01), times(None)
    ('3.1 times', '1.0 times', '2,000 times', '<0.1 times', '–')
    """
    if ratio is None:
        return ABSENT
    if 0.95 <= ratio < 1:  # as round as any other: 1 is no bound here
        return "1.0 times"
    return f"{count(ratio)} times" if ratio >= 100 else f"{number(ratio, 1)} times"


def of_groups(pictures: str, n_groups: float | None) -> str:
    """How many pictures, in words, and of how many groups, where the interval is over groups.

    >>> of_groups("249", None), of_groups("249 pictures", 31)
    ('249', '249 pictures in 31 groups')
    >>> of_groups("30", 6)
    '30 in 6 groups (too few to rely on the interval)'
    """
    if n_groups is None or isnan(n_groups):
        return pictures
    few = " (too few to rely on the interval)" if n_groups < GROUPS else ""
    return f"{pictures} in {counted(int(n_groups), 'group')}{few}"


def of_pictures(score: Score, noun: str = "") -> str:
    """Of how many pictures a score is, and groups; told where they are too few for its interval.

    >>> of_pictures(Score(value=1.0, low=0.4, high=1.0, chance=0.5, n=4), "picture")
    '4 pictures (too few to rely on the interval)'
    >>> of_pictures(Score(value=0.5, low=0.4, high=0.6, chance=0.1, n=249))
    '249'
    """
    pictures = counted(score.n, noun) if noun else count(score.n)
    few = " (too few to rely on the interval)" if score.few and score.n_groups is None else ""
    return f"{of_groups(pictures, score.n_groups)}{few}"


def setting(value: object) -> str:
    """A field of a recipe.

    >>> setting(True), setting(0.01), setting((0.3, 0.3)), setting(None), setting(())
    ('yes', '0.01', '0.3, 0.3', 'none', 'none')
    >>> setting([{"train": "head", "epochs": 5, "head_lr": None}, {"train": "all"}])
    'train head epochs 5, train all'
    >>> setting({"rank": 8, "where": ("qkv",)})
    'rank 8 where qkv'
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{key} {setting(part)}" for key, part in value.items() if part is not None)
    if isinstance(value, tuple | list):
        return ", ".join(map(setting, value)) or "none"
    return "none" if value is None else str(value)


def listed(words: Iterable[str]) -> str:
    """Words in a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    *most, last = list(words) or [ABSENT]
    return f"{', '.join(most)} and {last}" if most else last


slug = lru_cache(2**14)(safe_name)
"""A name that is safe as an address and an anchor, too."""
