"""Drafts: what nobody finishes is gone when the process ends."""

from overpaint.records import drafts
from overpaint.records.drafts import draft_of, forget, forget_mine


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
