"""Texts of strangers that a terminal, a browser, a spreadsheet, a compiler of documents or a parser might obey."""

from __future__ import annotations

import unicodedata

__all__ = ["BIDI", "HOSTILE", "has_control"]

HOSTILE = (
    # HTML and scripts
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "</style><svg onload=alert(1)>",
    "\"><a href='javascript:alert(1)'>x</a>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "<!--<script>",
    "-->",
    "&lt;b&gt; &amp;",
    "{{7*7}} {% raw %} ${7*7} #{7}",
    "__proto__",
    "constructor",
    # Markdown
    "![x](https://example.org/x.png)",
    "[x](javascript:alert(1))",
    "<https://example.org>",
    "**bold** _em_ `code` ~~gone~~",
    "```\nx",
    "a | b | c",
    "\\| \\\\| \\",
    "# heading",
    "> quoted",
    "- item",
    "1. item",
    "---",
    "    code",
    # terminals
    "[/usr] [red]x[/red]",
    "[link=https://example.org]x[/link]",
    ":skull:",
    "\x1b[31mred\x1b[0m \x9b31m \x07",
    "\x1b]0;title\x07\x1b]8;;https://example.org\x1b\\x\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[H\x1bc",
    "\r overwritten",
    "\b\b\b\x7f",
    "\u202etxt.exe\u202c \u2066x\u2069",
    "\u200f\u061cx",
    # lines
    "line\nline\r\nline\u2028line",
    "\n\n\n",
    "\u0085x\u2029 \ufffe\uffff",
    "\x00\x0b\x0c",
    # spreadsheets
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("https://example.org","x")',
    "@SUM(1)",
    "+1+1",
    "-1+1",
    "\t=1",
    "\r=1",
    'a,"b";c',
    # LaTeX, XML, workflow commands, SQL, shell, format strings
    "\\input{/etc/passwd} \\write18{x} 100% $x$ {a}_b^c~d#e&f",
    "\\end{tabular}\\newpage",
    "]]>&'\"",
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
    "::error::x%0A::warning::y",
    "'; drop table runs; --",
    "$(id) `id` ; id | id",
    "%s %n {0} {}",
    # names and sizes
    "../../../../tmp/x",
    "~/x",
    "null",
    "nan",
    "-1e999",
    "e\u0301\u0302" * 50,
    "ÿ\ud800",
    "x" * 10_000,
)
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def has_control(text: str) -> bool:
    """Whether a text holds a character that a terminal obeys or that turns its direction."""
    return any(unicodedata.category(c) in ("Cc", "Cs") or unicodedata.bidirectional(c) in BIDI for c in text)
