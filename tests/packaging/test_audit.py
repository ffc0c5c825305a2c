"""The audit: which licences come along, from what the installed packages say; no network."""

import subprocess
import sys

import audit
import pytest


def test_nothing_that_is_imported_by_default_is_copyleft():
    """No package that overpaint or its extra brings asks for the source of what uses it.

    Two publish changes of their own files (MPL), and NVIDIA's are what torch is built upon.
    """
    rows = audit.licences()
    assert {"numpy", "pillow", "torch", "timm"} <= {row.package for row in rows}
    assert audit.to_look_at(rows) == []
    mild = {row.package for row in rows if row.kind == "file by file"}
    assert mild <= {"certifi", "tqdm"}
    strangers = [row for row in rows if row.kind == "proprietary"
                 and not row.package.startswith(("nvidia-", "cuda-"))]  # fmt: skip
    assert strangers == []
    assert not any(row.kind == "proprietary" for row in rows if row.brought_by == "overpaint")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("MIT License", "permissive"),
        ("Apache-2.0 WITH LLVM-exception", "permissive"),
        ("MPL-2.0 AND MIT", "file by file"),
        ("GNU Lesser General Public License v3 (LGPLv3)", "copyleft"),
        ("AGPL-3.0-only", "copyleft"),
        ("GPL-2.0-only OR BSD-3-Clause", "permissive"),
        ("MIT AND (Apache-2.0 OR GPL-3.0-only)", "copyleft"),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", "permissive"),
        ("Other/Proprietary License", "proprietary"),
        ("it does not say", "unknown"),
    ],
)
def test_kinds_of_licences(text, kind):
    """Words and SPDX expressions; of a mixture the strictest counts."""
    assert audit.kind_of(text) == kind


def test_what_is_not_looked_up_is_not_said_to_be_whole(tmp_path):
    """Without an answer of the advisory service the table stands, and the audit fails in words."""
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\necho 'ERROR: no route to pypi.org' >&2\nexit 1\n")
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, audit.__file__, "--pip-audit", str(program)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert "| numpy |" in done.stdout
    assert "NOT looked up" in done.stdout
    assert "no route to pypi.org" in done.stdout
    assert done.returncode == 1


def test_a_known_hole_is_told(tmp_path):
    """A hole is a line with the version that mends it."""
    program = tmp_path / "pip-audit"
    vulnerability = '{"id": "PYSEC-1", "fix_versions": ["2.0"]}'
    package = f'{{"name": "hollow", "version": "1.0", "vulns": [{vulnerability}]}}'
    program.write_text(f"#!/bin/sh\necho '{{\"dependencies\": [{package}]}}'\nexit 1\n")
    program.chmod(0o755)
    assert audit.holes(str(program)) == (["hollow 1.0: PYSEC-1, mended in 2.0"], "")


def test_a_package_that_the_service_does_not_know_is_told(tmp_path):
    """What pip-audit leaves out is no package without holes."""
    program = tmp_path / "pip-audit"
    package = '{"name": "hollow", "skip_reason": "not found: hollow"}'
    program.write_text(f"#!/bin/sh\necho '{{\"dependencies\": [{package}]}}'\n")
    program.chmod(0o755)
    known, unreached = audit.holes(str(program))
    assert known == []
    assert unreached == "1 of 1 packages, the first: not found: hollow"
