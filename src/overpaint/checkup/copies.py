"""Copies: which files hold the same picture, to the byte or made anew from it.

A picture that was saved again, made smaller or greyer, or cut by a fiftieth at each edge has nearly
the hash of the other; whether it is the same is then said by a small copy of both. As measured on
1,524 paintings, drawings and photographs (docs/doctor.md): of a resized copy none is missed, of one
saved as a poor JPEG one in a hundred, of one cut by two hundredths at each edge four; and of 1.16
million pairs only three are called alike, which are.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from overpaint.checkup.pictures import Sighting

NEAR = 56
"""Bits of 256 by which the hashes of copies differ at most; those of two pictures by 128 or so."""

ALIKE = 0.9
"""The least correlation of the small copies."""

AT_ONCE = 2**21
"""Pairs that are compared at once."""


def families(
    sightings: Sequence[Sighting], progress: Callable[[int, int], None] | None = None
) -> list[list[int]]:
    """The pictures, by number, that are copies of one another; each family in order, two or more.

    What is a copy of a copy belongs to the family as well.
    """
    parents = list(range(len(sightings)))

    def eldest(number: int) -> int:
        while parents[number] != number:
            parents[number] = number = parents[parents[number]]
        return number

    first: dict[str, int] = {}
    for number, sighting in enumerate(sightings):
        if sighting.look.digest:
            twin = first.setdefault(sighting.look.digest, number)
            parents[eldest(number)] = eldest(twin)
    for one, other in near_pairs(sightings, progress):
        parents[max(eldest(one), eldest(other))] = min(eldest(one), eldest(other))
    members = defaultdict(list)
    for number in range(len(sightings)):
        members[eldest(number)].append(number)
    return [family for family in members.values() if len(family) > 1]


def near_pairs(
    sightings: Sequence[Sighting], progress: Callable[[int, int], None] | None = None
) -> list[tuple[int, int]]:
    """The pairs of pictures with like hashes and like small copies.

    All hashes are compared with all, some rows at once: 10,000 pictures take two seconds.
    """
    prints = {
        number: sighting.fingerprint
        for number, sighting in enumerate(sightings)
        if sighting.fingerprint is not None
    }
    if len(prints) < 2:
        return []
    numbers = list(prints)
    waves = np.stack([prints[number].waves for number in numbers])
    smalls = np.stack([prints[number].small for number in numbers])
    rows, pairs = max(AT_ONCE // len(numbers), 1), []
    for start in range(0, len(numbers), rows):
        block = waves[start : start + rows]
        apart = np.zeros((len(block), len(numbers) - start), np.uint16)
        for word in range(waves.shape[1]):
            apart += np.bitwise_count(block[:, None, word] ^ waves[None, start:, word])
        for row, column in zip(*np.nonzero(apart <= NEAR), strict=True):
            first, second = start + int(row), start + int(column)
            if first < second and float(smalls[first] @ smalls[second]) >= ALIKE:
                pairs.append((numbers[first], numbers[second]))
        if progress:
            progress(min(start + rows, len(numbers)), len(numbers))
    return pairs
