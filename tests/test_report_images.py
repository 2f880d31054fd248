"""The processes that draw: they end with the one that started them, and Ctrl-C is not theirs."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from gdbench.report.images import Images
images = Images()
for drawn in images.pending:
    drawn.result()
pids = [*images.script._processes, *images.pixels._processes]
print(*pids, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes by Linux's pidfd")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_drawing_processes_end_with_their_parent(tmp_path: Path, ending: signal.Signals) -> None:
    """Both processes that draw end when a signal ends the one that started them."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        children = [os.pidfd_open(int(word)) for word in parent.stdout.readline().split()]
        assert len(children) == 2
        parent.send_signal(ending)
        parent.wait()
    for child in children:
        ended, _, _ = select.select([child], [], [], 60)
        assert ended
        os.close(child)


@pytest.mark.slow
def test_interrupts_do_not_reach_drawing_processes(tmp_path: Path) -> None:
    """Ctrl-C at a process group ends the process that reports, and those that draw print no traceback of their own."""
    with subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        parent.stdout.readline()
        os.killpg(parent.pid, signal.SIGINT)
        printed = parent.stderr.read()
    assert printed.count("Traceback") == 1, printed  # that of the script above, which catches nothing
