"""Looking: where two networks look on a few pictures, as tables and a sheet of tiles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from overpaint.errors import MissingExtraError, NetworkError
from overpaint.files import File
from overpaint.gaze.attribution import (
    Attributed,
    Method,
    as_images,
    attributions,
    by_place,
    class_name,
    logits_of,
    own_method,
    rank_correlation,
    shown,
    with_weights_dealt_out,
)
from overpaint.gaze.patches import Maps, maps_of, patch_colours
from overpaint.gaze.tiles import Pixels, in_colours, overlay, sheet_of, tile_of
from overpaint.networks import Network
from overpaint.records import GazePictureRow, GazeTileRow

LAYERS = 2
"""The layers that are looked into at most."""

SIDES = ("before", "after")

Pair = tuple[Network, Network]
Units = Mapping[str, Sequence[tuple[int, int]]]
"""By layer, channels to choose from: the number of each before and after."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A picture to look on, and what it was chosen for: see `GazePictureRow`."""

    file: File
    image: str
    digest: str
    split: str
    label: str
    chosen_for: str
    alike: float | None = None


@dataclass(kw_only=True, eq=False)
class Looked:
    """Where two networks look: rows, tiles in their order, and what there is to know of them."""

    pictures: list[GazePictureRow] = field(default_factory=list)
    tiles: list[GazeTileRow] = field(default_factory=list)
    agreement: dict[str, float] = field(default_factory=dict)
    shares: dict[str, tuple[float, float]] = field(default_factory=dict)
    methods: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _drawn: list[Pixels] = field(default_factory=list)

    @property
    def sheet(self) -> bytes:
        """All tiles in one picture, a WebP."""
        return sheet_of(self._drawn)

    def add(self, tile: Pixels, values: NDArray[np.floating] | None = None, **fields: Any) -> None:
        """Add a tile and its row: where its values are largest, if they are not the same anywhere,
        and what else is told of it.
        """
        if values is not None and np.ptp(values) > 0:
            at = np.unravel_index(int(np.abs(values).argmax()), values.shape)
            fields["row"], fields["column"] = (
                float((number + 0.5) / size) for number, size in zip(at, values.shape, strict=True)
            )
        self.tiles.append(GazeTileRow(tile=len(self._drawn), **fields))
        self._drawn.append(tile)


def look(
    networks: Pair,
    chosen: Sequence[Chosen],
    units: Units,
    *,
    attribution: bool,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Looked:
    """Where two networks, before and after, look on some pictures.

    units: its layers stand in the order in which they are wanted: looked into are the first
    `LAYERS` whose places are known. Of the channels of a layer that is taken for which a picture
    was chosen, or else that which answers to it most, as a share of its largest answer to any.

    Heat has one scale for both networks; colours are those of `patch_colours`, over all pictures.
    Attributions are for the class that the network after says, in both networks as far as the one
    before names it, and in the one after with its weights dealt out anew (seed).
    """
    views = [[shown(network, each.file) for each in chosen] for network in networks]
    images = [as_images(view) for view in views]
    looked = Looked(pictures=_said(networks, chosen, images))
    if not all(np.array_equal(*pair) for pair in zip(*views, strict=True)):
        looked.notes.append(
            "The two networks are shown the pictures in other sizes or cuts: a map lies over what "
            "its own network was shown, and patch colours are compared place by place all the same."
        )
    maps = _placed_maps(looked, networks, images, units)
    colours = {layer: patch_colours(*pair) for layer, pair in maps.items()}
    looked.agreement = {layer: each.agreement for layer, each in colours.items()}
    looked.shares = {layer: each.shares for layer, each in colours.items()}
    attributed = _attributed(looked, networks, images, seed, progress) if attribution else {}

    tiles = [[tile_of(picture) for picture in view] for view in views]
    for number, picture in enumerate(chosen):
        looked.add(tiles[1][number], picture=number, kind="picture")
        for layer, pair in maps.items():
            before_after = units[layer][_of_units(pair, units[layer], number, layer, picture)]
            heats = [each[number, at] for each, at in zip(pair, before_after, strict=True)]
            largest = [float(np.abs(heat).max()) for heat in heats]
            for at, name in enumerate(SIDES):
                looked.add(
                    overlay(tiles[at][number], heats[at] / max(*largest, 1e-30)),
                    heats[at],
                    picture=number,
                    kind="heat",
                    network=name,
                    layer=layer,
                    channel=before_after[at],
                    largest=largest[at],
                )
            of_patches = (colours[layer].before, colours[layer].after)
            for at, name in enumerate(SIDES):
                tile = in_colours(tiles[at][number], of_patches[at][number])
                looked.add(tile, picture=number, kind="colours", network=name, layer=layer)
        for method, of_network in attributed.items():
            after = by_place(of_network["after"][number].values)
            for name, of_pictures in of_network.items():
                if number not in of_pictures:
                    continue
                values = by_place(of_pictures[number].values)
                of_random = name == "randomised"
                looked.add(
                    overlay(
                        tiles[name != "before"][number], values / max(float(values.max()), 1e-30)
                    ),
                    values,
                    picture=number,
                    kind=method,
                    network=name,
                    gap=None if of_random else of_pictures[number].gap,
                    alike=rank_correlation(after, values) if of_random else None,
                    places=values.size,
                )
    return looked


def _said(networks: Pair, chosen: Sequence[Chosen], images: list[Tensor]) -> list[GazePictureRow]:
    """The pictures with what each network says of them."""
    said: list[list[tuple[str, float | None]]] = []
    for network, shown_to in zip(networks, images, strict=True):
        if not network.head:
            said.append([("", None)] * len(chosen))
            continue
        logits = logits_of(network, shown_to)
        shares = logits.sigmoid() if network.multi_label else logits.softmax(dim=1)
        most = shares.max(dim=1)
        said.append(
            [
                (class_name(network, number), share)
                for number, share in zip(most.indices.tolist(), most.values.tolist(), strict=True)
            ]
        )
    return [
        GazePictureRow(
            number=number,
            image=picture.image,
            digest=picture.digest,
            split=picture.split,
            label=picture.label,
            chosen_for=picture.chosen_for,
            alike=picture.alike,
            said_before=before[0],
            said_before_p=before[1],
            said_after=after[0],
            said_after_p=after[1],
            in_before=bool(after[0]) and after[0] in networks[0].classes,
        )
        for number, (picture, before, after) in enumerate(zip(chosen, *said, strict=True))
    ]


def _placed_maps(
    looked: Looked, networks: Pair, images: list[Tensor], units: Units
) -> dict[str, tuple[Maps, Maps]]:
    """What the first layers whose places are known say of the pictures, before and after."""
    maps: dict[str, tuple[Maps, Maps]] = {}
    for layer in units:
        if len(maps) == LAYERS:
            break
        before, after = (
            maps_of(network, shown_to, [layer]).get(layer)
            for network, shown_to in zip(networks, images, strict=True)
        )
        if before is None or after is None:
            looked.notes.append(
                f"{layer}: it is not known which of its positions is where in a picture, or it has "
                "but one."
            )
        else:
            maps[layer] = before, after
    order = networks[1].layers
    return dict(sorted(maps.items(), key=lambda of_layer: order.index(of_layer[0])))


def _of_units(
    maps: tuple[Maps, Maps],
    units: Sequence[tuple[int, int]],
    number: int,
    layer: str,
    picture: Chosen,
) -> int:
    """Which of a layer's channels is looked at on a picture, by its number: (N, C, H, W) each."""
    for at, (_, after) in enumerate(units):
        if picture.chosen_for == f"{layer}:{after}":
            return at
    answers = np.maximum(
        *(
            np.abs(each[:, list(channels)]).max(axis=(2, 3))
            for each, channels in zip(maps, zip(*units, strict=True), strict=True)
        )
    )
    shares = answers[number] / np.maximum(answers.max(axis=0), 1e-30)
    return int(shares.argmax())


def _attributed(
    looked: Looked,
    networks: Pair,
    images: list[Tensor],
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> dict[Method, dict[str, dict[int, Attributed]]]:
    """The maps of each method, by network and picture; what cannot be made is noted."""
    before, after = networks
    if not after.head:
        looked.notes.append("The network after has no head: nothing speaks for a class.")
        return {}
    random = with_weights_dealt_out(after, seed)
    targets = [
        after.classes.index(row.said_after) if after.classes else int(row.said_after)
        for row in looked.pictures
    ]
    in_before = {
        row.number: before.classes.index(row.said_after) for row in looked.pictures if row.in_before
    }
    everything = dict(enumerate(targets))
    methods: tuple[Method, ...] = (own_method(after), "integrated_gradients")
    steps, step = 3 * len(methods) * len(targets), 0
    attributed: dict[Method, dict[str, dict[int, Attributed]]] = {}
    for method in methods:
        of_network: dict[str, dict[int, Attributed]] = {}
        try:
            for name, network, shown_to, classes in (
                ("before", before, images[0], in_before),
                ("after", after, images[1], everything),
                ("randomised", random, images[1], everything),
            ):
                of_network[name] = {}
                for number, target in classes.items():  # one by one: the memory of a few maps
                    [of_network[name][number]] = attributions(
                        network,
                        shown_to[number : number + 1],
                        [target],
                        method,
                        exactly=name != "randomised",
                    )
                    step += 1
                    if progress:
                        progress(step, steps)
            attributed[method] = of_network
            looked.methods.append(method)
        except (NetworkError, MissingExtraError) as error:
            looked.notes.append(f"No {method.replace('_', ' ')}: {error}.")
    return attributed
