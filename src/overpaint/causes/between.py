"""Between: the networks on the straight way from one to another, and a little beyond.

A barrier stands between two trainings where the networks half-way are worse than both: they lie in
two basins. Without one they can be mixed. Seen by the head of the parent, on the parent's own task,
the way shows what was forgotten.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call

from overpaint.causes.variants import (
    Said,
    check_head,
    check_same_backbone,
    said_of,
    tensors_by_layer,
)
from overpaint.datasets import Split
from overpaint.device import exact, on_best_device
from overpaint.errors import NetworkError
from overpaint.machine import refusals_told
from overpaint.measures.scores import contrast, main_score, main_value
from overpaint.networks import Network
from overpaint.networks.order import back_to
from overpaint.pixels.batches import as_float, at_device, pixels_of
from overpaint.progress import notebook_bar
from overpaint.records import BetweenRow, Score, table
from overpaint.seeds import generator

ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
"""Where the way is looked at: 0 is before, 1 is after."""

PICTURES, BATCH = 128, 64
"""Of train, by which the statistics of batch norms are estimated anew, and of a batch of these."""

BatchNorm = nn.modules.batchnorm._BatchNorm  # noqa: SLF001


@dataclass(frozen=True, eq=False)
class Way:
    """What was found on the way: what each network said there, and a row (BetweenRow) a place; a
    notebook shows it as a curve.
    """

    said: Mapping[tuple[str, float], Said]  # by layer ("" is all) and α
    images: Split
    seed: int
    heads: bool  # whether they go the way too

    @cached_property
    def rows(self) -> pd.DataFrame:
        """A row a place, with the score's interval: a bootstrap each, so only where it is asked."""
        rows = [_row(self.images, *place, self.said[place], self.seed) for place in self.said]
        return table(rows, BetweenRow)

    def score(self, alpha: float, layer: str = "") -> Score:
        """The main score at α."""
        at = (self.rows["layer"] == layer) & (self.rows["alpha"] == alpha)
        [row] = self.rows[at].to_dict("records")
        return Score(**{field.name: row[field.name] for field in fields(Score)})

    def gain(self, alpha: float, layer: str = "") -> Score:
        """How much better the network at α scores than the one after, paired over pictures."""
        return self._contrast(layer, [(alpha, 1.0), (1.0, -1.0)])

    def barrier(self, layer: str = "") -> Score:
        """How far the network half-way falls below the mean of the two ends, in the main score.

        Above 0 where there is a barrier. The interval is a bootstrap over pictures, paired; chance
        is 0, that of two networks in one basin.

        Raises NetworkError, `not-on-the-way`, unless the way was looked at in 0, 0.5 and 1.

        Source: the error barrier of Frankle et al. 2020, "Linear mode connectivity and the lottery
        ticket hypothesis", in its middle, which no picture has chosen; and Neyshabur, Sedghi &
        Zhang 2020, "What is being transferred in transfer learning?".
        """
        return self._contrast(layer, [(0.0, 0.5), (1.0, 0.5), (0.5, -1.0)])

    def lost(self, alpha: float = 1.0, layer: str = "") -> Score:
        """How much better the network before scores than the one at α, paired over pictures.

        Of a way that `forgetting` looked at: what was forgotten of the parent's task.
        """
        return self._contrast(layer, [(0.0, 1.0), (alpha, -1.0)])

    def best(self, layer: str = "") -> float:
        """The α of the highest score, of equals that of the lowest loss.

        On test it would flatter itself: choose on validation, and score on test.
        """
        labels = np.asarray(self.images.labels)

        def worth(alpha: float) -> tuple[float, float]:
            said = self.said[layer, alpha]
            return main_value(said.probabilities, labels), -float(said.losses(labels).mean())

        return max((alpha for of, alpha in self.said if of == layer), key=worth)

    def _repr_html_(self) -> str:
        from overpaint.report.charts.drawing import svg
        from overpaint.report.charts.plots import curves

        places = self.rows[self.rows["layer"] == ""]
        names = places["alpha"].map("{:g}".format)
        curve = places.assign(layer=names, what="score along α")
        chance = f"Chance is {places['chance'].iloc[0]:.1%}."
        chart = curves(curve, ["score along α"], "score")
        return f"<div>{svg(chart)}<p>α: 0 is before, 1 is after. {chance}</p></div>"

    def _contrast(self, layer: str, weights: Sequence[tuple[float, float]]) -> Score:
        missing = [alpha for alpha, _ in weights if (layer, alpha) not in self.said]
        if missing:
            raise NetworkError(
                "not-on-the-way",
                f"the way was not looked at in {missing[0]:g}{f' for {layer}' if layer else ''}; "
                "name it among the alphas",
            )
        return contrast(
            [self.said[layer, alpha].probabilities for alpha, _ in weights],
            [weight for _, weight in weights],
            np.asarray(self.images.labels),
            dataset=self.images.dataset,
            split=self.images.name,
            seed=self.seed,
            groups=[picture.group for picture in self.images.pictures],
        )


@refusals_told()
def between(
    before: Network,
    after: Network,
    images: Split,
    *,
    alphas: Sequence[float] = ALPHAS,
    by_layer: bool = False,
    head: Literal["before", "after"] = "after",
    train: Split | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Way:
    """Scores and losses along before + α (after − before); what `op.between` is.

    >>> val, test = collection.split("val"), collection.split("test")            # doctest: +SKIP
    >>> train = collection.split("train")                                       # doctest: +SKIP
    >>> best = between(before, after, val, train=train).best()                   # doctest: +SKIP
    >>> way = between(before, after, test, train=train)                          # doctest: +SKIP
    >>> way.score(best), way.gain(best), way.barrier()                           # doctest: +SKIP

    images: the split that is scored. `by_layer`: also each layer alone, the others being those of
    the network whose head it is. head: whose classifier reads the features; with that of `after`,
    where both networks name the same classes, as two trainings of one route do, the heads go the
    way too. At 0 and 1 are exactly the networks themselves (with that head).

    Where the networks have batch norms, their statistics do not mix as weights do: they are
    estimated anew at each place but the two ends, by up to 128 pictures of `train`, drawn from the
    seed and shown as the test pictures are.

    Raises NetworkError: `other-backbone`; `classes-differ` where the head does not name the classes
    of the images; `no-statistics` where there are batch norms and no `train`.

    Source: Neyshabur, Sedghi & Zhang 2020; Wortsman et al. 2022, "Robust fine-tuning of zero-shot
    models", for α beyond the ends and the choice of α; Jordan et al. 2023, "REPAIR", for the
    statistics.
    """
    [way] = between_on(
        before,
        after,
        [images],
        alphas=alphas,
        by_layer=by_layer,
        head=head,
        train=train,
        seed=seed,
        progress=progress,
    )
    return way


def between_on(
    before: Network,
    after: Network,
    splits: Sequence[Split],
    *,
    alphas: Sequence[float] = ALPHAS,
    by_layer: bool = False,
    head: Literal["before", "after"] = "after",
    train: Split | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Way]:
    """The same way on several splits, as `between` on each, the first alone also by layer."""
    check_same_backbone(before, after)
    reader = after if head == "after" else before
    for images in splits:
        check_head(reader, images)
    old, new = before.tensors(), after.tensors()
    own = new if head == "after" else old
    layers = tensors_by_layer(reader)
    backbone = [name for names in layers.values() for name in names]
    heads = _common_heads(before, after) if head == "after" else []
    ways = {"": backbone + heads}
    if by_layer:
        ways |= {layer: list(names) for layer, names in layers.items()}
    norms = _batch_norms(reader)
    if norms and train is None and set(alphas) - {0.0, 1.0}:
        raise _no_statistics(reader, norms)
    progress = progress or notebook_bar("between")
    places = [(layer, alpha) for layer in ways for alpha in alphas]
    said: list[dict[tuple[str, float], Said]] = [{} for _ in splits]
    spoken: dict[tuple[str, frozenset[str], float | None], Said] = {}
    for number, (layer, alpha) in enumerate(places, start=1):
        tensors = {name: _mixed(old[name], new[name], alpha) for name in ways[layer]}
        tensors = {name: value for name, value in tensors.items() if value is not own[name]}
        if tensors and norms and train is not None and alpha not in (0.0, 1.0):
            tensors |= _statistics(reader, tensors, norms, train, seed)
        ends = alpha in (0.0, 1.0) or not tensors
        for images, of_split in zip(splits[:1] if layer else splits, said, strict=False):
            # layers share what they set alike: the ends, and all of it where one alone changed
            key = (images.name, frozenset(tensors), None if ends else alpha)
            if key not in spoken:
                spoken[key] = said_of(reader, images, tensors)
            of_split[layer, alpha] = spoken[key]
        if progress:
            progress(number, len(places))
    return [
        Way(said=of_split, images=images, seed=seed, heads=bool(heads))
        for images, of_split in zip(splits, said, strict=True)
    ]


def _row(images: Split, layer: str, alpha: float, said: Said, seed: int) -> BetweenRow:
    labels = np.asarray(images.labels)
    score = main_score(
        said.probabilities,
        labels,
        generator(seed, "bootstrap", images.dataset, images.name),
        [picture.group for picture in images.pictures],
    )
    return BetweenRow(
        layer=layer,
        alpha=alpha,
        value=score.value,
        low=score.low,
        high=score.high,
        chance=score.chance,
        loss=float(said.losses(labels).mean()),
        n=score.n,
        n_groups=score.n_groups,
    )


def forgetting(
    parent: Network,
    child: Network,
    images: Split,
    *,
    alphas: Sequence[float] = (0.0, 1.0),
    train: Split | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Way:
    """What the training of a child forgot: the parent's head on the child's backbone.

    images: the test split of the parent's own task. `lost()` of what comes back is how many points
    of the parent's score are gone; along more α, with `between` on the child's task beside it, it
    is the curve of what is won against what is lost. Arguments and errors as of `between`.

    A head that no longer fits the backbone is not all that can be lost: a new head on the child's
    features may do better (`op.probe`).
    """
    return between(
        parent,
        child,
        images,
        alphas=alphas,
        head="before",
        train=train,
        seed=seed,
        progress=progress,
    )


def mixed(
    before: Network, after: Network, alpha: float, *, train: Split | None = None, seed: int = 0
) -> dict[str, Tensor]:
    """The weights and statistics of the network at α of `between`, with the head of `after`, by
    name; arguments and errors as there.
    """
    check_same_backbone(before, after)
    backbone = [name for names in tensors_by_layer(after).values() for name in names]
    old, new = before.tensors(), after.tensors()
    names = backbone + _common_heads(before, after)
    tensors = {name: _mixed(old[name], new[name], alpha) for name in names}
    norms = _batch_norms(after)
    if alpha not in (0.0, 1.0) and norms:
        if train is None:
            raise _no_statistics(after, norms)
        tensors |= _statistics(after, tensors, norms, train, seed)
    return new | tensors


def _common_heads(before: Network, after: Network) -> list[str]:
    """The tensors of the heads that go the way as well: all, where both name the same classes."""
    old, new = before.tensors(), after.tensors()
    heads = [name for name in new if after.in_head(name)]
    alike = all(name in old and old[name].shape == new[name].shape for name in heads)
    return heads if alike and before.classes == after.classes else []


def _mixed(old: Tensor, new: Tensor, alpha: float) -> Tensor:
    """A tensor on the way; the ends are the tensors themselves, and so are equal ones."""
    if alpha == 1.0 or (alpha != 0.0 and torch.equal(old, new)):
        return new
    if alpha == 0.0 or not old.is_floating_point():
        return old  # a count of batches, an index: there is nothing half-way
    return old + alpha * (new - old)


# --- batch norms ---------------------------------------------------------------------------------


def _batch_norms(network: Network) -> list[str]:
    """The batch norms that go by statistics of their own, by name."""
    return [
        name
        for name, module in network.body.named_modules()
        if isinstance(module, BatchNorm) and module.track_running_stats
    ]


def _no_statistics(network: Network, norms: Sequence[str]) -> NetworkError:
    return NetworkError(
        "no-statistics",
        f"{network.architecture} has batch norms ({norms[0]}), whose statistics have to be "
        "estimated anew between two networks: name the train split",
    )


def _statistics(
    network: Network, tensors: Mapping[str, Tensor], norms: Sequence[str], train: Split, seed: int
) -> dict[str, Tensor]:
    """The means and variances that the batch norms of a variant have over pictures of train."""
    rows = generator(seed, "statistics", len(train)).permutation(len(train))[:PICTURES]
    order = [part.tolist() for part in np.array_split(np.sort(rows), -(-len(rows) // BATCH))]
    pixels = pixels_of(train, network.preprocessing)
    pixels.keep()
    own = network.tensors()
    state = {f"body.{name}": value.clone() for name, value in (own | dict(tensors)).items()}
    counted = [f"{name}.{part}" for name in norms
               for part in ("running_mean", "running_var", "num_batches_tracked")]  # fmt: skip
    for name in counted:
        state[f"body.{name}"].zero_()
    with _estimating(network, norms), on_best_device(network) as device:
        state = {name: value.to(device) for name, value in state.items()}
        pixels.draw(None, crop=False, flip=False)
        with torch.no_grad(), exact():
            for batch, _ in at_device(pixels, order, device):
                functional_call(network, state, (as_float(batch, device),))
    return {name: state[f"body.{name}"].cpu() for name in counted}


@contextmanager
def _estimating(network: Network, norms: Sequence[str]) -> Iterator[None]:
    """Evaluation mode but for these batch norms, which take the plain mean over batches."""
    modes = [(module, module.training) for module in network.modules()]
    modules = [network.body.get_submodule(name) for name in norms]
    momenta = [module.momentum for module in modules]
    try:
        network.eval()
        for module in modules:
            module.train()
            setattr(module, "momentum", None)  # noqa: B010 (for mypy it is a tensor or a module)
        yield
    finally:
        for module, momentum in zip(modules, momenta, strict=True):
            setattr(module, "momentum", momentum)  # noqa: B010
        network.train()
        back_to(modes)
