"""Features about their mean, in float64 and read in slices, as all of similarity wants them.

>>> x = Centred.of(np.array([[1.0, 5.0], [3.0, 5.0]]))
>>> x[:, :]
array([[-0.5,  0. ],
       [ 0.5,  0. ]])
>>> x.gram
array([[ 0.25, -0.25],
       [-0.25,  0.25]])
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from overpaint.errors import MeasureError

Array = NDArray[np.float64]

SLICE = 2**24
"""Numbers that are in memory at once of features that lie on disk: 128 MB in float64."""

CHUNK = 256
"""Rows of a chunk of stored features, or a multiple of that number."""

CACHED = 2**16
"""Numbers that go through several steps one after another while the processor's cache has them."""

GRAM = 2**25
"""Numbers of a Gram matrix that are in memory at once: 256 MB, all of it for 5,792 images."""


class Table(Protocol):
    """Features [N, p] that can be read in slices: NumPy's arrays, and Zarr's on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, p)."""

    def __getitem__(self, key: Any, /) -> Any:
        """Some rows and columns."""


def rows_at(table: Table, rows: NDArray[np.intp]) -> NDArray[Any]:
    """Some rows, in ascending order [r, p]; the table is looked at once, in slices.

    >>> rows_at(np.arange(6).reshape(3, 2), np.array([0, 2]))
    array([[0, 1],
           [4, 5]])
    """
    parts = []
    for slice_ in steps(table.shape[0], row_step(table.shape[1])):
        chosen = rows[slice(*np.searchsorted(rows, [slice_.start, slice_.stop]))] - slice_.start
        if len(chosen):
            parts.append(np.asarray(table[slice_, :])[chosen])
    return np.concatenate(parts)


def numbers_at(table: Table, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Any]:
    """The numbers at these places, in their order; the table is looked at once, in slices.

    >>> numbers_at(np.arange(6).reshape(3, 2), np.array([2, 0]), np.array([1, 0]))
    array([5, 0])
    """
    order = np.argsort(rows, kind="stable")
    ordered, numbers = rows[order], []
    for slice_ in steps(table.shape[0], row_step(table.shape[1])):
        first, stop = np.searchsorted(ordered, [slice_.start, slice_.stop])
        chosen = order[first:stop]
        if len(chosen):
            part = np.asarray(table[slice_, :])
            numbers.append(part[rows[chosen] - slice_.start, columns[chosen]])
    values = np.concatenate(numbers) if numbers else np.empty(0, int)
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return values[places]


@dataclass(frozen=True, eq=False)
class Centred:
    """Features [N, p] about their mean, divided by their largest deviation from the first row.

    Similarities do not know offset and scale; an offset costs nothing that the features had not
    already lost, and fourth powers of very large or small numbers stay in float64.
    """

    table: Table
    first: Array  # [p]
    largest: float
    mean: Array  # [p], of what is left without `first`, divided by `largest`

    @classmethod
    def of(
        cls,
        table: Table,
        which: str = "the",
        also: Callable[[slice, NDArray[Any]], None] | None = None,
    ) -> "Centred":
        """Look at each number once; `which` features they are is said in errors. `also` is given
        the rows that were read, as long as all are numbers; of wide features it is given none.

        Raises MeasureError: `not-a-table`, `too-few-images` (fewer than 2), `not-finite`,
        `constant-features` (no image differs from the others).
        """
        if len(table.shape) != 2:
            raise MeasureError(
                "not-a-table",
                f"features are [images, channels]; {which} have the shape {table.shape}",
            )
        if table.shape[0] < 2:
            raise MeasureError("too-few-images", f"needs at least 2 images; got {table.shape[0]}")
        # The first row goes before the mean: differences of neighbouring numbers are exact,
        # whereas the mean of large numbers is rounded. A constant channel becomes exactly 0.
        first = np.array(table[0, :], np.float64)
        largest, total = 0.0, np.zeros(len(first))
        for rows, columns in _slices(table):
            read = np.asarray(table[rows, columns])
            check_finite(read, which, rows.start or 0)
            if also and rows.stop is not None:
                also(rows, read)
            part = read.astype(np.float64)
            part -= first[columns]
            largest = max(largest, float(np.abs(part).max(initial=0.0)))
            total[columns] += part.sum(axis=0)
        if largest == 0:
            raise MeasureError("constant-features", f"{which} features are the same for all images")
        return cls(table, first, largest, total / largest / table.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, p)."""
        return self.table.shape

    def __len__(self) -> int:
        return self.table.shape[0]

    @property
    def width(self) -> int:
        """The number of columns, p."""
        return self.table.shape[1]

    @property
    def wide(self) -> bool:
        """Whether there are more columns than images, so that K = x xᵀ is the smaller matrix."""
        return self.width > len(self)

    def __getitem__(self, key: tuple[slice, slice]) -> Array:
        rows, columns = key
        return self.about_mean(np.asarray(self.table[rows, columns]), columns)

    def about_mean(
        self, part: NDArray[Any], columns: slice = slice(None), out: Array | None = None
    ) -> Array:
        """What was read of the table, some rows of these columns, as `[]` would give it."""
        centred = np.empty(part.shape) if out is None else out
        first, mean = self.first[columns], self.mean[columns]
        for rows in steps(len(part), max(CACHED // max(part.shape[1], 1), 1)):
            np.subtract(part[rows], first, out=centred[rows], dtype=np.float64)
            centred[rows] /= self.largest
            centred[rows] -= mean
        return centred

    def by_rows(self, step: int = 0) -> Iterator[tuple[slice, Array]]:
        """All columns, some rows at a time; for features that are not wide."""
        for rows in steps(len(self), step or row_step(self.width)):
            yield rows, self[rows, slice(None)]

    def by_columns(self) -> Iterator[Array]:
        """All rows, some columns at a time; for wide features."""
        for columns in _column_steps(self.table):
            yield self[slice(None), columns]

    def equals(self, other: "Centred") -> bool:
        """Whether these are bit for bit the same features, but for offset and scale."""
        return (
            self.table.shape == other.table.shape
            and np.array_equal(self.mean, other.mean)
            and all(np.array_equal(self[key], other[key]) for key in _slices(self.table))
        )

    def gram_rows(self, rows: slice | NDArray[np.intp]) -> Array:
        """Some rows of K = x xᵀ, [r, N]; those of a list in ascending order."""
        if not self.wide and isinstance(rows, slice) and rows in (slice(None), slice(0, len(self))):
            table = np.concatenate([part for _, part in self.by_rows()])
            return np.asarray(table @ table.T)
        if not self.wide:
            first = self[rows, slice(None)] if isinstance(rows, slice) else rows_at(self, rows)
            return np.hstack([first @ part.T for _, part in self.by_rows()])
        total = np.zeros((len(np.arange(len(self))[rows]), len(self)))
        whole = len(total) == len(self)
        for part in self.by_columns():
            total += (part if whole else part[rows]) @ part.T  # the whole as x xᵀ: half the work
        return total

    @cached_property
    def gram(self) -> Array:
        """All of K = x xᵀ, kept for the next who asks."""
        return self.gram_rows(slice(None))

    def by_gram_rows(self) -> Iterator[tuple[slice, Array]]:
        """K = x xᵀ, some rows at a time where it would not fit in memory."""
        for rows in steps(len(self), gram_step(len(self))):
            whole = rows == slice(0, len(self))
            yield rows, self.gram if whole else self.gram_rows(rows)

    def set_sizes(self, sizes: Array) -> None:
        """Keep `sizes` that came out of another look."""
        vars(self)["sizes"] = sizes

    def keep_rows(self, numbers: NDArray[np.intp], rows: Array) -> None:
        """Keep some rows that came out of another look, for who asks for them by `rows`."""
        vars(self)["kept"] = numbers, rows

    def rows(self, numbers: NDArray[np.intp]) -> Array:
        """Some rows, in ascending order [r, p], those kept or in a look of their own."""
        numbers_kept, rows = vars(self).get("kept", (None, None))
        return rows if np.array_equal(numbers, numbers_kept) else rows_at(self, numbers)

    def forget(self) -> None:
        """Let go of `gram` and of rows: those of a few thousand images are large, and layers are
        many.
        """
        vars(self).pop("gram", None)
        vars(self).pop("kept", None)

    @cached_property
    def sizes(self) -> Array:
        """The square of each image's distance from the mean [N], the diagonal of K."""
        if self.wide:
            return np.asarray(sum(np.einsum("ij,ij->i", part, part) for part in self.by_columns()))
        return np.concatenate([np.einsum("ij,ij->i", part, part) for _, part in self.by_rows()])


def centred_both(x: Table | Centred, y: Table | Centred) -> tuple[Centred, Centred]:
    """Two tables of features of the same images, centred; errors as of `linear_cka`."""
    for table in (x, y):
        if not isinstance(table, Centred) and len(table.shape) != 2:
            shapes = f"{x.shape} and {y.shape}"
            raise MeasureError("not-a-table", f"needs features [images, channels]; got {shapes}")
    check_same_images(x.shape[0], y.shape[0])
    return (
        x if isinstance(x, Centred) else Centred.of(x, "first"),
        y if isinstance(y, Centred) else Centred.of(y, "second"),
    )


def centred_if_possible(
    table: Table, which: str, also: Callable[[slice, NDArray[Any]], None] | None = None
) -> Table | Centred:
    """Centred once for all measures; the table itself where that cannot be, and each measure will
    say why.
    """
    try:
        return Centred.of(table, which, also)
    except MeasureError:
        return table


def check_same_images(n: int, m: int) -> None:
    """Raises MeasureError `images-differ`."""
    if n != m:
        raise MeasureError("images-differ", f"needs the same images twice; got {n} and {m} rows")


def check_finite(part: NDArray[Any], which: str, first_row: int = 0) -> None:
    """Raises MeasureError `not-finite`, with the first row of it."""
    finite = np.isfinite(part).all(axis=1)
    if not finite.all():
        row = first_row + int(np.argmin(finite))
        raise MeasureError(
            "not-finite", f"{which} features hold NaN or infinity, first in row {row}"
        )


def _slices(table: Table) -> Iterator[tuple[slice, slice]]:
    n, p = table.shape
    if p > n:
        yield from ((slice(None), columns) for columns in _column_steps(table))
    else:
        yield from ((rows, slice(None)) for rows in steps(n, row_step(max(p, 1))))


def _column_steps(table: Table) -> Iterator[slice]:
    """Slices of columns, of whole chunks where the chunks allow."""
    n, p = table.shape
    step = max(SLICE // n, 1)
    chunk = getattr(table, "chunks", (n, 1))[1]
    return steps(p, step // chunk * chunk or step)


def row_step(*widths: int) -> int:
    """How many rows of tables of these widths may be in memory at once: whole chunks of stored
    features, so that none is decoded for two slices.

    >>> row_step(1024), row_step(832), row_step(10**6)
    (16384, 19968, 16)
    """
    step = max(SLICE // sum(widths), 1)
    return step // CHUNK * CHUNK or step


def gram_step(n: int, layers: int = 1) -> int:
    """How many rows of the Gram matrices of so many layers may be in memory at once.

    >>> gram_step(1000), gram_step(8201, layers=24)
    (1000, 170)
    """
    return min(max(GRAM // (n * layers), 1), n)


T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same, each made by a thread while the one before it is at work: what reads and what
    multiplies have a core each.

    >>> list(ahead(iter("abc")))
    ['a', 'b', 'c']

    No more than two are there at once; an error comes where the item would have come.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def steps(count: int, step: int) -> Iterator[slice]:
    """Neighbouring slices of all that there is.

    >>> list(steps(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return (slice(start, min(start + step, count)) for start in range(0, count, step))
