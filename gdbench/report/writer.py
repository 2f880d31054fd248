"""A report in all its forms, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gdbench.errors import UsageError
from gdbench.report.build import Report, build_report
from gdbench.report.charts.vega_lite import Figure, image_specification
from gdbench.report.escaping import escape_csv_table
from gdbench.report.inputs import ReportInputs
from gdbench.report.page import render_page
from gdbench.report.render_images import ImageRenderer, vega_bundle
from gdbench.report.report_data import ReportTable
from gdbench.report.section import Landscape
from gdbench.report.table_formats import format_markdown, latex_table
from gdbench.results.atomic import open_beside

__all__ = ["FORMS", "render_markdown", "write_report"]

Assembler = Callable[[ReportInputs, Landscape | None, Callable[[Figure], None] | None], Report]
FORMS = ("html", "md", "figures", "tables")


def write_report(
    inputs: ReportInputs,
    folder: Path,
    forms: Sequence[str] = FORMS,
    landscape: Landscape | None = None,
    images: ImageRenderer | None = None,
    put: Assembler = build_report,
) -> tuple[Report, list[Path]]:
    """Write report.html, report.md, figures/ and tables/, or some of them; returns the report and what was written.

    ``images`` are processes that draw, where some have been started already; ``put`` makes the report of the inputs.
    """
    _check_forms(forms)
    with _report_disk_errors(folder), ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        written: list[Path] = []
        draw = None
        if "figures" in forms:
            draw = _figure_drawer(stack.enter_context(images or ImageRenderer()), folder / "figures")
            written.append(folder / "figures")
        report = put(inputs, landscape, draw)
        for form, make in WRITERS.items():
            if form in forms:
                written.append(make(report, folder))
        return report, written


@contextmanager
def _report_disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into one clear line."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written ({error.strerror or error})."
            " Free some space or choose another folder with --to FOLDER."
        ) from error


def render_markdown(inputs: ReportInputs, put: Assembler = build_report) -> str:
    """The verdict and the tables as Markdown."""
    return format_markdown(put(inputs, None, None))


def _check_forms(forms: Sequence[str]) -> None:
    unknown = [each for each in forms if each not in FORMS]
    if unknown:
        raise UsageError(f"--format {unknown[0]} is not known. Allowed: {', '.join(FORMS)}, or several with commas.")


def _write_page(report: Report, folder: Path) -> Path:
    return _write_text(folder / "report.html", render_page(report, vega_bundle(), folder / "report.html"))


def _write_markdown(report: Report, folder: Path) -> Path:
    return _write_text(folder / "report.md", format_markdown(report))


def _figure_drawer(images: ImageRenderer, folder: Path) -> Callable[[Figure], None]:
    """What has a figure drawn into a folder, while the next ones are put together."""
    folder.mkdir(exist_ok=True)
    return lambda figure: images.draw(image_specification(figure), folder / figure.name)


def _write_tables(report: Report, folder: Path) -> Path:
    place = folder / "tables"
    place.mkdir(exist_ok=True)
    drawn = [ReportTable(each.name, each.title, each.rule, each.table) for each in report.figures]
    for each in (report.summary, *report.tables):
        escape_csv_table(each.table).to_csv(place / f"{each.name}.csv", index=False)
        _write_text(place / f"{each.name}.tex", latex_table(each))
    for each in drawn:
        escape_csv_table(each.table).to_csv(place / f"figure-{each.name}.csv", index=False)
    return place


def _write_text(file: Path, text: str) -> Path:
    with open_beside(file) as beside:
        beside.write_text(text, encoding="utf-8")
    return file


WRITERS: dict[str, Callable[[Report, Path], Path]] = {
    "html": _write_page,
    "md": _write_markdown,
    "tables": _write_tables,
}
