"""What a rendering is to excite: activations of a picture -> a number, the larger the better.

Objectives are values: they add up, and have weights.

>>> goal = channel("mixed4d", 164) - 0.5 * channel("mixed4b", 3)
>>> goal.layers
('mixed4d', 'mixed4b')
>>> maps = {"a": torch.tensor([[[[1.0, 3.0]], [[5.0, 7.0]]]])}  # two channels, two places
>>> score([channel("a", 1) - 2 * neuron("a", 0)], maps)
tensor([0.])

A layer is a name as `taps` knows it. What a layer's ReLU is given has the layer's name with
`_pre_relu` behind it ("mixed4d_pre_relu", "layer2.3_pre_relu"), which is what to ask for where a
channel is to be excited downwards, `-channel(...)`, or is dead; "logits" is the network's output.
"""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from overpaint.errors import NetworkError, nearest
from overpaint.networks import Network
from overpaint.networks.taps import LOGITS

Activations = Mapping[str, Tensor]
"""A batch's activations by layer: maps (B, C, H, W), or tokens (B, T, D), or vectors (B, D)."""

Place = tuple[int, int] | Literal["centre"]
"""Row and column of a map."""


class Term(ABC):
    """One thing to excite in one layer."""

    layer: str

    @classmethod
    def operands(cls, _terms: Sequence[Self], _maps: Tensor) -> tuple[Tensor, ...]:
        """What `values` needs beside maps of this shape, not yet where the maps are."""
        return ()

    @classmethod
    @abstractmethod
    def values(cls, maps: Tensor, rows: Tensor, *operands: Tensor) -> Tensor:
        """What each term says of its row of the batch: maps (B, C, ...), rows (n,) -> (n,)."""

    def on(self, _network: Network) -> Self:
        """The term with what it needs to know of a network."""
        return self

    def check(self, maps: Tensor, where: str) -> None:  # noqa: B027 - some terms take any layer
        """Raise NetworkError if a layer with such maps (B, C, ...) has not what is asked for."""


@dataclass(frozen=True, eq=False)
class Objective:
    """A number to raise: a weighted sum of terms."""

    terms: tuple[tuple[float, Term], ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that it reads."""
        return tuple(dict.fromkeys(term.layer for _, term in self.terms))

    def on(self, network: Network) -> "Objective":
        """The objective for a network: of `logit("cat")`, the number that "cat" has in it.

        Raises NetworkError for a class that it does not know.
        """
        return Objective(tuple((weight, term.on(network)) for weight, term in self.terms))

    def check(self, network: Network, activations: Activations) -> None:
        """Raise NetworkError if a layer lacks the channel, place or class that is asked for.

        `activations` is what a tap reads of any picture, of the layers without reduction.
        """
        for _, term in self.terms:
            where = f"layer {term.layer!r} of {network.architecture}"
            term.check(channels_first(activations[term.layer]), where)

    def __add__(self, other: "Objective") -> "Objective":
        if not isinstance(other, Objective):
            return NotImplemented
        return Objective(self.terms + other.terms)

    def __radd__(self, other: object) -> "Objective":
        """`sum` begins with 0."""
        return self if other == 0 else NotImplemented

    def __mul__(self, factor: float) -> "Objective":
        if not isinstance(factor, int | float):
            return NotImplemented
        return Objective(tuple((factor * weight, term) for weight, term in self.terms))

    __rmul__ = __mul__

    def __neg__(self) -> "Objective":
        return -1 * self

    def __sub__(self, other: "Objective") -> "Objective":
        if not isinstance(other, Objective):
            return NotImplemented
        return self + -other


def score(objectives: Sequence[Objective], activations: Activations) -> Tensor:
    """Each picture's own objective: activations of at least so many pictures -> (B,).

    >>> maps = torch.tensor([[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]])  # two pictures
    >>> score([channel("a", 0), channel("a", 1)], {"a": maps})
    tensor([1., 4.])

    Terms of one kind and layer are reckoned at once, each picture's by itself; of activations in
    half precision, in float32. To do it again and again, use a `Scorer`.
    """
    return Scorer(objectives)(activations)


class Scorer:
    """The `score` of the same objectives, step after step.

    What the device must know of them, as which channel is whose, is sent there once for each shape
    of maps: a step then makes nothing out of numbers of the host, which a GPU would wait for.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._count = len(objectives)
        self._lots = list(alike(objectives))
        self._sent: dict[Any, tuple[Tensor, ...]] = {}

    def __call__(self, activations: Activations) -> Tensor:
        """Activations of at least as many pictures as objectives -> (B,)."""
        exact = {  # float16 and bfloat16 as float32; float64 stays what it is
            layer: maps.to(torch.promote_types(maps.dtype, torch.float32))
            for layer, maps in activations.items()
        }
        total = next(iter(exact.values())).new_zeros(self._count)
        for number, parts in enumerate(self._lots):
            terms = [term for _, _, term in parts]
            maps = channels_first(exact[terms[0].layer])
            key = number, maps.shape[1:], maps.dtype, total.dtype, total.device
            if key not in self._sent:
                rows = torch.tensor([row for row, _, _ in parts])
                weights = torch.tensor([weight for _, weight, _ in parts], dtype=total.dtype)
                lot = rows, weights, *type(terms[0]).operands(terms, maps)
                self._sent[key] = tuple(tensor.to(total.device) for tensor in lot)
            rows, weights, *operands = self._sent[key]
            values = type(terms[0]).values(maps, rows, *operands)
            total = total.index_add(0, rows, weights * values)
        return total


Part = tuple[int, float, Term]
"""Of which picture, how much, what."""


def alike(objectives: Sequence[Objective]) -> Iterator[list[Part]]:
    """The terms of all pictures in lots of one kind and layer, at most one a picture in each.

    One a picture, so that in a group no picture is its own mate.
    """
    lots: dict[tuple[type[Term], str, int], list[Part]] = defaultdict(list)
    for row, objective in enumerate(objectives):
        counts: dict[tuple[type[Term], str], int] = defaultdict(int)
        for weight, term in objective.terms:
            kind = (type(term), term.layer)
            lots[*kind, counts[kind]].append((row, weight, term))
            counts[kind] += 1
    yield from lots.values()


def channels_first(activation: Tensor) -> Tensor:
    """Tokens (B, T, D) have their channels last; maps and vectors have them in the second place."""
    return activation.transpose(1, 2) if activation.ndim == 3 else activation


# --- the kinds -----------------------------------------------------------------------------------


def channel(layer: str, index: int) -> Objective:
    """The mean of a channel over its places.

    >>> maps = torch.tensor([[[[1.0, 3.0]], [[5.0, 7.0]]]])  # two channels of 1 × 2 places
    >>> score([channel("mixed4d", 1)], {"mixed4d": maps})
    tensor([6.])

    Source: Lucid, `objectives.channel`.
    """
    return _only(_Channel(layer, index))


def neuron(layer: str, index: int, position: Place = "centre") -> Objective:
    """A channel at one place of its map, by default (H // 2, W // 2).

    Tokens are taken for the square map that they are cut from; a vector has no places.

    Source: Lucid, `objectives.neuron`.
    """
    return _only(_Neuron(layer, index, position))


def direction(
    layer: str,
    vector: Sequence[float] | NDArray[np.floating],
    *,
    cosine_power: float = 0,
    position: Place | None = None,
) -> Objective:
    """The product of activations and a vector, the mean over places or that at one of them.

    >>> maps = torch.tensor([[[[1.0, 3.0]], [[5.0, 7.0]]]])
    >>> score([direction("a", [1, 1])], {"a": maps})
    tensor([8.])

    With a `cosine_power` each product counts as much as the cosine of the two, at least 0.1, to
    this power: the higher, the more is the direction asked for and the less its length.

    Source: Lucid, `objectives.direction` and `direction_neuron`.
    """
    return _only(_Direction(layer, np.array(vector, np.float32), cosine_power, position))


def deepdream(layer: str) -> Objective:
    """The mean of squares of a whole layer: whatever excites it already, more.

    Source: Lucid, `objectives.deepdream`.
    """
    return _only(_Deepdream(layer))


def logit(target: int | str) -> Objective:
    """The network's output for a class, by number or name, before the softmax.

    >>> from overpaint.networks import build
    >>> network = build("inception_small", classes=("cat", "dog"), seed=0)
    >>> score([logit("dog").on(network)], {"logits": torch.tensor([[3.0, 4.0]])})
    tensor([4.])

    A name means nothing without `on`: two networks may know the same class by different numbers.
    """
    return _only(_Logit(target))


def diversity(layer: str) -> Objective:
    """How little the pictures that share this very objective are like each other.

    >>> differ = diversity("mixed4d")
    >>> goals = [channel("mixed4d", 164) + 1e2 * differ for _ in range(4)]
    >>> groups(goals)
    [[0, 1, 2, 3]]

    Similarity is the product of two pictures' Gram matrices over the places of a layer, each of
    unit length: which channels are excited together, wherever. A picture's value is minus the sum
    of its similarities with each other picture of its group; called again, `diversity` makes
    another group.

    Source: Lucid, `objectives.diversity`, which is to be subtracted there: the mean of a group of
    `channel + w * diversity` is Lucid's `channel - w * diversity`.
    """
    return _only(_Diversity(layer))


def groups(objectives: Sequence[Objective]) -> list[list[int]]:
    """Which pictures must be in one batch: those that share a diversity; others are alone."""
    batches: list[tuple[set[_Diversity], list[int]]] = []
    for row, objective in enumerate(objectives):
        shared = {term for _, term in objective.terms if isinstance(term, _Diversity)}
        # one picture may share one diversity with these and another with those: all are then one
        mates = [batch for batch in batches if batch[0] & shared]
        rows = sorted([row, *(mate for _, rows in mates for mate in rows)])
        batches = [batch for batch in batches if batch not in mates]
        batches.append((shared.union(*(terms for terms, _ in mates)), rows))
    return sorted(rows for _, rows in batches)


def _only(term: Term) -> Objective:
    return Objective(((1.0, term),))


@dataclass(frozen=True, eq=False)
class _Channel(Term):
    layer: str
    index: int

    @classmethod
    def operands(cls, terms: Sequence[Self], _maps: Tensor) -> tuple[Tensor, ...]:
        return (torch.tensor([term.index for term in terms]),)

    @classmethod
    def values(cls, maps: Tensor, rows: Tensor, *operands: Tensor) -> Tensor:
        (channels,) = operands
        return maps[rows, channels].reshape(len(rows), -1).mean(dim=1)

    def check(self, maps: Tensor, where: str) -> None:
        _check_channel(self.index, maps, where)


@dataclass(frozen=True, eq=False)
class _Neuron(Term):
    layer: str
    index: int
    position: Place

    @classmethod
    def operands(cls, terms: Sequence[Self], maps: Tensor) -> tuple[Tensor, ...]:
        channels = torch.tensor([term.index for term in terms])
        return channels, torch.tensor([[_flat(term.position, maps)] for term in terms])

    @classmethod
    def values(cls, maps: Tensor, rows: Tensor, *operands: Tensor) -> Tensor:
        channels, places = operands
        return maps[rows, channels].reshape(len(rows), -1).gather(1, places)[:, 0]

    def check(self, maps: Tensor, where: str) -> None:
        _check_channel(self.index, maps, where)
        _check_place(self.position, maps, where)


@dataclass(frozen=True, eq=False)
class _Direction(Term):
    layer: str
    vector: NDArray[np.float32]
    cosine_power: float
    position: Place | None

    @classmethod
    def operands(cls, terms: Sequence[Self], maps: Tensor) -> tuple[Tensor, ...]:
        vectors = torch.from_numpy(np.stack([term.vector for term in terms]))
        places = maps[0, 0].numel()
        shares = [
            torch.full((places,), 1 / places, dtype=maps.dtype)  # all places alike
            if term.position is None
            else functional.one_hot(torch.tensor(_flat(term.position, maps)), places)
            for term in terms
        ]
        powers = torch.tensor([[term.cosine_power] for term in terms])
        asked = (powers,) if any(term.cosine_power for term in terms) else ()
        return tuple(
            tensor.to(maps.dtype)
            for tensor in (vectors, torch.stack([share.to(maps.dtype) for share in shares]), *asked)
        )

    @classmethod
    def values(cls, maps: Tensor, rows: Tensor, *operands: Tensor) -> Tensor:
        vectors, shares, *powers = operands
        places = maps[rows].reshape(len(rows), maps.shape[1], -1)
        products = (vectors[:, None] @ places)[:, 0]
        if powers:
            # vector_norm, whose gradient at nothing is nothing, where that of a root is none
            lengths = torch.linalg.vector_norm(places, dim=1)
            norms = torch.linalg.vector_norm(vectors, dim=1)[:, None]
            cosines = products / (1e-4 + lengths) / (1e-4 + norms)
            products = products * cosines.clamp(min=0.1) ** powers[0]
        return (products * shares).sum(dim=1)

    def check(self, maps: Tensor, where: str) -> None:
        if len(self.vector) != maps.shape[1]:
            raise NetworkError(
                "no-channel",
                f"{where} has {maps.shape[1]} channels; a direction of {len(self.vector)} numbers "
                "is none of its own",
            )
        if self.position is not None:
            _check_place(self.position, maps, where)


@dataclass(frozen=True, eq=False)
class _Deepdream(Term):
    layer: str

    @classmethod
    def values(cls, maps: Tensor, rows: Tensor, *_operands: Tensor) -> Tensor:
        return maps[rows].flatten(1).square().mean(dim=1)


@dataclass(frozen=True, eq=False)
class _Logit(Term):
    target: int | str
    layer: str = LOGITS

    @classmethod
    def operands(cls, terms: Sequence[Self], _maps: Tensor) -> tuple[Tensor, ...]:
        return (torch.tensor([term.target for term in terms]),)

    @classmethod
    def values(cls, maps: Tensor, rows: Tensor, *operands: Tensor) -> Tensor:
        (targets,) = operands
        return maps[rows, targets]

    def on(self, network: Network) -> Self:
        if not isinstance(self.target, str):
            return self
        if self.target not in network.classes:
            hint = nearest(self.target, network.classes)
            raise NetworkError(
                "no-class", f"{network.architecture} knows no class {self.target!r}; {hint}"
            )
        return replace(self, target=network.classes.index(self.target))

    def check(self, maps: Tensor, where: str) -> None:
        assert isinstance(self.target, int), "an objective is checked on its network"
        _check_channel(self.target, maps, where)


@dataclass(frozen=True, eq=False)
class _Diversity(Term):
    layer: str

    @classmethod
    def operands(cls, terms: Sequence[Self], _maps: Tensor) -> tuple[Tensor, ...]:
        """Of each group, where its pictures stand in the lot."""
        return tuple(
            torch.tensor([at for at, term in enumerate(terms) if term is group])
            for group in dict.fromkeys(terms)
        )

    @classmethod
    def values(cls, maps: Tensor, rows: Tensor, *operands: Tensor) -> Tensor:
        values = maps.new_zeros(len(rows))
        for mates in operands:
            flat = maps[rows[mates]].reshape(len(mates), maps.shape[1], -1)
            grams = (flat @ flat.transpose(1, 2)).flatten(1)
            grams = grams / grams.square().sum(dim=1, keepdim=True).clamp(min=1e-10).sqrt()
            similarity = grams @ grams.T
            dissimilarity = similarity.diagonal() - similarity.sum(dim=1)
            values = values.index_copy(0, mates, dissimilarity)
        return values


# --- details -------------------------------------------------------------------------------------


def _shape(maps: Tensor) -> tuple[int, int]:
    """The height and width of maps (B, C, ...): tokens are patches of a square, a vector is one."""
    if maps.ndim == 4:
        return maps.shape[2], maps.shape[3]
    count = maps[0, 0].numel()
    side = math.isqrt(count)
    return (side, side) if side**2 == count else (1, count)


def _flat(position: Place, maps: Tensor) -> int:
    """The number of a place, row by row."""
    height, width = _shape(maps)
    row, column = (height // 2, width // 2) if position == "centre" else position
    return row * width + column


def _check_channel(index: int, maps: Tensor, where: str) -> None:
    width = maps.shape[1]
    if not 0 <= index < width:
        raise NetworkError(
            "no-channel", f"{where} has {width} channels, 0..{width - 1}; there is no {index}"
        )


def _check_place(position: Place, maps: Tensor, where: str) -> None:
    height, width = _shape(maps)
    if height == 1 < width:
        raise NetworkError(
            "no-place", f"{where} has {width} positions, but nobody knows which of them is where"
        )
    if position == "centre":
        return
    if not (0 <= position[0] < height and 0 <= position[1] < width):
        raise NetworkError(
            "no-place", f"{where} has {height} × {width} places; there is no {position}"
        )
