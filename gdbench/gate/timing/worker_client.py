"""The workers of a round, seen from outside: started, asked and ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from gdbench.engine.git import make_clean_environment
from gdbench.gate.timing.errors import Died, Entangled, Failed, TooSlow

__all__ = ["Process"]

WORKER = Path(__file__).with_name("worker.py")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Set before any library is loaded; a series that asks for more threads gets them from torch."""


class Process:
    """A worker process; leaving its context ends it, whatever it is doing."""

    def __init__(self, python: Path, folder: Path, hash_seed: int) -> None:
        """Start one in a folder; layouts depend on the hash seed."""
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by __exit__
        self.process = subprocess.Popen(
            [str(python), "-P", str(WORKER)],
            cwd=folder,
            env={**make_clean_environment(), **ONE_THREAD, "PYTHONHASHSEED": str(hash_seed)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,  # Ctrl-C is for the gate
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError), self.process:
            pass
        self.errors.close()

    def ask(self, do: str, **arguments: Any) -> Any:
        """The answer to a request; raises TooSlow, Entangled, or Failed (Died among them) with what went wrong."""
        self.tell(do, **arguments)
        return self.answer()

    def tell(self, do: str, **arguments: Any) -> None:
        """Ask, and leave the answer for later."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # there will be no answer, which says why
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()

    def answer(self) -> Any:
        """The answer to what was asked first."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise Died(f"its process ended early ({self._last_words()})")
        told: Mapping[str, Any] = json.loads(line)
        if "error" in told:
            kinds = {"TooSlow": TooSlow, "Entangled": Entangled}
            raise kinds.get(told["kind"], Failed)(f"{told['kind']}: {told['error']}")
        return told["answer"]

    def _last_words(self) -> str:
        self.errors.seek(0)
        lines = [line.strip() for line in self.errors if line.strip()]
        return "; ".join(lines[-2:]) or "without a word"
