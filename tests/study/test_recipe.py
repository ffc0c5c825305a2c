"""Recipes: what does not go together is refused in our words, with what would be right."""

import pytest
from pydantic import ValidationError

from overpaint.errors import StudyError
from overpaint.records import defaults_of
from overpaint.records.artefacts import without_defaults
from overpaint.study import read_study
from overpaint.study.recipe import (
    OF_A_DESCENT,
    PLAIN,
    PRESETS,
    TAKEN_BY_AUTO,
    Recipe,
    fitting,
    recipe,
)

REFUSED = [
    ("linear_svm", {"mixup": 0.2}, "goes down no gradient: it has no mixup"),
    ("linear_svm", {"stages": ["head"]}, "it has no stages"),
    ("frozen", {"layer_decay": 0.8}, "only the head is trained"),
    ("lp_ft", {"stages": ["head"], "layer_decay": 0.8}, "only the head is trained"),
    ("mode_a", {"weight_decay": 0.05}, "with sgd say weight_penalty"),
    ("mode_a", {"optimiser": "adamw", "weight_penalty": 1e-4}, "say weight_decay"),
    ("mode_a", {"warmup": 5}, "for 5 of 20 epochs say 0.25"),
    ("mode_a", {"warmup": 30}, "below 1, and 30 is not"),
    ("frozen", {"stages": ["head", "all"]}, "leave 'train' out"),
    ("lp_ft", {"epochs": 1}, "at least 2 epochs together, and epochs is 1"),
    ("mode_a", {"stages": [{"train": "head", "epochs": 3}], "epochs": 5}, "need 3 epochs"),
    ("mode_a", {"crop_scale": [0.3, 1]}, "is for 'crop: resized'"),
    ("mode_a", {"crop": "resized", "crop_scale": [1, 0.3]}, "least area and the most"),
    ("mode_a", {"mixup": 0.2, "batch_size": 1}, "batch_size 1 has no two"),
    ("mode_a", {"augment": "random_resized_crop"}, "'crop: resized'"),
    ("mode_a", {"augment": "rand-m9-tweights"}, "rand-m9-mstd0.5-inc1"),
    ("mode_a", {"train": "only"}, "'only FIRST to LAST'"),
    ("mode_a", {"train": "nothing"}, "is not understood"),
    ("mode_a", {"optimiser": "AdamW"}, "as timm's factory spells it"),
    ("mode_a", {"ema": 1.0}, "less than 1"),
    ("mode_a", {"label_smoothing": 1.0}, "less than 1"),
    ("mode_a", {"grad_accumulation": 0}, "greater than or equal to 1"),
    ("mode_a", {"stages": [{"train": "all", "momentum": 0.5}]}, "Extra inputs"),
]


@pytest.mark.parametrize(("preset", "fields", "said"), REFUSED)
def test_what_does_not_go_together(preset, fields, said):
    """It is refused, and the message says what would be right."""
    with pytest.raises(ValidationError, match=said):
        recipe(preset, fields)


def test_penalty_and_decay_do_not_meet():
    """An optimiser of timm's has no penalty unless one is asked for, which is refused."""
    assert recipe("mode_a", {"optimiser": "adamw"}).weight_penalty == 0
    assert recipe("mode_a", {"optimiser": "adam"}).weight_penalty == 2e-4


def test_stages_share_the_epochs():
    """Those without epochs share what the others leave; where all have theirs, that is the sum."""
    shared = recipe("mode_a", {"epochs": 8, "stages": ["head", {"train": "all", "epochs": 3},
                                                       "from middle"]})  # fmt: skip
    assert [each.epochs for each in shared.trainings()] == [2, 3, 3]
    named = recipe(
        "lp_ft", {"stages": [{"train": "head", "epochs": 5}, {"train": "all", "epochs": 7}]}
    )
    assert named.epochs == 12
    rates = [(each.head_lr, each.backbone_lr) for each in recipe("lp_ft").trainings()]
    assert rates == [(1e-3, 5e-5), (5e-5, 5e-5)]


def test_a_recipe_without_stages_is_its_own_training():
    """Whoever asks for the trainings of any recipe gets one at least."""
    assert recipe("mode_a").trainings() == [recipe("mode_a")]


@pytest.mark.parametrize("preset", [p for p in PRESETS if recipe(p).optimiser in PLAIN])
def test_todays_fields_enter_no_key_of_yesterdays_recipes(preset):
    """At their defaults they are left out of what a key is made of."""
    counting = without_defaults(recipe(preset).model_dump(mode="json"), defaults_of(Recipe))
    assert not {*OF_A_DESCENT, "crop_scale"} & set(counting)
    assert set(counting) <= {key for key, value in PRESETS[preset].items()}


@pytest.mark.parametrize("pictures", [50, 999, 1000, 10**6])
@pytest.mark.parametrize("attention", [0.0, 0.33])
def test_auto_takes_what_it_says_it_may(attention, pictures):
    """Each is one that overrides are read against, and the reason has the number."""
    preset, why = fitting(attention, pictures)
    assert preset in TAKEN_BY_AUTO
    assert f"{pictures:,}" in why
    assert (preset == "lp_ft") == (pictures < 1000)


def test_what_auto_may_take_draws_the_same():
    """What is random before a training is known before auto has decided."""
    assert len({recipe(preset).reinit for preset in TAKEN_BY_AUTO}) == 1


def test_overrides_of_auto_are_read_against_all(tmp_path):
    """An override that one of its recipes refuses is told with its line before a run."""
    file = tmp_path / "study.yaml"
    file.write_text(
        "study: a\ndatasets: {art: {kind: folder, root: p}}\nnetworks:\n"
        "  start: {load: inception_small, weights: random}\n"
        "  tuned: {from: start, fit: art, recipe: auto, with: {weight_penalty: 0.1}}\n"
    )
    with pytest.raises(StudyError, match=r"say weight_decay.*line 5"):
        read_study(str(file))
