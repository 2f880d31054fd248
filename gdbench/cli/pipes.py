"""Output to a pipe whose reader may close it, as ``head`` does: the command continues, with its usual exit code.

Programs that only print, such as ``ls``, are killed by SIGPIPE (the shell reports 141). A command of gdbench also
computes something: a sweep killed while it prints its table would be lost, and a gate that ended with 0 would have
passed. So output that nobody reads is dropped: under ``set -o pipefail``, ``gdbench list columns | head -1`` gives 0,
and ``gdbench gate | head -1`` the gate's exit code. ``sweeps watch``, which only prints, ends.
"""

from __future__ import annotations

import io
import sys
from typing import Any

__all__ = ["drop_unread", "has_reader"]


class _Pipe(io.FileIO):
    """Raw file that ignores a broken pipe."""

    has_reader = True

    def write(self, content: Any) -> int:
        """Write the content, or drop it once the reader has closed the pipe."""
        if self.has_reader:
            try:
                return super().write(content)
            except BrokenPipeError:
                self.has_reader = False
        return memoryview(content).nbytes


def drop_unread() -> None:
    """Make standard output and standard error ignore broken pipes, unless they are terminals."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not stream.isatty():  # None under pythonw, or replaced by a caller
            setattr(sys, name, _through_pipe(stream))


def _through_pipe(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """A text stream with the same settings that writes to the same file through a ``_Pipe``."""
    stream.flush()
    pipe = _Pipe(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        pipe if isinstance(stream.buffer, io.RawIOBase) else io.BufferedWriter(pipe),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def has_reader() -> bool:
    """Whether standard output still has a reader, as far as earlier writes have shown."""
    buffer = getattr(sys.stdout, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # with PYTHONUNBUFFERED there is no buffer
    return not isinstance(raw, _Pipe) or raw.has_reader
