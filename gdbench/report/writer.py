"""A report in all its forms, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gdbench.errors import UsageError
from gdbench.report.build import Report, assemble
from gdbench.report.charts.vega_lite import Figure, picture
from gdbench.report.escaping import escape_csv_table
from gdbench.report.inputs import Source
from gdbench.report.page import page
from gdbench.report.render_images import Images, bundle
from gdbench.report.report_data import Shown
from gdbench.report.section import Landscape
from gdbench.report.table_formats import latex, markdown
from gdbench.results.atomic import replace_atomically

__all__ = ["FORMS", "as_markdown", "write"]

Assembler = Callable[[Source, Landscape | None, Callable[[Figure], None] | None], Report]
FORMS = ("html", "md", "figures", "tables")


def write(
    source: Source,
    folder: Path,
    forms: Sequence[str] = FORMS,
    landscape: Landscape | None = None,
    images: Images | None = None,
    put: Assembler = assemble,
) -> tuple[Report, list[Path]]:
    """Write report.html, report.md, figures/ and tables/, or some of them; returns the report and what was written.

    ``images`` are processes that draw, where some have been started already; ``put`` makes the report of the source.
    """
    _check(forms)
    with _writing(folder), ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        written: list[Path] = []
        draw = None
        if "figures" in forms:
            draw = _draws(stack.enter_context(images or Images()), folder / "figures")
            written.append(folder / "figures")
        report = put(source, landscape, draw)
        for form, make in WAYS.items():
            if form in forms:
                written.append(make(report, folder))
        return report, written


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into one clear line."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written ({error.strerror or error})."
            " Free some space or choose another folder with --to FOLDER."
        ) from error


def as_markdown(source: Source, put: Assembler = assemble) -> str:
    """The verdict and the tables as Markdown."""
    return markdown(put(source, None, None))


def _check(forms: Sequence[str]) -> None:
    unknown = [each for each in forms if each not in FORMS]
    if unknown:
        raise UsageError(f"--format {unknown[0]} is not known. Allowed: {', '.join(FORMS)}, or several with commas.")


def _page(report: Report, folder: Path) -> Path:
    return _written(folder / "report.html", page(report, bundle(), folder / "report.html"))


def _markdown(report: Report, folder: Path) -> Path:
    return _written(folder / "report.md", markdown(report))


def _draws(images: Images, folder: Path) -> Callable[[Figure], None]:
    """What has a figure drawn into a folder, while the next ones are put together."""
    folder.mkdir(exist_ok=True)
    return lambda figure: images.draw(picture(figure), folder / figure.name)


def _tables(report: Report, folder: Path) -> Path:
    place = folder / "tables"
    place.mkdir(exist_ok=True)
    drawn = [Shown(each.name, each.title, each.rule, each.table) for each in report.figures]
    for each in (report.summary, *report.tables):
        escape_csv_table(each.table).to_csv(place / f"{each.name}.csv", index=False)
        _written(place / f"{each.name}.tex", latex(each))
    for each in drawn:
        escape_csv_table(each.table).to_csv(place / f"figure-{each.name}.csv", index=False)
    return place


def _written(file: Path, text: str) -> Path:
    with replace_atomically(file) as beside:
        beside.write_text(text, encoding="utf-8")
    return file


WAYS: dict[str, Callable[[Report, Path], Path]] = {"html": _page, "md": _markdown, "tables": _tables}
