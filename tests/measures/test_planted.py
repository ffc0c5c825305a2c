"""Changes planted in a real network, in known channels of known layers: every list names them."""

from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from overpaint.comparison import InMemory, Positions, tables
from overpaint.datasets.catalogue import Picture, Split
from overpaint.measures.specialists import specialised
from overpaint.networks import build
from overpaint.networks.taps import taps
from overpaint.records import ChannelRow, read_rows, write_table
from overpaint.run.channel_choice import choose_channels

IMAGES, K, CLASSES = 96, 12, ("cat", "dog", "owl", "elk")
LAYERS = ("conv2d0", "conv2d1", "conv2d2", "mixed3a", "mixed3b", "mixed4a", "mixed4b", "mixed5a")


def split_of(images=IMAGES, digests=None, labels=None):
    """A split of pictures that were never files; two of one digest are one picture."""
    digests = digests or [f"{row:04x}" for row in range(images)]
    labels = labels or [CLASSES[row % 4] for row in range(images)]
    pictures = [
        Picture(image=f"{row:03}.png", split="train", labels=(labels[row],), digest=digests[row])
        for row in range(images)
    ]
    return Split(
        dataset="made",
        name="train",
        root=Path(),
        pictures=tuple(pictures),
        classes=CLASSES,
        multi_label=False,
    )


@pytest.fixture(scope="module")
def before():
    return build("inception_small", classes=CLASSES, seed=0)


@pytest.fixture(scope="module")
def pixels():
    coarse = torch.rand((IMAGES, 3, 9, 9), generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=64, mode="bicubic").clamp(0, 1)


def features_of(network, pixels):
    with torch.inference_mode(), taps(network, LAYERS) as tap:
        return {layer: values.numpy() for layer, values in tap(pixels).items()}


def compared(before, after, pixels):
    means = [features_of(network, pixels) for network in (before, after)]
    return tables_of((before, after), means, split_of())


def tables_of(networks, means, split, **options):
    """The tables of two networks, given the spatial means of all layers of each."""
    sources = [
        InMemory(network, by_layer=layers, means_by_layer=layers)
        for network, layers in zip(networks, means, strict=True)
    ]
    return tables(*sources, split, k=K, seed=0, **options)


def of_layer(change, layer):
    return change.channels[change.channels["layer"] == layer].reset_index(drop=True)


# --- altering known filters ----------------------------------------------------------------------


def filters_of(network, layer, channels):
    """The kernel and the row in it of each channel of a layer, whichever branch makes it."""
    kernels = [network.body.get_submodule(name).weight for name in network.filters[layer]]
    place = [(kernel, row) for kernel in kernels for row in range(len(kernel))]
    return [place[channel] for channel in channels]


def permute(filters):
    rows = [kernel[row].clone() for kernel, row in filters]
    for (kernel, row), other in zip(filters, [*rows[1:], rows[0]], strict=True):
        kernel[row] = other


def redraw(filters):
    for number, (kernel, row) in enumerate(filters):
        draw = torch.Generator().manual_seed(number)
        kernel[row] = torch.randn(kernel[row].shape, generator=draw) * kernel.std()


def scale(filters):
    for kernel, row in filters:
        kernel[row] *= 2


def shift(filters):
    for kernel, row in filters:
        kernel[row] += kernel[row].abs().mean() / 2


def altered(network, layer, channels, how):
    changed = deepcopy(network)
    with torch.no_grad():
        how(filters_of(changed, layer, channels))
    return changed


@pytest.fixture(scope="module")
def planted(before, pixels):
    """The comparison with a network of which some channels of a layer were altered."""

    @cache
    def compare(layer, channels, how):
        return compared(before, altered(before, layer, channels, how), pixels)

    return compare


PLANTED = [
    ("conv2d1", (2, 9, 21)),
    ("mixed3b", (30, 31, 50, 55)),  # all in the 3x3 branch
    ("mixed5a", (48, 100, 127)),
]


@pytest.mark.parametrize("how", [permute, redraw, scale, shift])
@pytest.mark.parametrize(("layer", "channels"), PLANTED)
def test_the_planted_channels_head_every_list(planted, layer, channels, how):
    """Exactly the altered filters head the list of filters that changed most, in any layer; only
    their channels see other than before in their layer, and no layer below has changed at all.
    """
    change = planted(layer, channels, how)
    by_filter = change.channels.nlargest(len(channels), "filter_change")
    assert {*zip(by_filter["layer"], by_filter["channel"], strict=True)} == {
        (layer, channel) for channel in channels
    }
    assert (change.channels["filter_change"] > 0).sum() == len(channels)
    own = of_layer(change, layer)
    alive = own[own["status"] != "dead"]
    assert sorted(alive[alive["status"] != "identical"]["channel"]) == list(channels)
    below = LAYERS[: LAYERS.index(layer)]
    for each in below:
        assert set(of_layer(change, each)["status"]) <= {"identical", "dead"}
    cka = change.layers.set_index("layer")["cka"]
    assert cka[list(below)].to_numpy() == pytest.approx(1, abs=1e-12)
    moved = change.weights[change.weights["status"] != "identical"]
    assert {name.rsplit("_", 1)[0] if "mixed" in name else name for name in moved["layer"]} == {
        layer
    }


@pytest.mark.parametrize(("layer", "channels"), PLANTED)
def test_redrawn_channels_see_other_pictures(planted, layer, channels):
    """They have the least overlap of their layer, and match nothing wholly; CKA falls there."""
    change = planted(layer, channels, redraw)
    own = of_layer(change, layer)
    rest = own[~own["channel"].isin(channels) & (own["n_before"] == K)]
    assert own.loc[list(channels), "overlap"].max() < 1
    assert (rest["overlap"] == 1).all()
    # A few others are given away where that makes the sum of all correlations larger.
    assert (rest["matched_channel"] == rest["channel"]).mean() > 0.8
    assert own.loc[list(channels), "matched_correlation"].max() < 0.999
    cka = change.layers.set_index("layer")["cka"]
    assert cka[layer] < 1 - 1e-6
    rows = rows_of(change)
    for criterion in ("most_changed", "least_overlap"):
        chosen = choose_channels(rows, [layer], f"{criterion}({len(channels)})")
        assert sorted(channel for _, channel in chosen) == list(channels)


def rows_of(change):
    return [ChannelRow(**row) for row in change.channels.to_dict("records")]


@pytest.mark.parametrize(("layer", "channels"), PLANTED)
def test_scaled_channels_see_the_same_pictures(planted, layer, channels):
    """The filter changed by exactly its size, and nothing else: the images stay, in their order."""
    change = planted(layer, channels, scale)
    own = of_layer(change, layer)
    assert own.loc[list(channels), "filter_change"].tolist() == [1.0] * len(channels)
    full = own[own["n_before"] == K]
    assert (full["overlap"] == 1).all()
    assert full["matched_correlation"].to_numpy() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("layer", "channels"), PLANTED)
def test_shifted_filters_changed_by_half(planted, layer, channels):
    """A shift of half the mean weight is a relative change of exactly that."""
    change = planted(layer, channels, shift)
    assert of_layer(change, layer).loc[list(channels), "filter_change"].to_numpy() == pytest.approx(
        0.5, rel=1e-5
    )


# --- a layer in another order --------------------------------------------------------------------


def reorder_conv2d1(body, order):
    body.conv2d1_pre_relu[0].weight[:] = body.conv2d1_pre_relu[0].weight[order]
    body.conv2d2_pre_relu[0].weight[:] = body.conv2d2_pre_relu[0].weight[:, order]


def reorder_mixed5a(body, order):
    """The 3x3 branch, channels 48 to 127 of the layer."""
    body.mixed5a_3x3_pre_relu[0].weight[:] = body.mixed5a_3x3_pre_relu[0].weight[order]
    body.head.weight[:, 48:128] = body.head.weight[:, 48:128][:, order]


@pytest.mark.parametrize(
    ("layer", "reorder", "first", "width"),
    [("conv2d1", reorder_conv2d1, 0, 24), ("mixed5a", reorder_mixed5a, 48, 80)],
)
def test_a_permuted_layer_is_found_intact(before, pixels, layer, reorder, first, width):
    """Channels in another order, and the next layer told so: the network says what it said, the
    overlap by number is near chance, and matching finds each channel again, to the image.
    """
    order = np.roll(np.arange(width), 7)
    after = deepcopy(before)
    with torch.inference_mode():
        reorder(after.body, order)
        assert after.eval()(pixels).numpy() == pytest.approx(
            before.eval()(pixels).numpy(), abs=1e-4
        )
    change = compared(before, after, pixels)
    own = of_layer(change, layer)
    alive = own["matched_correlation"].notna() & own["channel"].between(first, first + width - 1)
    moved = own[alive]
    assert len(moved) > width / 2
    expected = {first + int(channel): first + row for row, channel in enumerate(order)}
    assert moved["matched_channel"].tolist() == [expected[channel] for channel in moved["channel"]]
    assert moved["matched_correlation"].to_numpy() == pytest.approx(1, abs=1e-9)
    full = moved[moved["n_before"] == K]
    assert (full["overlap_matched"] == 1).all()
    assert full["overlap"].mean() < 0.6
    assert change.layers.set_index("layer")["cka"].to_numpy() == pytest.approx(1, abs=1e-6)
    elsewhere = change.channels[
        (change.channels["layer"] != layer) & (change.channels["n_before"] == K)
    ]
    assert (elsewhere["overlap"] == 1).all()
    assert (elsewhere["matched_channel"] == elsewhere["channel"]).all()


def test_the_identity_pair_shows_no_change(before, pixels):
    """A network against itself: every number says so, and every status too."""
    change = compared(before, deepcopy(before), pixels)
    channels = change.channels
    assert set(channels["status"]) <= {"identical", "dead", "constant"}
    assert (channels["status"] == "identical").mean() > 0.9
    alive = channels[channels["status"] == "identical"]
    assert (alive["overlap"] == alive["n_before"] / K).all()
    assert (alive["overlap_matched"] == alive["overlap"]).all()
    assert (alive["matched_channel"] == alive["channel"]).all()
    assert alive["matched_correlation"].to_numpy() == pytest.approx(1, abs=1e-12)
    for column, value in [("concentration", 0), ("specialised_p", 1), ("specialised_q", 1)]:
        assert (alive[column] == value).all(), column
    for each in ("n", "entropy", "gain", "top_class", "top_share", "top_lift"):
        assert (alive[f"{each}_before"] == alive[f"{each}_after"]).all(), each
    assert (channels["filter_change"] == 0).all()
    assert len(specialised(channels)) == 0
    assert change.layers["cka"].to_numpy() == pytest.approx(1, abs=1e-12)
    assert (change.weights["status"] == "identical").all()
    sides = [part.drop(columns="network").reset_index(drop=True)
             for _, part in change.responses.groupby("network")]  # fmt: skip
    assert sides[0].equals(sides[1])


# --- features made to measure --------------------------------------------------------------------

SPECIALISED = {("conv2d2", 3): 0, ("conv2d2", 40): 2, ("mixed5a", 100): 1}


def noise(before, side):
    """What a network without a preference says: seen by 240 images, in no relation to labels."""
    draw = np.random.default_rng(0 if side == "before" else 1)
    widths = {"conv2d0": 24, "conv2d1": 24, "conv2d2": 48, "mixed3a": 64, "mixed3b": 88,
              "mixed4a": 112, "mixed4b": 152, "mixed5a": 192}  # fmt: skip
    return {layer: draw.normal(1, 0.4, (240, width)).astype(np.float32)
            for layer, width in widths.items()}  # fmt: skip


def test_planted_specialists_are_found(before):
    """Of 704 channels those three that took to a class are the list of specialised ones, and they
    head the channels that respond to their class; before, nothing of it is seen.
    """
    split = split_of(240)
    seen = {side: noise(before, side) for side in ("before", "after")}
    for (layer, channel), label in SPECIALISED.items():
        seen["after"][layer][split.labels == label, channel] += 2
    change = tables_of((before, before), seen.values(), split)
    found = specialised(change.channels)
    assert {*zip(found["layer"], found["channel"], strict=True)} == {*SPECIALISED}
    assert (found["entropy_p_after"] < 0.01).all()
    for (layer, channel), label in SPECIALISED.items():
        row = found[(found["layer"] == layer) & (found["channel"] == channel)].iloc[0]
        assert (row["top_class_after"], row["top_share_after"]) == (CLASSES[label], 1.0)
        assert row["top_lift_after"] == pytest.approx(4)
        first = change.responses[
            (change.responses["layer"] == layer) & (change.responses["rank"] == 1)
        ]
        heads = first[first["label"] == CLASSES[label]].set_index("network")
        assert heads.loc["after", "channel"] == channel
        assert heads.loc["after", "standardised"] > 5 * heads.loc["before", "standardised"]


def test_layers_are_known_by_their_whole_name(before):
    """A dot in the name of a layer is a dot, and a name that begins another is not the other."""
    seen = {side: noise(before, side) for side in ("before", "after")}
    rows = rows_of(tables_of((before, before), seen.values(), split_of(240)))[:6]
    names = ["a.1", "a1", "a.1.b", "axi", "a.1", "a.10"]
    rows = [replace(row, layer=name) for row, name in zip(rows, names, strict=True)]
    assert choose_channels(rows, ["a.1"], "least_overlap(9)") in (
        [("a.1", 0), ("a.1", 4)],
        [("a.1", 4), ("a.1", 0)],
    )


def test_a_network_without_a_positive_image(before):
    """Every channel is dead, in its place, and nothing else is said; the run is not lost."""
    seen = {side: {layer: -np.abs(values) for layer, values in noise(before, side).items()}
            for side in ("before", "after")}  # fmt: skip
    change = tables_of((before, before), seen.values(), split_of(240))
    assert (change.channels["status"] == "dead").all()
    assert len(change.channels) == 704
    assert len(change.maximal) == 0
    for column in ("n_before", "n_after", "overlap"):
        assert (change.channels[column] == 0).all()
    for column in ("concentration", "specialised_p", "specialised_q", "entropy_p_after",
                   "top_lift_before", "top_class_after"):  # fmt: skip
        assert change.channels[column].isna().all(), column
    negative = tables_of((before, before), seen.values(), split_of(240), negative=True)
    assert (negative.channels["status"] == "negative").all()
    assert (negative.channels["n_after"] == K).all()
    assert negative.channels["specialised_p"].notna().all()
    assert (negative.maximal["value"] < 0).all()


def test_dead_and_constant_channels_move_no_other(before):
    """Channels between them keep their numbers, their images and their classes, and a constant
    channel, whose images only their ids have chosen, passes for no specialist.
    """
    labels = sorted(CLASSES[row % 4] for row in range(240))  # ids in the order of classes
    split, plain = (
        split_of(240, labels=labels),
        {side: noise(before, side) for side in ("before", "after")},
    )
    odd = deepcopy(plain)
    odd["after"]["conv2d0"][:, 4] = 0
    odd["before"]["conv2d0"][:, 7] = 0
    odd["after"]["conv2d0"][:, 9] = 0.1
    ours, theirs = (
        of_layer(tables_of((before, before), seen.values(), split), "conv2d0")
        for seen in (odd, plain)
    )
    assert {channel: ours["status"][channel] for channel in (4, 7, 9)} == {
        4: "dead_after", 7: "dead_before", 9: "constant",
    }  # fmt: skip
    rest = [channel for channel in range(24) if channel not in (4, 7, 9)]
    assert (ours["status"][rest] == "ok").all()
    same = ["channel", "n_before", "n_after", "overlap", "entropy_before", "entropy_after",
            "top_class_after", "concentration"]  # fmt: skip
    assert ours.loc[rest, same].equals(theirs.loc[rest, same])
    assert ours.loc[[4, 7, 9], ["concentration", "specialised_p"]].isna().all(axis=None)
    assert ours.loc[9, "entropy_after"] == 0
    # Two say nothing after, so that two find no partner: that which says nothing before, and one.
    assert ours["matched_channel"].isna().sum() == 2
    assert np.isnan(ours.loc[7, "matched_correlation"])
    assert not {4, 9} & set(ours["matched_channel"].dropna())


def test_a_picture_that_lies_there_twice_counts_once(before):
    """The tables are those of the split without it, and say how many were left out."""
    seen = {side: noise(before, side) for side in ("before", "after")}
    twice = deepcopy(seen)
    for side in twice:
        for layer in twice[side]:
            twice[side][layer][200:] = twice[side][layer][:40]
    marks = [f"{row % 200:04x}" for row in range(240)]
    ours = tables_of((before, before), twice.values(), split_of(240, marks))
    short = {side: {layer: values[:200] for layer, values in seen[side].items()} for side in seen}
    theirs = tables_of((before, before), short.values(), split_of(200))
    assert (ours.duplicates, theirs.duplicates) == (40, 0)
    for name in ("channels", "maximal", "responses"):
        assert getattr(ours, name).equals(getattr(theirs, name)), name
    assert not ours.maximal.groupby(["layer", "channel", "network"])["digest"].apply(
        lambda column: column.duplicated().any()
    ).any()  # fmt: skip
    assert ours.channels["overlap_chance"].iloc[0] == pytest.approx(K / 200)


def test_positions_stay_with_their_pictures(before):
    """Also where every other picture is left out as a duplicate; none where none is known."""
    seen = {side: noise(before, side) for side in ("before", "after")}
    split = split_of(240, [f"{row // 2:04x}" for row in range(240)])

    class Located(InMemory):
        def positions(self, layer):
            width = self.means(layer).shape[1]
            return Positions(np.repeat(np.arange(240, dtype=np.int32)[:, None], width, axis=1), 7)

    sources = [Located(before, by_layer=means, means_by_layer=means) for means in seen.values()]
    found = tables(*sources, split, k=K, seed=0).maximal
    own = [int(image[:3]) for image in found["image"]]
    assert found["image"].nunique() > 100
    assert (found["row"] * 7 + found["column"]).tolist() == own
    assert (
        tables_of((before, before), seen.values(), split)
        .maximal[["row", "column"]]
        .isna()
        .all(axis=None)
    )


def test_layers_of_other_widths_have_no_channels_in_common(before):
    """There are no rows by channel, and that is all."""
    seen = {side: noise(before, side) for side in ("before", "after")}
    seen["after"] = {layer: values[:, 1:] for layer, values in seen["after"].items()}
    change = tables_of((before, before), seen.values(), split_of(240))
    assert [len(change.layers), len(change.channels), len(change.responses)] == [8, 0, 0]


def test_the_columns_survive_the_disk(before, tmp_path):
    """What a row says is what is read again: whole numbers stay whole, what is not there None."""
    seen = {side: noise(before, side) for side in ("before", "after")}
    for side in seen:
        seen[side]["conv2d0"][:, 4] = 0
    change = tables_of((before, before), seen.values(), split_of(240))
    write_table(tmp_path / "channels.parquet", change.channels)
    rows = read_rows(tmp_path / "channels.parquet", ChannelRow)
    assert rows[4].matched_channel is None
    assert rows[4].specialised_p is None
    assert all(isinstance(row.matched_channel, int) for row in rows if row is not rows[4])
