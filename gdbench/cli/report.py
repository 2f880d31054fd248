"""The verbs ``report`` and ``compare``."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from gdbench.errors import UsageError
from gdbench.results.user_paths import PATH, expand_user

if TYPE_CHECKING:
    from gdbench.report.inputs import ReportInputs
    from gdbench.report.writer import ReportBuilder

__all__ = ["compare", "report"]


def report(
    folders: Annotated[list[str] | None, typer.Argument(help="sweeps, by folder or name, or folders of sweeps")] = None,
    form: Annotated[str, typer.Option("--format", help="html, md, figures, tables, or several with commas")] = "",
    to: Annotated[Path | None, typer.Option(help="where to write, if not into the sweep's folder", **PATH)] = None,
    open_: Annotated[bool, typer.Option("--open", help="show the page in a browser")] = False,
) -> None:
    """Turn sweeps into report.html, figures/, tables/ and report.md; without FOLDER the newest sweep in outputs.

    It ends with the verdict and where the page is. --format md alone prints to the terminal. One sweep is written into
    its folder, several into a folder of their own in outputs/report.
    """
    places = [_place(word) for word in folders or []]
    with _Wanted(form, to, open_) as wanted:
        from gdbench.report import inputs
        from gdbench.report.build import build_report
        from gdbench.report.output_folder import output_folder
        from gdbench.results.catalog import find_newest_sweep

        places = places or [find_newest_sweep(Path("outputs"))]
        told = inputs.read_inputs(places)
        wanted.put(told, told.folders[0] if len(told.folders) == 1 else output_folder("report", places), build_report)


class _Wanted:
    """In which forms a report is asked for, and where."""

    def __init__(self, form: str, to: Path | None, open_: bool) -> None:
        """Made before pandas and Altair are imported, so that JavaScript starts meanwhile."""
        from gdbench.report.render_images import ImageRenderer

        self.form, self.to, self.open = form, to, open_
        self.images = ImageRenderer() if not form or "figures" in form else None

    def __enter__(self) -> Self:
        """Have the processes that draw ended in any case: a start that is cut short tells of itself on the terminal."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them; those that have drawn have ended already."""
        if self.images:
            self.images.close()

    def put(self, told: ReportInputs, usual: Path, build: ReportBuilder) -> None:
        """Write the report, say what it was written to, its verdict and where its page is, and show that."""
        from gdbench.report.terminal.report_summary import print_report_summary
        from gdbench.report.writer import FORMS, render_markdown, write_report

        forms = [each.strip() for each in self.form.split(",") if each.strip()] or list(FORMS)
        if self.open and "html" not in forms:
            raise UsageError(
                f"--open shows the page, and --format {self.form} writes none: add html, or leave out --open."
            )
        if forms == ["md"] and self.to is None:
            typer.echo(render_markdown(told, build))
            return
        place = self.to or usual
        report, files = write_report(told, place, forms, _landscape(told.folders), self.images, build)
        for file in files:
            typer.echo(str(file))
        print_report_summary(report, next((file for file in files if file.suffix == ".html"), None), self.open)
        for remark in told.partial:
            typer.echo(f"gdbench: partial: {remark}", err=True)
        if self.open:
            import webbrowser

            webbrowser.open((place / "report.html").resolve().as_uri())


def compare(
    a: Annotated[str, typer.Argument(help="a sweep, by folder or name, or a folder of sweeps")],
    b: Annotated[str, typer.Argument(help="another one")],
    json: Annotated[bool, typer.Option("--json", help="every matched pair of runs as JSON")] = False,
    form: Annotated[str, typer.Option("--format", help="html, md, figures, tables, or several with commas")] = "",
    to: Annotated[Path | None, typer.Option(help="where to write, if not into outputs/compare/A__B", **PATH)] = None,
    open_: Annotated[bool, typer.Option("--open", help="show the page in a browser")] = False,
) -> None:
    """Put two sweeps side by side, in the forms of report: what became better or worse, then both in every figure.

    It ends with the verdict and where the page is: each pair of sweeps has a folder of its own in outputs/compare,
    named by both. --format md alone prints to the terminal.
    """
    places = _place(a), _place(b)
    if json:
        from gdbench.analysis.run_matching import match_runs
        from gdbench.report.json_format import runs_as_json
        from gdbench.results.load import load

        typer.echo(runs_as_json(match_runs(load(places[0]), load(places[1]))))
        return
    with _Wanted(form, to, open_) as wanted:
        from gdbench.report.inputs import read_inputs
        from gdbench.report.output_folder import output_folder
        from gdbench.report.sweep_comparison import build_comparison, combine_inputs

        told = combine_inputs(*(read_inputs([place]) for place in places))
        wanted.put(told, output_folder("compare", places), build_comparison)


def _place(word: str) -> Path:
    """A folder that is there, or the sweep in outputs that a word means."""
    from gdbench.results.catalog import find_sweep

    place = expand_user(word)
    return place if place.exists() else find_sweep(word, Path("outputs"))


def _landscape(folders: list[Path]) -> Any:
    """What draws contours; loads torch when it is first asked."""

    def values(run: Any, box: Any) -> Any:
        from gdbench.engine.loss_landscape import compute_landscape

        return compute_landscape(folders, run, box)

    return values
