"""Texts of strangers in every format that a report or a gate is written in."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.hostile_texts import HOSTILE, has_control

from gdbench.report.escaping import (
    LONGEST_LINE,
    TEX,
    escape_control_codes,
    escape_csv_table,
    escape_latex,
    escape_markdown,
    escape_workflow_command,
    format_error_line,
)
from gdbench.report.gate import format_gate_markdown, format_junit
from gdbench.report.table_formats import markdown_table
from gdbench.results.export import hide_secrets

TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30), st.text("\\`*_[]()<>|!#~&-+=:/.aé1 \n", max_size=30))
STORED = TEXTS.filter(lambda text: "\ud800" not in text)
"""What a table can hold: it stores UTF-8, which has no lone surrogates."""
CELL = MarkdownIt("commonmark").enable("table").enable("strikethrough")


@given(TEXTS)
def test_printable_text_holds_no_control_code(text: str) -> None:
    """A text for a terminal has no control character, and as many characters as before."""
    shown = escape_control_codes(text)
    assert not has_control(shown)
    assert len(shown) == len(text)
    shown.encode()


@given(st.lists(STORED.filter(str.strip), min_size=1, max_size=4))
@example([text for text in HOSTILE[:40] if "\ud800" not in text])
@example([text for text in HOSTILE[40:] if "\ud800" not in text])
@example(["0\xa0"])
def test_markdown_cells_are_literal_text(texts: list[str]) -> None:
    """A Markdown table has one row a text, whose cell is nothing but that text."""
    tokens = CELL.parse("\n".join(markdown_table(pd.DataFrame({"name": texts, "n": 1}))))
    cells = [token for token in tokens if token.type == "inline"][2::2]
    assert len(cells) == min(len(texts), 40)
    for cell, text in zip(cells, texts, strict=False):
        assert all(child.type in ("text", "text_special") for child in cell.children or [])
        shown = "".join(child.content for child in cell.children or [])
        assert shown == escape_control_codes(text.replace("\n", " ")).strip()  # the parser strips blanks of every kind


@given(TEXTS)
def test_markdown_lines_are_literal_text(text: str) -> None:
    """An item of a list in Markdown has no element inside, whatever it says."""
    tokens = CELL.parse(f"- x {escape_markdown(text)}")
    assert {token.type for token in tokens if token.type != "inline"} <= {
        *("bullet_list_open", "list_item_open", "paragraph_open"),
        *("bullet_list_close", "list_item_close", "paragraph_close"),
    }
    (line,) = [token for token in tokens if token.type == "inline"]
    assert all(child.type in ("text", "text_special") for child in line.children or [])


@given(TEXTS)
def test_latex_text_holds_no_command_of_its_own(text: str) -> None:
    """A text for LaTeX has no special character but within the escapes that we know."""
    rest = escape_latex(text)
    for known in TEX.values():
        rest = rest.replace(known, "")
    assert not set(rest) & set("\\&%$#_{}~^\n")


@given(STORED, st.floats(allow_nan=False))
def test_csv_cells_are_not_computed(text: str, number: float) -> None:
    """A CSV file holds numbers as they are, and no text that a spreadsheet takes for a formula."""
    written = escape_csv_table(pd.DataFrame({"name": [text], "value": [number]})).to_csv(index=False)
    _, (name, value) = csv.reader(io.StringIO(written, newline=""))
    assert not name.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert name.removeprefix("'") == escape_control_codes(text, lines=True).removeprefix("'")
    assert float(value) == number


@given(STORED, STORED)
def test_junit_is_xml_whatever_an_error_says(series: str, cause: str) -> None:
    """The gate's JUnit file can be read back with its texts, control codes shown as pictures."""
    (case,) = ElementTree.fromstring(format_junit(header(), findings(series, cause))).iter("testcase")
    assert case.get("name") == escape_control_codes(series)
    assert case[0].get("message") == escape_control_codes(f"worse: {cause}")


@given(STORED, STORED)
def test_gate_markdown_has_one_row_a_finding(series: str, cause: str) -> None:
    """The gate's summary for a pull request has one table of verdicts and one of findings, and no other element."""
    tokens = CELL.parse(format_gate_markdown(header(), findings(series, cause)))
    assert [token.type for token in tokens].count("table_open") == 2
    assert [token.type for token in tokens].count("tr_open") == 4
    inline = [child.type for token in tokens for child in token.children or []]
    assert set(inline) <= {"text", "text_special", "strong_open", "strong_close", "softbreak", "hardbreak"}


@given(TEXTS)
def test_workflow_commands_are_one_line(text: str) -> None:
    """A text within a workflow command of GitHub ends no line and begins no command."""
    escaped = escape_workflow_command(text)
    assert not has_control(escaped)
    assert "::" not in escaped


@given(TEXTS, TEXTS)
@example("x" * 10_000, "a b " * 10_000)
def test_an_error_is_one_line_of_readable_length(text: str, other: str) -> None:
    """A message has no line end and no control code, and counts what it does not show of very long words."""
    line = format_error_line(f"{text} is not known. Allowed: {other}.")
    assert not has_control(line)
    assert len(line) < LONGEST_LINE + 100


@pytest.mark.parametrize(
    "address",
    [
        "http://me:secret@host/x",
        "http://me:se@secret@host",
        "http://me:se/secret@host:1/x?y=z",
        "https://secret@host",
        "postgresql://host/x?user=me&password=secret",
        "http://host?access_token=secret;x=1",
        "http://host/?client_secret=secret",
    ],
)
def test_addresses_are_shown_without_their_secrets(address: str) -> None:
    """Passwords and tokens of an address are hidden wherever it holds them; the host stays."""
    shown = hide_secrets(f"Try again with: export --uri {address}")
    assert "secret" not in shown.replace("client_secret=", "")
    assert "host" in shown


def header() -> dict[str, object]:
    """What a gate says of itself."""
    return {
        "base": "a",
        "head": "b",
        "series": 1,
        "same_fingerprint": True,
        "code": 1,
        "notes": [],
        "fingerprint": "f",
        "started": "2026-01-01",
        "seconds": 1.0,
    }


def findings(series: str, cause: str) -> pd.DataFrame:
    """One finding that fails."""
    row = {"series": series, "layer": "exact", "verdict": "worse", "fails": True, "cause": cause, "forgiven": ""}
    return pd.DataFrame([row])
