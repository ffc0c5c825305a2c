"""Drafts: what nobody finishes is gone when the process ends."""

import os
import subprocess
import sys

import pytest

from overpaint.errors import MachineError
from overpaint.records import (
    StudyFolder,
    drafts,
    file_digest,
    manifest,
    verify_folder,
    write_manifest,
)
from overpaint.records.drafts import draft_of, finished, forget, forget_mine, is_draft


def test_a_thread_that_writes_on_leaves_no_draft(tmp_path, monkeypatch):
    """A folder that was given up, and that a thread of this process makes anew, goes at the end."""
    draft = draft_of(tmp_path / "train.zarr")
    writes = iter(range(3))

    def write_on(seconds: float = 0.0) -> None:
        if next(writes, None) is not None:
            (draft / "images").mkdir(parents=True)

    monkeypatch.setattr(drafts.time, "sleep", write_on)
    draft.mkdir()
    forget(draft)
    write_on()
    forget_mine()
    assert next(writes, None) is None
    assert list(tmp_path.iterdir()) == []


def test_a_draft_of_a_folder_is_no_artefact(tmp_path):
    """While a run writes one, a look at the study folder does not take it for what is damaged."""
    whole = tmp_path / "concepts" / "a--b"
    draft = draft_of(whole)
    for place in (whole, draft):
        place.mkdir(parents=True)
        write_manifest(place, manifest("concepts", inputs={}, settings={}, seed=0))
    (draft / "manifest.json").write_text("half")
    assert finished(tmp_path, "*/*/manifest.json") == [whole / "manifest.json"]
    assert verify_folder(StudyFolder(tmp_path)) == []


@pytest.fixture
def pictures(tmp_path):
    """More files than are copied here, the places that they are to have, and a batch for them."""
    sources = [tmp_path / f"{number}.jpg" for number in range(3 * drafts.AT_ONCE)]
    for number, source in enumerate(sources):
        source.write_bytes(b"picture" * number)
        os.utime(source, ns=(0, 10**18 + number))
    return {tmp_path / "site" / source.name: source for source in sources}


def are_copied(pictures):
    return all(
        path.read_bytes() == source.read_bytes()
        and path.stat().st_mtime_ns == source.stat().st_mtime_ns
        for path, source in pictures.items()
    )


def test_many_files_are_copied_apart(pictures):
    """Each as it is, with its time; their digests are told."""
    with drafts.Batch() as batch:
        for path, source in pictures.items():
            batch.copy(source, path)
    assert are_copied(pictures)
    assert batch.told == {path: f"{path.stat().st_size} {file_digest(path)}" for path in pictures}


@pytest.mark.parametrize(
    "program", ["", "raise SystemExit", "print('[[], null]', flush=True); input()"]
)
def test_where_no_process_copies_files_are_copied_all_the_same(pictures, monkeypatch, program):
    """There is no Python to run, or it ends, or says what nobody understands."""
    if program:
        command, pipe = [sys.executable, "-c", program], subprocess.PIPE
        monkeypatch.setattr(
            drafts.Copier,
            "_start",
            lambda _: subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="ascii"),
        )
    else:
        monkeypatch.setattr(sys, "executable", "")
    with drafts.Batch() as batch:
        for path, source in pictures.items():
            batch.copy(source, path)
    assert are_copied(pictures)
    assert not any(batch.told.values())


def test_what_a_copy_meets_is_told(pictures, tmp_path):
    """One that vanished meanwhile is named, and nothing unfinished is left."""
    *_, last = pictures.values()
    last.unlink()
    with pytest.raises(MachineError, match=last.name), drafts.Batch() as batch:
        for path, source in pictures.items():
            batch.copy(source, path)
    assert not any(is_draft(path.name) for path in (tmp_path / "site").iterdir())
