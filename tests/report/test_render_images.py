"""The processes that draw: they end with the one that started them, and Ctrl-C is not theirs."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.processes import Processes

SCRIPT = """
import signal
from gdbench.report.render_images import ImageRenderer
images = ImageRenderer()
for started in images.pending:
    started.result()
pids = [*images.svg_pool._processes, *images.png_pool._processes]
print(*pids, flush=True)
signal.pause()
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_drawing_processes_end_with_their_parent(processes: Processes, tmp_path: Path, ending: signal.Signals) -> None:
    """Both processes that draw end when a signal ends the one that started them."""
    drawing = processes.fork("-c", SCRIPT, cwd=tmp_path, env={"XDG_CACHE_HOME": str(tmp_path)})
    assert len(drawing.read_line("out").split()) == 2
    drawing.send_signal(ending)

    assert drawing.wait() == -ending
    assert processes.wait_for_all() == []


@pytest.mark.slow
def test_interrupts_do_not_reach_drawing_processes(processes: Processes, tmp_path: Path) -> None:
    """Ctrl-C at a process group ends the process that reports, and those that draw print no traceback of their own."""
    drawing = processes.fork("-c", SCRIPT, cwd=tmp_path, env={"XDG_CACHE_HOME": str(tmp_path)})
    drawing.read_line("out")
    drawing.send_signal(signal.SIGINT, group=True)

    printed = drawing.communicate().err
    assert printed.count("Traceback") == 1, printed  # that of the script above, which catches nothing
    assert processes.wait_for_all() == []
