"""Reckoning: whether a study looks for a cause, by what that costs beside its trainings.

What is counted are pictures that go through a network. One that is trained on goes forth and back,
which counts three, in each epoch. A cause that a study neither asks for nor forbids is looked for
where all its pictures, over the whole study, are less than a tenth of those of all trainings.

    rewind        of each pair, the test pictures three times a layer
    between       of each pair, 13 times the test and the val pictures and 128 of train; of
                  trainings that are not compared, three times, and not those of val
    by layer      the same 11 times a layer, without val
    forgetting    of each pair, 7 times the test pictures of the parent's task and 128 of train
    probe         the train and test pictures of each trained network and of its parent, where no
                  comparison has their features already
    concepts      nothing: the features are there
    gaze          of each pair, its pictures once in both networks; attributions forth and back in
                  three networks, for one map and in each step of integrated gradients
"""

from overpaint.run.comparisons import splits_of
from overpaint.run.extents import extents_of, pictures_of
from overpaint.run.workspace import Workspace
from overpaint.study.asked import Cause, asks_for
from overpaint.study.causes import are_twins, pairs_of_trainings, pairs_of_weights, parent_of_task

SHARE = 1 / 10
"""Of the trainings, what a cause may cost that nobody has asked for."""

FORTH_AND_BACK = 3
"""What a picture counts that is trained on: the way back costs about twice the way forth."""

PLACES, PLACES_OF_FORGETTING, STATISTICS = 13, 7, 128
"""The places of a way, and the pictures for batch norms in each: see `causes.between`."""


GAZE_STEPS = 32
"""The steps of integrated gradients, unless they do not do: see `gaze.attribution`."""


def is_wanted(work: Workspace, cause: Cause) -> bool:
    """Whether a study looks for a cause: where it asks for it, or where it costs little."""
    asked = asks_for(work.study, cause)
    if asked is not None:
        return asked
    return _costs_little(work, pictures_for(work, cause))


def goes_by_layer(work: Workspace) -> bool:
    """Whether each layer goes the way from before to after alone as well: where it costs little."""
    layers, pictures = _layers(work), 0
    for pair in pairs_of_trainings(work.study):
        counts = pictures_of(work, _fit(work, pair.after))
        steps = (PLACES - 2) * layers.get(pair.after, 0)
        pictures += steps * (counts["test"] + min(STATISTICS, counts["train"]))
    return _costs_little(work, pictures)


def gaze_costs_little(work: Workspace, pictures: int, *, attribution: bool) -> bool:
    """Whether it costs little to look on so many pictures of each comparison."""
    of_picture = 2 + (3 * FORTH_AND_BACK * (1 + GAZE_STEPS) if attribution else 0)
    return _costs_little(work, len(work.study.compare) * pictures * of_picture)


def _costs_little(work: Workspace, pictures: int) -> bool:
    trained = 0
    for entry in work.study.all_networks.values():
        training = entry.training()
        if entry.fit and training:
            trained += FORTH_AND_BACK * training.epochs * pictures_of(work, entry.fit)["train"]
    return pictures < SHARE * trained


def pictures_for(work: Workspace, cause: Cause) -> int:
    """How many pictures a cause has go through a network, over the whole study."""
    study = work.study
    trained = [pair.pair for pair in pairs_of_trainings(study)]
    if cause == "rewind":
        layers = _layers(work)
        return sum(
            3 * layers.get(after, 0) * pictures_of(work, _fit(work, after))["test"]
            for before, after in trained
            if not are_twins(study, before, after)
        )
    if cause == "between":
        pictures = 0
        for names in pairs_of_weights(study):
            counts = pictures_of(work, _fit(work, names[1]))
            of_a_place = counts["test"] + min(STATISTICS, counts["train"])
            compared = names in trained
            pictures += PLACES * (of_a_place + counts["val"]) if compared else 3 * of_a_place
        return pictures
    if cause == "forgetting":
        steps = [names for names in trained if not are_twins(study, *names)]
        parents = [parent for names in steps if (parent := parent_of_task(study, *names))]
        tasks = [pictures_of(work, _fit(work, parent)) for parent in parents]
        return sum(
            PLACES_OF_FORGETTING * (task["test"] + min(STATISTICS, task["train"])) for task in tasks
        )
    if cause == "probe":
        return _probed(work)
    return 0


def _probed(work: Workspace) -> int:
    """The pictures whose features a probe needs and no comparison has."""
    stored = {
        (name, *on) for pair in work.study.compare for on in splits_of(work, pair)
        for name in pair.pair
    }  # fmt: skip
    needed = {
        (network, entry.fit, split)
        for name, entry in work.study.all_networks.items()
        for network in (name, entry.parent or f"{name}.init")
        for split in ("train", "test")
        if entry.fit
    }
    return sum(pictures_of(work, dataset)[split] for _, dataset, split in needed - stored)


def _layers(work: Workspace) -> dict[str, int]:
    return {name: len(extent.channels) for name, extent in extents_of(work).items()}


def _fit(work: Workspace, name: str) -> str:
    return str(work.study.all_networks[name].fit)
