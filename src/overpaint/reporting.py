"""Reports from Python: of a study folder, or of a comparison that was made there; what `op.report`
is. Torch is needed for the latter only.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from overpaint.report import build

if TYPE_CHECKING:
    from overpaint.comparison import Comparison


@overload
def report(of: Path | str) -> Path: ...


@overload
def report(
    of: "Comparison",
    folder: Path | str,
    *,
    names: tuple[str, str] = ("before", "after"),
    render: Mapping[str, Any] | None = None,
) -> Path: ...


def report(
    of: "Path | str | Comparison",
    folder: Path | str | None = None,
    *,
    names: tuple[str, str] = ("before", "after"),
    render: Mapping[str, Any] | None = None,
) -> Path:
    """Write a report; returns its first page.

    >>> report("runs/styles")                                          # doctest: +SKIP
    >>> change = op.compare(before, after, images)                     # doctest: +SKIP
    >>> report(change, "runs/mine", names=("pretrained", "tuned"))     # doctest: +SKIP

    Of a study folder, its site is brought up to date. Of a comparison, a study folder is written
    for it: its tables, small copies of the maximal images, the report; the weights are not.
    `names` are those of the two networks there. `render`: which channels are drawn for it, and how,
    as below `render` in a study file, `{"layers": ["block3"], "channels": "most_changed(4)"}`; the
    networks must be then what they were when they were compared. Raises RecordError for a folder
    that holds something else.
    """
    if isinstance(of, str | Path):
        return build(Path(of))
    from overpaint.run.from_python import write_report

    if folder is None:
        raise TypeError("the report of a comparison needs a folder: report(change, FOLDER)")
    return write_report(of, Path(folder), names=names, render=render)
