"""The gazes of a study: where the networks of its comparisons look, on a few pictures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from overpaint.datasets import Split
from overpaint.datasets.catalogue import Picture
from overpaint.defaults import GAZE_PICTURES
from overpaint.errors import DatasetError, NetworkError
from overpaint.records import (
    ChannelRow,
    ComparisonFacts,
    GazeFacts,
    GazePictureRow,
    GazeTileRow,
    LayerRow,
    Manifest,
    column_kinds,
    digest,
    facts_of,
    manifest,
    read_manifest,
    read_rows,
    read_table,
    whole_file,
    whole_folder,
    with_facts,
    write_manifest,
    write_rows,
)
from overpaint.run.channel_choice import choose_channels
from overpaint.run.comparisons import compared_pairs, splits_of
from overpaint.run.reckoning import gaze_costs_little
from overpaint.run.workspace import Workspace
from overpaint.study import Pair

CANDIDATES = "most_changed(4)"
"""The channels of a layer that are chosen from where none was drawn."""

NOT_INSTALLED = (
    "Attributions were not made: Captum is not installed. With "
    "python -m pip install 'overpaint[attribution]' the next run makes them."
)
TOO_DEAR = (
    "Attributions were not made: they would cost more than a tenth of the trainings. With "
    "gaze: {attribution: true} in the study the next run makes them."
)
NOT_ASKED = "Attributions were not asked for: gaze: {attribution: true} in the study asks for them."


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What of a study's comparisons is looked at."""

    pictures: int  # 0: nothing is
    no_attribution: str  # why there is none; "" where there is


def asked(work: Workspace) -> Asked:
    """What a study asks for, or, where it says nothing, what costs little."""
    entry = work.study.gaze
    pictures = entry.pictures if entry else GAZE_PICTURES
    if entry is None and not gaze_costs_little(work, pictures, attribution=False):
        pictures = 0
    if not pictures:
        return Asked(pictures=0, no_attribution=NOT_ASKED)
    if entry and entry.attribution is not None:
        return Asked(pictures=pictures, no_attribution="" if entry.attribution else NOT_ASKED)
    from overpaint.gaze.captum import has_captum

    if not has_captum():
        return Asked(pictures=pictures, no_attribution=NOT_INSTALLED)
    if entry is None and not gaze_costs_little(work, pictures, attribution=True):
        return Asked(pictures=pictures, no_attribution=TOO_DEAR)
    return Asked(pictures=pictures, no_attribution="")


def check_gaze(work: Workspace) -> None:
    """Refuse a study that asks for attributions by name, and has none yet, where Captum is not
    installed: before hours of trainings.
    """
    entry = work.study.gaze
    if entry and entry.pictures and entry.attribution:
        places = [work.folder.gaze(*pair.pair) for pair in compared_pairs(work)]
        if not all(map(work.is_there, places)):
            from overpaint.gaze.captum import captum_attr

            captum_attr()


def keep_gazes(work: Workspace) -> None:
    """Have where the networks of all comparisons look."""
    question = asked(work)
    for pair in compared_pairs(work) if question.pictures else ():
        place = work.folder.gaze(*pair.pair)
        wanted = _wanted(work, pair, question)
        work.keep(place, wanted, lambda: _look(work, pair, question, wanted))  # noqa: B023


def _wanted(work: Workspace, pair: Pair, question: Asked) -> Manifest:
    """What the gaze of a comparison would be made from now.

    Attributions that lie there stay where nobody says that there are to be none: a machine without
    Captum does not take them away.
    """
    place, attribution = work.folder.gaze(*pair.pair), not question.no_attribution
    if question.no_attribution in (NOT_INSTALLED, TOO_DEAR) and work.is_there(place):
        attribution = bool(read_manifest(place).settings.get("attribution"))
    inputs = {
        "before": work.weights_digest(pair.before),
        "after": work.weights_digest(pair.after),
        "comparison": work.artefact_key(work.folder.comparison(*pair.pair)),
    }
    for dataset, split in dict.fromkeys(splits_of(work, pair)):
        inputs[f"{dataset}/{split}"] = work.split_digest(dataset, split)
    rows = (GazePictureRow, GazeTileRow)
    return manifest(
        "gaze",
        inputs=inputs,
        settings={
            "pictures": question.pictures,
            "attribution": attribution,
            "columns": digest([list(column_kinds(row)) for row in rows]),
        },
        seed=work.study.seed,
    )


def _look(work: Workspace, pair: Pair, question: Asked, wanted: Manifest) -> None:
    from overpaint.device import chosen, in_words
    from overpaint.gaze.looking import Chosen, Looked, look
    from overpaint.gaze.tiles import ACROSS, TILE

    place, related = work.folder.comparison(*pair.pair), work.study.related(*pair.pair)
    units = units_of(
        read_rows(place / "layers.parquet", LayerRow),
        read_rows(place / "channels.parquet", ChannelRow),
        facts_of(read_manifest(place), ComparisonFacts).shown,
        related=related,
    )
    splits = [work.split(*on) for on in splits_of(work, pair)]
    pictures = [
        Chosen(
            file=split.root / row.image,
            image=row.image,
            digest=row.digest,
            split=split.name,
            label=" · ".join(row.labels),
            chosen_for=chosen_for,
            alike=alike,
        )
        for split, row, chosen_for, alike in pictures_to_look_on(
            read_table(place / "pictures.parquet"),
            read_table(place / "maximal.parquet"),
            units,
            (splits[0], splits[1]),
            question.pictures,
        )
    ]
    looked = Looked(notes=["No picture is there to look on."])
    if pictures:
        with work.progress.stage(f"where {pair.before} and {pair.after} look") as advance:
            try:
                looked = look(
                    (work.opened(pair.before), work.opened(pair.after)),
                    pictures,
                    units,
                    attribution=bool(wanted.settings["attribution"]),
                    seed=work.study.seed,
                    progress=advance,
                )
            except (NetworkError, DatasetError) as error:
                looked = Looked(notes=[f"Where the two networks look could not be shown: {error}."])
    facts = GazeFacts(
        dataset=splits[0].dataset,
        tile=TILE,
        across=ACROSS,
        layers=list(looked.agreement),
        agreement=looked.agreement,
        shares=looked.shares,
        matched=not related,
        methods=looked.methods,
        no_attribution="" if wanted.settings["attribution"] else question.no_attribution,
        notes=looked.notes,
    )
    with whole_folder(work.folder.gaze(*pair.pair)) as draft:
        write_rows(draft / "pictures.parquet", looked.pictures, GazePictureRow)
        write_rows(draft / "tiles.parquet", looked.tiles, GazeTileRow)
        if looked.tiles:
            with whole_file(draft / "sheet.webp") as sheet:
                sheet.write_bytes(looked.sheet)
        write_manifest(draft, with_facts(wanted, facts, device=in_words(chosen().device)))


# --- what is looked at ---------------------------------------------------------------------------


def units_of(
    layers: Iterable[LayerRow],
    channels: Iterable[ChannelRow],
    shown: Iterable[tuple[str, int]],
    *,
    related: bool,
) -> dict[str, list[tuple[int, int]]]:
    """By layer the channels that may be looked at, before and after: those that were drawn, or else
    the most changed of every layer. The layers that changed most stand first.

    The channel after has the same number, or, of networks that are not related, is the one that
    responds most alike.
    """
    rows = {(row.layer, row.channel): row for row in channels}
    changed = sorted(layers, key=lambda row: (_likeness(row), row.position))
    units = [unit for unit in shown if unit in rows] or choose_channels(
        list(rows.values()), [row.layer for row in changed], CANDIDATES
    )
    by_layer: dict[str, list[tuple[int, int]]] = {}
    for layer in (row.layer for row in changed):
        for channel in (channel for of_layer, channel in units if of_layer == layer):
            matched = channel if related else rows[layer, channel].matched_channel
            if matched is not None:
                by_layer.setdefault(layer, []).append((channel, int(matched)))
    return by_layer


def _likeness(row: LayerRow) -> float:
    value = row.cka_debiased if row.cka_debiased is not None else row.cka
    return 1.0 if value is None else value


def pictures_to_look_on(
    alike: pd.DataFrame,
    maximal: pd.DataFrame,
    units: Mapping[str, list[tuple[int, int]]],
    splits: tuple[Split, Split],
    count: int,
) -> list[tuple[Split, Picture, str, float | None]]:
    """The pictures to look on: split, picture, what it was chosen for, how alike it is.

    Up to half of them are the first maximal images, after, of the channels that are looked at,
    the first of each layer, then the second, and so on. The others are those that the last layer
    of the two networks sees least alike. Ties go to the first name; none stands twice.
    """
    on_cka, on_maximal = ({row.image: row for row in split.pictures} for split in splits)
    last = alike[alike["position"] == alike["position"].max()].sort_values(["alike", "image"])
    likeness = dict(zip(last["image"], last["alike"], strict=True))
    first = maximal[(maximal["network"] == "after") & (maximal["rank"] == 1)]
    image_of = {
        (str(layer), int(channel)): str(image)
        for layer, channel, image in zip(
            first["layer"], first["channel"], first["image"], strict=True
        )
        if image in on_maximal
    }
    in_turn = [
        (layer, pairs[at][1])
        for at in range(max(map(len, units.values()), default=0))
        for layer, pairs in units.items()
        if at < len(pairs)
    ]
    of_channels: dict[str, str] = {}
    for unit in in_turn:
        if unit in image_of and len(of_channels) < max(count // 2, 1):
            of_channels.setdefault(image_of[unit], f"{unit[0]}:{unit[1]}")
    unlike = [image for image in likeness if image in on_cka and image not in of_channels]
    return [
        *(
            (splits[0], on_cka[image], "unlike", float(likeness[image]))
            for image in unlike[: max(count - len(of_channels), 0)]
        ),
        *(
            (splits[1], on_maximal[image], unit, None)
            for image, unit in list(of_channels.items())[:count]
        ),
    ]
