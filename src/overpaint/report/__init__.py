"""The report: a static site made from what a run left in a study folder; no torch.

It opens from disk, without a server, a network or a script, and can be moved or zipped alone.
"""

from overpaint.report.build_site import build

__all__ = ["build"]
