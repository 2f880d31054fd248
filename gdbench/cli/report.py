"""The verb ``report``: a page, figures and tables of one or many sweeps; and the request that ``compare`` makes too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gdbench.cli.options import OUTPUTS, Outputs
from gdbench.errors import UsageError
from gdbench.results.user_paths import PATH, expand_user

if TYPE_CHECKING:
    from gdbench.report.build import Report
    from gdbench.report.inputs import ReportInputs
    from gdbench.report.render_images import ImageRenderer
    from gdbench.report.writer import ReportBuilder

__all__ = ["Formats", "Open", "find_place", "report", "request_report"]

Formats = Annotated[
    str, typer.Option("--format", metavar="FORMATS", help="html, md, figures, tables or latex; several with commas")
]
Open = Annotated[bool, typer.Option("--open", help="open the page in a browser")]


def report(
    sweeps: Annotated[
        list[str] | None, typer.Argument(metavar="SWEEP", help="sweeps, by folder or name, or folders of sweeps")
    ] = None,
    formats: Formats = "",
    to: Annotated[Path | None, typer.Option(help="the folder to write to", **PATH)] = None,
    open_: Open = False,
    outputs: Outputs = OUTPUTS,
    json: Annotated[bool, typer.Option("--json", help="print the files and the verdict as JSON")] = False,
) -> None:
    """Write report.html, figures/, tables/ and report.md of sweeps (the newest if none is named); print the verdict.

    A report of one sweep is written into its folder, of several into a folder of its own in outputs/report. --format md
    alone prints to the terminal, and --format latex the tables for a paper.
    """
    places = [find_place(word, outputs) for word in sweeps or []]
    with request_report(formats, to, open_, json) as request:
        from gdbench.report import inputs
        from gdbench.report.build import build_report
        from gdbench.report.output_folder import output_folder
        from gdbench.results.sweep_lookup import find_newest_sweep

        places = places or [find_newest_sweep(outputs)]
        source = inputs.read_inputs(places)
        folder = source.folders[0] if len(source.folders) == 1 else output_folder("report", places, outputs)
        request.write(source, folder, build_report)


@contextlib.contextmanager
def request_report(formats: str, to: Path | None, open_: bool, json: bool) -> Iterator[ReportRequest]:
    """Context manager: a request, whose processes that draw start before pandas and Altair are imported.

    They end with the context; after a complete report they have ended already.
    """
    from gdbench.report.render_images import ImageRenderer

    images = ImageRenderer() if not formats or "figures" in formats else None
    try:
        yield ReportRequest(formats, to, open_, json, images)
    finally:
        if images:
            images.close()


@dataclass(frozen=True)
class ReportRequest:
    """The formats of a report, where it is written, and how it is shown."""

    formats: str
    to: Path | None
    open: bool
    json: bool
    images: ImageRenderer | None

    def write(self, source: ReportInputs, folder: Path, assemble: ReportBuilder) -> None:
        """Write the report to ``folder`` (unless --to names another), print its files and verdict, open the page."""
        from gdbench.report.writer import DEFAULT_FORMS, TEXT_FORMS, render_text, write_report

        formats = [name.strip() for name in self.formats.split(",") if name.strip()] or list(DEFAULT_FORMS)
        if self.open and "html" not in formats:
            raise UsageError(
                f"--open shows the page, and --format {self.formats} writes none: add html, or leave out --open."
            )
        if len(formats) == 1 and formats[0] in TEXT_FORMS and self.to is None and not self.json:
            typer.echo(render_text(formats[0], source, assemble))
            return
        folder = self.to or folder
        report, files = write_report(source, folder, formats, _make_landscape(source.folders), self.images, assemble)
        self._print(report, files, source.partial)
        if self.open:
            import webbrowser

            webbrowser.open((folder / "report.html").resolve().as_uri())

    def _print(self, report: Report, files: list[Path], incomplete: list[str]) -> None:
        from gdbench.report.json_format import dump_json
        from gdbench.report.terminal.report_summary import print_report_summary

        page = next((file for file in files if file.suffix == ".html"), None)
        if self.json:
            paths = {"page": str(page) if page else None, "files": [str(file) for file in files]}
            typer.echo(dump_json({**paths, "verdict": report.sentences, "incomplete": incomplete}))
            return
        for file in files:
            typer.echo(str(file))
        print_report_summary(report, page, self.open)
        for remark in incomplete:
            typer.echo(f"gdbench: incomplete: {remark}", err=True)


def find_place(word: str, outputs: Path) -> Path:
    """The file or folder with sweeps that a word is the path of, or else the sweep in ``outputs`` that it names."""
    from gdbench.results.folder_layout import walk_sweeps
    from gdbench.results.sweep_lookup import SweepNotFound, find_sweep

    place = expand_user(word)
    if place.is_file() or next(walk_sweeps(place), None):
        return place
    try:
        return find_sweep(word, outputs)
    except SweepNotFound:
        if place.exists():  # whoever reads it says that it holds no sweep
            return place
        raise


def _make_landscape(folders: list[Path]) -> Any:
    """A function that computes contours of the objectives of these sweeps; imports torch on its first call."""

    def compute(run: Any, box: Any) -> Any:
        from gdbench.engine.loss_landscape import compute_landscape

        return compute_landscape(folders, run, box)

    return compute
