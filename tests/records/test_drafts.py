"""Drafts: what nobody finishes is gone when the process ends."""

from overpaint.records import StudyFolder, drafts, manifest, verify_folder, write_manifest
from overpaint.records.drafts import draft_of, finished, forget, forget_mine


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
