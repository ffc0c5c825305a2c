"""docs/cka-conformance.json: small cases of linear CKA with their values, for anybody's program.

The values come from the definitions alone, in whole numbers and fractions, and share no code with
overpaint: no NumPy, no floating point but for the root at the end, which is taken to 50 digits.
Features are whole numbers, or halves and the like, so that float32 holds them exactly. `make docs`
writes the file, a test compares it.
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
    products = (a * b for u, v in zip(k, g, strict=True) for a, b in zip(u, v, strict=True))
    return sum(products, Fraction(0))


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


def case(name: str, about: str, x: Table, y: Table, **instead: Decimal | None) -> dict[str, object]:
    """A case: what it tries, features, values, and what some mistakes would give instead."""
    mistakes = {text.replace("_", " "): value for text, value in instead.items()}
    return {
        "name": name,
        "about": about,
        "x": x,
        "y": y,
        **both(x, y),
        **({"instead": mistakes} if mistakes else {}),
    }


def of_features() -> Iterator[dict[str, object]]:
    """Twelve pictures, and what must not change their value."""
    x, noise = table(1, 12, 3), table(2, 12, 4)
    y = [
        [sum(u) + v[0], u[0] - u[1] + v[1], 2 * u[2] + v[2], v[3]]
        for u, v in zip(x, noise, strict=True)
    ]
    yield case(
        "plain",
        "12 pictures, 3 and 4 channels that are related",
        x,
        y,
        features_are_not_centred=cka(x, y, not_centred),
        the_pictures_of_y_come_in_reversed_order=cka(x, y[::-1], biased),
    )
    yield case("itself", "the same features twice: exactly 1", x, x)
    turned = [[3 * -u[2] + 5, 3 * u[0] + 5, 3 * u[1] + 5] for u in x]
    yield case("turned", "turned, mirrored, three times as large, moved: exactly 1", x, turned)
    far, far_y = ([[value + 4096 for value in u] for u in side] for side in (x, y))
    yield case(
        "offset",
        "plain with 4096 added to every feature; float32 holds it exactly",
        far,
        far_y,
        features_are_not_centred=cka(far, far_y, not_centred),
    )
    small = [[value / 1024 for value in u] for u in x]
    yield case("small", "plain, x divided by 1024: a constant in a denominator shows", small, y)
    dead = [[u[0], Fraction(0), u[1], Fraction(-7), u[2]] for u in x]
    yield case("dead", "plain with a channel that is 0 and one that is -7 for all", dead, y)
    negative = [[u[0], u[1] - 64, u[2]] for u in x]
    cut = [[max(value, Fraction(0)) for value in u] for u in negative]
    yield case(
        "negative",
        "plain with 64 taken from one channel: it is negative, and counts",
        negative,
        y,
        what_is_below_0_is_lost_as_after_an_in_place_ReLU=cka(cut, y, biased),
    )
    yield case(
        "constant",
        "x is the same for all pictures: 0/0, no number",
        [[Fraction(3), Fraction(1)]] * 12,
        y,
    )
    yield case("three", "3 pictures: biased only, the debiased value needs 4", x[:3], y[:3])


def of_few_pictures() -> Iterator[dict[str, object]]:
    """Few pictures, a last batch that is short, and one picture that decides."""
    x, y = table(3, 8, 40), table(4, 8, 40)
    yield case("wide", "8 pictures, 40 channels, unrelated: the biased value is high", x, y)
    x, noise = table(5, 14, 3), table(6, 14, 3)
    y = [[a + b for a, b in zip(u, v, strict=True)] for u, v in zip(x, noise, strict=True)]
    fours = [slice(start, start + 4) for start in range(0, 14, 4)]
    yield case(
        "ragged",
        "14 pictures: batches of 4 leave a last one of 2",
        x,
        y,
        the_last_batch_is_dropped=cka(x[:12], y[:12], biased),
        the_mean_of_the_CKA_of_the_four_batches=mean([cka(x[b], y[b], biased) for b in fours]),
        the_last_whole_batch_alone=cka(x[8:12], y[8:12], biased),
        sums_of_unbiased_HSIC_over_the_three_whole_batches=hsic_of_batches(x[:12], y[:12], 4),
    )
    x, y = table(7, 12, 3), table(8, 12, 3)
    x[0], y[0] = [Fraction(64)] * 3, [Fraction(64)] * 3
    yield case(
        "outlier",
        "unrelated but for one picture that is far off in both",
        x,
        y,
        debiased_without_that_picture=cka(x[1:], y[1:], unbiased),
    )
    x, y = table(9, 6, 2), table(23, 6, 2)
    yield case("below zero", "6 unrelated pictures: the debiased value is negative, not NaN", x, y)


def of_maps() -> Iterator[dict[str, object]]:
    """Maps of three channels and 2 × 2 places, by their means and whole."""
    maps = [[table(100 + 10 * i + c, 2, 2) for c in range(3)] for i in range(8)]
    noise = [numbers(200 + i) for i in range(8)]
    other = [
        [[[value + next(source) for value in row] for row in channel] for channel in image]
        for source, image in zip(noise, maps, strict=True)
    ]
    means, whole, places = zip(
        *(
            (
                [[sum(map(sum, channel), Fraction(0)) / 4 for channel in image] for image in side],
                [[v for channel in image for row in channel for v in row] for image in side],
                [[c[a][b] for c in image] for image in side for a in (0, 1) for b in (0, 1)],
            )
            for side in (maps, other)
        ),
        strict=True,
    )
    wrong = cka(*places, biased)
    about = "8 pictures, maps of 3 channels and 2 × 2 places, the mean of each"
    yield case("means of maps", about, *means, each_place_is_taken_for_a_picture=wrong)
    about = "the same maps, every place of every channel a feature"
    yield case("whole maps", about, *whole, each_place_is_taken_for_a_picture=wrong)


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
    "Linear CKA of small features; rows are pictures. Values are exact to the digits given, as "
    "text; null is no number. 'instead' is what a mistake gives. Kornblith et al. 2019, Similarity "
    "of neural network representations revisited; unbiased HSIC: Song et al. 2012, Feature "
    "selection via dependence maximization, equation 5."
)


def text() -> str:
    """The file, a case a line."""
    lines = [
        json.dumps(written(one), ensure_ascii=False)
        for one in (*of_features(), *of_few_pictures(), *of_maps())
    ]
    head = f'{{"about": {json.dumps(ABOUT)},\n "version": 1,\n "cases": [\n'
    return head + ",\n".join(lines) + "\n]}\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
