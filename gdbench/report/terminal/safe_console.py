"""A console that shows texts as they are: no markup, no emoji codes, and no control code but its own colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from gdbench.report.escaping import escape_control_codes

__all__ = ["SafeConsole"]


class SafeConsole(Console):
    """Rich's console for texts that nobody has checked: names, notes and errors of a stranger's sweep among them.

    A name such as ``[/usr]`` is no markup, and an escape sequence in an error is shown as ``␛[31m`` and not obeyed.
    """

    def __init__(self, **settings: Any) -> None:
        """Settings are those of rich's console."""
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **settings})

    def render_str(self, text: str, **settings: Any) -> Text:
        """A plain text as rich lays it out, printable before it is measured."""
        return super().render_str(escape_control_codes(text, lines=True), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, their texts printable also where it was given as a ``Text``."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=escape_control_codes(segment.text, lines=True))
