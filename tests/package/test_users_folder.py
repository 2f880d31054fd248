"""A user's folder outside the repository, as docs/how-to/training.md shows it: under 40 lines, to report and gate."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.documents import FILE, ROOT, Reader, Snippet, forget, snippets
from support.promises import PROMISES

import gdbench as package

DOCUMENT = ROOT / "docs" / "how-to" / "training.md"
HEADING = "## All of it in 40 lines"


def read_section() -> list[Snippet]:
    """The blocks of the section, in order."""
    before, _, section = DOCUMENT.read_text(encoding="utf-8").partition(HEADING)
    first = before.count("\n") + 1
    last = first + section.partition("\n## ")[0].count("\n")
    return [snippet for snippet in snippets(DOCUMENT) if first < snippet.line <= last]


def test_the_folder_has_under_40_lines() -> None:
    """Lines of Python and YAML, comments included and blank lines apart."""
    files = [snippet for snippet in read_section() if FILE.match(snippet.text)]

    assert len(files) == 4
    assert sum(bool(line.strip()) for file in files for line in file.text.splitlines()) < 40


@pytest.mark.slow
def test_the_folder_does_what_its_document_shows(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Three seeds reach the validation accuracy and repeat bit for bit; the report is drawn; the gate sees a change."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "reader")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "reader@example.org")
    reader, path = Reader(command, promises=PROMISES), list(sys.path)
    done = [reader.follow(snippet) for snippet in read_section()]
    (sweep,) = [file.parent for file in (tmp_path / "outputs").rglob("runs.parquet") if "gate" not in file.parts]
    runs = package.load(sweep)
    forget(tmp_path, path)

    assert len(done) == 8
    assert runs["deterministic"].all()
    assert runs["final_loss"].nunique() == 6
    assert runs.groupby("lr")["status"].unique().map(list).to_dict() == {0.001: ["budget"], 0.003: ["target"]}
    assert (sweep / "report.html").is_file()
