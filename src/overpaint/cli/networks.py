"""`overpaint networks`: which networks there are, by words of their names; the layers of one."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from overpaint.errors import NetworkError, command, require_train

OWN = {
    "inception_v1.bvlc_in1k": "InceptionV1 by the Caffe model zoo, the paper's network",
    "inception_v1.tf_in1k": "InceptionV1 by TensorFlow, Lucid's network",
    "inception_small": "a small one of its kind, without published weights",
}
"""The networks that are no one else's."""

MOST = 40
"""Names that are listed; of more, how many there are."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of a network."""

    layer: str
    channels: int


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is to be known of a network before it is named in a study."""

    name: str
    parameters: int
    input: int  # pixels of a side
    layers: list[Layer]


def networks(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="Parts of a name, as resnet 50; or one whole name, or a folder."),
    ] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help=f"All names that fit, and not the first {MOST}.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same, for a program.")] = False,
) -> None:
    """Search the names of networks that have published weights; or show the layers of one.

    Of a network that a study trained, its folder is named; that needs no PyTorch.

    Example: overpaint networks convnext tiny
    """
    if words and len(words) == 1 and (described := description_of(words[0])):
        if as_json:
            typer.echo(json.dumps(asdict(described), indent=1))
        else:
            say_layers(described)
        return
    names = [name for name in all_names()
             if all(word.lower() in name.lower() for word in words or ())]  # fmt: skip
    if not names:
        raise NetworkError(
            "unknown-architecture",
            f"no network's name has {' and '.join(words or ())} in it: try less of it, as resnet; "
            "all names: overpaint networks --all",
        )
    if as_json:
        typer.echo(json.dumps([{"name": name, "lies_at": lies_at(name)} for name in names]))
        return
    for name in names if everything else names[:MOST]:
        place = lies_at(name)
        typer.echo(f"{name}{f'   (weights in {place})' if place else ''}"
                   f"{f'   {OWN[name]}' if name in OWN else ''}")  # fmt: skip
    if len(names) > MOST and not everything:
        typer.echo(f"… {len(names) - MOST:,} more; --all lists them")
    if len(names) == 1:
        typer.echo(f"its layers: {command('overpaint', 'networks', names[0])}")


def all_names() -> list[str]:
    """The names of all networks that have published weights, and those that are ours."""
    require_train("overpaint networks")
    import timm
    import torchvision

    of_torchvision = torchvision.models.list_models(module=torchvision.models)
    return [
        *OWN,
        *(f"torchvision:{name}" for name in of_torchvision),
        *(f"timm:{name}" for name in timm.list_pretrained()),
    ]


def lies_at(name: str) -> str:
    """The folder of the cache in which a network's weights lie; "" where they do not."""
    from overpaint.cache import weights_file

    path = weights_file(name)
    return str(path.parent) if path else ""


def description_of(name: str) -> Description | None:
    """A network by its whole name or its folder; None for a part of a name."""
    if (Path(name) / "manifest.json").is_file():
        from overpaint.records import NetworkFacts, facts_of, read_manifest

        facts = facts_of(read_manifest(Path(name)), NetworkFacts)
        return Description(
            name=facts.architecture,
            parameters=facts.parameters or 0,
            input=facts.preprocessing.size if facts.preprocessing else 0,
            layers=[Layer(layer=layer, channels=facts.channels.get(layer, 0))
                    for layer in facts.layers],
        )  # fmt: skip
    if name not in OWN and not name.startswith(("timm:", "torchvision:")):
        return None
    require_train("overpaint networks")
    from overpaint.networks import load
    from overpaint.networks.taps import channels_of

    network = load(name, weights="random")
    channels = channels_of(network, network.layers)
    return Description(
        name=name,
        parameters=network.parameters_in_all,
        input=network.preprocessing.size,
        layers=[Layer(layer=layer, channels=channels[layer]) for layer in network.layers],
    )


def say_layers(network: Description) -> None:
    """Print the layers of a network, first to last."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(
        f"{network.name}: {network.parameters:,} parameters, pictures of {network.input} × "
        f"{network.input}",
        highlight=False,
        markup=False,
    )
    table = Table("layer")
    table.add_column("channels", justify="right")
    for row in network.layers:
        table.add_row(row.layer, f"{row.channels:,}" if row.channels else "")
    console.print(table)
