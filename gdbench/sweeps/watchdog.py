"""Process that kills its parent where a cell hangs in a call that Python cannot interrupt, and says so in one line.

It starts with the first cell that has a limit, and ends with its parent, whose end closes standard input. Each line
there is a request: when to kill, the file that marks the running cell, and the limit; or ``null`` for none. It imports
little, to start in 20 ms.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["Watchdog"]

SHOW_CURSOR = "\x1b[?25h"
"""Shows the cursor of a terminal, which a progress bar hides."""


class Watchdog:
    """The process, seen from its parent."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self.process: subprocess.Popen[bytes] | None = None

    def arm(self, seconds: float, mark: Path, limit: str) -> None:
        """Kill this process after some seconds, unless it is disarmed before."""
        if not hasattr(os, "fork"):  # select cannot watch a pipe on Windows
            return
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(os.getpid())], stdin=subprocess.PIPE, start_new_session=True
            )
        self._send({"at": time.monotonic() + seconds, "mark": str(mark), "limit": limit})

    def disarm(self) -> None:
        """Kill nothing."""
        self._send(None)

    def _send(self, request: dict[str, Any] | None) -> None:
        if self.process and self.process.stdin:
            with contextlib.suppress(OSError):  # somebody has killed it
                self.process.stdin.write(json.dumps(request).encode() + b"\n")
                self.process.stdin.flush()


def main() -> None:
    """Wait for requests, and carry out the latest when its time has come."""
    parent, unread = int(sys.argv[1]), b""
    request: dict[str, Any] | None = None
    while os.getppid() == parent:
        left = None if request is None else max(0.0, request["at"] - time.monotonic())
        if select.select([0], [], [], left)[0]:
            more = os.read(0, 65536)
            if not more:
                return
            *lines, unread = (unread + more).split(b"\n")
            request = json.loads(lines[-1]) if lines else request
        elif request:
            if os.getppid() == parent:  # else it has ended, and another process may have its number
                kill(parent, request)
            return


def kill(parent: int, request: dict[str, Any]) -> None:
    """Note in the mark what happens, say it, and kill the parent."""
    mark, limit = Path(request["mark"]), request["limit"]
    label = mark.stem
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(mark.read_text(encoding="utf-8"))
        label = f"cell {content['cell']} ({content['label']})"
        mark.write_text(json.dumps({**content, "limit": limit}), encoding="utf-8")
    line = (
        f"gdbench: {label} did not end within {limit}, in a call that Python cannot interrupt, so that its process was"
        f" killed. Resume: resume={mark.parents[1]}\n"
    )
    os.write(2, (SHOW_CURSOR * os.isatty(2) + line).encode())
    os.kill(parent, signal.SIGKILL)


if __name__ == "__main__":
    main()
