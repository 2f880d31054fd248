"""Pairs of subjects, and the sessions in which a round measures them: fresh imports, often in fresh processes.

In a shared session one process imports both trees; with separate processes each tree has an interpreter of its own, and
the gate's process asks them for blocks in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from gdbench.gate.series import Series, SourceTree
from gdbench.gate.timing.blocks import (
    BlockLimits,
    BlockTime,
    Replicate,
    SharedStateError,
    SubjectSpec,
    measure_injected,
    measure_replicate,
)
from gdbench.gate.timing.sequential_test import LogRatios
from gdbench.gate.timing.settings import TimingSettings
from gdbench.gate.timing.worker import WorkerClient

__all__ = [
    "BASE",
    "HEAD",
    "HEAD_AGAIN",
    "ComposedSides",
    "Pair",
    "PairState",
    "TimingSession",
    "WorkerPool",
    "compose_sides",
    "stack_log_ratios",
]

BASE, HEAD, HEAD_AGAIN = "base", "head", "head again"
"""Labels of trees; the third is head a second time, for null series."""


@dataclass(frozen=True)
class Pair:
    """Two subjects to be compared."""

    base: SubjectSpec
    head: SubjectSpec


@dataclass
class PairState:
    """A pair and its replicates so far."""

    name: str
    pair: Pair
    series: Series
    replicates: dict[int, Replicate] = field(default_factory=dict)
    """By the number of their round."""
    confirmations: dict[int, Replicate] = field(default_factory=dict)
    failure: str | None = None
    """Why it gets no more replicates."""

    @property
    def log_ratios(self) -> LogRatios:
        """Log ratios of the replicates."""
        return stack_log_ratios(self.replicates.values())

    @property
    def spent_s(self) -> float:
        """Seconds of its blocks, without confirmation."""
        return sum(replicate.seconds for replicate in self.replicates.values())

    @property
    def is_exhausted(self) -> bool:
        """Whether its budget is used up."""
        return self.spent_s >= self.series.budget_s


def stack_log_ratios(replicates: Iterable[Replicate]) -> LogRatios:
    """Replicates as arrays."""
    both = np.array([(replicate.cpu, replicate.wall) for replicate in replicates]).reshape(-1, 2)
    return LogRatios(both[:, 0], both[:, 1])


@dataclass(frozen=True)
class ComposedSides:
    """Every series as each side composes it."""

    composed: Mapping[str, Mapping[str, Any]]
    """By tree and series: plain containers, or a reason as text."""
    mode: str
    """``one process``, or ``two processes: ...`` and why."""
    fingerprint: Mapping[str, Any]
    """What times depend on besides the code: processor, torch and Python."""

    def explain_missing(self, name: str) -> str | None:
        """Why a series cannot be measured; None if it can."""
        for label in (HEAD, BASE):
            if isinstance(self.composed[label][name], str):
                return f"{label}: {self.composed[label][name]}"
        return None

    def make_spec(self, tree: str, name: str) -> SubjectSpec:
        """The subject of a series on one side."""
        return {"tree": tree, "composed": self.composed[BASE if tree == BASE else HEAD][name]}

    def make_pair(self, series: Series, base: str = BASE, head: str = HEAD) -> PairState:
        """A series on two sides, without replicates yet."""
        return PairState(
            series.name, Pair(self.make_spec(base, series.name), self.make_spec(head, series.name)), series
        )


class WorkerPool:
    """The trees by label, and the worker processes that import them, which live for a few rounds."""

    def __init__(
        self, trees: Mapping[str, SourceTree], settings: TimingSettings, cache: Path, is_separate: bool
    ) -> None:
        """``cache`` is for bytecode, which is not written into the trees; ``is_separate``: a process per tree."""
        self.trees, self.settings, self.cache, self.is_separate = trees, settings, cache, is_separate
        self._processes = ExitStack()
        self.workers: dict[str, WorkerClient] = {}
        """The process that imports a tree, by the tree's label."""
        self.rounds = 0
        """How many rounds these processes have run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Kill the processes; the next round starts new ones."""
        self._processes.close()
        self.workers = {}

    def open_session(self, number: int) -> TimingSession:
        """The session of a round, with fresh imports; roles are swapped from round to round."""
        swapped = bool(number % 2)
        settings = replace(self.settings, seed=self.settings.seed * 1_000_003 + number)
        if not self.workers or self.rounds == settings.rounds_per_process:
            self._start(settings.seed % 2**32)
        self.rounds += 1
        labels = list(self.trees)[:: -1 if swapped else 1]
        groups = [[label] for label in labels] if self.is_separate else [labels]
        for group in groups:
            trees = [
                {"label": label, "root": str(self.trees[label].root), "path": self.trees[label].import_path}
                for label in group
            ]
            self.workers[group[0]].send("open_trees", trees=trees, settings=asdict(settings), cache=str(self.cache))
        fingerprints = [self.workers[group[0]].receive() for group in groups]
        return TimingSession(self.workers, self.is_separate, swapped, fingerprints, settings)

    def _start(self, hash_seed: int) -> None:
        self.stop()
        self.rounds = 0
        for label, tree in self.trees.items():
            if self.is_separate or not self.workers:
                client = WorkerClient(tree.python, tree.root, hash_seed)
                self.workers[label] = self._processes.enter_context(client)
            else:
                self.workers[label] = next(iter(self.workers.values()))


class _RemoteSubject:
    """A subject at the other end of a pipe."""

    def __init__(self, worker: WorkerClient, spec: SubjectSpec) -> None:
        made = worker.call("make", spec=spec)
        self.worker, self.subject, self.limits = worker, made["subject"], BlockLimits(*made["limits"])

    def warm_up(self, steps: int, seconds: float) -> int:
        answer = self.worker.call("warm_up", subject=self.subject, steps=steps, seconds=seconds)
        self.limits = BlockLimits(*answer["limits"])
        return int(answer["step"])

    def advance(self, step: int) -> None:
        self.limits = BlockLimits(*self.worker.call("advance", subject=self.subject, step=step))

    def run_block(self, steps: int) -> BlockTime:
        return BlockTime(*self.worker.call("run_block", subject=self.subject, steps=steps))


@dataclass(frozen=True)
class TimingSession:
    """Where the pairs of a round are measured: by the one process of both trees, or by this one, which asks two."""

    workers: Mapping[str, WorkerClient]
    """The process of each tree, by its label."""
    is_separate: bool
    swapped: bool
    fingerprints: Sequence[Mapping[str, Any]]
    settings: TimingSettings

    @cached_property
    def rng(self) -> np.random.Generator:
        """The generator of the orders of blocks that this process draws."""
        return np.random.default_rng(self.settings.seed)

    def compose(self, tree: str, requests: Mapping[str, Any]) -> Mapping[str, Any]:
        """The configurations of a tree, and what changed in torch where it shares that with another tree."""
        answer: Mapping[str, Any] = self.workers[tree].call("compose", tree=tree, requests=requests)
        return {**answer, "changed": None} if self.is_separate else answer

    def measure(self, pair: Pair, seconds: float) -> Replicate:
        """One replicate of a pair."""
        if self.is_separate:
            base, head = self._make(pair.base, BASE), self._make(pair.head, HEAD)
            return measure_replicate(base, head, seconds, self.settings, self.rng, self.swapped)
        specs = {"base": pair.base, "head": pair.head}
        return Replicate(**self.workers[HEAD].call("measure", **specs, seconds=seconds, swapped=self.swapped))

    def measure_injected(self, plain: SubjectSpec, slowed: SubjectSpec) -> float:
        """The true size of an injected slowdown, ln."""
        if self.is_separate:
            return measure_injected(self._make(plain, HEAD), self._make(slowed, HEAD), self.settings)
        return float(self.workers[HEAD].call("measure_injected", plain=plain, slowed=slowed))

    def read_counters(self) -> Mapping[str, float | None]:
        """Growth of the host's counters in this round."""
        counters: Mapping[str, float | None] = self.workers[HEAD].call("read_counters")
        return counters

    def _make(self, spec: SubjectSpec, side: str) -> _RemoteSubject:
        """A control has no tree: it runs in the process of its side."""
        return _RemoteSubject(self.workers[spec.get("tree", side)], spec)


def compose_sides(pool: WorkerPool, series: Sequence[Series]) -> ComposedSides:
    """Have both sides compose every series; sides that cannot share a process get one each from now on."""
    why = "the sides have interpreters of their own"
    if not pool.is_separate:
        try:
            composed, changed, fingerprint = _compose(pool, series)
        except SharedStateError as error:
            changed = str(error)
        if changed is None:
            return ComposedSides(composed, "one process", fingerprint)
        why, pool.is_separate = changed, True
        pool.stop()
    composed, _, fingerprint = _compose(pool, series)
    return ComposedSides(composed, f"two processes: {why}", fingerprint)


def _compose(
    pool: WorkerPool, series: Sequence[Series]
) -> tuple[dict[str, Mapping[str, Any]], str | None, Mapping[str, Any]]:
    """The configurations of both sides, which change to torch was seen, and the fingerprint."""
    session = pool.open_session(0)
    requests = {label: {one.name: pool.trees[label].build_request(one) for one in series} for label in (BASE, HEAD)}
    answers = {label: session.compose(label, requests[label]) for label in (BASE, HEAD)}
    changed = next((answer["changed"] for answer in answers.values() if answer["changed"]), None)
    return {label: answer["composed"] for label, answer in answers.items()}, changed, session.fingerprints[0]
