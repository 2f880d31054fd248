from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.browser import open_browser
from support.tiers import representatives

import gdbench
from gdbench.analysis.winners import find_winners
from gdbench.errors import UsageError
from gdbench.report.build import Report, build_report
from gdbench.report.charts.tooltips import format_tooltips, number_tooltip
from gdbench.report.charts.vega_lite import image_specification, page_specification
from gdbench.report.inputs import ReportInputs, read_inputs
from gdbench.report.page import render_page
from gdbench.report.render_images import ImageRenderer, render_svg
from gdbench.report.style import GREY, MAX_COLOURED, Style
from gdbench.report.sweep_comparison import build_comparison, combine_inputs
from gdbench.report.table_cells import format_cells
from gdbench.report.table_formats import format_markdown, latex_table
from gdbench.report.writer import write_report

NAMED = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real sweep with everything that a report shows: seeds, dtypes, two coordinates, times, and runs that broke."""
    outputs = tmp_path_factory.mktemp("outputs")
    shared: dict[str, Any] = {"outputs": outputs, "device": "cpu", "steps": 40}
    gdbench.sweep(
        ["rosenbrock", "himmelblau"],
        optimizer=["gd", "adam"],
        dtype=["float32", "float64"],
        lr=[1e-3, 1e-2, 1.0],
        seed=[0, 1],
        start_noise=0.1,
        timing="off",
        **shared,
    )
    gdbench.sweep(
        optimizer="momentum", lr=[0.1, 0.4], **{"optimizer.momentum": [0.5, 0.9]}, **shared, **{"timing.seconds": 0.01}
    )
    return outputs


def small(sweep: Path) -> Path:
    """The folder of the sweep that has few runs."""
    return min(sweep.glob("*/*"), key=lambda folder: len(gdbench.load(folder)))


@pytest.fixture(scope="module")
def report(sweep: Path) -> Report:
    """The report of it."""
    return build_report(read_inputs([sweep]))


@pytest.fixture(scope="module")
def written(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page and the tables, with an objective of a malicious name."""
    folder = tmp_path_factory.mktemp("report")
    source = read_inputs([sweep])
    source.runs["objective"] = source.runs["objective"].replace("himmelblau", NAMED)
    write_report(source, folder, ["html", "md", "tables"])
    return folder


@pytest.mark.slow
def test_every_figure_is_vega_lite(report: Report) -> None:
    """Each chart satisfies the schema of Vega-Lite."""
    for figure in report.figures:
        assert figure.chart is not None
        figure.chart.to_altair().to_dict(validate=True)


def test_every_figure_says_its_rule(report: Report) -> None:
    """Each figure has a rule with how many it speaks for, and the first chart satisfies the schema of Vega-Lite."""
    assert {
        *(
            "convergence-steps",
            "sensitivity",
            "heatmap",
            "heatmap-dtype",
            "ladder",
            "floors",
            "step-time",
            "time-split",
        ),
        *("performance-profile", "data-profile", "ranks", "ecdf", "path-rosenbrock-float64"),
    } <= {figure.name for figure in report.figures}
    for figure in report.figures:
        assert figure.chart is not None
        assert len(figure.rule) > 40
    report.figures[0].chart.to_altair().to_dict(validate=True)


def test_data_of_figures_are_numbers_that_json_can_hold(report: Report) -> None:
    """No NaN and no infinity reaches a specification, and every figure has rows."""
    for figure in report.figures:
        spec = page_specification(figure)
        json.dumps(spec, allow_nan=False)

        assert spec["datasets"]["table"]


def test_an_optimizer_has_one_colour_throughout(report: Report) -> None:
    """Wherever an optimizer is coloured, it is with the same colour and the same dash."""
    pairs: dict[tuple[str, str], set[str]] = {}
    for figure in report.figures:
        for kind, scale in scales(page_specification(figure)):
            for name, value in zip(scale["domain"], scale["range"], strict=True):
                pairs.setdefault((kind, name), set()).add(str(value))

    assert {name for _, name in pairs} == {"gd", "momentum", "adam"}
    assert all(len(values) == 1 for values in pairs.values())
    assert len({next(iter(values)) for (kind, _), values in pairs.items() if kind == "color"}) == 3


def test_of_many_optimizers_the_best_have_colours() -> None:
    """Twelve pairs of colour and dash, all different, go to the best; the others are one grey, and in no legend."""
    names = [f"method{number:02d}" for number in range(18)] + ["adam", "gd"]
    style = Style.assign(names, best=["gd", *reversed(names)])
    pairs = [style.colour_and_dash(name) for name in style.leaders]
    legend: Any = style.colour_channel(names).to_dict()

    assert set(style.leaders) == {"gd", "adam", *(f"method{number:02d}" for number in range(8, 18))}
    assert len(set(pairs)) == len(pairs) == MAX_COLOURED
    assert {style.colour_and_dash(name)[0] for name in names if name not in style.leaders} == {GREY}
    assert style.colour_and_dash("gd") == Style.assign(["gd"]).colour_and_dash("gd")
    assert legend["legend"]["values"] == list(style.leaders)


def test_grey_lines_lie_behind() -> None:
    """What has no colour is drawn first, and otherwise the order stays."""
    names = [f"method{number:02d}" for number in range(MAX_COLOURED + 1)]
    style = Style.assign(names, best=names[1:])

    assert style.sort_grey_first(pd.DataFrame({"optimizer": names[::-1]}))["optimizer"].tolist() == [
        names[0],
        *names[:0:-1],
    ]


def test_a_figure_says_which_optimizers_have_colours(report: Report) -> None:
    """Under a figure stands how many optimizers are grey, where some are, and the page offers them apart."""
    runs = report.inputs.runs.query("objective == 'rosenbrock' and dtype == 'float64'")
    many = [
        runs.assign(optimizer=f"method{number:02d}", run_id=runs["run_id"] + f"-{number}")
        for number in range(MAX_COLOURED + 2)
    ]
    source = ReportInputs([], pd.concat(many, ignore_index=True), report.inputs.traces.head(0))
    crowded = build_report(source)

    assert all("the 12 of 14 optimizers" in figure.rule for figure in crowded.figures)
    assert "2 others, grey" in render_page(crowded, "", Path("report.html"))
    assert not any("grey." in figure.rule for figure in report.figures)


def scales(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The colour and dash scales of a specification that are over optimizers."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("color", "strokeDash") and isinstance(value, dict) and value.get("field") == "optimizer":
                yield key, value["scale"]
            elif key != "datasets":
                yield from scales(value)
    elif isinstance(node, list):
        for part in node:
            yield from scales(part)


def test_a_broken_run_never_wins(report: Report) -> None:
    """No diverged or nonfinite run is best anywhere, though it may have passed the target."""
    assert report.inputs.runs["status"].isin(["diverged", "nonfinite"]).any()
    compared = report.data.compared
    winners = find_winners(report.data.runs, compared)
    for _, row in winners[winners["outcome"].isin(["stays", "left"])].iterrows():
        mine = compared[(compared["problem"] == row["problem"]) & (compared["configuration"] == row["configuration"])]

        assert (mine["status"] == "target").any()


def test_the_page_is_one_file_without_a_network(written: Path) -> None:
    """It names no address to load from, and is small."""
    text = (written / "report.html").read_text()

    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", text)
    assert len(text) < 4_000_000


def test_names_from_users_are_escaped(written: Path) -> None:
    """An objective called like a tag is shown as text, in the page, in its data and in Markdown."""
    assert NAMED not in (written / "report.html").read_text()
    assert NAMED not in (written / "report.md").read_text()
    assert "&lt;script&gt;alert(1)" in (written / "report.html").read_text()


def test_tables_are_there_as_csv_and_latex(written: Path, report: Report) -> None:
    """Each table is a CSV that reads back with its rows, and a LaTeX table with as many columns in every row."""
    for table in report.tables:
        assert len(pd.read_csv(written / "tables" / f"{table.name}.csv")) == len(table.table)
        rows = [line for line in latex_table(table).splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {table.table.shape[1] - 1}


def test_markdown_holds_the_verdict_and_every_table(report: Report) -> None:
    """A pull request gets a sentence for each problem, and all tables with equal numbers of cells in every row."""
    text = format_markdown(report)

    for problem in report.data.problems:
        assert f"- {problem}: " in text
    for title in (report.summary.title, *(table.title for table in report.tables)):
        assert f"## {title}\n" in text


def test_a_sweep_that_goes_on_is_marked_partial(sweep: Path, tmp_path: Path) -> None:
    """Of a folder in which a cell is missing the report shows what is there, and says so."""
    folder = tmp_path / "2026-01-01" / "09-00-00_sweep"
    shutil.copytree(small(sweep), folder)
    assert not read_inputs([folder]).partial, "a copy is as whole as what it was made of"

    (folder / ".hydra" / "cell-00099.yaml").write_text("")
    source = read_inputs([folder])

    assert source.partial
    assert "cells have finished" in format_markdown(build_report(source))


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 1e30, "optimizer": "gd"},
        pytest.param({"objective": "notebook_log", "lr": [1e-3, 1e-2]}, marks=pytest.mark.slow),
        {"lr": 0.1, "trace": "none"},
        {"optimizer": "lbfgs", "impl": ["manual"], "lr": [0.1, 0.2]},
        pytest.param({"lr": 0.1}, marks=pytest.mark.slow),
    ],
    ids=["all broke", "no minimum", "no traces", "unavailable", "one run"],
)
def test_what_cannot_be_drawn_is_said(settings: dict[str, Any], tmp_path: Path) -> None:
    """A sweep without a finite point, a known minimum, traces or a second run still makes a page, in words."""
    runs = gdbench.sweep(**{"outputs": tmp_path, "timing": "off", "steps": 20, "device": "cpu", **settings})
    report = build_report(read_inputs([Path(runs.attrs["folder"])]))

    assert format_markdown(report)
    for section in report.sections:
        for figure in section.figures:
            assert figure.chart is not None or re.search(r"0 finite|[Nn]o|None", figure.rule)


def test_the_command_writes_what_is_asked_for(command: Callable[..., Any], sweep: Path, tmp_path: Path) -> None:
    """--format md prints; --to says where other forms go; what is not known is refused in a line."""
    folder = str(small(sweep))
    printed = command("report", folder, "--format", "md")
    tables = command("report", folder, "--format", "tables", "--to", str(tmp_path / "here"))

    assert printed.code == tables.code == 0
    assert printed.out.startswith("# gdbench report")
    assert (tmp_path / "here" / "tables" / "verdict.csv").exists()
    for bad in (["--format", "pdf"], ["--format", "html", "--to"], ["nowhere"]):
        refused = command("report", *([] if bad == ["nowhere"] else [folder]), *bad)
        assert refused.code == 2
        assert len(refused.err.splitlines()) == 1


def test_pictures_come_from_the_same_specification(report: Report, tmp_path: Path) -> None:
    """A figure is drawn as SVG and PNG by the processes that draw, without the marks that only a page needs."""
    figure = next(figure for figure in report.figures if figure.name == "convergence-steps")
    with ImageRenderer() as images:
        images.draw(image_specification(figure), tmp_path / "picture")

    assert (tmp_path / "picture.svg").read_text().startswith("<svg")
    assert not re.search(r'<path aria-label="[^>]* opacity="0"', (tmp_path / "picture.svg").read_text())
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


CHARTS: dict[str, Callable[..., Any]] = {
    "convergence": lambda runs, one, traces: gdbench.plot.convergence(runs, traces),
    "sensitivity": lambda runs, one, traces: gdbench.plot.sensitivity(runs),
    "sensitivity of one": lambda runs, one, traces: gdbench.plot.sensitivity(one),
    "profile": lambda runs, one, traces: gdbench.plot.profile(runs),
    "trajectory": lambda runs, one, traces: gdbench.plot.trajectory(one, traces),
}


@pytest.mark.parametrize("name", representatives(CHARTS, ("sensitivity of one",)))
def test_charts_for_a_notebook(sweep: Path, name: str) -> None:
    """gdbench.plot makes the report's charts from a table of runs, and says what it lacks."""
    folder = next(path for path in sorted(sweep.glob("*/*")) if "rosenbrock" in set(gdbench.load(path)["objective"]))
    runs, traces = gdbench.load(folder), gdbench.load(folder, "traces")
    one = runs[(runs["objective"] == "rosenbrock") & (runs["dtype"] == "float64")]

    assert render_svg(CHARTS[name](runs, one, traces).to_dict()).count("role-mark")
    runs.attrs.clear()  # as of a table that was put together by hand
    with pytest.raises(UsageError, match="traces="):
        gdbench.plot.convergence(runs)


# ----------------------------------------------------------------------------------------------------- comparing


@pytest.mark.slow
def test_a_sweep_compared_with_itself_is_the_same(sweep: Path, command: Callable[..., Any]) -> None:
    """Nothing differs, and nothing is in one of them alone."""
    folder = str(small(sweep))
    done = command("compare", folder, folder, "--format", "md")

    assert done.code == 0
    assert "Nothing differs." in done.out


@pytest.fixture(scope="module")
def sides(sweep: Path) -> ReportInputs:
    """A sweep, and what it would be if momentum needed half the gradients."""
    a, b = read_inputs([sweep]), read_inputs([sweep])
    runs = b.runs.copy()
    hit = (runs["status"] == "target") & (runs["optimizer"] == "momentum")
    assert hit.any()
    for name in ("gradient_evals_to_target", "steps_to_target"):
        runs.loc[hit, name] = (runs.loc[hit, name] + 1) // 2
    return combine_inputs(a, replace(b, runs=runs))


@pytest.fixture(scope="module")
def sided(sides: ReportInputs) -> Report:
    """The report of the two."""
    return build_comparison(sides)


@pytest.mark.slow
def test_every_figure_of_two_sides_is_vega_lite(sided: Report) -> None:
    """Each chart of a comparison satisfies the schema of Vega-Lite."""
    for figure in sided.figures:
        figure.chart.to_altair().to_dict(validate=True)


def test_two_sides_are_one_report_with_the_differences_first(sided: Report) -> None:
    """Who became better is said first, by how much; then each figure has both sides, in one colour and two dashes."""
    report = sided
    names = [section.name for section in report.sections]
    figure = next(figure for figure in report.figures if figure.name == "changes-gradients")
    optimizers = {
        row.get("optimizer") for figure in report.figures for row in page_specification(figure)["datasets"]["table"]
    }

    assert names[:3] == ["differences", "convergence", "sensitivity"]
    assert report.sentences[0].startswith("a is ")
    assert "b is better on 1" in report.sentences[1]
    assert any("b is better: momentum (" in line for line in report.sentences)
    assert {"momentum · a", "momentum · b"} <= optimizers
    assert (
        report.data.style.colour_and_dash("adam · a")[0]
        == report.data.style.colour_and_dash("adam · b")[0]
        == Style.assign(["adam"]).colour_and_dash("adam")[0]
    )
    assert report.data.style.colour_and_dash("adam · a")[1] != report.data.style.colour_and_dash("adam · b")[1]
    assert figure.table.loc[figure.table["optimizer"] == "momentum", "ratio"].between(0.4, 0.6).all()
    figure.chart.to_altair().to_dict(validate=True)


@pytest.mark.slow
def test_compare_writes_and_prints_as_report_does(command: Callable[..., Any], sweep: Path, tmp_path: Path) -> None:
    """The page and the tables are written and named; JSON has each pair of runs; what is not there is refused."""
    folder = str(small(sweep))
    page_ = command("compare", folder, folder, "--format", "html,tables", "--to", "both")
    printed = command("compare", folder, folder, "--json")
    refused = command("compare", folder, "nowhere")

    assert page_.out.splitlines()[:2] == [str(Path("both") / name) for name in ("report.html", "tables")]
    assert "<h1>gdbench compare</h1>" in (tmp_path / "both" / "report.html").read_text()
    assert {row["verdict"] for row in json.loads(printed.out)} == {"same"}
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)


def test_fewer_gradients_are_better_and_a_broken_run_is_worse(sweep: Path) -> None:
    """The second table is better where it needs fewer gradients, worse where it diverged, however early it hit."""
    from gdbench.analysis.run_comparison import compare_runs

    runs = gdbench.load(sweep)
    hit = runs.index[runs["status"] == "target"]
    other = runs.copy()
    other.loc[hit[0], "gradient_evals_to_target"] -= 1
    other.loc[hit[-1], "status"] = "diverged"
    other.loc[hit[-1], "gradient_evals_to_target"] = 1

    counts = compare_runs(runs, other)["verdict"].value_counts().to_dict()

    assert counts.pop("same") > 0
    assert counts == {"better": 1, "worse": 1}
    assert set(compare_runs(runs, other.drop(hit[0]))["verdict"]) == {"same", "worse", "only a"}


# ------------------------------------------------------------------------------------------------------- browser


@pytest.fixture
def browser() -> Iterator[Any]:
    """A headless Chromium of the system's, without a network."""
    with open_browser("light") as opened:
        yield opened


@pytest.mark.slow
def test_the_page_and_its_script_write_all_runs_alike(written: Path, browser: Any) -> None:
    """A cell of the table of all runs holds the same text before and after the page's script has made it anew."""
    file = written / "report.html"
    static = re.search(r'<table id="all">.*?<tbody>(.*?)</tbody>', file.read_text(encoding="utf-8"), re.DOTALL)
    assert static
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", static[1])]
    plain = [[html.unescape(re.sub("<[^>]*>", "", cell)) for cell in row] for row in rows]
    page = browser.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector("#all tbody td:last-child button, #all tbody td:last-child a")
    drawn = page.evaluate(
        "[...document.querySelectorAll('#all tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
    )

    assert len(plain) > 3
    assert any(re.search(r"e-0\d", cell) for row in plain for cell in row)
    assert [row[: len(plain[0])] for row in drawn[: len(plain)]] == plain


@pytest.mark.slow
def test_the_page_works_in_a_browser(written: Path, browser: Any) -> None:
    """Offline and without an error it draws, hovers, filters, turns dark, sorts and opens a run's details."""
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((written / "report.html").as_uri())
    chart = page.locator(".chart[data-figure=convergence-steps]")
    chart.scroll_into_view_if_needed()
    page.wait_for_selector(".chart[data-figure=convergence-steps] svg")
    paths = chart.locator("path").count()

    chart.locator("svg g.mark-symbol.role-mark path").nth(3).hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "optimizer" in page.locator("#vg-tooltip-element").inner_text()

    page.locator("[data-optimizer=adam]").click()
    page.wait_for_function(f"document.querySelectorAll('.chart[data-figure=convergence-steps] path').length < {paths}")
    assert page.locator("[data-optimizer=adam]").get_attribute("aria-pressed") == "false"
    assert "adam" not in page.locator("#all tbody").inner_text()

    page.locator("[data-filter=dtype]").select_option("float32")
    for figure in ("heatmap-dtype", "floors"):
        page.locator(f".chart[data-figure={figure}]").scroll_into_view_if_needed()
        page.wait_for_selector(f".chart[data-figure={figure}] svg")
        assert "float64" not in page.locator(f".chart[data-figure={figure}] svg").inner_html()
    page.locator("[data-filter=dtype]").select_option("")
    page.locator(".chart[data-figure^=path-]").first.scroll_into_view_if_needed()
    slider = page.locator(".chart[data-figure^=path-] input[type=range]").first
    slider.wait_for()
    assert (slider.get_attribute("max"), slider.input_value()) == ("40", "40")

    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before

    page.locator("#all th", has_text="gradients").locator("button").click()
    assert page.locator("#all th[aria-sort=ascending]").inner_text().startswith("gradients")
    place = 1 + page.locator("#all th").all_inner_texts().index("gradients")
    texts = page.locator(f"#all tbody tr td:nth-child({place})").all_inner_texts()
    cells = [int(text) for text in texts if text]
    assert cells == sorted(cells)
    assert len(cells) > 3

    page.locator("#search").fill("nonfinite")
    assert set(page.locator("#all tbody tr td.bad").all_inner_texts()) == {"nonfinite"}
    page.locator("#all button.more").first.click()
    assert "python -m gdbench" in page.locator("tr.details").inner_text()
    assert errors == []


@pytest.mark.slow
def test_a_tooltip_writes_numbers_as_the_tables_do() -> None:
    """Each kind of number has, in Vega's expressions, the text that a table's cell has; one format for one thing."""
    random = np.random.default_rng(0)
    ends = [0.0, 1e-5, 9.9994e-5, 9.9996e-5, 1e-4, 7.5e-5, 0.9994, 0.9996, 999.4, 999.6, 9994.0, 9999.0, 1e4, 12345.0]
    values = [*ends, *10 ** random.uniform(-12, 9, 200), *random.integers(0, 10**6, 100).astype(float)]
    # What lies in the middle of two texts, Python and JavaScript round to different sides.
    rounded = [float(f"{value:.6g}") for value in values if not re.search(r"50*e", f"{value:.5e}")]
    table = pd.DataFrame(
        {"lr": rounded, "final_gap": rounded, "ratio": rounded, "step_s": [value * 1e-6 for value in rounded]}
    )
    cells = [format_cells(pd.DataFrame({name: table[name]})) for name in table]
    rows = table.assign(step_s=rounded).to_dict(orient="records")
    kinds = {"lr": "number", "final_gap": "gap", "ratio": "cost", "step_s": "microseconds"}
    layer = {"encoding": {"tooltip": [number_tooltip(name, kind=kind).to_dict() for name, kind in kinds.items()]}}
    written = format_tooltips(layer)
    fields = [entry["field"] for entry in written["encoding"]["tooltip"]]
    joined = " + '|' + ".join(f"datum['{field}']" for field in fields)
    spec = {
        "data": {"values": rows},
        "transform": [*written["transform"], {"calculate": joined, "as": "all"}],
        "mark": "text",
        "encoding": {"text": {"field": "all"}},
    }
    texts = re.findall(r">([^<>|]*(?:\|[^<>|]*){3})<", render_svg(spec))

    wanted = ["|".join(cell[0] for cell in row) for row in zip(*cells, strict=True)]
    assert [pair for pair in zip(texts, wanted, strict=True) if pair[0] != pair[1]] == []


def test_ends_of_an_interval_that_say_nothing_are_left_out() -> None:
    """A loss of copies has the digits of its column and no ends; that of three seeds has three alike."""
    table = pd.DataFrame(
        {"final_loss": [1.672e-4, 0.1431], "final_loss_lo": [1.672e-4, 0.1], "final_loss_hi": [1.672e-4, 0.2]}
    )

    assert format_cells(table) == [["0.0001672", "", ""], ["0.143", "0.100", "0.200"]]


@pytest.mark.parametrize(("lrs", "dotted"), [("0.1,0.2", False), ("0.1,1.5", True)])
def test_a_caption_tells_of_a_dotted_line_where_one_is_drawn(
    command: Callable[..., Any], lrs: str, dotted: bool
) -> None:
    """2/L is drawn, and told of, where the learning rates reach it: those of the notebook's loop, with L = 2, at 1."""
    command(f"lr={lrs}", "steps=50", "timing=off", "--quiet")
    done = command("report", "--format", "html", "--to", "page")

    assert done.code == 0
    assert ("Dotted: 2/L" in Path("page/report.html").read_text()) is dotted
