"""The verbs: what there is (list, columns), what ran (show), and the search for the best numbers (tune)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from typer.core import TyperGroup

from gdbench.cli.gate import gate
from gdbench.cli.store import add_to
from gdbench.config.own_names import check_own_names
from gdbench.errors import UsageError, format_count, nearest
from gdbench.results.columns import COLUMNS
from gdbench.results.paths import PATH, expand_user, expand_word

if TYPE_CHECKING:
    from gdbench.report.inputs import Source
    from gdbench.report.writer import Assembler
    from gdbench.sweeps.tuning import Tuning

__all__ = ["Interrupted", "app", "build_command", "headline"]

KINDS = ("objectives", "optimizers")
NARROWEST = 30
"""How narrow a sentence beside a name may get."""


class Interrupted(BaseException):
    """Ctrl-C during a verb, with what there is to say of it: typer would make of it an exit without a word."""


class Verbs(TyperGroup):
    """The verbs, of which none ends without a word."""

    def invoke(self, ctx: Any) -> Any:
        """Carry out the one that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as cut:
            raise Interrupted(*cut.args) from cut


app = typer.Typer(
    cls=Verbs, add_completion=False, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False
)
app.add_typer(gate, name="gate")
add_to(app)


@cache
def build_command() -> Any:
    """The command that reads words; made once, as it takes typer 25 ms to look through all verbs and options."""
    return typer.main.get_command(app)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="objectives or optimizers")],
    config_dir: Annotated[Path | None, typer.Option(help="also those of a folder of your own", **PATH)] = None,
    cutest: Annotated[bool, typer.Option("--cutest", help="the problems of objective=cutest instead")] = False,
) -> None:
    """List all objectives or optimizers: name, what it is, and its source."""
    from gdbench.config.paths import config_folder

    if what not in KINDS:
        raise UsageError(f"list {what} is not known.{nearest(what, KINDS)} Allowed: {', '.join(KINDS)}.")
    if cutest:
        if what != "objectives":
            raise UsageError(f"list {what} --cutest: CUTEst holds problems; write list objectives --cutest.")
        from gdbench.objectives.cutest import listing

        for line in listing():
            typer.echo(line)
        return
    if config_dir and not config_dir.is_dir():
        raise UsageError(f"--config-dir {config_dir} is no folder: it must hold {what[:-1]}/*.yaml of your own.")
    if config_dir:
        check_own_names(config_dir)
    group = what.removesuffix("s")
    folders = [config_folder(), *([config_dir] if config_dir else [])]
    files = sorted((file for folder in folders for file in (folder / group).glob("*.yaml")), key=lambda file: file.stem)
    _print_pairs([(file.stem, headline(file)) for file in files])


@app.command()
def columns() -> None:
    """Print what each column of runs.parquet means: name, unit, meaning, and which way is better."""
    _print_pairs([(name, column.said) for name, column in COLUMNS.items()])


def _print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print a name and what it is in each line; in a narrow terminal the words go on in further lines."""
    from gdbench.report.terminal.fitting import Column, console, fit_columns

    out = console()
    names, words = ([pair[place] for pair in pairs] for place in (0, 1))
    columns = [Column("", names, is_text=True), Column("", words, is_text=True, narrowest=NARROWEST)]
    out.print(fit_columns(columns, out.width, has_header=False), crop=False)


@app.command()
def show(
    what: Annotated[
        str | None, typer.Argument(metavar="SWEEP or RUN", help="a folder or name; or the first digits of a run's key")
    ] = None,
    folder: Annotated[Path, typer.Option(help="a sweep's folder, or a folder of sweeps", **PATH)] = Path("outputs"),
    each: Annotated[bool, typer.Option("--each", help="of a sweep: a row for every run")] = False,
    rerun: Annotated[bool, typer.Option("--rerun", help="repeat it; exit code 1 if an exact column differs")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="with --rerun: run what a sweep that somebody else made names")
    ] = False,
) -> int:
    """Show the table of a sweep again, of the newest if none is named; or everything about a run.

    Of a run: columns, traceback if it failed, configuration, and the command that repeats it.

    --rerun repeats it untimed, says whether every exact column came out the same, and names what else is not as it was:
    settings, source files, data, torch, threads, machine, determinism. Code that a sweep names and that neither gdbench
    ships nor you ran here yourself is listed first, and run with --trust alone.
    """
    from gdbench.cli.show import check_options, find_shown, show_run, show_table

    sweep, row = find_shown(what, folder)
    check_options(sweep, what, {"each": each}, {"rerun": rerun, "trust": trust})
    if sweep is not None:
        show_table(sweep, each)
        return 0
    if rerun:
        from gdbench.cli.show import list_repeat
        from gdbench.results.lookup import home
        from gdbench.sweeps.reproduce import rerun as repeat

        found = repeat(home(folder, row), row, trust)
        typer.echo("\n".join(list_repeat(found)))
        return 0 if found.same else 1
    show_run(row, folder)
    return 0


@app.command()
def diff(
    a: Annotated[str, typer.Argument(help="a sweep, by its folder or name; or the key of a run")],
    b: Annotated[str, typer.Argument(help="another one")],
    folder: Annotated[Path, typer.Option(help="where runs are looked for", **PATH)] = Path("outputs"),
    json: Annotated[bool, typer.Option("--json", help="the differences as JSON")] = False,
) -> None:
    """Name what differs between two sweeps, or two runs: in configuration, environment, source, data and result."""
    from gdbench.analysis.sweep_diff import contrast
    from gdbench.report.diff_text import describe_contrast, json_text, list_contrast
    from gdbench.report.escaping import printable

    found = contrast(a, b, folder)
    typer.echo(json_text(describe_contrast(found)) if json else printable("\n".join(list_contrast(found)), lines=True))


@app.command()
def export(
    tracker: Annotated[str, typer.Argument(help="mlflow, wandb, trackio or tensorboard")],
    sweep: Annotated[str, typer.Argument(help="a sweep that has ended: its folder, or its name")],
    uri: Annotated[
        str | None, typer.Option(help="mlflow: a server; wandb: online, or a server; trackio, tensorboard: a folder")
    ] = None,
) -> None:
    """Copy a sweep to a tracker: parameters, metrics, curves, statuses, report. What is there already stays as it is.

    Each needs its extra, such as pip install -e '.[mlflow]', and keeps to its own environment variables:
    MLFLOW_TRACKING_URI, WANDB_MODE, TRACKIO_DIR. Without any, all of them keep what they get on this machine.
    """
    from gdbench.results.catalog import find
    from gdbench.results.export import insist, send

    insist([tracker])
    place = str(expand_user(uri)) if uri and uri.startswith("~") else uri  # a server is no path
    sent = send(tracker, find(sweep, Path("outputs")), place)
    there = f", {sent.there} there already" if sent.there else ""
    typer.echo(f"{tracker}: {format_count(sent.added, 'run')} added{there}. Look: {sent.look}")


@app.command()
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
        from gdbench.report.build import assemble
        from gdbench.report.destination import destination
        from gdbench.results.catalog import newest

        places = places or [newest(Path("outputs"))]
        told = inputs.read(places)
        wanted.put(told, told.folders[0] if len(told.folders) == 1 else destination("report", places), assemble)


class _Wanted:
    """In which forms a report is asked for, and where."""

    def __init__(self, form: str, to: Path | None, open_: bool) -> None:
        """Made before pandas and Altair are imported, so that JavaScript starts meanwhile."""
        from gdbench.report.render_images import Images

        self.form, self.to, self.open = form, to, open_
        self.images = Images() if not form or "figures" in form else None

    def __enter__(self) -> Self:
        """Have the processes that draw ended in any case: a start that is cut short tells of itself on the terminal."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them; those that have drawn have ended already."""
        if self.images:
            self.images.close()

    def put(self, told: Source, usual: Path, make: Assembler) -> None:
        """Write the report, say what it was written to, its verdict and where its page is, and show that."""
        from gdbench.report.closing import print_closing
        from gdbench.report.writer import FORMS, as_markdown, write

        forms = [each.strip() for each in self.form.split(",") if each.strip()] or list(FORMS)
        if self.open and "html" not in forms:
            raise UsageError(
                f"--open shows the page, and --format {self.form} writes none: add html, or leave out --open."
            )
        if forms == ["md"] and self.to is None:
            typer.echo(as_markdown(told, make))
            return
        place = self.to or usual
        report, files = write(told, place, forms, _landscape(told.folders), self.images, make)
        for file in files:
            typer.echo(str(file))
        print_closing(report, next((file for file in files if file.suffix == ".html"), None), self.open)
        for remark in told.partial:
            typer.echo(f"gdbench: partial: {remark}", err=True)
        if self.open:
            import webbrowser

            webbrowser.open((place / "report.html").resolve().as_uri())


@app.command()
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
        from gdbench.analysis.run_matching import comparison
        from gdbench.report.json_rows import as_json
        from gdbench.results.load import load

        typer.echo(as_json(comparison(load(places[0]), load(places[1]))))
        return
    with _Wanted(form, to, open_) as wanted:
        from gdbench.report.destination import destination
        from gdbench.report.inputs import read
        from gdbench.report.sweep_comparison import beside, compared

        told = beside(*(read([place]) for place in places))
        wanted.put(told, destination("compare", places), compared)


def _place(word: str) -> Path:
    """A folder that is there, or the sweep in outputs that a word means."""
    from gdbench.results.catalog import find

    place = expand_user(word)
    return place if place.exists() else find(word, Path("outputs"))


def _landscape(folders: list[Path]) -> Any:
    """What draws contours; loads torch when it is first asked."""

    def values(run: Any, box: Any) -> Any:
        from gdbench.engine.loss_landscape import landscape

        return landscape(folders, run, box)

    return values


@app.command()
def tune(
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="as for a sweep")] = None,
    config_dir: Annotated[Path | None, typer.Option(help="a folder of your own, as for a sweep", **PATH)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="no table")] = False,
    json: Annotated[bool, typer.Option("--json", help="the winners as JSON")] = False,
    multirun: Annotated[bool, typer.Option("-m", "--multirun", hidden=True)] = False,  # commas mean rows without it too
) -> int:
    """Find the best of equally many lrs (or other numbers) of each optimizer on each objective, by refined grids.

    Numbers to tune are intervals: 'lr=tag(log,interval(1e-4,1))' 'optimizer.momentum=interval(0,0.99)'; without any, lr
    is sought from 1e-6 to 10 and beyond. Commas over all else make a row each. metric= says what is best, trials= how
    many points each row tries. A better value that its neighbours do not come near is shown, and not chosen.
    """
    from gdbench.config.mistakes import check_words
    from gdbench.report.terminal.progress import progress
    from gdbench.sweeps.api import tuning
    from gdbench.sweeps.job_spec import Silent

    check_words(overrides or [])
    search = tuning([expand_word(word) for word in overrides or []], config_dir)
    try:
        search.run(Silent() if quiet or json else progress("row"))
    except KeyboardInterrupt:
        _show_tuned(search, quiet, json)
        typer.echo(f"gdbench: interrupted. Finished cells: {search.growing.folder}", err=True)
        return 130
    return _show_tuned(search, quiet, json)


def _show_tuned(search: Tuning, quiet: bool, json: bool) -> int:
    """Show the winners so far; returns the exit code."""
    winners = search.winners()
    if not len(winners):
        return 0
    if json:
        from gdbench.report.json_rows import as_json

        typer.echo(as_json(winners))
    elif not quiet:
        from gdbench.report.terminal.tuning import show_tuned

        show_tuned(winners, search.growing.folder)
    return 1 if (winners["status"] == "failed").any() else 0


def headline(file: Path) -> str:
    """The comment in the first line of a configuration."""
    with file.open(encoding="utf-8", errors="replace") as text:  # what cannot be read is told when it is chosen
        first = text.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""
