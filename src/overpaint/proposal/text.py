"""The text of a proposed study: YAML with a word on each part, which its owner may change."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overpaint.checkup import Checkup
from overpaint.errors import printable
from overpaint.measures.concepts import GROUPS, LEAST
from overpaint.proposal.cost import BATCH, Size, layers_to_draw
from overpaint.proposal.start import Start
from overpaint.run.duration import DRAWN_SIDE

MARK = "# Proposed by overpaint for"
"""How the first line of a proposed study begins, by which it is known again."""


def first_line(paths: Sequence[str]) -> str:
    """The first line of a study that is proposed for the collections at some paths."""
    return f"{MARK} {printable(' and '.join(paths))}"


SCHEDULE = f"batch_size: {BATCH}, flip: true, selection: last"
"""What trainings on few pictures have in common: small batches, and the last epoch, for with few
pictures the validation loss rises while the share of right answers still grows."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """All that the text of a study depends on."""

    target: Checkup
    detour: Checkup | None  # another collection, by way of which the target may be learnt
    start: Start
    layers: Sequence[str]
    size: Size
    base: Path  # the folder of the file
    paths: Sequence[str]  # of the collections, as they were given

    @property
    def name(self) -> str:
        """What the study is called."""
        return f"{self.target.name}_after_{self.detour.name}" if self.detour else self.target.name


def study_text(draft: Draft) -> str:
    """The study as YAML."""
    target, detour, size = draft.target.name, draft.detour, draft.size
    collections = [draft.target, *([detour] if detour else [])]
    lines = [
        first_line(draft.paths),
        "# Change what you like and run it again: what is done already is not done again.",
        f"study: {draft.name}",
        "seed: 0",
        "datasets:",
    ]
    for checkup in collections:
        lines += _dataset_lines(checkup, draft.base)
    lines += [
        "networks:",
        f"  # {' '.join(printable(draft.start.why).split())}",
        f"  pretrained: {_value(_start_fields(draft))}",
        "  # Off the shelf: only a new head is learnt, the network stays as it is.",
        *_training("frozen", "off the shelf", ("pretrained", target), "frozen", size.epochs),
        "    repeats: 2  # what two trainings of a route differ by is luck",
        "  # Fine-tuned as in the paper.",
        *_training("fine_tuned", "fine-tuned", ("pretrained", target), "mode_a", size.epochs),
        "    repeats: 2",
        "  # What overpaint takes by itself, for this network and so many pictures. Its recipes",
        "  # are made for 30 epochs: if you have the time, leave 'with' out.",
        "  automatic:",
        "    title: automatic",
        "    from: pretrained",
        f"    fit: {target}",
        "    recipe: auto",
        f"    with: {{epochs: {2 * size.epochs}, batch_size: {BATCH}}}",
    ]
    pairs = [("pretrained", "fine_tuned"), ("pretrained", "automatic")]
    if detour:
        way = f"by way of {detour.name}"
        lines += [
            f"  # Double fine-tuning: first {detour.name}, then {target}.",
            *_training("detour", way, ("pretrained", detour.name), "mode_a", size.epochs),
            *_training("double", "fine-tuned twice", ("detour", target), "mode_a", size.epochs),
        ]
        pairs = [("pretrained", "fine_tuned"), ("pretrained", "detour"), ("detour", "double")]
    smallest = min(checkup.sizes["train"] for checkup in collections)
    lines += [
        "compare:",
        *(f"  - [{before}, {after}]" for before, after in pairs),
        "  # - [fine_tuned, fine_tuned.2]  # two trainings of one route, page by page",
        "# The pictures that excite a channel most: of few pictures few, or chance fills them.",
        f"maximal_images: {max(min(100, smallest // 12), 5)}",
        "# Which change mattered; with all of them: causes: true",
        f"causes: [{', '.join(_causes(draft))}]",
        "render:",
        f"  layers: [{', '.join(map(_value, layers_to_draw(draft.layers)))}]",
        "  channels: most_changed(2)",
        f"  steps: {size.steps}",
        f"  size: {DRAWN_SIDE}",
    ]
    return "\n".join(lines) + "\n"


def _start_fields(draft: Draft) -> dict[str, str]:
    """The entry of the network that all begin from."""
    fields = {"title": "pre-trained", "load": draft.start.name}
    if draft.start.weights:
        fields["weights"] = _relative(draft.start.weights, draft.base)
    return fields


def _causes(draft: Draft) -> list[str]:
    """The causes of the size, of which forgetting needs a task that can be forgotten, and
    difference concepts enough pictures to be sought among.
    """
    without = set() if draft.detour else {"forgetting"}
    if draft.target.sizes["test"] < GROUPS * LEAST:
        without.add("concepts")
    return [cause for cause in draft.size.causes if cause not in without]


def _training(name: str, title: str, edge: tuple[str, str], recipe: str, epochs: int) -> list[str]:
    """The lines of a network that is trained: from which, and on what."""
    parent, dataset = edge
    fields = {"title": title[:60], "from": parent, "fit": dataset, "recipe": recipe}
    lines = [f"  {name}:", *(f"    {key}: {_value(value)}" for key, value in fields.items())]
    return [*lines, f"    with: {{epochs: {epochs}, {SCHEDULE}}}"]


def _dataset_lines(checkup: Checkup, base: Path) -> list[str]:
    """The lines of a dataset, with what was guessed and what hurts beside them."""
    fields: dict[str, Any] = dict(checkup.fields)
    for key in ("root", "file"):
        if key in fields:
            fields[key] = _relative(Path(str(fields[key])), base)
    groups = any(slug.startswith("groups-in") for slug in _slugs(checkup))
    drawn = checkup.splits.startswith("drawn")
    comments = list(checkup.guesses)
    if groups and drawn:
        fields["disjoint"] = "group"
        comments.append("the splits are drawn so that no group stands in two")
    elif groups:
        comments.append(
            "groups stand in train and in test: with 'disjoint: group' all splits are drawn anew"
        )
    comments += [
        f"the doctor says: {complaint.what}"
        for complaint in checkup.complaints
        if complaint.hurts and not (groups and complaint.slug.startswith("groups-in"))
    ]
    lines = [f"  # {printable(' '.join(comment.split()))}" for comment in comments]
    lines.append(f"  {checkup.name}:")
    return lines + [f"    {key}: {_value(value)}" for key, value in fields.items()]


def _slugs(checkup: Checkup) -> list[str]:
    return [complaint.slug for complaint in checkup.complaints]


def _relative(path: Path, base: Path) -> str:
    """A path as it stands in a file of a folder: below it from there, else from the root."""
    way = Path(os.path.relpath(path, base))
    return path.as_posix() if ".." in way.parts else way.as_posix()


def _value(value: object) -> str:
    """A value as YAML has it, in quotes where it might be taken for something else.

    >>> _value("data/moons"), _value("([^/_]+)_"), _value(["sea", "no: sky"]), _value(True)
    ('data/moons', '"([^/_]+)_"', '[sea, "no: sky"]', 'true')
    """
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_value(key)}: {_value(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value not in ("true", "false", "null"):
        return value
    return json.dumps(value, ensure_ascii=False)


PLAIN = re.compile(r"[A-Za-z/][\w/.+-]*(:[A-Za-z][\w/.+-]*)?( [A-Za-z][\w-]*)*")
"""Texts that YAML takes for texts without quotes."""
