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

    Each picture counts once, for the class of its largest probability; where a picture may show
    several classes or none, that is a hit if it is among those it shows. A picture whose
    probabilities are not all known is left out.
    """
    matched = {name: re.fullmatch(r"(?s)p\((.*)\)", str(name)) for name in predictions.columns}
    classes = {name: match[1] for name, match in matched.items() if match}
    chances = predictions[list(classes)].to_numpy(np.float64)
    finite = np.isfinite(chances).all(axis=1)
    if not classes or not finite.any():
        return [], []
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
    hits = [guess for guess in guesses if guess.right]
    mistakes = [guess for guess in guesses if not guess.right]
    return hits[:n], mistakes[:n]
