"""Names become folders: no two things of a study share one, on any file system."""

import pytest
import yaml
from pydantic import ValidationError

from overpaint.errors import StudyError
from overpaint.files import safe_name
from overpaint.study import Study, read_study
from overpaint.study.places import places

LOADED = {"load": "inception_small", "weights": "random"}


def a_study(networks=("a", "b"), pairs=(), datasets=("art",), ensembles=None, name="tiny") -> dict:
    fitted = {"from": networks[0], "fit": datasets[0], "recipe": "mode_a"}
    return {
        "study": name,
        "datasets": {dataset: {"kind": "atelier", "task": "subjects"} for dataset in datasets},
        "networks": {networks[0]: LOADED, **dict.fromkeys(networks[1:], fitted)},
        "ensembles": ensembles or {},
        "compare": [{"pair": pair, "on": f"{datasets[0]}/test"} for pair in pairs],
    }


@pytest.mark.parametrize(
    ("study", "slug"),
    [
        (a_study(["a", "a--b", "b--c", "c"], [["a", "b--c"], ["a--b", "c"]]), "names-meet"),
        (a_study(["a", "b", "a--b"], [["a", "b"]]), "names-meet"),
        (a_study(["a", "b", "B"]), "names-meet"),
        (a_study(["a", "b"], datasets=["art", "Art"]), "names-meet"),
        (a_study(["a", "b", "c"], ensembles={"x": ["b", "c"], "X": ["b", "c"]}), "names-meet"),
        (a_study(["a", "n" * 201]), "long-name"),
        (a_study(["a" * 120, "b" * 120], [["a" * 120, "b" * 120]]), "long-name"),
        (a_study(["a", "b"], datasets=["d" * 195]), "long-name"),
        (a_study(["a", "b"], name="s" * 300), "long-name"),
        (a_study(["a", "con"]), "reserved-name"),
        (a_study(["a", "b"], datasets=["LPT1"]), "reserved-name"),
        (a_study(["a", "b"], name="nul"), "reserved-name"),
    ],
)
def test_names_that_cannot_be(study, slug, tmp_path):
    """They are refused when the study is read, before anything is written."""
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(study))
    with pytest.raises(StudyError) as caught:
        read_study(str(file))
    assert caught.value.slug == slug


@pytest.mark.parametrize("name", ["a.2", "a/b", "..", ".x", "a ", "a.", "ä", "", "-a", "a\n"])
def test_names_of_other_letters(name):
    """Dots, slashes, blanks and letters beyond ASCII are in no name, so repeats meet none."""
    with pytest.raises(ValidationError):
        Study.model_validate(a_study(["a", name]))


def test_ordinary_names_have_their_folders():
    """Names with dashes are as they were, also two in a row, where nothing meets."""
    study = Study.model_validate(a_study(["a", "b-1", "c--d"], [["a", "b-1"], ["b-1", "c--d"]]))
    assert {"comparisons/a--b-1", "comparisons/b-1--c--d", "networks/c--d"} <= set(places(study))


def test_a_safe_name():
    """It is a name on every file system, an ordinary one is its own, and no two are one."""
    for name in ("mixed4d", "layer4.1.conv2", "Conv_1", "blocks.0.attn", "aux1", "a" * 150):
        assert safe_name(name) == name
    odd = ["", ".", "..", "a/b", "a\\b", "../x", "a.", "con", "CON", "nul.txt", "aux", "x" * 151,
           "x" * 100_000, "ä", "a:b", "a b", "\ud800", "a\0b", "~", "-rf"]  # fmt: skip
    names = [safe_name(name) for name in odd]
    assert len({name.lower() for name in names}) == len(odd)
    for name in names:
        assert 0 < len(name) < 160
        assert name.isascii()
        assert not set(name) & set("/\\\\:\0 ")
