"""A rich console that prints texts literally: no markup, no emoji codes, no control codes but its own styles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from gdbench.report.escaping import escape_control_codes

__all__ = ["SafeConsole"]


class SafeConsole(Console):
    """A rich console for untrusted texts, such as names, notes and errors of a sweep from elsewhere.

    A name such as ``[/usr]`` is no markup, and an escape sequence in an error is printed as ``␛[31m``.
    """

    def __init__(self, **settings: Any) -> None:
        """``settings`` are those of rich's console."""
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **settings})

    def render_str(self, text: str, **settings: Any) -> Text:
        """The rich text of a string, escaped before it is measured."""
        return super().render_str(escape_control_codes(text, lines=True), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, escaped also if it is a ``Text``."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=escape_control_codes(segment.text, lines=True))
