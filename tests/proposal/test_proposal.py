"""From a folder to a study that runs: what is proposed, by which network, in which time."""

from pathlib import Path

import pytest
import requests
from nasty import (
    groups,
    lacking_in_splits,
    museum_export,
    no_classes,
    several_labels,
    sound,
    table_and_files,
    two_validations,
    uneven,
)
from rich.console import Console
from typer.testing import CliRunner

from overpaint.cli import app
from overpaint.errors import OverpaintError
from overpaint.networks import build, describe, load, save_weights
from overpaint.progress import Progressing
from overpaint.proposal import MARK, cost, examined, propose, start
from overpaint.proposal.cost import SIZES, Size
from overpaint.records import manifest, write_json
from overpaint.study import read_study

QUIET = Progressing(Console(quiet=True))


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Path:
    """The folder of a tiny network, as a study leaves it."""
    folder = tmp_path_factory.mktemp("network")
    small = build("inception_small", classes=("a", "b"), seed=0)
    facts = {**describe(small), "weights": save_weights(small, folder / "weights.safetensors")}
    made = manifest("network", inputs={}, settings={}, seed=0, facts=facts)
    write_json(folder / "manifest.json", made)
    return folder


@pytest.fixture
def timed(monkeypatch) -> None:
    """A machine whose speed is known, so that nothing is timed."""
    speed = cost.Speed(forth=1e-3, training=3e-3, drawing=1e-3)
    monkeypatch.setattr("overpaint.proposal.speed_of", lambda network: speed)


def init(tmp_path: Path, network: Path, *collections: Path) -> Path:
    """The study that `overpaint init` writes."""
    file = tmp_path / "study.yaml"
    paths = list(map(str, collections))
    done = CliRunner().invoke(app, ["init", *paths, "--out", str(file), "--network", str(network)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return file


@pytest.mark.parametrize(
    "make", [sound, uneven, groups, table_and_files, museum_export, several_labels],
    ids=lambda make: make.__name__,
)  # fmt: skip
def test_a_study_is_written_that_can_be_read(tmp_path, network, timed, make):
    """Whatever the collection is like, the file is a study of it, with the routes of the paper."""
    study = read_study(str(init(tmp_path, network, make(tmp_path / "art"))))
    assert list(study.datasets) == ["art"]
    assert list(study.networks) == ["pretrained", "frozen", "fine_tuned", "automatic"]
    assert study.networks["fine_tuned"].repeats == 2
    assert study.networks["automatic"].recipe == "auto"
    assert [pair.pair for pair in study.compare] == [("pretrained", "fine_tuned"),
                                                     ("pretrained", "automatic")]  # fmt: skip
    assert study.datasets["art"].read is not None


def test_what_was_guessed_stands_in_the_study(tmp_path, network, timed):
    """Groups of file names are named; splits that the owner made are left as they are, and said."""
    text = init(tmp_path, network, groups(tmp_path / "art")).read_text()
    assert 'group: "([^/_]+)_[^/]*$"' in text
    assert "disjoint: group'" in text
    assert read_study(str(tmp_path / "study.yaml")).datasets["art"].disjoint is None


def test_splits_that_are_drawn_share_no_group(tmp_path, network, timed):
    """Where the collection has none, they are drawn so from the beginning."""
    study = read_study(str(init(tmp_path, network, museum_export(tmp_path / "moons"))))
    assert study.datasets["moons"].disjoint == "group"
    assert study.datasets["moons"].group == "artist"


def test_a_second_collection_makes_double_fine_tuning(tmp_path, network, timed):
    """The first is fine-tuned on by way of the second."""
    first, second = sound(tmp_path / "art"), sound(tmp_path / "photos", classes="xyz", start=7000)
    study = read_study(str(init(tmp_path, network, first, second)))
    assert study.study == "art_after_photos"
    assert (study.networks["detour"].fit, study.networks["double"].fit) == ("photos", "art")
    assert study.networks["double"].parent == "detour"
    assert ("detour", "double") in [pair.pair for pair in study.compare]


@pytest.mark.parametrize(
    ("make", "slug"),
    [(two_validations, "split-twice"), (no_classes, "no-classes"),
     (lacking_in_splits, "class-not-in-train")],
    ids=lambda value: getattr(value, "__name__", value),
)  # fmt: skip
def test_no_study_is_written_for_what_none_can_read(tmp_path, network, make, slug):
    """The reader's own message tells why."""
    with pytest.raises(OverpaintError) as caught:
        init(tmp_path, network, make(tmp_path / "art"))
    assert caught.value.slug == slug
    assert not (tmp_path / "study.yaml").exists()


def test_a_file_that_is_there_is_never_written_over(tmp_path, network):
    """It is told before anything is looked at."""
    (tmp_path / "study.yaml").write_text("mine")
    with pytest.raises(OverpaintError) as caught:
        init(tmp_path, network, sound(tmp_path / "art"))
    assert caught.value.slug == "file-exists"
    assert (tmp_path / "study.yaml").read_text() == "mine"


# --- the whole way -----------------------------------------------------------------------------


def test_a_folder_becomes_a_report_in_one_command(tmp_path, network, timed, monkeypatch):
    """The study is kept beside the results, and run again as it lies there."""
    smallest = Size(epochs=2, causes=("probe", "concepts"), steps=2)
    monkeypatch.setattr("overpaint.proposal.SIZES", (smallest,))
    monkeypatch.chdir(tmp_path)
    sound(tmp_path / "art")
    asked = ["run", "art", "--network", str(network)]
    done = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "runs/art/site/index.html").is_file()
    file = tmp_path / "runs/art.yaml"
    assert file.read_text().startswith(f"{MARK} {tmp_path / 'art'}\n")
    assert "to change it: edit runs/art.yaml, then overpaint run runs/art.yaml" in done.output
    again = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert again.exit_code == 0
    assert "as it was proposed before" in again.output
    dry = CliRunner().invoke(app, [*asked, "--dry-run"], catch_exceptions=False)
    assert dry.exit_code == 0
    assert "lineage  pretrained" in dry.output
    other = CliRunner().invoke(app, [*asked[:-1], "timm:resnet18"]).exception
    assert isinstance(other, OverpaintError)  # which was asked for, and would not be tried
    assert other.slug == "file-exists"
    assert "another network" in str(other)
    file.write_text("study: mine\n")
    error = CliRunner().invoke(app, asked).exception
    assert isinstance(error, OverpaintError)
    assert error.slug == "file-exists"


def test_a_dry_run_of_pictures_without_a_study_says_what_writes_one(tmp_path, monkeypatch):
    """With quotes, where a path holds blanks, so that the command can be copied."""
    monkeypatch.chdir(tmp_path)
    sound(tmp_path / "my art")
    error = CliRunner().invoke(app, ["run", "my art", "--dry-run"]).exception
    assert isinstance(error, OverpaintError)
    assert error.slug == "idle-option"
    assert str(error).endswith("overpaint init 'my art'")
    assert not (tmp_path / "runs").exists()


# --- the network -------------------------------------------------------------------------------


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A machine without weights and without a connection; returns its cache folder."""
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("OVERPAINT_CACHE", str(cache))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def no_answer(*arguments, **settings):
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests, "head", no_answer)
    return cache


def test_without_weights_and_connection_it_is_said_what_to_do(alone):
    """Never random weights: the message names files, addresses and the folder."""
    with pytest.raises(OverpaintError) as caught:
        start.start_for("cpu", 500)
    assert caught.value.slug == "no-weights"
    assert "bvlc_googlenet.caffemodel" in str(caught.value)
    assert str(alone) in str(caught.value)


def test_weights_of_the_cache_are_taken_first(alone):
    """Also those of a network that is not the first choice."""
    (alone / "torchvision-resnet18.pth").write_bytes(b"x")
    proposed = start.start_for("cpu", 500)
    assert proposed.name == "torchvision:resnet18"
    assert str(alone) in proposed.why


def test_what_a_server_has_is_proposed(alone, monkeypatch):
    """A GPU and many pictures get a larger network."""

    class Answer:
        ok = True

    monkeypatch.setattr(requests, "head", lambda *arguments, **settings: Answer())
    assert start.start_for("cpu", 500).name == "inception_v1.bvlc_in1k"
    assert start.start_for("cuda", 50_000).name == "torchvision:resnet50"


def test_a_file_of_weights_is_named(tmp_path):
    """One whose name the cache looks for is of a known network; of another that is asked for."""
    known = tmp_path / "torchvision-resnet18.pth"
    known.touch()
    named = start.named_start(str(known))
    assert (named.name, named.weights) == ("torchvision:resnet18", known)
    (tmp_path / "mine.pth").touch()
    for name, said in [("mine.pth", "OVERPAINT_CACHE"), ("lost.pth", "there is no file")]:
        with pytest.raises(OverpaintError, match=said) as caught:
            start.named_start(str(tmp_path / name))
        assert caught.value.slug == "no-weights"


def test_a_study_from_a_file_of_weights_names_it(tmp_path, timed, monkeypatch):
    """The file stays where it is, and the study reads it from there."""
    folder = tmp_path / "my weights"
    folder.mkdir()
    resnet = build("torchvision:resnet18", classes=("a", "b"), seed=0)
    file = folder / "torchvision-resnet18.safetensors"
    save_weights(resnet, file)
    study = read_study(str(init(tmp_path, file, sound(tmp_path / "art"))))
    assert study.networks["pretrained"].load == "torchvision:resnet18"
    assert study.path(Path(str(study.networks["pretrained"].weights))) == file


def test_part_of_a_name_leads_to_the_names():
    """What no network is called, and many have in their names."""
    with pytest.raises(OverpaintError, match="overpaint networks vit") as caught:
        load("vit")
    assert caught.value.slug == "no-weights"


# --- how much of it ----------------------------------------------------------------------------


def test_a_network_is_timed_and_left_as_it_was(network):
    """Forth takes less than a training; no gradient stays behind."""
    loaded = load(str(network))
    speed = cost.speed_of(loaded)
    assert 0 < speed.forth < speed.training
    assert speed.drawing >= 0
    assert all(parameter.grad is None for parameter in loaded.parameters())


@pytest.mark.parametrize(
    ("seconds", "size"), [(1e-6, SIZES[0]), (0.1, SIZES[-1])], ids=["fast", "slow"]
)
def test_a_fast_machine_does_more(tmp_path, network, monkeypatch, seconds, size):
    """The first size that fits a sitting is taken, else the smallest."""
    speed = cost.Speed(forth=seconds, training=3 * seconds, drawing=seconds)
    monkeypatch.setattr("overpaint.proposal.speed_of", lambda network: speed)
    monkeypatch.setattr("overpaint.proposal.SITTING", 60)
    art = sound(tmp_path / "art")
    proposal = propose(
        {art: examined(art, QUIET)}, tmp_path / "study.yaml", tmp_path, QUIET, str(network)
    )
    assert proposal.study.networks["fine_tuned"].overrides["epochs"] == size.epochs
    assert (sum(proposal.seconds.values()) <= 60) == (seconds < 1e-3)
    assert proposal.bytes > 0
