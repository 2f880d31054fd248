"""A measuring process, from both ends of its pipe: ``Worker`` answers requests, ``WorkerClient`` starts one and asks.

This file is started by any interpreter. Requests and answers are lines of JSON. The worker ends with its input, or
when its answers are no longer read.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import platform
import shutil
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from gdbench.gate.timing.blocks import Subject, SubjectSpec

__all__ = ["Worker", "WorkerClient", "load_gdbench"]

WORKER = Path(__file__).resolve()
HOME = WORKER.parents[3]
"""The folder of the gdbench that measures, which belongs to neither side."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Set before any library is loaded; a series that asks for more threads gets them from torch."""
LAST_LINES = 2
"""Lines of standard error that are shown of a worker that died."""


class WorkerClient:
    """A worker process, seen from the gate; leaving the context kills it."""

    def __init__(self, python: Path, folder: Path, hash_seed: int) -> None:
        """Start one in a folder; memory layouts depend on the hash seed."""
        from gdbench.engine.git import make_clean_environment
        from gdbench.gate.probe_client import start_process

        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by __exit__
        environment = {**make_clean_environment(), **ONE_THREAD, "PYTHONHASHSEED": str(hash_seed)}
        self.process = start_process(python, WORKER, folder, environment, self.errors)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        from gdbench.gate.probe_client import kill_process

        kill_process(self.process)
        self.errors.close()

    def call(self, do: str, **arguments: Any) -> Any:
        """Send a request and return its answer. Raises MeasurementError or a subclass with what went wrong."""
        self.send(do, **arguments)
        return self.receive()

    def send(self, do: str, **arguments: Any) -> None:
        """Send a request, whose answer is received later."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # there will be no answer, which says why
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()

    def receive(self) -> Any:
        """The answer to the oldest request that has none."""
        from gdbench.gate.probe_client import read_last_lines
        from gdbench.gate.timing.blocks import BudgetTooSmall, MeasurementError, SharedStateError, WorkerDied

        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise WorkerDied(f"its process ended early ({read_last_lines(self.errors, LAST_LINES)})")
        reply: Mapping[str, Any] = json.loads(line)
        if "error" in reply:
            kinds = {kind.__name__: kind for kind in (BudgetTooSmall, SharedStateError)}
            raise kinds.get(reply["kind"], MeasurementError)(f"{reply['kind']}: {reply['error']}")
        return reply["answer"]


class Worker:
    """One method per request; answers are plain containers."""

    cache: str | None = None

    def open_trees(self, trees: list[dict[str, Any]], settings: Mapping[str, Any], cache: str) -> Any:
        """Import the gdbench of every tree, in this order; bytecode goes to ``cache``, as the trees are the user's."""
        import numpy as np
        import torch

        from gdbench.engine.environment import read_cpu_model
        from gdbench.gate.timing.controls import HostCounters
        from gdbench.gate.timing.dual_import import ImportedTree, TorchStateSnapshot, redirect_bytecode
        from gdbench.gate.timing.settings import TimingSettings

        self.cache = cache
        torch.set_num_threads(1)
        self.settings = TimingSettings.from_dict(settings)
        self.rng = np.random.default_rng(self.settings.seed)
        self.snapshot, self.subjects = TorchStateSnapshot(), list[Any]()
        roots = [Path(tree["root"]).resolve() for tree in trees]
        redirect_bytecode(cache, roots)
        self.trees = {}
        for stated in trees:
            tree = ImportedTree(stated["label"], Path(stated["root"]), stated["path"], roots)
            tree.load(load_gdbench)
            self.trees[tree.label] = tree
        self.counters = HostCounters()
        gc.disable()
        gc.collect()
        gc.freeze()
        return {
            "torch": torch.__version__,
            "python": platform.python_version(),
            "cpu": read_cpu_model(),
            "cores": os.cpu_count(),
            "capability": torch.backends.cpu.get_cpu_capability(),
        }

    def compose(self, tree: str, requests: Mapping[str, Any]) -> Any:
        """Compose every series with a tree's configurations and build it once; a reason for those that cannot be."""
        from gdbench.gate.probe import describe_error
        from gdbench.gate.timing.blocks import SharedStateError
        from gdbench.gate.timing.workload import Workload, compose_suite

        composed = compose_suite(self.trees[tree], requests)
        for name, answer in composed.items():
            try:
                if not isinstance(answer, str):
                    Workload(self.trees[tree], answer)
            except SharedStateError:
                raise
            except Exception as error:
                composed[name] = describe_error(error)
        return {"composed": composed, "changed": self.snapshot.describe_change()}

    def measure(self, base: SubjectSpec, head: SubjectSpec, seconds: float, swapped: bool) -> Any:
        """One replicate of two subjects; with ``swapped`` head is made first."""
        from gdbench.gate.timing.blocks import measure_replicate

        order = [("head", head), ("base", base)][:: 1 if swapped else -1]
        subjects = {name: self._make(spec) for name, spec in order}
        return asdict(measure_replicate(subjects["base"], subjects["head"], seconds, self.settings, self.rng, swapped))

    def measure_injected(self, plain: SubjectSpec, slowed: SubjectSpec) -> float:
        """The true size of an injected slowdown, ln."""
        from gdbench.gate.timing.blocks import measure_injected

        return measure_injected(self._make(plain), self._make(slowed), self.settings)

    def make(self, spec: SubjectSpec) -> Any:
        """Make a subject whose blocks are requested one by one; ``subject`` is its number."""
        self.subjects.append(self._make(spec))
        gc.collect()
        return {"subject": len(self.subjects) - 1, "limits": self.subjects[-1].limits}

    def warm_up(self, subject: int, steps: int, seconds: float) -> Any:
        """``Subject.warm_up``, and the limits after it."""
        made = self.subjects[subject]
        return {"step": made.warm_up(steps, seconds), "limits": made.limits}

    def advance(self, subject: int, step: int) -> Any:
        """``Subject.advance``; answers with the limits after it."""
        self.subjects[subject].advance(step)
        return self.subjects[subject].limits

    def run_block(self, subject: int, steps: int) -> Any:
        """``Subject.run_block``."""
        return self.subjects[subject].run_block(steps)

    def read_counters(self) -> Any:
        """Growth of the host's counters since the trees were opened."""
        return self.counters.read_growth()

    def _make(self, spec: SubjectSpec) -> Subject:
        from gdbench.gate.timing.workload import make_subject

        return make_subject(spec, self.trees)


def main() -> None:
    """Answer requests until the input ends."""
    load_gdbench()
    from gdbench.errors import to_one_line
    from gdbench.gate.probe import redirect_output, write_line

    output, worker = redirect_output(), Worker()
    try:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                reply = {"answer": getattr(worker, request.pop("do"))(**request)}
            except Exception as error:
                traceback.print_exc()
                reply = {"error": to_one_line(error), "kind": type(error).__name__}
            write_line(output, reply)
    except BrokenPipeError:
        pass
    if worker.cache:  # the gate ends its workers itself: here it has been killed, and cannot remove the folder any more
        shutil.rmtree(worker.cache, ignore_errors=True)
    os._exit(0)


def load_gdbench() -> None:
    """Import the gdbench that this file belongs to, and nothing else from its folder."""
    package = HOME / "gdbench"
    places = [str(package)]
    spec = importlib.util.spec_from_file_location("gdbench", package / "__init__.py", submodule_search_locations=places)
    assert spec
    assert spec.loader
    sys.modules["gdbench"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["gdbench"])


if __name__ == "__main__":
    main()
