"""The pictures of which a network is surest: rightly, and wrongly; no torch."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

SURE = 12
"""The pictures of each kind that the report shows."""


@dataclass(frozen=True)
class Guess:
    """A picture with the class that a network is surest of."""

    image: str
    labels: tuple[str, ...]
    named: str
    probability: float

    @property
    def right(self) -> bool:
        """Whether the picture shows the class."""
        return self.named in self.labels


def surest(predictions: pd.DataFrame, n: int = SURE) -> tuple[list[Guess], list[Guess]]:
    """The n surest hits and the n surest mistakes, the surest first; of equals by image.

    >>> table = pd.DataFrame({"image": ["x", "y", "z"], "labels": [["a"], ["a"], ["b"]],
    ...                       "p(a)": [0.7, 0.4, 0.9], "p(b)": [0.3, 0.6, 0.1]})
    >>> hits, mistakes = surest(table)
    >>> [(hit.image, hit.named) for hit in hits], [(each.image, each.named) for each in mistakes]
    ([('x', 'a')], [('z', 'a'), ('y', 'b')])

    Each picture counts once, for the class of its largest probability; where a picture may show
    several classes or none, that is a hit if it is among those it shows. A picture whose
    probabilities are not all known is left out.
    """
    matched = {name: re.fullmatch(r"(?s)p\((.*)\)", str(name)) for name in predictions.columns}
    classes = {name: found[1] for name, found in matched.items() if found}
    chances = predictions[list(classes)].to_numpy(np.float64)
    known = np.isfinite(chances).all(axis=1)
    if not classes or not known.any():
        return [], []
    told = predictions[known]
    best = chances[known].argmax(axis=1)
    names = list(classes.values())
    guesses = [
        Guess(str(image), tuple(map(str, labels)), names[at], float(chance[at]))
        for image, labels, at, chance in zip(
            told["image"], told["labels"], best, chances[known], strict=True
        )
    ]
    guesses.sort(key=lambda guess: (-guess.probability, guess.image))
    hits = [guess for guess in guesses if guess.right]
    mistakes = [guess for guess in guesses if not guess.right]
    return hits[:n], mistakes[:n]
