r"""A table of a paper, in LaTeX and in Markdown.

>>> grid = Grid(title="Scores", heads=("Network", "top-1"), lines=(("fine_tuned", "62.3"),),
...             note="On 149 pictures.")
>>> print(in_markdown(grid))
**Scores**
<BLANKLINE>
| Network | top-1 |
|---|---:|
| fine\_tuned | 62.3 |
<BLANKLINE>
On 149 pictures.
<BLANKLINE>

A grid is plain text until it is written; what its names could do to LaTeX or Markdown is escaped
there, once.
"""

from dataclasses import dataclass

from overpaint.report.export.escape import markdown, tex


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table of a paper: the first column holds names, the others numbers."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    note: str
    last: tuple[str, ...] = ()  # a line apart, for the level of chance
    left: int = 1  # columns of words


def in_latex(grid: Grid) -> str:
    """A table in LaTeX with the rules of booktabs."""
    columns = "l" * grid.left + "r" * (len(grid.heads) - grid.left)
    last = [r"\midrule", _tex_line(grid.last)] if grid.last else []
    return "\n".join(
        [
            r"% \usepackage{booktabs}; other scripts than Latin need XeLaTeX or LuaLaTeX",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{tex(grid.title)}. {tex(grid.note)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _tex_line(grid.heads),
            r"\midrule",
            *map(_tex_line, grid.lines),
            *last,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _tex_line(cells: tuple[str, ...]) -> str:
    # A line that begins with [ or * would be taken for an argument of the \\ before it.
    return (
        " & ".join(f"{{}}{tex(cell)}" if cell[:1] in ("[", "*") else tex(cell) for cell in cells)
        + r" \\"
    )


def in_markdown(grid: Grid) -> str:
    """A table in Markdown, as GitHub and Pandoc read it."""
    rule = ["---"] * grid.left + ["---:"] * (len(grid.heads) - grid.left)
    lines = [grid.heads, *grid.lines, *([grid.last] if grid.last else [])]
    head, *body = ["| " + " | ".join(map(markdown, line)) + " |" for line in lines]
    table = [head, f"|{'|'.join(rule)}|", *body]
    return "\n".join([f"**{markdown(grid.title)}**", "", *table, "", markdown(grid.note), ""])
