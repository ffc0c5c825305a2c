"""Every network of timm and torchvision by one small member of each family: docs/zoo.md.

python tests/networks/zoo_table.py [RESULTS [MINUTES]]

`make zoo` runs this. Each network is tried by a process of its own (`zoo_check.py`), with a limit
of time. What came out is kept line by line in RESULTS (artefacts/zoo.jsonl): a run that was
stopped, or that was given some minutes only, goes on, and what is not right is tried again. All
names belong to a family: those of one file of the library, one class, one kind of classifier and
one leading word, as `resnext` in `resnext50_32x4d`.
"""

import json
import multiprocessing
import re
import sys
import time
import warnings
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

import timm
import torch
import torchvision
import zoo_check

from overpaint.networks.zoo import REFUSED

ROOT = Path(__file__).parents[2]
LIMIT = 900
"""Seconds that a network may take."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A name of a library, what family it is of, and how large it is."""

    name: str
    family: list[str]
    parameters: int

    def __hash__(self):
        return hash(self.name)


def members():
    """All names of both libraries; built without memory for their weights."""
    warnings.simplefilter("ignore")
    found = []
    modules = {
        name: module for module in timm.list_modules() for name in timm.list_models(module=module)
    }
    for name in timm.list_models():
        with torch.device("meta"):
            model = timm.create_model(name, pretrained=False, num_classes=2)
        classifier = (
            type(model.get_classifier()).__name__ if hasattr(model, "get_classifier") else ""
        )
        word = re.match("[a-z]+", name)[0]
        family = ["timm", modules[name], type(model).__name__, classifier, word]
        found.append(member_of(f"timm:{name}", family, model))
    for name in torchvision.models.list_models(module=torchvision.models):
        options = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
        # torchvision's RegNet reckons with tensors while it is made, so it needs its memory
        with torch.device("cpu" if name.startswith("regnet") else "meta"):
            model = torchvision.models.get_model(name, weights=None, num_classes=2, **options)
        word = re.sub(r"\d+", "", re.match("[a-z]+(_bn|_v2|_v3|_x|_y)?", name)[0])
        word += "_bn" if name.endswith("_bn") else ""
        found.append(
            member_of(f"torchvision:{name}", ["torchvision", type(model).__name__, word], model)
        )
    return found


def member_of(name, family, model):
    """A member whose model was built."""
    count = sum(parameter.numel() for parameter in model.parameters())
    return Member(name=name, family=family, parameters=count)


def reason_to_refuse(name):
    """Why a name is refused, or ""."""
    return next((why for pattern, why in REFUSED.items() if fnmatch(name, pattern)), "")


def representatives(everything):
    """For each family its smallest member that is not refused by name, or else the smallest; with
    all the names that it stands for.
    """
    families = defaultdict(list)
    for member in everything:
        families[*member.family, bool(reason_to_refuse(member.name))].append(member)
    chosen = {}
    for group in families.values():
        smallest = min(group, key=lambda member: (member.parameters, member.name))
        chosen[smallest] = [member.name for member in group]
    return dict(sorted(chosen.items(), key=lambda item: item[0].parameters))


def tried(member):
    """What comes of a network in a process of its own, which has imported everything already."""
    fork = multiprocessing.get_context("fork")
    answer, question = fork.Pipe(duplex=False)
    process = fork.Process(target=lambda: question.send(zoo_check.outcome(member.name)))
    process.start()
    question.close()
    row = {"name": member.name, "status": "wrong", "why": f"not done in {LIMIT} seconds"}
    if answer.poll(LIMIT):
        try:
            row = answer.recv()
        except EOFError:
            row["why"] = "the process ended, maybe for want of memory"
    process.kill()
    process.join()
    return row


def remembered(place):
    """All names, as they were found with these versions, or found now."""
    versions = [timm.__version__, torchvision.__version__]
    if place.is_file():
        kept = json.loads(place.read_text())
        if kept["versions"] == versions:
            return [Member(**row) for row in kept["members"]]
    everything = members()
    place.write_text(json.dumps({"versions": versions, "members": list(map(asdict, everything))}))
    return everything


def run(results, minutes):
    """Try what RESULTS has not as right or refused, and write the table."""
    end = time.monotonic() + 60 * minutes
    results.parent.mkdir(parents=True, exist_ok=True)
    everything = remembered(results.with_suffix(".names.json"))
    chosen = representatives(everything)
    there = {}
    if results.is_file():
        there = {row["name"]: row for row in map(json.loads, results.read_text().splitlines())}
    for member in chosen:
        done = there.get(member.name, {}).get("status", "") in ("right", "refused")
        if done or time.monotonic() > end:
            continue
        there[member.name] = row = tried(member)
        with results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row["name"], row["status"], row.get("why", ""), row.get("seconds"), flush=True)  # noqa: T201
    (ROOT / "docs" / "zoo.md").write_text(table(everything, chosen, there), "utf-8")
    return sum(row["status"] == "wrong" for row in there.values())


def table(everything, chosen, there):
    """docs/zoo.md."""
    counts = Counter()
    lines, refused, missing = [], [], []
    for member, names in sorted(chosen.items(), key=lambda item: item[0].name):
        row = there.get(member.name, {"status": "not tried"})
        counts[row["status"]] += len(names)
        _, *words = member.family
        if row["status"] == "right":
            places = row["layers"] - row["unknown"]
            known = "all" if not row["unknown"] else f"{places} of {row['layers']}"
            lines.append(
                f"| `{member.name}` | {' '.join(words[:2])} | {len(names)} | {row['layers']} | "
                f"{known} | {row['heads']} |"
            )
        elif row["status"] == "not tried":
            missing.append(f"`{member.name}` ({len(names)})")
        else:
            shown = ", ".join(f"`{name}`" for name in names)
            refused.append(f"| {shown} | {row['status']}: {row['why']} |")
    versions = (
        f"timm {timm.__version__}, torchvision {torchvision.__version__}, torch {torch.__version__}"
    )
    return TEXT.format(
        versions=versions,
        names=len(everything),
        families=len(chosen),
        right=counts["right"],
        refused=counts["refused"],
        wrong=counts["wrong"],
        not_tried=counts["not tried"],
        tried=len(there),
        refused_lines="\n".join(refused) or "| none | |",
        lines="\n".join(lines),
        missing=", ".join(missing) or "None.",
    )


TEXT = """# The networks of timm and torchvision

Written by `make zoo`, with {versions}.
The {names} names are of {families} families: names of one file of the library, one class, one kind
of classifier and one leading word. Of {tried} families the smallest network was tried.

With random weights, two classes and eight pictures each must load, take a step of `frozen` and one
of `mode_a` (every head learns; with `frozen` nothing else does), be saved and opened again, give
the same logits, and have two layers or more whose rows are the pictures.

| names | |
|---|---|
| right, by the member that was tried | {right} |
| refused by name, with the reason | {refused} |
| wrong | {wrong} |
| not tried yet | {not_tried} |

## Refused, or not right

| names | why |
|---|---|
{refused_lines}

## Right

*Positions*: of how many layers it is known which position of the map is where in the picture.
Where it is not, maximal images have no place and no box, and `sampled` takes positions evenly over
all of them.

| tried | family | names | layers | positions | heads |
|---|---|---|---|---|---|
{lines}

## Not tried yet

{missing}
"""


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "artefacts" / "zoo.jsonl"
    sys.exit(bool(run(place, float(sys.argv[2]) if len(sys.argv) > 2 else 1e6)))
