"""What report and compare end with: the verdict of the page and where that is, in a folder that loses no other."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gdbench
from gdbench.analysis.winners import find_winners
from gdbench.report.output_folder import output_folder
from gdbench.report.summary_text import verdict_sentences
from gdbench.results.costs import select_comparable


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of three sweeps of different learning rates, which nobody changes."""
    outputs = tmp_path_factory.mktemp("sweeps") / "outputs"
    for name, lr in {"a": 0.1, "b": 0.2, "c": 0.3}.items():
        gdbench.sweep(optimizer=["gd", "momentum"], lr=lr, name=name, timing="off", trace="none", outputs=outputs)
    return outputs


@pytest.fixture
def three(sweeps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Copies of the three sweeps in outputs."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(sweeps, "outputs")
    return sorted(Path("outputs").glob("*/*"), key=lambda folder: folder.name[-1])


def test_a_report_ends_with_its_verdict_and_the_place_of_its_page(
    three: list[Path], command: Callable[..., Any]
) -> None:
    """Behind the files stands each sentence of the page, and the file to open."""
    runs = gdbench.load(three[0])
    page = three[0] / "report.html"
    lines = command("report", str(three[0]), "--format", "html,md").out.splitlines()

    assert lines[:2] == [str(page), str(three[0] / "report.md")]
    assert lines[2:-1] == verdict_sentences(find_winners(runs, select_comparable(runs)))
    assert all(line in page.read_text() for line in lines[2:-1])
    assert lines[-1] == f"Open in a browser (--open): {page}"


@pytest.mark.slow
def test_each_pair_of_sweeps_has_a_comparison_of_its_own(three: list[Path], command: Callable[..., Any]) -> None:
    """A second comparison leaves the first as it is; the same pair again is written to the same place."""
    pages = []
    for pair in ((0, 1), (1, 0), (0, 1)):
        lines = command("compare", *(str(three[place]) for place in pair), "--format", "html").out.splitlines()
        pages.append(lines[0])
        assert lines[1].startswith("a is ")
        assert lines[2].startswith("In gradients, of 2 pairs")
        assert lines[-2].startswith("Run by run: ")
        assert lines[-1] == f"Open in a browser (--open): {lines[0]}"

    assert len(set(pages)) == 2
    assert pages[0] == pages[2]
    assert all(Path(page).is_file() for page in pages)
    assert Path(pages[0]).parent.name == "__".join(f"{three[i].parent.name}_{three[i].name}" for i in (0, 1))


def test_each_set_of_sweeps_has_a_report_of_its_own(three: list[Path], command: Callable[..., Any]) -> None:
    """Reports of several sweeps do not replace each other."""
    first = command("report", str(three[0]), str(three[1]), "--format", "md,html").out.splitlines()[0]
    second = command("report", "outputs", "--format", "html").out.splitlines()[0]

    assert first != second
    assert Path(first).is_file()
    assert Path(second) == Path("outputs/report/all/report.html")


def test_sweeps_elsewhere_of_one_name_are_told_apart(three: list[Path]) -> None:
    """Two folders of one name outside of outputs give two folders, and long names one that systems take."""
    for place in ("x", "y"):
        shutil.copytree(three[0], Path(place) / "same")
    one, other = (output_folder("compare", [Path(place) / "same", three[1]]) for place in ("x", "y"))

    assert one != other
    assert len(output_folder("compare", [Path("n" * 200), Path("m" * 200)]).name.encode()) < 200
    assert output_folder("report", [Path("n" * 200)]) != output_folder("report", [Path("n" * 201)])


@pytest.mark.slow
def test_a_long_verdict_is_cut_with_a_count(monkeypatch: pytest.MonkeyPatch, three: list[Path], command: Any) -> None:
    """Of many sentences a terminal shows the first, and says how many more the report has."""
    monkeypatch.setattr("gdbench.report.terminal.report_summary.MAX_SENTENCES", 1)
    out = command("compare", str(three[0]), str(three[1]), "--format", "html").out

    assert "Run by run" not in out
    assert re.search(r"… and \d sentences? more, all in the report\.", out)


def test_open_without_a_page_is_refused(three: list[Path], command: Callable[..., Any]) -> None:
    """--open with a format that has no page is one clear line, and nothing is opened."""
    done = command("report", str(three[0]), "--format", "md", "--open")

    assert done.code == 2
    assert "--open shows the page, and --format md writes none: add html, or leave out --open." in done.err


@pytest.mark.slow
def test_a_comparison_without_hits_names_what_it_goes_by(three: list[Path], command: Callable[..., Any]) -> None:
    """Where no run reached a target, nothing is said of gradients: gaps decided."""
    for name, lr in {"d": 1e-6, "e": 2e-6}.items():
        gdbench.sweep(optimizer="gd", lr=lr, name=name, timing="off", trace="none")
    pair = [str(next(Path("outputs").glob(f"*/*_{name}"))) for name in "de"]
    out = command("compare", *pair, "--format", "html").out

    assert "By final gap, as no target was reached, of 1 pair of" in out
    assert "In gradients" not in out
