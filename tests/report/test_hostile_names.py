"""Hostile names in every place of a sweep, through every output: none is obeyed, and no format breaks."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from support.hostile_texts import HOSTILE, has_control

from gdbench.results.export.build_payload import build_payload
from gdbench.results.labels import Labels, update_labels

SIZE = 6
"""Texts in one sweep: its six runs have one each, in every column of texts."""
STORED = [text for text in HOSTILE if "\ud800" not in text]
GROUPS = [tuple(STORED[first : first + SIZE]) for first in range(0, len(STORED), SIZE)]
SWEEP = "-m objective=beale optimizer=gd,adam,momentum lr=0.01,0.1 steps=5 timing=off --quiet"
OTHER = "-m objective=beale optimizer=gd lr=0.01,0.1 steps=5 timing=off --quiet name=other"
COLUMNS = ("objective", "optimizer", "impl", "implementation", "error", "traceback", "dtype", "device", "overrides")
TERMINAL = (
    *(
        "show SWEEP",
        "show RUN",
        "sweeps",
        "sweeps label SWEEP",
        "sweeps watch SWEEP --once",
        "report SWEEP --format md",
    ),
    *("compare SWEEP OTHER --format md", "compare SWEEP OTHER --settings", "show SWEEP --all-runs"),
)
JSON = ("show SWEEP --json", "show RUN --json", "sweeps --json", "sweeps label SWEEP --json", "report SWEEP --json")
ADDRESS = ("href", "src", "action", "formaction", "xlink:href", "data", "srcdoc")
MARKDOWN = MarkdownIt("commonmark").enable("table")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Page(HTMLParser):
    """The elements of a page and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note the text of the page's data."""
        if self.elements and self.elements[-1][1].get("type") == "application/json":
            self.data.append(data)


@pytest.fixture
def place_texts(once: Callable[..., Path], tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Put a text into every column of texts of each run, into labels, the folder's name and its environment."""

    def place(texts: tuple[str, ...]) -> dict[str, str]:
        once(OTHER, SWEEP)
        (other,) = Path().glob("outputs/*/*_other")
        (made,) = (folder for folder in Path().glob("outputs/*/*") if folder != other)
        name = re.sub(r"[/\x00]", "_", texts[0])[:60]
        folder = made.rename(made.with_name(f"{made.name}_{name}"))
        file = folder / "runs.parquet"
        table = pd.read_parquet(file)
        column = (texts * SIZE)[: len(table)]
        for which in COLUMNS:
            table[which] = list(column)
        table["status"] = ["failed", "budget"] * (len(table) // 2)
        table.to_parquet(file)
        update_labels(folder, lambda held: Labels(texts[0], texts, "\n".join(texts)))
        environment = folder / "environment.json"
        known = json.loads(environment.read_text())
        known |= {"command": list(texts), "machine": texts[0], "cpu": texts[-1]}
        environment.write_text(json.dumps(known))
        return {"SWEEP": str(folder), "RUN": str(table["run_id"][1]), "OTHER": str(other)}

    return place


def check_page(text: str) -> Iterator[str]:
    """What a page would execute, or fetch."""
    page = Page(text)
    if [tag for tag, _ in page.elements].count("script") != 3:
        yield "a script of somebody else"
    for tag, attributes in page.elements:
        yield from (f"<{tag} {name}>" for name in attributes if name.startswith("on"))
        for name in ADDRESS:
            if re.match(r"\s*(javascript|data|vbscript|https?):", attributes.get(name) or "", re.IGNORECASE):
                yield f"<{tag} {name}={attributes[name]}>"
    json.loads("".join(page.data))


def check_markdown(text: str) -> Iterator[str]:
    """What a Markdown file would embed or link to, and rows of other widths than their table."""
    tokens = MARKDOWN.parse(text)
    yield from (token.type for token in tokens if token.type == "html_block")
    for child in (child for token in tokens for child in token.children or []):
        address = str(child.attrs.get("href", child.attrs.get("src", "")))
        if child.type == "html_inline" or re.match(r"\w+:", address):
            yield f"{child.type} {address} {child.content}"


def check_latex(text: str) -> Iterator[str]:
    """Commands that a table does not need, and rows of another width."""
    yield from re.findall(r"\\(?:input|write18|newpage|immediate|def)\b", text)
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    if len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) > 1:
        yield "rows of different widths"


def check_csv(text: str) -> Iterator[str]:
    """Cells that a spreadsheet computes, and rows of another width."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if len({len(row) for row in rows}) != 1:
        yield "rows of different widths"
    for cell in (cell for row in rows for cell in row if cell.startswith(FORMULA)):
        try:
            float(cell)
        except ValueError:
            yield f"the formula {cell[:40]}"


def check_terminal(text: str) -> Iterator[str]:
    """Lines with a character that a terminal obeys."""
    yield from (repr(line[:60]) for line in text.splitlines() if has_control(line.replace("\t", " ")))


CHECKS = {".html": check_page, ".md": check_markdown, ".tex": check_latex, ".csv": check_csv}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "texts",
    [pytest.param(texts, marks=(pytest.mark.slow, pytest.mark.campaign)) for texts in GROUPS],
    ids=range(len(GROUPS)),
)
def test_no_output_obeys_a_name(
    command: Callable[..., Any], place_texts: Callable[..., dict[str, str]], texts: tuple[str, ...]
) -> None:
    """Page, Markdown, LaTeX, CSV, JSON, terminal and payload of a tracker show hostile names as literal text."""
    names, faults = place_texts(texts), []

    def carry_out(line: str) -> str:
        done = command(*(names.get(word, word) for word in line.split()))
        if done.code not in (0, 1) or "Traceback" in done.out + done.err:
            faults.append(f"{line}: exit code {done.code}: {(done.out + done.err)[-400:]}")
        faults.extend(f"{line}: {fault}" for fault in check_terminal(done.out + done.err))
        return str(done.out)

    for line in TERMINAL:
        carry_out(line)
    faults += [f"sweeps --csv: {fault}" for fault in check_csv(carry_out("sweeps --csv"))]
    for line in JSON:
        if out := carry_out(line):
            json.loads(out)
    carry_out("report SWEEP --format html,md,tables --to written")
    for file in Path("written").rglob("*.*"):
        faults += [f"{file}: {fault}" for fault in CHECKS.get(file.suffix, lambda text: ())(file.read_text())]
    for run in build_payload(Path(names["SWEEP"])).runs:
        json.dumps([run.name, run.params, run.tags]).encode()
    assert faults == []
