"""Run a launcher in a subprocess, so that its output, its workers and its crashes stay there.

Ray ends the process that drives it when its head is gone; joblib, submitit and Ray leave workers and tracebacks behind
on Ctrl-C. Here the launcher leads a process group without a terminal, which is killed with it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig

from gdbench.config.hydra_plugins import register_configs
from gdbench.errors import TimeLimitReached, to_one_line
from gdbench.results.atomic import replace_atomically
from gdbench.sweeps.launchers import install

__all__ = ["ImportableFunction", "Request", "launch_in_subprocess"]

POLL_S = 0.2
GRACE_S = 10.0
"""How long a launcher may take to cancel what it has started."""
LOG, REASONS = "launcher.log", "reasons.json"


@dataclass(frozen=True)
class ImportableFunction:
    """A function by module and name, imported only where it is called."""

    module: str
    name: str

    def __call__(self, config: DictConfig) -> Any:
        """Import it and call it."""
        return getattr(importlib.import_module(self.module), self.name)(config)


@dataclass(frozen=True)
class Request:
    """The jobs of a launcher, sent to its subprocess."""

    context: HydraContext
    config: DictConfig
    task: ImportableFunction
    overrides: Sequence[Sequence[str]]


def launch_in_subprocess(request: Request, folder: Path, meanwhile: Callable[[], None]) -> Mapping[int, str]:
    """Why jobs left no result, as far as the launcher knows, by their position; calls ``meanwhile`` until all end.

    ``folder`` exists and takes logs.
    """
    (folder / REASONS).unlink(missing_ok=True)
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import execute_request; execute_request()", str(folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _send(request, process)
        while process.poll() is None:
            meanwhile()
            time.sleep(POLL_S)
    except (KeyboardInterrupt, TimeLimitReached):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        raise
    finally:
        _kill_group(process)
    return _read_reasons(folder, len(request.overrides))


def _send(request: Request, process: subprocess.Popen[bytes]) -> None:
    """Send the request and keep the pipe open: when it closes, the launcher knows that this process has died."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        pickle.dump(request, process.stdin)
        process.stdin.flush()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the launcher and all that it has started on this machine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _read_reasons(folder: Path, jobs: int) -> Mapping[int, str]:
    """The reasons that the launcher wrote; where it died, the last line of its log for every job."""
    file = folder / REASONS
    if file.exists():
        return {int(position): reason for position, reason in json.loads(file.read_text()).items()}
    words = (folder / LOG).read_text(errors="replace").split("\n")
    last = next((line for line in reversed(words) if line.strip()), "it said nothing")
    return dict.fromkeys(range(jobs), f"the launcher died: {shorten(last)}")


def shorten(text: object) -> str:
    """A text as one line of at most 300 characters."""
    return to_one_line(text, 300)


# ---------------------------------------------------------------------------------------------------- the subprocess


def execute_request() -> None:
    """Launch the jobs of the request on standard input, and write the reasons of those that failed."""
    folder = Path(sys.argv[1])
    register_configs()
    request: Request = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    try:
        reasons = _launch(request)
    except KeyboardInterrupt:
        sys.exit(130)
    with replace_atomically(folder / REASONS) as beside:
        beside.write_text(json.dumps(reasons))


def _exit_with_parent() -> None:
    """Kill the process group when the parent closes the pipe."""
    while os.read(0, 1):  # not through sys.stdin, whose lock would be held when the interpreter ends
        pass
    os.killpg(0, signal.SIGKILL)


def _launch(request: Request) -> dict[int, str]:
    """Why jobs failed, by their position; of a launcher that raises, its error for every job."""
    install(request.config.hydra.launcher._target_)
    try:
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=request.context, task_function=request.task, config=request.config
        )
        returned = launcher.launch(request.overrides, initial_job_idx=0)
    except Exception as error:
        return dict.fromkeys(range(len(request.overrides)), shorten(error) or type(error).__name__)
    return {position: reason for position, result in enumerate(returned) if (reason := _find_reason(result))}


def _find_reason(result: JobReturn) -> str:
    """Why a job has failed; empty if it has not."""
    if result.status is JobStatus.COMPLETED:
        return ""
    error = result._return_value
    return shorten(error) or type(error).__name__
