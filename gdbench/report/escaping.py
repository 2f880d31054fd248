"""Escape texts for an output format, so that names, notes and errors are shown literally and break no table.

A sweep folder may come from an untrusted source, and an exception may quote anything. A character that a format cannot
hold is replaced by a visible one, never dropped, so that different names stay different.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "escape_control_codes",
    "escape_csv_table",
    "escape_latex",
    "escape_markdown",
    "escape_workflow_command",
    "format_error_line",
]

PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
"""Control characters and their Unicode pictures: ␛ for escape."""
BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
"""Characters that change the direction of the surrounding text."""
SEPARATORS = {0x2028, 0x2029, *range(0x80, 0xA0), 0xFFFE, 0xFFFF}
"""Line separators that some readers ignore, the C1 control characters (0x9b begins an escape sequence), and the two
characters that XML forbids."""
SURROGATES = range(0xD800, 0xE000)
HIDDEN = dict.fromkeys([*BIDI, *SEPARATORS, *SURROGATES], 0xFFFD)
ONE_LINE = {**PICTURES, **HIDDEN}
LINES = {code: shown for code, shown in ONE_LINE.items() if chr(code) not in "\n\t"}
MARKDOWN = re.compile(r"[\\`*\[\]|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|~(?=~)|^[#>]")
"""Markup of emphasis, code, links, images, headings and cells; an underscore within a word is not."""
FORMULA = ("=", "+", "-", "@", "\t")
"""First characters of a cell that a spreadsheet evaluates (OWASP, "CSV Injection")."""
LONGEST_WORD, LONGEST_LINE = 300, 3000
"""Characters of an error line: a list of all objectives has 2,000, a path in it at most 300."""
TEX = {
    "\\": r"\textbackslash{}",
    "µ": r"$\mu$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "±": r"$\pm$",
    "∞": r"$\infty$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def escape_control_codes(text: str, lines: bool = False) -> str:
    """A text with control characters replaced by visible ones, but for line ends and tabs if ``lines``.

    Lone surrogates, which no encoding can write, become the replacement character as well.
    """
    if text.isprintable():  # as nearly all are, and a report has a million of them
        return text
    return text.translate(LINES if lines else ONE_LINE)


def format_error_line(text: str) -> str:
    """A message in one line that can be read: without control codes, and with what is very long cut in its middle."""
    words = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: _shorten(word[0], LONGEST_WORD), escape_control_codes(text))
    return _shorten(words, LONGEST_LINE)


def _shorten(text: str, longest: int) -> str:
    """A text with its middle counted rather than shown where it is longer than this."""
    if len(text) <= longest:
        return text
    start, end = longest // 2, longest // 4
    return f"{text[:start]}...({len(text) - start - end} characters)...{text[-end:]}"


def escape_markdown(text: str) -> str:
    """A text that Markdown shows literally, in one line of one cell."""
    entities = escape_control_codes(text.replace("\n", " ")).replace("&", "&amp;").replace("<", "&lt;")
    return MARKDOWN.sub(r"\\\g<0>", entities)


def escape_latex(text: str) -> str:
    """A text that LaTeX prints literally."""
    return "".join(TEX.get(character, character) for character in escape_control_codes(text.replace("\n", " ")))


def _escape_csv(text: str) -> str:
    """A text that a spreadsheet does not evaluate: the start of a formula is preceded by an apostrophe."""
    shown = escape_control_codes(
        text, lines=True
    )  # pandas does not quote a lone carriage return, which ends a row for readers
    return f"'{shown}" if shown.startswith(FORMULA) else shown


def escape_csv_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table for ``to_csv`` with escaped texts; numbers are unchanged."""
    from pandas.api.types import is_numeric_dtype  # an error on the command line is reported without importing pandas

    texts = [name for name in table if not is_numeric_dtype(table[name])]
    escaped = {
        str(name): [_escape_csv(cell) if isinstance(cell, str) else cell for cell in table[name]] for name in texts
    }
    return table.assign(**escaped)


def escape_workflow_command(text: str) -> str:
    """A text for a workflow command of GitHub Actions."""
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), (",", "%2C"), (":", "%3A")):
        text = text.replace(character, code)
    return escape_control_codes(text)
