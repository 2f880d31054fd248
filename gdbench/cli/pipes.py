"""Output into a pipe whose reader may leave, as ``head`` does: the command goes on, and its exit code is its own.

Programs that only print, such as ``ls``, die of a pipe without a reader, and a shell gives 141 for it; ripgrep, which
only prints too, ends with 0. A command of gdbench has work to do and a verdict to give: a sweep that died for the sake
of a table would be lost, and a gate that ended with 0 would have passed. So what nobody reads any more is dropped, and
the exit code says what it always says: under ``set -o pipefail``, ``gdbench list columns | head -1`` is 0, and
``gdbench gate | head -1`` that of the gate. ``sweeps watch``, which only prints, ends.
"""

from __future__ import annotations

import io
import sys
from typing import Any

__all__ = ["drop_unread", "has_reader"]


class _Pipe(io.FileIO):
    """A file descriptor that takes what it is given also where nobody reads it."""

    has_reader = True

    def write(self, content: Any) -> int:
        """Write it; once the reader has left, drop it."""
        if self.has_reader:
            try:
                return super().write(content)
            except BrokenPipeError:
                self.has_reader = False
        return memoryview(content).nbytes


def drop_unread() -> None:
    """Have standard output and standard error drop what nobody reads, where they are no terminals."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if (
            isinstance(stream, io.TextIOWrapper) and not stream.isatty()
        ):  # else None, or replaced by a program around us
            setattr(sys, name, _through_pipe(stream))


def _through_pipe(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """A text stream as the given one, into the same file, by way of a ``_Pipe``."""
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
    """Whether anybody may still read standard output, as far as writing to it has told."""
    buffer = getattr(sys.stdout, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # with PYTHONUNBUFFERED there is no buffer between
    return not isinstance(raw, _Pipe) or raw.has_reader
