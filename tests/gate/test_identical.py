"""Identical code measured twice: the exact layer reports no difference, whatever a step allocates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gdbench.config.config_folders import config_folder
from gdbench.gate.exact_measures import compare_answers
from gdbench.gate.probe import answer_request
from gdbench.gate.probe_client import run_probes
from gdbench.gate.series import Series, SourceTree

ULPS = {"float32": 8.0, "float64": 4096.0}
ROUNDS = 4
"""Pairs of processes that the campaign asks all series of."""
CODE = '''
import numpy as np
import torch

from gdbench.objectives import Objective
from gdbench.optimizers import Method, first_order

DATA = np.random.default_rng(0).normal(size=(64, 8))
CACHE = {}


def network(batch=16, kind="tensor"):
    """A small network on batches that come as a user's loader makes them."""
    start = {
        "w1": torch.linspace(-1, 1, 8 * 6, dtype=torch.float64).reshape(8, 6),
        "b1": torch.zeros(6, dtype=torch.float64),
        "w2": torch.linspace(1, -1, 6, dtype=torch.float64),
    }
    labels = [float(row.sum() > 0) for row in DATA]

    def fn(point):
        dtype = point["w1"].dtype
        if kind == "numpy":
            inputs, wanted = torch.from_numpy(DATA[:batch]), torch.as_tensor(np.array(labels[:batch]))
        elif kind == "cached":
            inputs, wanted = CACHE.setdefault(dtype, (torch.tensor(DATA), torch.tensor(labels)))
        else:
            inputs, wanted = torch.tensor(DATA[:batch]), torch.tensor(labels[:batch])
        inputs, wanted = inputs[:batch].to(dtype), wanted[:batch].to(dtype)
        hidden = torch.tanh(inputs @ point["w1"] + point["b1"])
        hidden = hidden * (torch.rand(6, generator=torch.Generator().manual_seed(1)) > 0.2).to(dtype)
        losses = torch.nn.functional.binary_cross_entropy_with_logits(hidden @ point["w2"], wanted, reduction="none")
        return torch.stack([loss for loss in losses.unbind()]).mean()

    return Objective(fn=fn, start=start)


def scalars(lr):
    """Makes its constants anew in every step."""

    def update(k, grad, state, x):
        weights = [torch.tensor(0.9 / (i + 1), dtype=x.dtype) for i in range(int(k) % 7 + 1)]
        scale = sum(weights) / torch.tensor(float(len(weights)), dtype=x.dtype)
        return x - torch.tensor(lr, dtype=x.dtype) * scale * grad, state

    return first_order(lambda x: (), update)


def views(lr):
    """Works through views, buffers that it frees, and lists."""

    def update(k, grad, state, x):
        buffer = torch.empty(0, dtype=x.dtype)
        torch.mul(grad.reshape(-1), lr, out=buffer)
        junk = [torch.tensor([float(i)] * 5) for i in range(4)]
        junk[1:] = []
        flat = x.reshape(-1).clone()
        flat[: len(flat) // 2].sub_(buffer[: len(flat) // 2])
        flat[len(flat) // 2 :].sub_(buffer[len(flat) // 2 :])
        return flat.view_as(x), state

    return first_order(lambda x: (), update)


def averaged(lr):
    """Keeps an average, clipped by a norm over all that a closure holds."""
    limits = [torch.tensor(1.0), torch.tensor(10.0)]

    def update(k, grad, state, x):
        norm = torch.linalg.vector_norm(grad)
        grad = grad * torch.clamp(limits[1].to(x.dtype) / (norm + 1e-6), max=limits[0].to(x.dtype))
        average = torch.tensor(0.9, dtype=x.dtype) * state + 0.1 * grad
        cycle = [average]
        cycle.append(cycle)
        return x - lr * average, average

    return first_order(torch.zeros_like, update)


def drawing(lr):
    """Adds noise from torch's global generator."""
    return first_order(lambda x: (), lambda k, grad, state, x: (x - lr * (grad + 0.1 * torch.randn_like(grad)), state))
'''
OPTIMIZERS = ("scalars", "views", "averaged", "drawing")
KINDS = ("tensor", "numpy", "cached")


@pytest.fixture
def training(tmp_path: Path) -> Iterator[tuple[SourceTree, list[Series]]]:
    """A tree with training code, and its series."""
    mine = tmp_path / "mine"
    for name in ("objective", "optimizer"):
        (mine / name).mkdir(parents=True)
    (mine / "training_steps.py").write_text(CODE)
    (mine / "objective" / "network.yaml").write_text(
        "# A network\n_target_: training_steps.network\nbatch: 16\nkind: tensor\n"
    )
    for name in OPTIMIZERS:
        (mine / "optimizer" / f"{name}.yaml").write_text(
            f"# {name}\nmanual: {{_target_: training_steps.{name}}}\ntorch: null\ndefault_lr: 0.1\n"
        )
    series = [
        Series(
            f"{optimizer} {kind} {batch}",
            (
                *(("objective", "network"), ("objective.kind", kind), ("objective.batch", batch)),
                *(("optimizer", optimizer), ("steps", 24), ("dtype", "float32")),
            ),
            code="mine",
        )
        for optimizer in (*OPTIMIZERS, "adam", "momentum")
        for kind in KINDS
        for batch in (1, 16)
    ]
    threads = torch.get_num_threads()
    yield SourceTree(tmp_path, "here"), series
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_training_code_is_the_same_as_itself(
    training: tuple[SourceTree, list[Series]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that makes tensors from lists and arrays counts the same bytes, whatever their addresses."""
    side, series = training
    series = [*series[:6], *(one for one in series if one.name.startswith("drawing"))]
    monkeypatch.syspath_prepend(side.root / "mine")
    asked = []
    for one in series:
        fixed, words = side.build_request(one)
        asked.append({"name": one.name, "fixed": fixed, "words": words})
    answers = []
    for repetition in range(3):
        answers.append({answer.pop("name"): answer for answer in answer_request({"series": asked})})
        junk = [torch.randn(size) for size in range(1, 60, repetition + 1)]  # moves the global generator, too
        del junk[::2]
    findings = [
        compare_answers(one.name, answers[0][one.name], later[one.name], True, ULPS)
        for later in answers[1:]
        for one in series
    ]

    assert {finding.verdict for finding in findings} == {"same"}, [finding.cause for finding in findings]


@pytest.mark.slow
@pytest.mark.campaign
def test_no_gate_of_identical_code_alarms(training: tuple[SourceTree, list[Series]]) -> None:
    """Over 200 gates with two processes each, of objectives, methods of every kind and training code: 0 alarms."""
    side, series = training
    objectives = [file.stem for file in sorted((config_folder() / "objective").glob("*.yaml")) if file.stem != "cutest"]
    methods = ("gd", "momentum", "adam", "nadam", "lbfgs", "armijo", "muon", "soap")
    series += [
        Series(
            f"{methods[number % len(methods)]} {objective}",
            (("objective", objective), ("optimizer", methods[number % len(methods)]), ("steps", 15), ("lr", 0.01)),
        )
        for number, objective in enumerate(objectives)
    ]
    alarms, count = [], 0
    for _ in range(ROUNDS):
        base, head = run_probes(series, side, side, lambda name: None)
        for one in series:
            finding = compare_answers(one.name, base.series[one.name], head.series[one.name], True, ULPS)
            count += finding.verdict != "unmeasured"
            if finding.verdict not in ("same", "unmeasured"):
                alarms.append(f"{one.name}: {finding.verdict}: {finding.cause}")

    print(f"{count} gates of identical code, {len(alarms)} alarms")
    assert count > 200
    assert not alarms
