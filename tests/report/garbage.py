"""Study folders spoilt by a seed, as damage and malice do: cut, swapped, filled otherwise."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

ODD: list[Any] = [
    None, True, -1, 0, 3, 2**31, 2**63, 10**30, -(10**30), 1.5, 1e308, float("nan"), float("inf"),
    "", "x", "3", "nan", "../../etc", "\x00", "\ud800", "é" * 300, "<script>", "a" * 3000, [], {},
    [[]], [1, "a", None], {"a": {"b": []}}, [[[[[[]]]]]], {"": None}, ["mixed3a", 10**12],
    "0001-01-01", "99999-99-99", "true",
]  # fmt: skip
"""Values that belong nowhere, or not where they are put."""


def spoil(folder: Path, seed: int) -> list[str]:
    """Spoil a study folder in one to four ways; says which."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    done = []
    for _ in range(chance.choice((1, 1, 2, 4))):
        files = sorted(
            path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
        )
        if not files:
            break  # a folder in the place of each
        records = [path for path in files if path.suffix in (".json", ".parquet", ".yaml")]
        file = chance.choice(records or files)
        ways = [WAYS[chance.choice(sorted(WAYS))], OF_KIND.get(file.suffix, cut)]
        way = chance.choice(ways)
        done.append(f"{way.__name__} {file.relative_to(folder).as_posix()}")
        way(file, chance)
    return done


# --- any file ------------------------------------------------------------------------------------


def cut(file: Path, chance: random.Random) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: chance.randrange(len(data) + 1)])


def remove(file: Path, chance: random.Random) -> None:
    file.unlink()


def random_bytes(file: Path, chance: random.Random) -> None:
    file.write_bytes(chance.randbytes(chance.choice((0, 1, 100, 5000))))


def change_bytes(file: Path, chance: random.Random) -> None:
    data = bytearray(file.read_bytes())
    for _ in range(chance.choice((1, 10, 100)) if data else 0):
        data[chance.randrange(len(data))] = chance.randrange(256)
    file.write_bytes(bytes(data))


def folder_instead(file: Path, chance: random.Random) -> None:
    file.unlink()
    file.mkdir()


def pipe_instead(file: Path, chance: random.Random) -> None:
    file.unlink()
    os.mkfifo(file)


def link_to_itself(file: Path, chance: random.Random) -> None:
    file.unlink()
    file.symlink_to(file.name)


def device_instead(file: Path, chance: random.Random) -> None:
    file.unlink()
    file.symlink_to(chance.choice(("/dev/zero", "/dev/null", "/proc/self/mem")))


def file_for_folder(file: Path, chance: random.Random) -> None:
    above = file.parent
    shutil.rmtree(above)
    above.write_bytes(b"[1]")


def another_file(file: Path, chance: random.Random) -> None:
    alike = sorted(path for path in file.parents[1].rglob(f"*{file.suffix}") if path.is_file())
    file.write_bytes(chance.choice(alike).read_bytes())


WAYS: dict[str, Callable[[Path, random.Random], None]] = {
    way.__name__: way
    for way in (cut, remove, random_bytes, change_bytes, folder_instead, pipe_instead,
                link_to_itself, device_instead, file_for_folder, another_file)
}  # fmt: skip


# --- by what it holds ----------------------------------------------------------------------------


def other_values(value: Any, chance: random.Random) -> Any:
    """The same with something in it replaced, left out or added, at any depth."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(sorted(value))
        changed = dict(value)
        fate = chance.random()
        if fate < 0.15:
            del changed[key]
        elif fate < 0.25:
            changed[chance.choice(("x", "", "a" * 300))] = changed.pop(key)
        else:
            changed[key] = other_values(value[key], chance)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.85:
        place = chance.randrange(len(value))
        return [*value[:place], other_values(value[place], chance), *value[place + 1 :]]
    return chance.choice(ODD)


def other_json(file: Path, chance: random.Random) -> None:
    try:
        value = json.loads(file.read_bytes())
    except (ValueError, OSError):
        value = {}
    for _ in range(chance.choice((1, 1, 3))):
        value = other_values(value, chance)
    file.write_text(json.dumps(value), encoding="utf-8")


def other_yaml(file: Path, chance: random.Random) -> None:
    try:
        value = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, ValueError, OSError):
        value = {}
    file.write_text(yaml.safe_dump(other_values(value, chance)), encoding="utf-8", errors="replace")


def other_table(file: Path, chance: random.Random) -> None:
    try:
        frame = pd.read_parquet(file)
    except (ValueError, OSError):
        frame = pd.DataFrame({"x": [1]})
    for _ in range(chance.choice((1, 1, 3))):
        name = chance.choice(list(frame.columns))
        frame = chance.choice(OF_TABLES)(frame, name, chance)
    frame = frame.loc[:, ~frame.columns.duplicated()]
    try:
        frame.to_parquet(file, index=False)
    except Exception:  # what is of several types is no column
        frame.astype(str).to_parquet(file, index=False)


def odd_cell(frame: pd.DataFrame, name: str, chance: random.Random) -> pd.DataFrame:
    cells = frame[name].astype(object).tolist()
    for _ in range(min(len(cells), 1)):
        cells[chance.randrange(len(cells))] = chance.choice([None, -1, 10**9, 1e308, 0.5, "x"])
    return frame.assign(**{name: pd.Series(cells, index=frame.index, dtype=object)})


def odd_column(frame: pd.DataFrame, name: str, chance: random.Random) -> pd.DataFrame:
    value = chance.choice([value for value in ODD if value != "\ud800"])
    return frame.assign(**{name: pd.Series([value] * len(frame), index=frame.index, dtype=object)})


OF_TABLES: list[Callable[[pd.DataFrame, str, random.Random], pd.DataFrame]] = [
    odd_cell,
    odd_column,
    lambda frame, name, chance: frame.drop(columns=[name]) if len(frame.columns) > 1 else frame,
    lambda frame, name, chance: frame.assign(**{name: frame[name].astype(str)}),
    lambda frame, name, chance: frame.rename(columns={name: "x"}),
    lambda frame, name, chance: frame.iloc[: chance.randrange(len(frame) + 1)],
    lambda frame, name, chance: pd.concat([frame, frame], ignore_index=True),
    lambda frame, name, chance: frame.assign(**{name: None}),
]


OF_KIND: dict[str, Callable[[Path, random.Random], None]] = {
    ".json": other_json,
    ".yaml": other_yaml,
    ".parquet": other_table,
}
