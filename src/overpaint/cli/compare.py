"""`overpaint compare`: two networks on a folder of pictures, as a report; no study."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from overpaint.defaults import MAXIMAL_IMAGES
from overpaint.errors import DatasetError, NetworkError, require_train

if TYPE_CHECKING:
    from overpaint.datasets import Split
    from overpaint.networks import Network
    from overpaint.progress import Progressing


def compare(
    before: Annotated[
        str,
        typer.Argument(help="A network's name, the folder of a study's network, or weights."),
    ],
    after: Annotated[str, typer.Argument(help="The other.")],
    folder: Annotated[Path, typer.Argument(help="Pictures: a folder, or a table of them.")],
    *,
    architecture: Annotated[
        str | None, typer.Option(help="What files of weights are for, as timm:resnet18.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the report; by default runs/BEFORE--AFTER.")
    ] = None,
    draw: Annotated[
        int,
        typer.Option(min=0, max=64, help="Channels of each of two layers that are drawn as well."),
    ] = 0,
) -> None:
    """Show what differs between two networks on some pictures: a report, without a study.

    Labels are not needed; where there are some, channels are told by their classes.

    Example: overpaint compare before.pth after.pth photographs --architecture timm:resnet18
    """
    require_train("overpaint compare")
    from rich.console import Console
    from rich.table import Table

    import overpaint as op
    from overpaint.datasets.names import as_name
    from overpaint.progress import Progressing

    progress = Progressing(Console(soft_wrap=True))
    names = tuple(as_name(Path(name).stem if is_weights(name) else Path(name).name)
                  for name in (before, after))  # fmt: skip
    first, second = names if names[0] != names[1] else ("before", "after")
    networks = [network_of(name, architecture) for name in (before, after)]
    images = pictures_of(folder, progress)
    with progress.stage(f"compare {first} and {second} on {len(images):,} pictures"):
        k = max(min(MAXIMAL_IMAGES, len(images) // 5), 1)
        change = op.compare(networks[0], networks[1], images, k=k)
    table = Table("layer")
    for column in ("CKA", "95 % interval"):
        table.add_column(column, justify="right")
    for row in change.layers.itertuples():
        table.add_row(str(row.layer), f"{row.cka:.3f}", f"{row.cka_low:.3f} … {row.cka_high:.3f}")
    progress.console.print(table)
    layers = list(change.channels["layer"].unique())
    render = None
    if draw and layers:
        chosen = list(dict.fromkeys([layers[2 * len(layers) // 3], layers[-1]]))
        render = {"layers": chosen, "channels": f"most_changed({draw})"}
    place = out or Path("runs") / f"{first}--{second}"
    typer.echo(f"report: {op.report(change, place, names=(first, second), render=render)}")


WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".caffemodel", ".pb", ".zip")
"""Endings of files of weights."""


def is_weights(name: str) -> bool:
    """Whether a network is named by a file of its weights.

    >>> is_weights("tuned.safetensors"), is_weights("inception_v1.bvlc_in1k")
    (True, False)
    """
    return Path(name).suffix.lower() in WEIGHTS


def network_of(name: str, architecture: str | None) -> "Network":
    """A network by its name or folder, or of a file of weights for an architecture."""
    from overpaint.networks import load

    if not is_weights(name):
        return load(name)
    if architecture is None:
        raise NetworkError(
            "no-architecture",
            f"{name} is a file of weights: say what network they are for, with --architecture "
            "(timm:NAME, torchvision:NAME, inception_v1; overpaint networks lists them)",
        )
    if not Path(name).is_file():
        raise NetworkError("no-weights", f"there is no file of weights {name}")
    return load(architecture, weights=name)


def pictures_of(path: Path, progress: "Progressing") -> "Split":
    """All pictures at a path that can be read, of whatever split; those that cannot are said."""
    from overpaint.checkup import catalogue_of_folders, door_of, name_of
    from overpaint.datasets.catalogue import dataset_of
    from overpaint.datasets.doctor import examine

    try:
        catalogue = door_of(path).read()
    except DatasetError:
        if not path.is_dir():
            raise
        catalogue = catalogue_of_folders(path.resolve())
    several = catalogue.several and any(row.labels for row in catalogue.pictures)
    pictures = [replace(row, split="test", labels=row.labels or (() if several else ("pictures",)))
                for row in catalogue.pictures]  # fmt: skip
    with (
        TemporaryDirectory() as temporary,
        progress.stage(f"read {len(pictures):,} pictures") as advance,
    ):
        rows = examine(catalogue.root, pictures, Path(temporary), advance)
    for row in rows:
        if row.status != "ok":
            progress.say(f"  left out: {row.image}: {row.status}")
    readable = [
        replace(picture, digest=row.digest)
        for picture, row in zip(pictures, rows, strict=True)
        if row.status == "ok"
    ]
    if not readable:
        raise DatasetError("no-pictures", f"there are no pictures in {path} that can be read")
    return dataset_of(
        name_of(path), catalogue.root, readable, multi_label=several, classes=catalogue.classes
    ).split("test")
