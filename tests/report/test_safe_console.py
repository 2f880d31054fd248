"""The console by which everything is printed."""

from __future__ import annotations

import io
import re

from hypothesis import given
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text
from test_escaping import TEXTS, has_control

from gdbench.report.escaping import escape_control_codes
from gdbench.report.terminal.safe_console import SafeConsole

SGR = re.compile(r"\x1b\[[0-9;]*m")


@given(TEXTS)
def test_console_obeys_no_text(text: str) -> None:
    """A table in colours holds every text as it is: no markup, no emoji, no control code but those of its colours."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=False)
    for _ in range(2):
        table.add_column(no_wrap=True, overflow="ignore")
    table.add_row(text.replace("\n", " ").replace("\t", " "), Text("end", style="red"))
    file = io.StringIO()
    SafeConsole(file=file, width=20_000, force_terminal=True, color_system="standard").print(table)
    printed = SGR.sub("", file.getvalue())
    assert not has_control(printed.replace("\n", ""))
    assert printed.count("\n") == 1
    shown = escape_control_codes(text.replace("\n", " ").replace("\t", " "))
    assert printed.startswith(shown) or any(cell_len(character) == 0 for character in shown)  # which rich may cut
