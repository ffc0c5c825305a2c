"""The recipe of a network's training, and what `recipe: auto` takes."""

from dataclasses import dataclass

from overpaint.errors import RecordError
from overpaint.run.starts import start_of
from overpaint.run.workspace import Workspace
from overpaint.study.recipe import AUTO, Recipe, fitting


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The preset of a training, and why auto took it; nothing where the study names it."""

    name: str
    why: str = ""


def preset_of(work: Workspace, name: str) -> Preset | None:
    """The preset that a network is trained by; None where auto decides when its start is open."""
    entry = work.study.all_networks[name]
    if entry.recipe is None or entry.fit is None:
        return None
    if entry.recipe != AUTO:
        return Preset(name=entry.recipe)
    attention = _attention_of_start(work, name)
    if attention is not None and entry.fit in work.datasets:
        pictures = len(work.split(entry.fit, "train"))
        preset, why = fitting(attention, pictures)
        return Preset(name=preset, why=why)
    if work.is_there(work.folder.network(name)):  # a dry run: as it was when it was trained
        recorded = work.network_facts(name).recipe or {}
        return Preset(name=str(recorded.get("name")), why=str(recorded.get("auto", "")))
    return None


def recipe_of(work: Workspace, name: str) -> Recipe | None:
    """The recipe of a network's training as far as it is decided; None where it has none."""
    preset = preset_of(work, name)
    return work.study.all_networks[name].training(preset.name) if preset else None


def _attention_of_start(work: Workspace, name: str) -> float | None:
    """How much of what a training starts from is attention; None where a dry run cannot tell."""
    entry = work.study.all_networks[name]
    if entry.parent:
        try:
            recorded = work.network_facts(entry.parent).attention
        except RecordError:
            recorded = None
        if recorded is not None:
            return recorded
    if work.dry:
        return None
    from overpaint.networks.attention import attention_share

    return attention_share(start_of(work, name).body)
