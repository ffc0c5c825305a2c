r"""Text for a paper: as LaTeX and Markdown show it as it is.

>>> tex("fine_tuned → 50 %"), markdown("fine_tuned")
('fine\\_tuned $\\to$ 50 \\%', 'fine\\_tuned')
"""

import re

from overpaint.errors import printable

_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': r"\textquotedbl{}",
    "→": r"$\to$",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": "--",
    "\xa0": "~",
    "\u202f": r"\,",
}


def tex(text: str) -> str:
    r"""Text as LaTeX shows it as it is; what a command or a comment would begin is escaped.

    >>> tex(r"\input{secret} $x_1$ & 5 %")
    '\\textbackslash{}input\\{secret\\} \\$x\\_1\\$ \\& 5 \\%'

    Letters of other scripts stay letters: XeLaTeX and LuaLaTeX set them with a font that has them.
    """
    return "".join(_TEX.get(letter, letter) for letter in _one_line(text))


def markdown(text: str) -> str:
    r"""Text as Markdown shows it as it is, also in a table.

    >>> markdown("a|b <i> *c*")
    'a\\|b \\<i\\> \\*c\\*'
    """
    return re.sub(r"([\\`*_\[\]<>|&~$#!])", r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return printable(
        "".join(
            " " if letter < " " or letter in "\x7f\x85\u2028\u2029" else letter for letter in text
        )
    )
