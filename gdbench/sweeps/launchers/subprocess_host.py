"""A launcher in a process of its own, so that what it prints, starts and dies of stays there.

Ray ends the process that drives it when its head is gone; joblib, submitit and Ray leave workers and tracebacks behind
on Ctrl-C. Here the launcher leads a process group without a terminal, which is ended with it.
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

from gdbench.config.hydra_plugins import store
from gdbench.sweeps.launchers import install

__all__ = ["Named", "Request", "launch_apart"]

POLL_S = 0.2
GRACE_S = 10.0
"""How long a launcher may take to cancel what it has started."""
LOG, REASONS = "launcher.log", "reasons.json"


@dataclass(frozen=True)
class Named:
    """A function of a module, by name: a process that only passes it on need not import it."""

    module: str
    name: str

    def __call__(self, config: DictConfig) -> Any:
        """Import it and call it."""
        return getattr(importlib.import_module(self.module), self.name)(config)


@dataclass(frozen=True)
class Request:
    """What a launcher needs to know."""

    context: HydraContext
    config: DictConfig
    task: Named
    overrides: Sequence[Sequence[str]]


def launch_apart(request: Request, folder: Path, meanwhile: Callable[[], None]) -> Mapping[int, str]:
    """Launch the jobs of a request and call ``meanwhile`` until all have ended.

    Returns why jobs left no result, as far as the launcher knows, by their position. ``folder`` exists and takes logs.
    """
    (folder / REASONS).unlink(missing_ok=True)
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import carry_out; carry_out()", str(folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _hand_over(request, process)
        while process.poll() is None:
            meanwhile()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        raise
    finally:
        _end(process)
    return _reasons(folder, len(request.overrides))


def _hand_over(request: Request, process: subprocess.Popen[bytes]) -> None:
    """Send the request and keep the pipe open: its end tells the launcher that this process is no more."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        pickle.dump(request, process.stdin)
        process.stdin.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the launcher and all that it has started on this machine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _reasons(folder: Path, jobs: int) -> Mapping[int, str]:
    """What the launcher has told, or its last words for every job."""
    said = folder / REASONS
    if said.exists():
        return {int(position): reason for position, reason in json.loads(said.read_text()).items()}
    words = (folder / LOG).read_text(errors="replace").split("\n")
    last = next((line for line in reversed(words) if line.strip()), "it said nothing")
    return dict.fromkeys(range(jobs), f"the launcher died: {short(last)}")


def short(text: object) -> str:
    """A text in one line of moderate length."""
    return " ".join(str(text).split())[:300]


# ------------------------------------------------------------------------------------------------- the process apart


def carry_out() -> None:
    """Do what the request on standard input says, and write down what the launcher tells of its jobs."""
    folder = Path(sys.argv[1])
    store()
    request: Request = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_outlive_nobody, daemon=True).start()
    try:
        reasons = _launched(request)
    except KeyboardInterrupt:
        sys.exit(130)
    beside = folder / f".{REASONS}"
    beside.write_text(json.dumps(reasons))
    beside.replace(folder / REASONS)


def _outlive_nobody() -> None:
    """End with all workers when the process that asked for them has gone without a word."""
    while os.read(0, 1):  # not through sys.stdin, whose lock would be held when the interpreter ends
        pass
    os.killpg(0, signal.SIGKILL)


def _launched(request: Request) -> dict[int, str]:
    install(request.config.hydra.launcher._target_)
    try:
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=request.context, task_function=request.task, config=request.config
        )
        returned = launcher.launch(request.overrides, initial_job_idx=0)
    except Exception as error:
        return dict.fromkeys(range(len(request.overrides)), short(error) or type(error).__name__)
    return {position: reason for position, each in enumerate(returned) if (reason := _reason(each))}


def _reason(returned: JobReturn) -> str:
    """Why a job has failed; nothing if it has not."""
    if returned.status is JobStatus.COMPLETED:
        return ""
    error = returned._return_value
    return short(error) or type(error).__name__
