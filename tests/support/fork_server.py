"""The fork server: starts the processes of the tests, ends what they leave, and outlives nobody.

A real start of Python pays 2 CPU s for torch and gdbench. This process imports them once, when the first fork is asked
for, runs no tensor operation, so that no pool of threads exists, and gives each request a fork that goes on as the
start of a program does (``support.fresh_start``). It also starts real programs, so that both kinds end in the same way:
it is the reaper of every orphan below it, and so knows each process that a test has started, by whatever way.

It ends when its client closes the socket or dies, in whatever way, and ends all processes below it before.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from support.fresh_start import Program, execute_program

__all__ = ["HEADER", "IMPORTED", "serve"]

IMPORTED = (
    "torch",
    "gdbench.cli.main",
    "gdbench.sweeps.command_line",
    "gdbench.report.terminal.sweep",
    "gdbench.report.terminal.progress",
)
"""What a sweep imports whatever it runs, so that a fork has loaded no more than a real start that has run one."""

HEADER = struct.Struct("!I")
"""The length of the JSON of a request, which follows."""

SET_DEATH_SIGNAL, SET_SUBREAPER = 1, 36
"""Options of prctl(2)."""


def serve(client: socket.socket) -> Callable[[], None]:
    """Answer requests until the client is gone; returns in a forked child alone, with what that has to do."""
    server = _Server(client)
    try:
        return server.serve()
    except BaseException:
        traceback.print_exc()
        server.leave()


def _set_process_option(option: int, value: int) -> None:
    """Call prctl(2), where there is one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class _Server:
    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.parent = os.getppid()
        self.controls: dict[int, socket.socket] = {}
        """By the id of a child that lives, the socket on which its end is announced."""
        self.imported = False
        self.woken, wake = os.pipe()
        self.wake = wake
        for end in (self.woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _set_process_option(SET_SUBREAPER, 1)
        _set_process_option(SET_DEATH_SIGNAL, signal.SIGHUP)

    def serve(self) -> Callable[[], None]:
        poll = select.poll()
        poll.register(self.client, select.POLLIN)
        poll.register(self.woken, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            self._reap()
            if os.getppid() != self.parent:
                self.leave()
            if self.client.fileno() in ready and (program := self._answer()):
                return program

    # ------------------------------------------------------------------------------------------------- requests

    def _answer(self) -> Callable[[], None] | None:
        """Carry out one request; in a forked child, what it has to do."""
        head, descriptors, _, _ = socket.recv_fds(self.client, HEADER.size, 4)
        if not head:
            self.leave()
        request = json.loads(self._receive(HEADER.unpack(head)[0]))
        kind = request.pop("kind")
        if kind == "start":
            return self._start(Program(**request), descriptors)
        answers: dict[str, Callable[..., Any]] = {
            "signal": self._signal,
            "drain": self._drain,
            "end": self._end_all,
            "describe": self._describe,
        }
        answer = json.dumps(answers[kind](**request)).encode()
        self.client.sendall(HEADER.pack(len(answer)) + answer)
        return None

    def _receive(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            more = self.client.recv(count - len(content))
            if not more:
                self.leave()
            content += more
        return content

    def _start(self, program: Program, descriptors: list[int]) -> Callable[[], None] | None:
        """Fork; the child is told its streams, and announces itself when it is what was asked for."""
        if program.forked and not self.imported:
            for name in IMPORTED:
                importlib.import_module(name)
            gc.collect()
            gc.freeze()  # what is never written to stays shared by all children
            self.imported = True
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        *streams, control = descriptors
        child = os.fork()
        if child:
            self.controls[child] = socket.socket(fileno=control)
            for stream in streams:
                os.close(stream)
            return None
        try:
            _set_process_option(SET_DEATH_SIGNAL, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            for end in (self.woken, self.wake, self.client.detach()):
                os.close(end)
            for other in self.controls.values():
                other.close()
            return execute_program(program, streams, control)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def _signal(self, pid: int, number: int, group: bool) -> bool:
        """Signal a child, or its whole group; False where it has ended, so that its id may be another's."""
        self._reap()
        if pid not in self.controls:
            return False
        (os.killpg if group else os.kill)(pid, number)
        return True

    def _describe(self) -> dict[str, Any]:
        """What this process is like: what a fork of it begins with."""
        threads = Path("/proc/self/task")
        names = [(task / "comm").read_text().strip() for task in threads.iterdir()] if threads.exists() else []
        return {"pid": os.getpid(), "imported": self.imported, "threads": names}

    # ------------------------------------------------------------------------------------------------------ ends

    def _reap(self) -> None:
        """Announce the children that have ended."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.woken, 4096):
                pass
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self._announce(pid, status)

    def _announce(self, pid: int, status: int) -> None:
        control = self.controls.pop(pid, None)
        if control is not None:
            with contextlib.suppress(OSError):  # the client may have gone
                control.sendall(f"code {os.waitstatus_to_exitcode(status)}\n".encode())
            control.close()

    def _drain(self, limit: float) -> list[str]:
        """Wait until no process below this one lives; what still lives when the limit is over, by command line."""
        end = time.monotonic() + limit
        while True:
            self._reap()
            living = descendants(os.getpid())
            if not living or time.monotonic() > end:
                return [command_line(pid) for pid in living]
            select.select([self.woken], [], [], min(0.1, limit))  # a grandchild's end sends no signal here

    def _end_all(self) -> list[str]:
        """End every process below this one; returns the command lines of those whose parents had all ended before."""
        self._reap()
        begun = [*self.controls]
        awaited = {*begun, *(pid for child in begun for pid in descendants(child))}
        strays = {}
        while living := descendants(os.getpid()):
            for pid in living:
                if pid not in awaited and (line := command_line(pid)):  # none is left of one that is ending
                    strays[pid] = line
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            awaited.update(living)
            with contextlib.suppress(ChildProcessError):
                self._announce(*os.waitpid(-1, 0))
        self._reap()  # what has ended without being waited for
        return list(strays.values())

    def leave(self) -> NoReturn:
        """End all, and remove the folder of a run of pytest that was killed."""
        self._end_all()
        remove_folder_of_dead_run(Path(os.environ.get("GDBENCH_TEST_RUN", "")))
        os._exit(0)


# ---------------------------------------------------------------------------------------------------------- processes


def descendants(ancestor: int) -> list[int]:
    """The living processes below a process, of whatever generation; where there is no /proc, none.

    /proc is read file by file: a process whose parent ends meanwhile is below nobody in one reading, and below the
    reaper in the next. So it is read until two readings agree.
    """
    below = _read_descendants(ancestor)
    while (again := _read_descendants(ancestor)) != below:
        below = again
    return below


def _read_descendants(ancestor: int) -> list[int]:
    """The living processes below a process, in the order of their ids within a generation."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        state, parent = _read_status(place)
        if state not in "ZX":
            children.setdefault(parent, []).append(int(place.parent.name))
    below = sorted(children.get(ancestor, []))
    for pid in below:  # grows while it is walked through
        below += sorted(children.get(pid, []))
    return below


def _read_status(place: Path) -> tuple[str, int]:
    """The state of a process and its parent's id; X for one that has gone."""
    try:
        state, parent = place.read_text(errors="replace").rpartition(")")[2].split()[:2]
    except OSError:
        return "X", 0
    return state, int(parent)


def command_line(pid: int) -> str:
    """What a process was started with; that of a fork is this server's."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "?"


def remove_folder_of_dead_run(folder: Path) -> None:
    """Remove the folder of a run of pytest that left its lock: it was killed, and pytest would keep both for days."""
    for run in (folder, folder.parent):  # a worker of xdist has a folder in that of its run
        lock = run / ".lock"
        if run.parent.name.startswith("pytest-of-") and lock.is_file() and not _is_alive(int(lock.read_text())):
            shutil.rmtree(run, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    if Path("/proc/self").exists():
        return _read_status(Path(f"/proc/{pid}/stat"))[0] not in "ZX"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
