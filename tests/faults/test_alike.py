"""The bytes of an artefact do not depend on what the same process has done before it."""

import shutil

import pytest
from harness import Warm, contents, lay_out

STUDY = """\
study: alike
seed: 3
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 24, val: 8, test: 16}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: photographs, recipe: mode_a, with: {epochs: 1, dropout: 0.3}}
  head: {from: source, fit: photographs, recipe: frozen, with: {epochs: 1}}
compare:
  - [source, tuned]
  - [tuned, head]
maximal_images: 4
render: {layers: [mixed4b], channels: most_changed(2), steps: 3, size: 48, together: true}
"""

COMMAND = ("run", "study.yaml", "--out", "out")

STEPS = {
    "the second training": "networks/.head",
    "the first scores": "networks/tuned/.scores",
    "features": "features/",
    "the features of training": "features/source/photographs-train",
    "the first comparison": "comparisons/.source--tuned",
    "the second comparison": "comparisons/.tuned--head",
    "the first renderings": "renderings/",
    "the renderings of the tuned one": "renderings/tuned/",
    "the renderings of a pair": "renderings/source--tuned/",
}
"""Where a process is killed, so that another makes what follows."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The warm process, a place, and what one process makes there, up to the report."""
    place = lay_out(tmp_path_factory.mktemp("alike") / "place", STUDY)
    with Warm() as warm:
        ended = warm.run(place, *COMMAND, faults=[("at_place", "out/site/")])
        assert ended.signal == 9, ended.output
        yield warm, place, contents(place / "out")


@pytest.mark.parametrize("step", STEPS)
def test_a_process_that_makes_only_the_rest_makes_the_same_bytes(whole, step):
    """A process is killed at a step; the next one opens the networks anew, and all is equal."""
    warm, place, unbroken = whole
    shutil.rmtree(place / "out")
    ended = warm.run(place, *COMMAND, faults=[("at_place", STEPS[step])])
    assert ended.signal == 9, ended.output
    ended = warm.run(place, *COMMAND, faults=[("at_place", "out/site/")])
    assert ended.signal == 9, ended.output
    now = {name: held for name, held in contents(place / "out").items() if "holder" not in name}
    before = {name: held for name, held in unbroken.items() if "holder" not in name}
    assert [name for name in before | now if before.get(name) != now.get(name)] == []
