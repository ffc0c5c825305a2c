"""Preprocessing: how pictures must look for somebody's own network, as its library says.

timm's data configuration, and the image processors and configurations of Hugging Face, are known
by what they hold; neither library is imported.

>>> preprocessing_of({"size": 32, "resize": 32, "mean": [0.5] * 3, "std": [0.5] * 3}).mean
(0.5, 0.5, 0.5)
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, get_args, get_type_hints

from torch import nn

from overpaint.errors import NetworkError, nearest
from overpaint.networks.parts import Preprocessing

PILLOW: dict[int, Literal["bilinear", "bicubic", "lanczos"]] = {
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
}
"""Pillow's numbers of interpolations, which Hugging Face uses."""


def preprocessing_of(source: object) -> Preprocessing:
    """A Preprocessing as it is, a mapping of its fields, a data configuration of timm, or an image
    processor of Hugging Face; a NetworkError for anything else.
    """
    if isinstance(source, Preprocessing):
        return source
    if isinstance(source, Mapping):
        return _of_timm(source) if "input_size" in source else _of_fields(source)
    if hasattr(source, "image_mean") and hasattr(source, "size"):
        return _of_processor(source)
    raise _bad(
        f"{type(source).__name__} says nothing of pictures: give overpaint.networks.Preprocessing, "
        "a dictionary of its fields, or an image processor of transformers"
    )


def said_by(module: nn.Module) -> Preprocessing | None:
    """What a module itself says of its pictures, as timm's do; None where it says nothing."""
    config = getattr(module, "pretrained_cfg", None)
    if isinstance(config, Mapping) and config.get("input_size"):
        return _of_timm(config)
    return None


def size_said_by(module: nn.Module) -> int | None:
    """The side of the pictures by a Hugging Face configuration, which says no more than that."""
    size = getattr(getattr(module, "config", None), "image_size", None)
    if isinstance(size, list | tuple) and len(set(size)) == 1:
        size = size[0]
    return size if isinstance(size, int) else None


def _of_fields(source: Mapping[str, Any]) -> Preprocessing:
    names = [field.name for field in fields(Preprocessing)]
    for name in source:
        if name not in names:
            raise _bad(f"there is no field {name!r}; {nearest(str(name), names)}")
    values: dict[str, Any] = {
        name: tuple(map(float, value)) if isinstance(value, list | tuple) else value
        for name, value in source.items()
    }
    size = values.get("size", Preprocessing.size)
    values.setdefault("resize", size if isinstance(size, int) else Preprocessing.resize)
    for name, hint in get_type_hints(Preprocessing).items():
        choices = [word for word in get_args(hint) if isinstance(word, str)]
        if choices and values.get(name, choices[0]) not in choices:
            raise _bad(f"{name} is {values[name]!r}; {nearest(str(values[name]), choices)}")
    return _checked(Preprocessing(**values))


def _of_timm(config: Mapping[str, Any]) -> Preprocessing:
    size = config["input_size"][-1]
    interpolation: Any = config.get("interpolation")
    return _checked(
        Preprocessing(
            size=size,
            resize=int(size / (config.get("crop_pct") or 1)),
            interpolation=interpolation if interpolation in PILLOW.values() else "bicubic",
            mean=tuple(config.get("mean") or Preprocessing.mean),
            std=tuple(config.get("std") or Preprocessing.std),
            crop_mode=config.get("crop_mode") or "center",
        )
    )


def _of_processor(processor: Any) -> Preprocessing:
    """`size` is the shorter side, or a height and a width that a picture is squashed to; a crop may
    follow; numbers are scaled by `rescale_factor`, of 0..255, before mean and deviation.
    """

    def side(of: Any) -> int:
        sides = {of} if isinstance(of, int) else {value for value in dict(of).values() if value}
        if len(sides) != 1:
            raise _bad(f"the processor makes pictures of {dict(of)}: only squares are known here")
        return int(sides.pop())

    resize = side(processor.size)
    squashes = not isinstance(processor.size, int) and dict(processor.size).get("height")
    cropped = getattr(processor, "do_center_crop", None) and getattr(processor, "crop_size", None)
    # (255 × factor × value − offset − mean) / std, of a value in 0..1
    rescaled = getattr(processor, "do_rescale", None) is not False
    factor = 255 * (getattr(processor, "rescale_factor", None) or 1 / 255 if rescaled else 1)
    offset = 1 if getattr(processor, "rescale_offset", None) else 0
    normalised = getattr(processor, "do_normalize", None) is not False
    mean = processor.image_mean if normalised else [0.0] * 3
    std = processor.image_std if normalised else [1.0] * 3
    resample = getattr(processor, "resample", None)
    return _checked(
        Preprocessing(
            size=side(cropped) if cropped else resize,
            resize=resize,
            interpolation=PILLOW.get(2 if resample is None else int(resample), "bilinear"),
            mean=tuple((value + offset) / factor for value in mean),
            std=tuple(value / factor for value in std),
            crop_mode="squash" if squashes else "center",
            order="BGR" if getattr(processor, "do_flip_channel_order", None) else "RGB",
        )
    )


def _checked(preprocessing: Preprocessing) -> Preprocessing:
    """Raises NetworkError for sizes and numbers of channels that cannot be."""
    size, resize = preprocessing.size, preprocessing.resize
    if not (isinstance(size, int) and isinstance(resize, int) and 0 < size <= resize):
        raise _bad(f"size is {size!r} and resize {resize!r}: whole numbers, size at most resize")
    channels = 1 if preprocessing.order == "grey" else 3
    for name in ("mean", "std"):
        numbers = getattr(preprocessing, name)
        if not isinstance(numbers, tuple) or len(numbers) != channels:
            raise _bad(f"{name} is {numbers!r}; order {preprocessing.order!r} needs {channels}")
    if 0 in preprocessing.std:
        raise _bad("std has a 0, by which nothing can be divided")
    return preprocessing


def _bad(why: str) -> NetworkError:
    return NetworkError("bad-preprocessing", f"preprocessing: {why}")
