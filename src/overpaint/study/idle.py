"""Keys of a study that are given and do nothing beside the others: told, not passed over.

A folder keeps the study that it was made from, so this is asked where a study is read to be run,
and not of what was run once.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from overpaint.study.causes import pairs_of_trainings, parent_of_task
from overpaint.study.code import is_code
from overpaint.study.recipe import AUTO, PUBLISHED, TAKEN_BY_AUTO, Recipe, recipe

if TYPE_CHECKING:
    from overpaint.study.model import NetworkEntry, Place, Study

OF_A_HEAD_BY_SVM = ("optimiser", "train", "reinit")
"""All that a recipe says where scikit-learn finds the head."""

WITHOUT_MOMENTUM = (
    *("adam", "adamw", "adamax", "nadam", "nadamw", "radam", "adabelief", "adopt", "lamb", "lion"),
)
"""Optimisers that have betas in place of a momentum."""

PAPERS = ("mode_a", "mode_b", "mode_c", "mode_d", "mode_e", "mode_f", "frozen", *PUBLISHED)
"""Recipes of the paper's, of which there are published runs."""


def idle_keys(study: "Study") -> "Iterator[tuple[Place, str]]":
    """The places of keys that do nothing, and why.

    >>> from overpaint.study.model import Study
    >>> study = Study.model_validate({"study": "x", "datasets": {"art": {"kind": "atelier",
    ...     "task": "manners"}}, "networks": {"a": {"load": "inception_small"}, "b": {"from": "a",
    ...     "fit": "art", "recipe": "linear_svm", "with": {"epochs": 9}}}})
    >>> list(idle_keys(study))
    [(('networks', 'b', 'with', 'epochs'), 'a linear SVM goes down no gradient')]
    """
    for name, entry in study.networks.items():
        for field, why in _idle_fields(entry):
            yield ("networks", name, "with", *field), why
        draws = entry.recipe or entry.weights == "random" or is_code(str(entry.load))
        if entry.seed is not None and not draws:
            yield ("networks", name, "seed"), "nothing of this network is drawn or trained"
    for name, dataset in study.datasets.items():
        if getattr(dataset, "files", None) and getattr(dataset, "split", None):
            yield ("datasets", name, "split"), "'files' has a table for each split"
        if getattr(dataset, "revision", None) and getattr(dataset, "root", None):
            yield ("datasets", name, "revision"), "a folder ('root') has none"
    if study.render and not study.compare:
        yield ("render",), "it draws channels of the pairs below 'compare', and there are none"
    if study.gaze and study.gaze.pictures and not study.compare:
        yield ("gaze",), "it looks at the pairs below 'compare', and there are none"
    yield from _idle_causes(study)


def _idle_causes(study: "Study") -> "Iterator[tuple[Place, str]]":
    """Causes that are asked for and that nothing in the study has."""
    trained = pairs_of_trainings(study)
    of_trained = "it looks at the pairs below 'compare' whose second network is trained"
    reasons = {
        "rewind": not trained and f"{of_trained}, and there are none",
        "between": not trained and f"{of_trained}, and there are none",
        "forgetting": not any(parent_of_task(study, *pair.pair) for pair in trained)
        and f"{of_trained} from one that was fitted to a dataset, and there are none",
        "probe": not any(network.fit for network in study.networks.values())
        and "it looks at networks that are trained, and there are none",
        "concepts": not study.compare
        and "it looks at the pairs below 'compare', and there are none",
    }
    if study.causes is True and all(reasons.values()):
        yield ("causes",), "nothing is trained or compared"
    for number, cause in enumerate(study.causes if isinstance(study.causes, list) else ()):
        if why := reasons[cause]:
            yield ("causes", number), why


def _idle_fields(entry: "NetworkEntry") -> "Iterator[tuple[Place, str]]":
    """The fields of a training that are said and do nothing, whatever is taken by auto."""
    given = entry.overrides
    presets = TAKEN_BY_AUTO if entry.recipe == AUTO else (str(entry.recipe),)
    if not given or entry.recipe is None:
        return
    reasons = [dict(_of_recipe(name, recipe(name, given), given)) for name in presets]
    for field in reasons[0]:
        if all(field in of_preset for of_preset in reasons):
            yield field, reasons[0][field]


def _of_recipe(preset: str, whole: Recipe, given: dict[str, Any]) -> "Iterator[tuple[Place, str]]":
    if whole.optimiser == "linear_svm":
        for field in given:
            if field not in OF_A_HEAD_BY_SVM:
                yield (field,), "a linear SVM goes down no gradient"
        return
    trained = {stage.train for stage in whole.trainings()}
    reasons = {
        "backbone_lr": trained == {"head"} and "only the head is trained",
        "weight_penalty": trained == {"head"}
        and "it is of the backbone's weights, and only the head is trained",
        "momentum": whole.optimiser in WITHOUT_MOMENTUM
        and f"the optimiser {whole.optimiser} has none",
        "auxiliary_dropout": not whole.auxiliary and "there are no heads below 'auxiliary'",
        "as_published": preset not in PAPERS and f"there are no published runs of {preset}",
    }
    for field, why in reasons.items():
        if why and given.get(field):
            yield (field,), why
    yield from _of_stages(whole, given)


def _of_stages(whole: Recipe, given: dict[str, Any]) -> "Iterator[tuple[Place, str]]":
    """Rates of stages, or for stages that have their own."""
    for number, stage in enumerate(whole.stages if "stages" in given else ()):
        if stage.train == "head" and stage.backbone_lr:
            yield ("stages", number, "backbone_lr"), "this stage trains only the head"
    for rate in ("head_lr", "backbone_lr") if whole.stages else ():
        taken = (
            getattr(stage, rate) is None and (rate == "head_lr" or stage.train != "head")
            for stage in whole.stages
        )
        if rate in given and not any(taken):
            yield (rate,), "each of the stages has its own"
