"""Formulas as HTML, those of docstrings from plain text and those of the pages from TeX; and tables as Markdown.

No formula needs a script or a network when the page is read.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from latex2mathml.converter import convert

__all__ = ["mathml", "prose", "table", "typeset"]

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eps": "ε", "eta": "η", "theta": "θ", "kappa": "κ",
    "lambda": "λ", "Lambda": "Λ", "mu": "μ", "nu": "ν", "pi": "π", "rho": "ρ", "sigma": "σ", "phi": "φ", "omega": "ω",
}  # fmt: skip
SIGNS = {"sqrt": "√", "&lt;=": "≤", "&gt;=": "≥", "...": "…", " * ": " · ", " - ": " − "}
SUBSCRIPT = re.compile(
    r"(\b(?:[A-Za-z]|sum|prod|max|min|mean|lambda|beta|mu|T|log)|\|)_(\{[^{}]*\}|[A-Za-z]{3,4}\b|\d+|[A-Za-z]\b)"
)
OVER = {"sum": "Σ", "prod": "Π"}
ALL = re.compile(rf"\b({'|'.join(OVER)})(?=<sub>)|(?<![a-z]{{2}} )(?<!'s )\b({'|'.join(OVER)})\b(?! of\b)")
"""A sum or product of a formula, which is not the word: the sum of squares."""
SUPERSCRIPT = re.compile(r"\^(\{[^{}]*\}|\([^()]*\)|-?\w+(?:\.\d+)?)")
FORMULA = re.compile(
    r"^f\([^()]{1,12}\) = .+?(?=(?:, |; )\w[\w ]{0,12} of shape|, [a-z]_i(?!\))|\. [A-Z]|\.?$| with )", re.DOTALL
)
"""The formula with which a paragraph begins."""
NAME = re.compile(rf"(?<![\w.])({'|'.join(GREEK)})(\d*)(?![\w(])")


def typeset(text: str) -> str:
    """A formula of a docstring as HTML: ``x_{i+1}^2`` with its indices below and powers above, Greek names as letters.

    What it does not know stays as it was written, so that no formula says more than its docstring.
    """
    text = html.escape(text, quote=False)
    text = SUBSCRIPT.sub(lambda found: f"{found[1]}<sub>{found[2].strip('{}')}</sub>", text)
    text = SUPERSCRIPT.sub(lambda found: f"<sup>{found[1].strip('{}')}</sup>", text)
    text = NAME.sub(lambda found: GREEK[found[1]] + (f"<sub>{found[2]}</sub>" if found[2] else ""), text)
    text = ALL.sub(lambda found: OVER[found[0]], text)
    for plain, sign in SIGNS.items():
        text = re.sub(rf"\b{plain}\b", sign, text) if plain.isalpha() else text.replace(plain, sign)
    return re.sub(r"([*_|\[\]`\\~])", r"\\\1", text)


def prose(text: str) -> str:
    """A docstring as Markdown: double backticks become formulas, or code where they hold a name of Python.

    A formula that a paragraph begins with stands by itself, and what follows becomes a sentence.
    """
    return "\n\n".join(_paragraph(each) for each in text.split("\n\n"))


def _paragraph(text: str) -> str:
    found = FORMULA.match(text)
    if found is None:
        return _words(text)
    rest = text[found.end() :].lstrip(",;. \n")
    if rest[1:2] not in (" ", "_"):  # "x of shape" and "t_i = i" begin with a name, all else with a word
        rest = rest[:1].upper() + rest[1:]
    formula = typeset(found[0].replace("``", ""))
    return f'<span class="formula alone">{formula}</span>\n\n{_words(rest)}'


def _words(text: str) -> str:
    parts = re.split(r"``(.+?)``", text, flags=re.DOTALL)
    return "".join(_quoted(part) if place % 2 else typeset(part) for place, part in enumerate(parts))


def _quoted(text: str) -> str:
    """What stood between double backticks."""
    if re.fullmatch(r"[a-z][\w.=]{2,}(\(\))?|\d\.\w+", text):
        return f"`{text}`"
    return f'<span class="formula">{typeset(text)}</span>'


def mathml(page: str) -> str:
    r"""The HTML of a page with TeX between ``\(`` and ``\)``, or ``\[`` and ``\]``, turned into MathML."""
    kinds = ((r"\\\((.+?)\\\)", "inline"), (r"\\\[(.+?)\\\]", "block"))
    for pattern, display in kinds:
        page = re.sub(
            rf'<(?:span|div) class="arithmatex">{pattern}</(?:span|div)>',
            lambda found, display=display: convert(html.unescape(found[1]), display=display),
            page,
            flags=re.DOTALL,
        )
    return page


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
