"""Processes of a test: forks of the fork server, or real starts, which all end with the test."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from support.fork_server import HEADER
from support.fresh_start import READ_AT_START, Program

__all__ = ["LIMIT", "ROOT", "Done", "Process", "Processes", "Streams"]

ROOT = Path(__file__).parents[2]
SET_BY_IMPORTS = {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"} - {*os.environ}
"""Variables that joblib and threadpoolctl set where they are imported: no shell has them, so no child gets them."""
LIMIT = 600.0
"""Seconds after which a process is taken to hang, on a machine that others use too: no test waits for them to pass."""

BOOT = """
import socket, sys
sys.path[0] = sys.argv[1]
from support.fork_server import serve
serve(socket.socket(fileno=int(sys.argv[2])))()
"""
"""What the server runs, and the outermost frame of every fork."""


class Done(NamedTuple):
    """What a command left: its exit code, negative for a signal, and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Streams:
    """What a process reads and who reads what it prints: by default nothing, and the test."""

    text: str = ""
    """What comes on standard input, before its end; it must fit into a pipe."""
    is_read: bool = True
    """Whether standard output has a reader; a pipe without one breaks at the first write."""
    log: Path | None = None
    """The file for all that it prints, where nobody reads it while it runs."""

    def open_input(self) -> int:
        """A descriptor from which the text can be read."""
        if not self.text:
            return os.open(os.devnull, os.O_RDONLY)
        here, there = os.pipe()
        os.write(there, self.text.encode())
        os.close(there)
        return here

    def open_outputs(self) -> tuple[list[int], dict[str, int]]:
        """Descriptors for standard output and error, and those from which a test reads them."""
        if self.log:
            return [os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for _ in range(2)], {}
        (out, out_there), (err, err_there) = (os.pipe() for _ in range(2))
        if self.is_read:
            return [out_there, err_there], {"out": out, "err": err}
        os.close(out)
        return [out_there, err_there], {"err": err}


class Processes:
    """Starts processes from one server of its own, which itself starts with the first of them."""

    def __init__(self, log: Path) -> None:
        self.log = log
        """The file for what the server has to say, which is a fault in it."""
        self.server: subprocess.Popen[bytes] | None = None
        self.begun: list[Process] = []

    # --------------------------------------------------------------------------------------------------- starting

    def fork(
        self, *words: str, cwd: Path, env: Mapping[str, str] | None = None, streams: Streams = Streams(), **options: Any
    ) -> Process:
        """Start ``python WORDS`` as a fork: -m MODULE, -c CODE or a script, and their arguments.

        ``options`` are those of ``Program``, which count its file operations and kill it at one of them.
        """
        environment = _environment(env)
        self._connect()
        changed = {
            name
            for name in {*environment, *self.environment}
            if name.startswith(READ_AT_START) and environment.get(name) != self.environment.get(name)
        }
        assert not changed, f"{', '.join(changed)}: read when Python or a library starts, so only a real start has it"
        return self._start(Program(list(words), str(cwd), environment, True, **options), streams)

    def start(
        self, *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None, streams: Streams = Streams()
    ) -> Process:
        """Start a program for real; one without a folder is looked for in PATH."""
        return self._start(Program(list(map(str, command)), str(cwd), _environment(env), False), streams)

    def start_python(self, *words: str | Path, **options: Any) -> Process:
        """Start ``python WORDS`` for real, for what a fork cannot show."""
        return self.start(sys.executable, *words, **options)

    def _start(self, program: Program, streams: Streams) -> Process:
        request = json.dumps({"kind": "start", **asdict(program)}).encode()
        here, there = socket.socketpair()
        written, read = streams.open_outputs()
        descriptors = [streams.open_input(), *written, there.detach()]
        try:
            connection = self._connect()
            socket.send_fds(connection, [HEADER.pack(len(request))], descriptors)
            connection.sendall(request)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self.begun.append(Process(self, program, here, read))
        return self.begun[-1]

    def _connect(self) -> socket.socket:
        """The connection to the server, which is started where there is none."""
        if self.server is None:
            self.connection, other = socket.socketpair()
            self.environment = _environment(None)
            with other, self.log.open("w") as log:
                self.server = subprocess.Popen(
                    [sys.executable, "-c", BOOT, str(ROOT / "tests"), str(other.fileno())],
                    cwd="/",
                    env=self.environment | {"GDBENCH_TEST_RUN": str(self.log.parent)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[other.fileno()],
                    start_new_session=True,
                )
        return self.connection

    # ----------------------------------------------------------------------------------------------------- asking

    def ask(self, kind: str, **details: Any) -> Any:
        """Send a request to the server; returns its answer."""
        request = json.dumps({"kind": kind, **details}).encode()
        connection = self._connect()
        try:
            connection.sendall(HEADER.pack(len(request)) + request)
            (count,) = HEADER.unpack(connection.recv(HEADER.size, socket.MSG_WAITALL))
            return json.loads(connection.recv(count, socket.MSG_WAITALL))
        except OSError as error:
            raise AssertionError(f"the fork server has ended: {self.log.read_text()}") from error

    def wait_for_all(self, limit: float = LIMIT) -> list[str]:
        """Wait until no process lives that was started here, or by one of those; the command lines of what still does.

        A process that has lost its parent belongs to the server, and so is found, whatever session it has.
        """
        left: list[str] = self.ask("drain", limit=limit) if self.server else []
        return left

    def end_all(self) -> list[str]:
        """End all that was started, and all below it; returns the command lines of what no test had started itself."""
        strays: list[str] = self.ask("end") if self.server else []
        while self.begun:
            self.begun.pop().close()
        return strays

    def close(self) -> None:
        """End the server, and all below it."""
        if self.server is not None:
            try:
                self.end_all()
            finally:
                self.connection.close()
                self.server.wait()


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """The environment of a child: ours but for what imports have set in it, this checkout, and what is given."""
    ours = {name: value for name, value in os.environ.items() if name not in SET_BY_IMPORTS}
    return {**ours, "PYTHONPATH": str(ROOT), **(env or {})}


class Process:
    """A process that was started: its id, its output as it comes, and its exit code as a shell would see it."""

    def __init__(self, owner: Processes, program: Program, control: socket.socket, streams: Mapping[str, int]) -> None:
        self.owner, self.program = owner, program
        self.control, self.unread = control, b""
        self.open = {descriptor: name for name, descriptor in streams.items()}
        self.output = {"out": b"", "err": b""}
        self.code: int | None = None
        """The exit code, negative for a signal; None while it runs."""
        kind, number = self._announcement(LIMIT)
        assert kind == "pid", f"it ended before it began: {self.communicate()}"
        self.pid = number

    def _announcement(self, limit: float) -> tuple[str, int]:
        """What the server or the process says of it: its id, or its exit code."""
        while b"\n" not in self.unread:
            if not select.select([self.control], [], [], limit)[0]:
                raise TimeoutError(f"{self.program.words} goes on: {self.output}")
            more = self.control.recv(100)
            if not more:
                raise AssertionError(f"the fork server has ended: {self.owner.log.read_text()}")
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\n")
        kind, number = line.decode().split()
        if kind == "code":
            self.code = int(number)
        return kind, int(number)

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self.code is None and (self.unread or select.select([self.control], [], [], 0)[0]):
            self._announcement(LIMIT)
        return self.code

    def wait(self, limit: float = LIMIT) -> int:
        """Wait until it has ended; returns the exit code."""
        if self.code is None:
            self._announcement(limit)
        assert self.code is not None
        return self.code

    def communicate(self, limit: float = LIMIT) -> Done:
        """Read all that it, and whoever has its streams, still prints; returns that and the exit code."""
        self._read(lambda: False, limit)
        self.wait(limit)
        return Done(self.code or 0, self.output["out"].decode(), self.output["err"].decode())

    def read_line(self, stream: str = "err", limit: float = LIMIT) -> str:
        """The next line on standard error, or "out"; what is left of it at its end."""
        self._read(lambda: b"\n" in self.output[stream], limit, stream)
        line, end, self.output[stream] = self.output[stream].partition(b"\n")
        return (line + end).decode()

    def _read(self, is_enough: Any, limit: float, until_end_of: str | None = None) -> None:
        """Read both streams until it is enough, or until their end."""
        end = time.monotonic() + limit
        while self.open and not is_enough() and (until_end_of is None or until_end_of in self.open.values()):
            ready = select.select(list(self.open), [], [], max(0.0, end - time.monotonic()))[0]
            if not ready:
                raise TimeoutError(f"{self.program.words} prints no more: {self.output}")
            for descriptor in ready:
                more = os.read(descriptor, 65536)
                self.output[self.open[descriptor]] += more
                if not more:
                    os.close(descriptor)
                    del self.open[descriptor]

    def send_signal(self, number: int, group: bool = False) -> bool:
        """Signal it, or its group as a terminal does; False where it has ended."""
        return bool(self.owner.ask("signal", pid=self.pid, number=int(number), group=group))

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.send_signal(9)

    def close(self) -> None:
        """Let go of its streams; what has been announced of its end stays known."""
        self.poll()
        for descriptor in self.open:
            os.close(descriptor)
        self.open.clear()
        self.control.close()
