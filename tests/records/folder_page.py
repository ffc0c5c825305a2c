"""docs/study-folder.md, made from the row classes: `make docs` writes it, a test compares it."""

import dataclasses
import inspect
import re
import typing
from pathlib import Path

from overpaint import records
from overpaint.records import VERSIONS, Manifest, rows

PAGE = Path(__file__).parents[2] / "docs" / "study-folder.md"

INTRODUCTION = """\
# The study folder

What `overpaint run` leaves behind is an interface: other programs may read it. Tables are Parquet,
everything else is JSON, features are Zarr 3. This page is made from the classes of
`src/overpaint/records` (`make docs`); a test holds the two together.

An artefact is a folder with `manifest.json` in it, or a file NAME.json or NAME.parquet with
NAME.manifest.json beside it. It is written whole or not at all, and made again only where its
manifest is not the one that it would have now, or one of its files is lost, cut off or changed:
`overpaint run STUDY --dry-run` says what would be made, and why.

`files` lists the files of the artefact with size and SHA-256, and `seal` is the digest of the
rest of the manifest. No file is newer than its manifest, which is written last: so a run looks at
sizes and times, and reads the bytes of what is newer (of a folder that was copied, once). What
leaves size and time as they were is found by `overpaint verify FOLDER`, which reads everything
and says what is lost, cut off, changed or foreign, and by `overpaint run STUDY --verify`, which
makes it anew, and reads all pictures too. What was changed by hand the report says on its page,
and the next run makes anew. Trusted without a look at their bytes are: pictures of the same size
and time as at the last look (unless `--verify`), decoded pictures of `cache: true`, and features
at an address (`store`).

What is being written stands beside its place as `.NAME.<writer>.draft` until it is whole and on the
disk; the next run sweeps those whose process is gone. `.overpaint.lock` is held by the one run that
works in the folder, `.overpaint.site.lock` by who writes the report; a file `….holder.json` beside
it says who that is, and is gone at the end.

Whose a folder is stands in `overpaint.json`: into a folder that is not empty and has none nothing
is written. Folders from before there was one are known by the study and the artefacts in them, and
are marked by the next run. What lies in a study folder and is not listed here is somebody else's,
and stays: no file is removed, or written over, that no manifest names by its kind, or `site.files`.
In places of ours there are no links; the study folder itself may be reached by one.

`overpaint clean FOLDER` removes the artefacts that `study.yaml` does not name and the drafts that
were never finished; `--all` everything that is ours, and then the folder if it is empty;
`--dry-run` says what that would be. The logs of trackers are theirs, and stay.
"""

ADAPTER = (
    "Of a training by LoRA: the adapters before they were merged, with `adapter_config.json` as "
    "peft reads both: `PeftModel.from_pretrained(body, folder)`. The head is not among them."
)

FEATURES = (
    "For each layer the array `LAYER/mean` float32 [N, C], rows in the dataset's order; on request "
    "`max`, `argmax` (int32), `flattened`, `sampled`. `images/image`, `images/digest` and "
    "`images/labels` tell the rows."
)

CAUSES = (
    "Of each pair that is compared and whose second network is trained, the tables that the key "
    "`causes` of the study asks for; and the way between trainings of one route, and between "
    "single and double fine-tuning, in 0, 0.5 and 1, also where they are not compared."
)

FILES: tuple[tuple[str, str, str, tuple[type, ...]], ...] = (
    ("overpaint.json", "", "Marks the folder: `study` is the name of the study that it is of.", ()),
    ("study.yaml", "", "The study as it was read, defaults filled in.", ()),
    ("failures.json", "", "Network -> why its training failed; absent when none did.", ()),
    ("datasets/NAME/manifest.json", "dataset", "", (records.DatasetFacts,)),
    ("datasets/NAME/images.parquet", "", "", (records.ImageRow,)),
    ("networks/NAME/manifest.json", "network", "", (records.NetworkFacts,)),
    ("networks/NAME/weights.safetensors", "", "The tensors by name.", ()),
    ("networks/NAME/history.parquet", "", "Of a trained network.", (records.EpochRow,)),
    ("networks/NAME/lora.parquet", "", "Of a training by LoRA.", (records.LoraRow,)),
    ("networks/NAME/adapter/adapter_model.safetensors", "", ADAPTER, ()),
    ("networks/NAME/svm.parquet", "", "Of the recipe linear_svm.", (records.SvmRow,)),
    (
        "networks/NAME/predictions.parquet",
        "",
        "A row a picture of the test split: `image`, `labels`, and p(CLASS) for each class.",
        (),
    ),
    ("networks/NAME/scores.json", "scores", "", (records.Scores, records.Score, records.ClassRow)),
    ("ensembles/NAME/manifest.json", "ensemble", "", (records.EnsembleFacts,)),
    (
        "repeats.json",
        "repeats",
        "`spreads` by route, and `differences` of routes with `first` and `second`.",
        (records.Spread, records.RouteDifference),
    ),
    (
        "features/NAME/DATASET-SPLIT.zarr",
        "features",
        FEATURES,
        (records.FeaturesFacts,),
    ),
    (
        "comparisons/BEFORE--AFTER/manifest.json",
        "comparison",
        "",
        (records.ComparisonFacts, records.ReceptiveFields, records.PlaneFacts),
    ),
    ("comparisons/BEFORE--AFTER/layers.parquet", "", "", (records.LayerRow,)),
    ("comparisons/BEFORE--AFTER/matrix.parquet", "", "", (records.MatrixRow,)),
    ("comparisons/BEFORE--AFTER/weights.parquet", "", "", (records.WeightRow,)),
    ("comparisons/BEFORE--AFTER/spectra.parquet", "", "", (records.SpectrumRow,)),
    ("comparisons/BEFORE--AFTER/pictures.parquet", "", "", (records.PictureRow,)),
    ("comparisons/BEFORE--AFTER/plane.parquet", "", "", (records.PlaneRow,)),
    ("comparisons/BEFORE--AFTER/channels.parquet", "", "", (records.ChannelRow,)),
    ("comparisons/BEFORE--AFTER/maximal.parquet", "", "", (records.MaximalRow,)),
    ("comparisons/BEFORE--AFTER/responses.parquet", "", "", (records.ResponseRow,)),
    ("causes/BEFORE--AFTER/manifest.json", "causes", CAUSES, (records.CausesFacts,)),
    ("causes/BEFORE--AFTER/rewind.parquet", "", "On the test split.", (records.RewindRow,)),
    ("causes/BEFORE--AFTER/between.parquet", "", "On the test split.", (records.BetweenRow,)),
    (
        "causes/BEFORE--AFTER/forgetting.parquet",
        "",
        "The way from the parent to AFTER, by the parent's head on the parent's test split.",
        (records.BetweenRow,),
    ),
    (
        "concepts/BEFORE--AFTER/manifest.json",
        "concepts",
        "",
        (records.ConceptFacts,),
    ),
    ("concepts/BEFORE--AFTER/concepts.parquet", "", "", (records.ConceptRow,)),
    ("concepts/BEFORE--AFTER/images.parquet", "", "", (records.ConceptImageRow,)),
    ("pairwise/DATASET/manifest.json", "pairwise", "", (records.PairwiseFacts,)),
    (
        "pairwise/DATASET/pairwise.parquet",
        "",
        "Of the datasets that the study names below `pairwise`, on their test split.",
        (records.PairwiseRow,),
    ),
    ("gazes/BEFORE--AFTER/manifest.json", "gaze", "", (records.GazeFacts,)),
    ("gazes/BEFORE--AFTER/pictures.parquet", "", "", (records.GazePictureRow,)),
    ("gazes/BEFORE--AFTER/tiles.parquet", "", "", (records.GazeTileRow,)),
    (
        "gazes/BEFORE--AFTER/sheet.webp",
        "",
        "Square tiles of `tile` pixels, `across` in a row, by their numbers in `tiles.parquet`.",
        (),
    ),
    ("probes/NAME/DATASET/manifest.json", "probe", "", (records.ProbeFacts,)),
    (
        "probes/NAME/DATASET/probe.parquet",
        "",
        "A network may be compared, and so be probed, on several datasets.",
        (records.ProbeRow,),
    ),
    ("findings.json", "findings", "`findings`: a list of rows.", (records.FindingRow,)),
    (
        "renderings/NAME/renderings.parquet",
        "renderings",
        "Beside `LAYER/CHANNEL.png`.",
        (records.RenderingRow,),
    ),
    (
        "renderings/BEFORE--AFTER/renderings.parquet",
        "renderings",
        "Beside `LAYER/CHANNEL-KIND.png`.",
        (records.PairRenderingRow,),
    ),
    (
        "thumbnails/DATASET/DIGEST.jpg",
        "thumbnails",
        "Small copies of what the report shows, by the first 24 digits of the picture's digest.",
        (),
    ),
    ("advice.parquet", "advice", "What `overpaint advise` said.", (records.AdviceRow,)),
    ("site/index.html", "site", "The report; `site.json` tells what it was made from.", ()),
    ("site.files", "", "The files of the report that are ours, a path below `site` a line.", ()),
    ("exported/KEY.files", "", "The same of a folder elsewhere, of `--figures` or `--out`.", ()),
)
"""Each file: where it lies, its kind if it is an artefact, what it is, and its rows."""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, "## manifest.json\n", *described(Manifest), "\n## The files\n"]
    told: set[type] = set()
    for path, kind, text, classes in FILES:
        version = f" Artefact of the kind `{kind}`, version {VERSIONS[kind]}." if kind else ""
        parts.append(f"\n### `{path}`\n\n{(text + version).strip()}\n")
        for row in classes:
            if row not in told:
                parts += described(row)
            told.add(row)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).strip() + "\n"


def described(row: type) -> list[str]:
    """What a row class is, and a table of its fields."""
    lines = [f"{inspect.cleandoc(row.__doc__ or '')}\n", "| column | type | |", "|---|---|---|"]
    hints, comments = typing.get_type_hints(row), comments_of(row)
    for field in dataclasses.fields(row):
        if row is Manifest and field.name in ("defaults", "is_sealed"):
            continue  # never written
        comment = comments.get(field.name, "").replace("|", "\\|")
        lines.append(f"| `{field.name}` | {type_in_words(hints[field.name])} | {comment} |")
    return [*lines, ""]


def comments_of(row: type) -> dict[str, str]:
    """The comment at the end of each field's line."""
    found = re.finditer(r"^    (\w+): [^#\n]+?(?:  # (.+))?$", inspect.getsource(row), re.MULTILINE)
    return {match[1]: match[2] for match in found if match[2]}


def type_in_words(hint: object) -> str:
    """A type for readers: "float, or none".

    >>> type_in_words(float | None), type_in_words(list[str])
    ('float, or none', 'list of str')
    """
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if type(None) in arguments:
        rest = [argument for argument in arguments if argument is not type(None)]
        return f"{type_in_words(rest[0])}, or none"
    if origin in (list, tuple) and arguments:
        inside = dict.fromkeys(type_in_words(argument) for argument in arguments)
        return f"{origin.__name__} of {' and '.join(inside)}"
    if origin is dict:
        return " -> ".join(map(type_in_words, arguments))
    return getattr(hint, "__name__", str(hint))


def undocumented() -> list[str]:
    """The row classes that the page does not tell of."""
    told = {row.__name__ for _, _, _, classes in FILES for row in classes}
    own = {name for name, value in vars(rows).items() if dataclasses.is_dataclass(value)}
    return sorted(own - told - INSIDE)


INSIDE = {"DuplicateRow", "LeakRow", "SvmGridRow", "ChannelSide"}
"""Rows inside others, and one that is never written."""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
