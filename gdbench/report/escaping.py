"""Texts made safe for a format: whatever a name, note or error holds, it stays text there and breaks no table.

A sweep's folder may come from a stranger, and an exception may quote anything. What a format cannot hold is replaced by
a character that is seen, never dropped: two different names stay two.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "escape_control_codes",
    "escape_csv",
    "escape_csv_table",
    "escape_latex",
    "escape_markdown",
    "escape_workflow_command",
]

PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
"""Control characters and the pictures that Unicode has of them: ␛ for escape."""
BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
"""Characters that change the direction in which the text around them is shown."""
SEPARATORS = {0x2028, 0x2029, *range(0x80, 0xA0)}
"""Line ends that only some readers know, and the second set of control characters: 0x9b begins an escape sequence."""
HIDDEN = dict.fromkeys(BIDI | SEPARATORS, "\N{REPLACEMENT CHARACTER}")
MARKDOWN = re.compile(r"[\\`*\[\]|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|~(?=~)|^[#>]")
"""What begins emphasis, code, a link, an image, a heading or another cell; an underscore within a word does not."""
FORMULA = ("=", "+", "-", "@", "\t")
"""How a cell begins that a spreadsheet computes (OWASP, "CSV Injection")."""
TEX = {
    "\\": r"\textbackslash{}",
    "µ": r"$\mu$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def escape_control_codes(text: str, lines: bool = False) -> str:
    """A text without control characters: pictures of them instead; line ends and tabs stay where ``lines``.

    Lone surrogates, which no encoding can write, become the replacement character as well.
    """
    pictures = {code: chr(picture) for code, picture in PICTURES.items() if not (lines and chr(code) in "\n\t")}
    shown = text.translate({**pictures, **HIDDEN})
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) == "Cs" else c for c in shown)


def escape_markdown(text: str) -> str:
    """A text as Markdown shows it literally, in one line of one cell: no link, image, emphasis, code or HTML."""
    entities = escape_control_codes(text.replace("\n", " ")).replace("&", "&amp;").replace("<", "&lt;")
    return MARKDOWN.sub(r"\\\g<0>", entities)


def escape_latex(text: str) -> str:
    """A text as LaTeX prints it literally."""
    return "".join(TEX.get(character, character) for character in escape_control_codes(text.replace("\n", " ")))


def escape_csv(text: str) -> str:
    """A text as a spreadsheet shows it and does not compute it: a quotation mark goes before what begins a formula."""
    shown = escape_control_codes(
        text, lines=True
    )  # pandas does not quote a lone carriage return, which ends a row for readers
    return f"'{shown}" if shown.startswith(FORMULA) else shown


def escape_csv_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table for ``to_csv``, its texts by ``escape_csv``; numbers stay as they are."""
    from pandas.api.types import is_numeric_dtype  # a mistake on the command line is told without pandas

    texts = [name for name in table if not is_numeric_dtype(table[name])]
    return table.assign(**{str(name): table[name].map(_escape_csv_cell) for name in texts})


def _escape_csv_cell(value: object) -> object:
    return escape_csv(value) if isinstance(value, str) else value


def escape_workflow_command(text: str) -> str:
    """A text as a workflow command of GitHub Actions may hold it."""
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), (",", "%2C"), (":", "%3A")):
        text = text.replace(character, code)
    return escape_control_codes(text)
