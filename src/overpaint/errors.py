"""The one error that a user meets, and its few causes.

>>> raise StudyError("unknown-parent", "network 'a' names parent 'b'; known: imagenet")
Traceback (most recent call last):
overpaint.errors.StudyError: network 'a' names parent 'b'; known: imagenet
"""

import re
import shlex
import signal
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec

LONGEST = 2000
"""The characters of a message."""

UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Signs that steer a terminal or turn the direction of what follows, and what is no letter: no
terminal takes it, and no XML."""


def printable(text: str) -> str:
    r"""A text whose signs can all be shown: those that cannot are written out.

    >>> print(printable("exe.\u202egnp \x07"))
    exe.\u202egnp \x07
    """
    return UNPRINTABLE.sub(lambda sign: ascii(sign[0])[1:-1], text)


def command(*words: object) -> str:
    """A command as a shell takes it: what holds blanks or other signs of the shell is in quotes.

    >>> command("overpaint", "run", "my pictures")
    "overpaint run 'my pictures'"
    """
    return shlex.join(map(str, words))


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters, with an ellipsis for what is left out.

    >>> shortened("a label of many letters", 12)
    'a label of…'
    """
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


class OverpaintError(Exception):
    r"""A user's mistake, told as what, where, and what would be right.

    `slug` names the paragraph of `docs/messages.md` that explains the message. What it cites of a
    file may be of any length and hold signs that move the cursor: it is made fit to be printed.

    >>> str(OverpaintError("bad-value", "a\x1b[2Jb" + 9000 * "c"))[:8]
    'a\\x1b[2J'
    """

    def __init__(self, slug: str, message: str) -> None:
        if len(message) > LONGEST:  # what would be right stands at its end
            message = f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"
        super().__init__(printable(message))
        self.slug = slug

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """As it was made, for another process."""
        return type(self), (self.slug, str(self))


class StudyError(OverpaintError):
    """The study file asks for something that cannot be."""


class DatasetError(OverpaintError):
    """A collection of pictures is not as its kind promises."""


class NetworkError(OverpaintError):
    """Weights, architecture or layers cannot be had."""


class MeasureError(OverpaintError):
    """A measure was asked of data that it is not defined for."""


class RecordError(OverpaintError):
    """A study folder lacks something or holds something else than it says."""


class MachineError(OverpaintError):
    """The machine refuses: a disk is full, a place forbidden or gone, a limit reached.

    No fault of what was asked for: a run ends with it, and the same command goes on.
    """


class Stopped(BaseException):
    """The user, or the system, asks the program to end: no failure of anything."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


NAMES, LENGTH = 10_000, 300
"""How many names, and of how many letters, a word is compared with: each takes its time."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message: the close matches of a word, or else all that is known.

    >>> nearest("imagnet", ["imagenet", "wikiart"])
    "did you mean 'imagenet'? known: imagenet, wikiart"
    >>> nearest("x", ["imagenet", "wikiart"])
    'known: imagenet, wikiart'
    """
    names = list(known)
    comparable = [name for name in names[:NAMES] if len(name) <= LENGTH]
    close = get_close_matches(word, comparable, n=1) if len(word) <= LENGTH else []
    hint = f"did you mean '{close[0]}'? " if close else ""
    first = ", ".join(shortened(name, 60) for name in names[:30])
    shown = first + (f", … ({len(names)} in all)" if len(names) > 30 else "")
    return f"{hint}known: {shown or 'none'}"


# --- what the plain install leaves out ------------------------------------------------------------

TRAIN = ("torch", "torchvision", "timm", "accelerate", "safetensors", "zarr", "scipy", "sklearn")
"""Modules that only the extra brings: plain `overpaint` reads and reports, the extra does all."""


class MissingExtraError(OverpaintError, ImportError):
    """What was asked for needs libraries that the plain install leaves out."""


def require_train(purpose: str) -> None:
    """Raises MissingExtraError where a library of `overpaint[train]` is not installed.

    It looks for them without importing any, so it costs nothing where all are there.
    """
    missing = [name for name in TRAIN if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            "missing-extra",
            f"{purpose} needs libraries that are not installed ({', '.join(missing)}): "
            "python -m pip install 'overpaint[train]'; reading and reporting do without",
        ) from None
