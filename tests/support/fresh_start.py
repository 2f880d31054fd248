"""What makes a fork the start of a program: streams, environment, signals, path and ``__main__`` as Python sets them.

Not to be had in a fork, so that a test of it needs a real start: another seed of hashes, and every other variable that
is read when the interpreter or a library starts (``READ_AT_START``); a process that has not imported torch; what
happens while the interpreter tears down its modules; and a command line in /proc, which stays the server's.
"""

from __future__ import annotations

import atexit
import importlib.machinery
import io
import os
import resource
import runpy
import signal
import socket
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from support.file_operations import count_operations

__all__ = ["READ_AT_START", "Program", "execute_program"]

READ_AT_START = (
    *("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "ARROW_"),
    *("TORCH_", "PYTORCH_", "ATEN_", "CUDA_", "COVERAGE_"),
)
"""How variables begin that a library or the interpreter may read when it starts."""


@dataclass
class Program:
    """What a process has to run."""

    words: list[str]
    """Of a fork, what follows ``python``: -m MODULE, -c CODE or a script, and their arguments; else the command."""
    cwd: str
    env: dict[str, str]
    forked: bool
    operations: str = ""
    """The file to which the file operations below ``cwd`` are written, one a line; none by default."""
    signal_at: int = 0
    """The number of the file operation, from 1, before which the process signals itself; 0 for never."""
    signal_number: int = signal.SIGKILL
    largest_file: int = 0
    """Bytes beyond which no file may grow: the write that would kills the process, half done; 0 for no limit."""


def execute_program(program: Program, streams: list[int], control: int) -> Callable[[], None]:
    """Make this child the process of a program; returns how a fork runs it, and does not return from a real start."""
    os.setsid()
    os.chdir(program.cwd)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    _reset_signals()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    announced = socket.socket(fileno=control)
    if not program.forked:
        for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        announced.sendall(f"pid {os.getpid()}\n".encode())
        _replace_by(program)
    os.environ.clear()
    os.environ.update(program.env)
    _reopen_streams()
    run = _prepare(program.words)
    _draw_new_numbers()
    if program.largest_file:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (program.largest_file, program.largest_file))
    announced.sendall(f"pid {os.getpid()}\n".encode())
    announced.close()
    if program.operations:
        count_operations(program.cwd, program.operations, program.signal_at, program.signal_number)
    return lambda: _run(run)


def _replace_by(program: Program) -> NoReturn:
    """Become a real program; one that cannot be started ends as in a shell."""
    try:
        os.execvpe(program.words[0], program.words, program.env)
    except OSError as error:
        os.write(2, f"{program.words[0]}: {error.strerror}\n".encode())
        os._exit(127)


def _reset_signals() -> None:
    """Handle signals as a process of Python does that a terminal has started, whatever pytest was started with."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _reopen_streams() -> None:
    """Make sys.stdin, sys.stdout and sys.stderr as Python's ``create_stdio`` does, with or without buffers."""
    is_unbuffered = isinstance(
        sys.stdout.buffer, io.FileIO
    )  # as PYTHONUNBUFFERED makes the server's, and a real start's
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        server = getattr(sys, name)
        mode = "w" if number else "r"
        binary = open(number, f"{mode}b", 0 if is_unbuffered and number else -1, closefd=False)  # noqa: SIM115
        getattr(binary, "raw", binary).name = f"<{name}>"
        text = io.TextIOWrapper(
            binary,
            server.encoding,
            server.errors,
            "\n",
            line_buffering=not is_unbuffered and (number == 2 or binary.isatty()),
            write_through=is_unbuffered,
        )
        text.mode = mode  # type: ignore[misc]
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)


def _draw_new_numbers() -> None:
    """Seed what is seeded from the system when it is imported; Python's own ``random`` does it by itself."""
    import numpy as np
    import torch

    np.random.seed()  # noqa: NPY002 (the global one is meant)
    torch.default_generator.seed()


# ---------------------------------------------------------------------------------------------------------- __main__


def _prepare(words: list[str]) -> Callable[[], Any]:
    """Set the path, the arguments and an empty ``__main__`` of a command line; returns how its code is run."""
    kind, rest = words[0], words[1:]
    main = types.ModuleType("__main__")
    main.__builtins__ = sys.modules["builtins"]  # type: ignore[attr-defined]
    main.__loader__ = importlib.machinery.BuiltinImporter  # type: ignore[assignment]
    main.__annotations__ = {}
    sys.modules["__main__"] = main
    sys.orig_argv = [sys.executable, *words]
    if kind == "-m":
        sys.path[0] = str(Path.cwd())
        sys.argv = ["-m", *rest[1:]]
        return lambda: runpy._run_module_as_main(rest[0])  # type: ignore[attr-defined]
    if kind == "-c":
        sys.path[0] = ""
        sys.argv = ["-c", *rest[1:]]
        return lambda: exec(compile(rest[0], "<string>", "exec", dont_inherit=True), main.__dict__)
    assert not kind.startswith("-"), f"python {kind} needs a real start"
    sys.path[0] = str(Path(kind).resolve().parent)
    sys.argv = list(words)
    main.__file__ = kind
    main.__cached__ = None  # type: ignore[attr-defined]
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", kind)
    return lambda: exec(compile(Path(kind).read_bytes(), kind, "exec", dont_inherit=True), main.__dict__)


def _run(run: Callable[[], Any]) -> NoReturn:
    """Run the code and end; what it raises is shown without the frames from here."""
    code = 0
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
    except BaseException as error:
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
        frames = _without_server(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(frames), frames)
    _end(code)


def _end(code: int) -> NoReturn:
    """End as the interpreter does, up to all that can be seen from outside.

    Threads are joined, exit functions called and streams flushed; modules are not torn down, which of torch's thousands
    costs 0.5 CPU s. Where the reader has gone the interpreter itself goes on, and complains.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, ValueError):
        sys.exit(code)
    if code == -signal.SIGINT:  # which an interrupted interpreter passes on to whoever waits for it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code & 0xFF)


def _without_server(frames: TracebackType | None) -> TracebackType | None:
    """The frames after the last one of this module."""
    rest = frames
    while frames is not None:
        if frames.tb_frame.f_code.co_filename == __file__:
            rest = frames.tb_next
        frames = frames.tb_next
    return rest
