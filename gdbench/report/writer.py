"""Write a report to files: HTML page, Markdown, LaTeX, figures, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gdbench.errors import UsageError
from gdbench.report.build import FigureReady, Report, build_report
from gdbench.report.charts.vega_lite import image_specification
from gdbench.report.escaping import escape_csv_table
from gdbench.report.inputs import ReportInputs
from gdbench.report.page import render_page
from gdbench.report.render_images import ImageRenderer, vega_bundle
from gdbench.report.report_data import Landscape
from gdbench.report.table_formats import format_latex, format_markdown, latex_table
from gdbench.results.atomic import replace_atomically

__all__ = ["DEFAULT_FORMS", "TEXT_FORMS", "ReportBuilder", "render_text", "write_report"]

ReportBuilder = Callable[[ReportInputs, Landscape | None, FigureReady | None], Report]
DEFAULT_FORMS = ("html", "md", "figures", "tables")
TEXT_FORMS = {"md": format_markdown, "latex": format_latex}
"""Forms that alone are printed."""
FORMS = (*DEFAULT_FORMS, "latex")


def write_report(
    inputs: ReportInputs,
    folder: Path,
    forms: Sequence[str] = DEFAULT_FORMS,
    landscape: Landscape | None = None,
    images: ImageRenderer | None = None,
    build: ReportBuilder = build_report,
) -> tuple[Report, list[Path]]:
    """Write report.html, report.md, figures/ and tables/, or other forms; returns the report and the files.

    ``images`` are renderer processes if already started. UsageError for an unknown form or a file system error.
    """
    _check_forms(forms)
    with _report_disk_errors(folder), ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        files: list[Path] = []
        on_figure = None
        if "figures" in forms:
            on_figure = _figure_writer(stack.enter_context(images or ImageRenderer()), folder / "figures")
            files.append(folder / "figures")
        report = build(inputs, landscape, on_figure)
        files += [write(report, folder) for form, write in WRITERS.items() if form in forms]
        return report, files


@contextmanager
def _report_disk_errors(folder: Path) -> Iterator[None]:
    """Raise a UsageError for an OSError."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written ({error.strerror or error})."
            " Free some space or choose another folder with --to FOLDER."
        ) from error


def render_text(form: str, inputs: ReportInputs, build: ReportBuilder = build_report) -> str:
    """The verdict and the tables in one of TEXT_FORMS."""
    return TEXT_FORMS[form](build(inputs, None, None))


def _check_forms(forms: Sequence[str]) -> None:
    unknown = [form for form in forms if form not in FORMS]
    if unknown:
        raise UsageError(f"--format {unknown[0]} is not known. Allowed: {', '.join(FORMS)}, or several with commas.")


def _write_page(report: Report, folder: Path) -> Path:
    return _write_text(folder / "report.html", render_page(report, vega_bundle(), folder / "report.html"))


def _write_markdown(report: Report, folder: Path) -> Path:
    return _write_text(folder / "report.md", format_markdown(report))


def _write_latex(report: Report, folder: Path) -> Path:
    return _write_text(folder / "report.tex", format_latex(report))


def _figure_writer(images: ImageRenderer, folder: Path) -> FigureReady:
    """A function that renders a figure into a folder in the background."""
    folder.mkdir(exist_ok=True)
    return lambda figure: images.draw(image_specification(figure), folder / figure.name)


def _write_tables(report: Report, folder: Path) -> Path:
    place = folder / "tables"
    place.mkdir(exist_ok=True)
    for table in (report.summary, *report.tables):
        _write_text(place / f"{table.name}.tex", latex_table(table))
    tables = {
        table.name: table.table if table.numbers is None else table.numbers
        for table in (report.summary, *report.tables)
    }
    tables |= {f"figure-{figure.name}": figure.table for figure in report.figures}
    for name, frame in tables.items():
        escape_csv_table(frame).to_csv(place / f"{name}.csv", index=False)
    return place


def _write_text(file: Path, text: str) -> Path:
    with replace_atomically(file) as beside:
        beside.write_text(text, encoding="utf-8")
    return file


WRITERS: dict[str, Callable[[Report, Path], Path]] = {
    "html": _write_page,
    "md": _write_markdown,
    "tables": _write_tables,
    "latex": _write_latex,
}
