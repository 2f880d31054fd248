"""A round: fresh imports, often in fresh processes, with which every pair that is still open gets one replicate.

``together`` imports both trees into one process; ``apart`` gives each tree an interpreter, and feeds them in turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from gdbench.gate.series import Series, Side
from gdbench.gate.timing.abba_blocks import Billed, Fit, Sample
from gdbench.gate.timing.replicate import measured, sized
from gdbench.gate.timing.settings import Settings
from gdbench.gate.timing.worker_client import Process

__all__ = ["Arm", "Bench", "Lab", "Pair"]


Arm = Mapping[str, Any]
"""What to make a subject of: ``tree`` and ``posed``, with ``ballast`` or ``stretch`` where it is to be slowed down; or
``control``."""


@dataclass(frozen=True)
class Pair:
    """Two arms to be compared."""

    base: Arm
    head: Arm


class Bench(Protocol):
    """Where the pairs of a round are measured."""

    def pose(self, tree: str, asked: Mapping[str, Any]) -> Mapping[str, Any]: ...  # noqa: D102
    def measure(self, pair: Pair, seconds: float) -> Sample: ...  # noqa: D102
    def size(self, plain: Arm, slowed: Arm) -> float: ...  # noqa: D102
    def facts(self) -> Mapping[str, float | None]: ...  # noqa: D102
    @property
    def versions(self) -> Sequence[Mapping[str, Any]]: ...  # noqa: D102


class Lab:
    """What all rounds share: the trees by label, and the processes, which live for a few rounds."""

    def __init__(self, trees: Mapping[str, Side], settings: Settings, cache: Path, apart: bool) -> None:
        """``cache`` is for bytecode, which no tree is to be littered with; ``apart`` gives each tree a process."""
        self.trees, self.settings, self.cache, self.apart = trees, settings, cache, apart
        self.living = ExitStack()
        self.homes: dict[str, Process] = {}
        """The process that a tree is imported in."""
        self.rounds = 0
        """How many of them the processes have carried out."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the processes; the next round gets others."""
        self.living.close()
        self.homes = {}

    def round(self, number: int) -> Bench:
        """The bench of a round, with fresh imports.

        Roles are swapped from round to round: what comes first may have it better.
        """
        swapped = bool(number % 2)
        settings = replace(self.settings, seed=self.settings.seed * 1_000_003 + number)
        if not self.homes or self.rounds == settings.rounds_a_process:
            self._start(settings.seed % 2**32)
        self.rounds += 1
        labels = list(self.trees)[:: -1 if swapped else 1]
        groups = [[label] for label in labels] if self.apart else [labels]
        for group in groups:
            trees = [
                {"label": each, "root": str(self.trees[each].root), "path": self.trees[each].path} for each in group
            ]
            self.homes[group[0]].tell("open", trees=trees, settings=asdict(settings), cache=str(self.cache))
        versions = [self.homes[group[0]].answer() for group in groups]
        if not self.apart:
            return _Together(self.homes[labels[0]], swapped, versions)
        return _Apart(self.homes, swapped, versions, settings)

    def _start(self, hash_seed: int) -> None:
        self.end()
        self.rounds = 0
        for label, side in self.trees.items():
            if self.apart or not self.homes:
                self.homes[label] = self.living.enter_context(Process(side.python, side.root, hash_seed))
            else:
                self.homes[label] = next(iter(self.homes.values()))

    def asked(self, series: Sequence[Series], label: str) -> Mapping[str, Any]:
        """The questions of all series, as the side of this label has them composed."""
        return {each.name: self.trees[label].composing(each) for each in series}


@dataclass(frozen=True)
class _Together:
    """Both arms in one process, which measures by itself."""

    process: Process
    swapped: bool
    versions: Sequence[Mapping[str, Any]]

    def pose(self, tree: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.process.ask("pose", tree=tree, asked=asked)
        return answer

    def measure(self, pair: Pair, seconds: float) -> Sample:
        told = self.process.ask("pair", base=pair.base, head=pair.head, seconds=seconds, swapped=self.swapped)
        return Sample(**told)

    def size(self, plain: Arm, slowed: Arm) -> float:
        return float(self.process.ask("size", plain=plain, slowed=slowed))

    def facts(self) -> Mapping[str, float | None]:
        told: Mapping[str, float | None] = self.process.ask("facts")
        return told


class _Remote:
    """A subject at the end of a pipe."""

    def __init__(self, process: Process, arm: Arm) -> None:
        made = process.ask("make", arm=arm)
        self.process, self.subject, self.fit = process, made["subject"], Fit(*made["fit"])

    def warm(self, steps: int, seconds: float) -> int:
        told = self.process.ask("warm", subject=self.subject, steps=steps, seconds=seconds)
        self.fit = Fit(*told["fit"])
        return int(told["at"])

    def to(self, step: int) -> None:
        self.fit = Fit(*self.process.ask("to", subject=self.subject, step=step)["fit"])

    def block(self, steps: int) -> Billed:
        return Billed(*self.process.ask("block", subject=self.subject, steps=steps))


class _Apart:
    """Each tree in a process of its own; this one asks them for blocks in turn."""

    def __init__(
        self, processes: Mapping[str, Process], swapped: bool, versions: Sequence[Mapping[str, Any]], settings: Settings
    ) -> None:
        self.processes, self.swapped, self.versions, self.settings = processes, swapped, versions, settings
        self.rng = np.random.default_rng(settings.seed)

    def pose(self, tree: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.processes[tree].ask("pose", tree=tree, asked=asked)
        return {**answer, "changed": None}  # nobody else lives there

    def measure(self, pair: Pair, seconds: float) -> Sample:
        base, head = self._remote(pair.base, "base"), self._remote(pair.head, "head")
        return measured(base, head, seconds, self.settings, self.rng, self.swapped)

    def size(self, plain: Arm, slowed: Arm) -> float:
        return sized(self._remote(plain, "head"), self._remote(slowed, "head"), self.settings)

    def facts(self) -> Mapping[str, float | None]:
        told: Mapping[str, float | None] = self.processes["head"].ask("facts")
        return told

    def _remote(self, arm: Arm, home: str) -> _Remote:
        """A control has no tree: it runs where its arm would."""
        return _Remote(self.processes[arm.get("tree", home)], arm)
