"""docs/cka-conformance.json: small cases of linear CKA with their values, for anybody's program.

The values come from the definitions alone, in whole numbers and fractions, and share no code with
overpaint: no NumPy, no floating point but for the root at the end, which is taken to 50 digits. Features
are whole numbers, or halves and the like, so that float32 holds them exactly. `make docs` writes the
file, a test compares it.
"""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import permutations
from pathlib import Path

FILE = Path(__file__).parents[2] / "docs" / "cka-conformance.json"

Table = list[list[Fraction]]
Hsic = Callable[[Table, Table], Fraction]


def numbers(seed: int) -> Iterator[int]:
    """Whole numbers from -9 to 9, the same in every language: a linear congruence modulo 2^31."""
    state = seed
    while True:
        state = (1103515245 * state + 12345) % 2**31
        yield (state >> 16) % 19 - 9


def table(seed: int, rows: int, columns: int) -> Table:
    """A table of such numbers."""
    source = numbers(seed)
    return [[Fraction(next(source)) for _ in range(columns)] for _ in range(rows)]


def gram(x: Table) -> Table:
    """The inner products of all rows."""
    return [[sum((a * b for a, b in zip(u, v, strict=True)), Fraction(0)) for v in x] for u in x]


def biased(k: Table, g: Table) -> Fraction:
    """tr(K H G H), H the centring matrix: the HSIC of Gretton et al. 2005 times (N − 1)²."""
    n = len(k)
    centred = []
    for matrix in (k, g):
        rows = [sum(row, Fraction(0)) / n for row in matrix]
        whole = sum(rows, Fraction(0)) / n
        centred.append(
            [[matrix[i][j] - rows[i] - rows[j] + whole for j in range(n)] for i in range(n)]
        )
    a, b = centred
    return sum((a[i][j] * b[i][j] for i in range(n) for j in range(n)), Fraction(0))


def unbiased(k: Table, g: Table) -> Fraction:
    """The U-statistic of Song et al. 2012: the mean over all ordered fours of different rows."""
    total, count = Fraction(0), 0
    for i, j, q, r in permutations(range(len(k)), 4):
        total += k[i][j] * (g[i][j] + g[q][r] - 2 * g[i][q])
        count += 1
    return total / count


def not_centred(k: Table, g: Table) -> Fraction:
    """What comes out when centring is forgotten."""
    return sum((a * b for u, v in zip(k, g, strict=True) for a, b in zip(u, v, strict=True)),
               Fraction(0))  # fmt: skip


def cka(x: Table, y: Table, hsic: Hsic) -> Decimal | None:
    """HSIC(x, y) / √(HSIC(x, x) HSIC(y, y)) to 30 digits; None where that is 0/0 or has no root."""
    k, g = gram(x), gram(y)
    if hsic is unbiased and len(x) < 4:
        return None
    size = hsic(k, k) * hsic(g, g)
    if size <= 0:
        return None
    with localcontext() as context:
        context.prec = 50
        share = hsic(k, g)
        root = (Decimal(size.numerator) / Decimal(size.denominator)).sqrt()
        value = Decimal(share.numerator) / Decimal(share.denominator) / root
        context.prec = 30
        return +value


def both(x: Table, y: Table) -> dict[str, Decimal | None]:
    """The two values of a case."""
    return {"biased": cka(x, y, biased), "debiased": cka(x, y, unbiased)}


def mean(values: list[Decimal | None]) -> Decimal | None:
    """The plain mean; None where any is missing."""
    if any(value is None for value in values):
        return None
    return sum((value for value in values if value is not None), Decimal(0)) / len(values)


def hsic_of_batches(x: Table, y: Table, size: int) -> Decimal | None:
    """CKA of the sums of unbiased HSIC over batches: an estimate, and not CKA of all rows."""
    parts = [slice(start, start + size) for start in range(0, len(x), size)]
    xy, xx, yy = (
        sum((unbiased(gram(a[part]), gram(b[part])) for part in parts), Fraction(0))
        for a, b in ((x, y), (x, x), (y, y))
    )
    if xx * yy <= 0:
        return None
    with localcontext() as context:
        context.prec = 50
        root = (Decimal((xx * yy).numerator) / Decimal((xx * yy).denominator)).sqrt()
        value = Decimal(xy.numerator) / Decimal(xy.denominator) / root
        context.prec = 30
        return +value


def cases() -> list[dict[str, object]]:
    """Every case: what it tries, features, values, and what some mistakes would give instead."""
    x, noise = table(1, 12, 3), table(2, 12, 4)
    y = [
        [Fraction(sum(u)), u[0] - u[1], 2 * u[2], Fraction(0)] for u in x
    ]
    y = [[a + b for a, b in zip(u, v, strict=True)] for u, v in zip(y, noise, strict=True)]
    plain = both(x, y)
    turned = [[3 * -u[2] + 5, 3 * u[0] + 5, 3 * u[1] + 5] for u in x]
    far = [[value + 4096 for value in u] for u in x]
    far_y = [[value + 4096 for value in u] for u in y]
    small = [[value / 1024 for value in u] for u in x]
    dead = [[u[0], Fraction(0), u[1], Fraction(-7), u[2]] for u in x]
    negative = [[u[0], u[1] - 64, u[2]] for u in x]
    wide_x, wide_y = table(3, 8, 40), table(4, 8, 40)
    long_x, long_y = table(5, 14, 3), table(6, 14, 3)
    long_y = [[a + b for a, b in zip(u, v, strict=True)] for u, v in zip(long_x, long_y, strict=True)]
    outlier_x, outlier_y = table(7, 12, 3), table(8, 12, 3)
    outlier_x[0], outlier_y[0] = [Fraction(64)] * 3, [Fraction(64)] * 3
    apart_x, apart_y = table(9, 6, 2), table(23, 6, 2)
    maps = [[table(100 + 10 * i + c, 2, 2) for c in range(3)] for i in range(8)]
    other = [
        [[[value + Fraction(next(source)) for value in row] for row in channel] for channel in image]
        for source, image in zip(map(numbers, range(200, 208)), maps, strict=True)
    ]
    means, other_means = ([[Fraction(sum(map(sum, c))) / 4 for c in i] for i in m] for m in (maps, other))
    flat, other_flat = ([[v for c in i for row in c for v in row] for i in m] for m in (maps, other))
    places, other_places = (
        [[c[a][b] for c in i] for i in m for a in range(2) for b in range(2)] for m in (maps, other)
    )
    batches = [slice(start, start + 4) for start in range(0, 14, 4)]
    return [
        {"name": "plain", "about": "12 pictures, 3 and 4 channels that are related", "x": x, "y": y, **plain,
         "instead": {"features are not centred": cka(x, y, not_centred),
                     "the pictures of y come in reversed order": both(x, y[::-1])["biased"]}},
        {"name": "itself", "about": "the same features twice: exactly 1", "x": x, "y": x, **both(x, x)},
        {"name": "turned", "about": "turned, mirrored, three times as large and moved: exactly 1",
         "x": x, "y": turned, **both(x, turned)},
        {"name": "offset", "about": "plain with 4096 added to every feature; float32 holds it exactly",
         "x": far, "y": far_y, **both(far, far_y),
         "instead": {"features are not centred": cka(far, far_y, not_centred)}},
        {"name": "small", "about": "plain, x divided by 1024: no constant in a denominator may show",
         "x": small, "y": y, **both(small, y)},
        {"name": "dead", "about": "plain with a channel that is 0 and one that is -7 for all pictures",
         "x": dead, "y": y, **both(dead, y)},
        {"name": "negative", "about": "plain with 64 taken from one channel: it is negative, and counts",
         "x": negative, "y": y, **both(negative, y),
         "instead": {"what is below 0 is lost, as after an in-place ReLU":
                     both([[max(v, Fraction(0)) for v in u] for u in negative], y)["biased"]}},
        {"name": "wide", "about": "8 pictures, 40 channels, unrelated: the biased value is high all the same",
         "x": wide_x, "y": wide_y, **both(wide_x, wide_y)},
        {"name": "ragged", "about": "14 pictures: batches of 4 leave a last one of 2",
         "x": long_x, "y": long_y, **both(long_x, long_y),
         "instead": {"the last batch is dropped": both(long_x[:12], long_y[:12])["biased"],
                     "the mean of the CKA of the four batches":
                     mean([cka(long_x[b], long_y[b], biased) for b in batches]),
                     "the last whole batch alone": both(long_x[8:12], long_y[8:12])["biased"],
                     "sums of unbiased HSIC over the three whole batches": hsic_of_batches(
                         long_x[:12], long_y[:12], 4)}},
        {"name": "outlier", "about": "unrelated but for one picture that is far off in both",
         "x": outlier_x, "y": outlier_y, **both(outlier_x, outlier_y),
         "instead": {"without that picture, debiased": both(outlier_x[1:], outlier_y[1:])["debiased"]}},
        {"name": "below zero", "about": "6 pictures, unrelated: the debiased value is negative, not NaN",
         "x": apart_x, "y": apart_y, **both(apart_x, apart_y)},
        {"name": "means of maps", "about": "8 pictures, maps of 3 channels and 2 × 2 places, the mean of each",
         "x": means, "y": other_means, **both(means, other_means),
         "instead": {"each place is taken for a picture": cka(places, other_places, biased)}},
        {"name": "whole maps", "about": "the same maps, every place of every channel a feature",
         "x": flat, "y": other_flat, **both(flat, other_flat),
         "instead": {"each place is taken for a picture": cka(places, other_places, biased)}},
        {"name": "constant", "about": "x is the same for all pictures: 0/0, no number",
         "x": [[Fraction(3), Fraction(1)]] * 12, "y": y, "biased": None, "debiased": None},
        {"name": "three", "about": "3 pictures: biased only, the debiased value needs 4",
         "x": x[:3], "y": y[:3], **both(x[:3], y[:3])},
    ]  # fmt: skip


def written(value: object) -> object:
    """What JSON can hold: whole numbers and exact binary fractions; values as text of 30 digits."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {key: written(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [written(inside) for inside in value]
    return value


ABOUT = (
    "Linear CKA of small features; rows are pictures. Values are exact to the digits given, as text; "
    "null is no number. 'instead' is what a mistake gives. https://arxiv.org/abs/1905.00414 (biased), "
    "Song et al. 2012, Feature selection via dependence maximization (unbiased HSIC)."
)


def text() -> str:
    """The file, a case a line."""
    lines = [json.dumps(written(case), ensure_ascii=False) for case in cases()]
    head = f'{{"about": {json.dumps(ABOUT)},\n "version": 1,\n "cases": [\n'
    return head + ",\n".join(lines) + "\n]}\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
