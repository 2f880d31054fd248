"""A process that measures: started as a file, by any interpreter, it does what it is asked on standard input.

Requests and answers are lines of JSON. The end of its input, or of the reader of its answers, is its own.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import platform
import shutil
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from gdbench.gate.timing.replicate import Subject
    from gdbench.gate.timing.sessions import Arm

HOME = Path(__file__).resolve().parents[3]
"""Where the gdbench lies that measures, which is neither side's."""


class Worker:
    """What the requests do; answers are plain containers."""

    cache: str | None = None

    def open(self, trees: list[dict[str, Any]], settings: Mapping[str, Any], cache: str) -> Any:
        """Import every tree's gdbench, in the order given; bytecode goes to ``cache``, as a tree is not ours."""
        import numpy as np
        import torch

        from gdbench.engine.environment import read_cpu_model
        from gdbench.gate.timing.dual_import import Globals, Tree, keep_bytecode
        from gdbench.gate.timing.host_counters import Watch
        from gdbench.gate.timing.settings import Settings

        self.cache = cache
        torch.set_num_threads(1)
        self.settings = Settings.of(settings)
        self.rng = np.random.default_rng(self.settings.seed)
        self.globals, self.subjects = Globals(), list[Any]()
        roots = [Path(each["root"]).resolve() for each in trees]
        keep_bytecode(cache, roots)
        self.trees = {}
        for each in trees:
            tree = Tree(each["label"], Path(each["root"]), each["path"], roots, HOME)
            tree.load()
            self.trees[tree.label] = tree
        self.watch = Watch()
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

    def pose(self, tree: str, asked: Mapping[str, Any]) -> Any:
        """Compose questions with a tree's configurations, and try each; a reason for those that cannot be had."""
        from gdbench.gate.timing.errors import Entangled
        from gdbench.gate.timing.workload import Workload, pose, reason

        posed = dict(pose(self.trees[tree], asked))
        for name, each in posed.items():
            try:
                if not isinstance(each, str):
                    Workload(self.trees[tree], each)
            except Entangled:
                raise
            except Exception as error:
                posed[name] = reason(error)
        return {"posed": posed, "changed": self.globals.changed()}

    def pair(self, base: Arm, head: Arm, seconds: float, swapped: bool) -> Any:
        """One replicate of two arms; with ``swapped`` head is made first."""
        from gdbench.gate.timing.replicate import measured

        made = {name: self._made(arm) for name, arm in ([("head", head), ("base", base)][:: 1 if swapped else -1])}
        return asdict(measured(made["base"], made["head"], seconds, self.settings, self.rng, swapped))

    def size(self, plain: Arm, slowed: Arm) -> float:
        """The true size of an injected slowdown."""
        from gdbench.gate.timing.replicate import sized

        return sized(self._made(plain), self._made(slowed), self.settings)

    def make(self, arm: Arm) -> Any:
        """Make a subject that is asked for its blocks one by one, by its number."""
        self.subjects.append(self._made(arm))
        gc.collect()
        return {"subject": len(self.subjects) - 1, "fit": self.subjects[-1].fit}

    def warm(self, subject: int, steps: int, seconds: float) -> Any:
        """``Subject.warm``."""
        made = self.subjects[subject]
        return {"at": made.warm(steps, seconds), "fit": made.fit}

    def to(self, subject: int, step: int) -> Any:
        """``Subject.to``."""
        self.subjects[subject].to(step)
        return {"fit": self.subjects[subject].fit}

    def block(self, subject: int, steps: int) -> Any:
        """``Subject.block``."""
        return self.subjects[subject].block(steps)

    def facts(self) -> Any:
        """What the machine has done since the trees were opened."""
        return self.watch.told()

    def _made(self, arm: Arm) -> Subject:
        from gdbench.gate.timing.subject_factory import made

        return made(arm, self.trees)


def main() -> None:
    """Answer until nobody asks."""
    answers = _private_output()
    _load_gdbench()
    worker = Worker()
    try:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = {"answer": getattr(worker, request.pop("do"))(**request)}
            except Exception as error:
                traceback.print_exc()
                answer = {"error": " ".join(str(error).split()), "kind": type(error).__name__}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    except BrokenPipeError:
        pass
    if worker.cache:  # the gate ends its workers itself: here it has been killed, and can clear nothing away any more
        shutil.rmtree(worker.cache, ignore_errors=True)
    os._exit(0)


def _private_output() -> TextIO:
    """Standard output for answers alone; what a side's code prints goes to standard error."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def _load_gdbench() -> None:
    """Import the gdbench that this file belongs to, and nothing else from where it lies."""
    package = HOME / "gdbench"
    places = [str(package)]
    spec = importlib.util.spec_from_file_location("gdbench", package / "__init__.py", submodule_search_locations=places)
    assert spec
    assert spec.loader
    sys.modules["gdbench"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["gdbench"])


if __name__ == "__main__":
    main()
