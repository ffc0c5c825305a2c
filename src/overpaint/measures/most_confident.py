"""The pictures of which a network is most confident: rightly, and wrongly; no torch."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

PICTURES = 12
"""The pictures of each kind that the report shows."""


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A picture with the class that a network is most confident of."""

    image: str
    labels: tuple[str, ...]
    named: str
    probability: float

    @property
    def right(self) -> bool:
        """Whether the picture shows the class."""
        return self.named in self.labels


def most_confident(predictions: pd.DataFrame, n: int = PICTURES) -> tuple[list[Guess], list[Guess]]:
    """The n most confident hits and as many mistakes, the most confident first; of equals by image.

    >>> table = pd.DataFrame({"image": ["x", "y", "z"], "labels": [["a"], ["a"], ["b"]],
    ...                       "p(a)": [0.7, 0.4, 0.9], "p(b)": [0.3, 0.6, 0.1]})
    >>> hits, mistakes = most_confident(table)
    >>> [(hit.image, hit.named) for hit in hits], [(miss.image, miss.named) for miss in mistakes]
    ([('x', 'a')], [('z', 'a'), ('y', 'b')])

    Where a picture may show several classes or none, a hit is one of those it shows.
    """
    guesses = all_guesses(predictions)
    hits = [guess for guess in guesses if guess.right]
    mistakes = [guess for guess in guesses if not guess.right]
    return hits[:n], mistakes[:n]


def all_guesses(predictions: pd.DataFrame) -> list[Guess]:
    """Each picture once, for the class of its largest probability, the most confident first.

    A picture whose probabilities are not all known is left out.
    """
    matched = {name: re.fullmatch(r"(?s)p\((.*)\)", str(name)) for name in predictions.columns}
    classes = {name: match[1] for name, match in matched.items() if match}
    chances = predictions[list(classes)].to_numpy(np.float64)
    finite = np.isfinite(chances).all(axis=1)
    if not classes or not finite.any():
        return []
    whole = predictions[finite]
    best = chances[finite].argmax(axis=1)
    names = list(classes.values())
    guesses = [
        Guess(
            image=str(image),
            labels=tuple(map(str, labels)),
            named=names[at],
            probability=float(chance[at]),
        )
        for image, labels, at, chance in zip(
            whole["image"], whole["labels"], best, chances[finite], strict=True
        )
    ]
    guesses.sort(key=lambda guess: (-guess.probability, guess.image))
    return guesses


PAIRS, OF_A_PAIR = 30, 4
"""The pairs of classes whose pictures the report shows, and how many of each kind."""


@dataclass(frozen=True, kw_only=True)
class ConfusedPair:
    """A class that was taken for another."""

    label: str
    predicted: str
    taken: tuple[Guess, ...]  # pictures of the one that were taken for the other, all of them
    right: tuple[Guess, ...]  # pictures of the other that were named so, the first few

    @property
    def pictures(self) -> tuple[Guess, ...]:
        """Those of both kinds that are shown."""
        return (*self.taken[:OF_A_PAIR], *self.right)


def confused_pairs(predictions: pd.DataFrame, most: int = PAIRS) -> list[ConfusedPair]:
    """The pairs of classes that were most often confused, the most frequent first; of one label a
    picture.

    >>> table = pd.DataFrame({"image": ["x", "y", "z"], "labels": [["a"], ["a"], ["b"]],
    ...                       "p(a)": [0.7, 0.4, 0.1], "p(b)": [0.3, 0.6, 0.9]})
    >>> [(pair.label, pair.predicted, pair.taken[0].image, pair.right[0].image)
    ...  for pair in confused_pairs(table)]
    [('a', 'b', 'y', 'z')]
    """
    taken: dict[tuple[str, str], list[Guess]] = {}
    right: dict[str, list[Guess]] = {}
    for guess in all_guesses(predictions):
        if guess.right:
            right.setdefault(guess.named, []).append(guess)
        elif len(guess.labels) == 1:
            taken.setdefault((guess.labels[0], guess.named), []).append(guess)
    pairs = sorted(taken.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [
        ConfusedPair(
            label=label,
            predicted=predicted,
            taken=tuple(guesses),
            right=tuple(right.get(predicted, [])[:OF_A_PAIR]),
        )
        for (label, predicted), guesses in pairs[:most]
    ]
