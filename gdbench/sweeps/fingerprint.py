"""What the result of a cell depends on, as a key: the question; and the source, data, torch and device that answer."""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

import torch

from gdbench.config.spec import CellSpec
from gdbench.config.user_modules import USER_ERRORS, digest_source, find_loaded_digest, import_from
from gdbench.config.user_modules import forget_changed as forget_changed_modules
from gdbench.engine.device import device_of
from gdbench.engine.factories import built_objective, forget_objectives, stated_objective
from gdbench.engine.function_digest import NOT_COMPARABLE
from gdbench.errors import Unavailable
from gdbench.objectives.base import fingerprint
from gdbench.sweeps.source_files import find_source, find_sources, is_own_code, top_package

__all__ = [
    "cell_fingerprint",
    "explain_incomparable",
    "fingerprint_after_run",
    "forget_changes",
    "list_data_digests",
    "list_source_digests",
    "question_half",
]


OURS = ("gdbench.sweeps.job",)
"""Where our own part of a result begins; objectives and optimizers count for the cells that name them."""
EDITED = b"\n# edited since it was imported"
"""What stands for the text of which a module was made, where only that of its file is known, which is another."""


def cell_fingerprint(question: CellSpec) -> str:
    """``<question>-<answerer>``, 12 hexadecimal digits each: a cell whose key is known need not run again.

    The second half covers every Python file that is imported, directly or not, by what runs the cell, as far as it is
    gdbench's, the user's own or of the package that the objective or optimizer comes from; other packages do not count,
    but for torch, whose version does. Imports that are made from a computed name are not seen. It also covers the
    objective's data. Of a module that has been imported it is the source that it was made of, not what the file holds
    by now. What a function given from Python computes with is a part of the question; where that cannot be compared,
    the second half is another one each time.
    """
    if explain_incomparable(question):
        return f"{_hash_json(_list_question(question))}-{secrets.token_hex(6)}"
    return f"{_hash_json(_list_question(question))}-{_hash_environment(question, _describe_device(question.device))}"


def fingerprint_after_run(key: str, question: CellSpec) -> str:
    """The key under which a cell is recorded that has just run: its own, unless it ran with other sources or data.

    A worker may have another device than the machine that asked, which is no other source; and where it cannot make
    the objective it has run nothing else.
    """
    if not key or explain_incomparable(question) or _digest_data(question) is None:
        return key
    question_half, _, answerer_half = key.partition("-")
    devices = (_describe_device(question.device), "cpu", f"no {question.device}")
    halves = [_hash_environment(question, device) for device in devices]
    return key if answerer_half in halves else f"{question_half}-{halves[0]}"


def _hash_environment(question: CellSpec, device: str) -> str:
    """What answers a question, as the second half of its key."""
    modules = _named_modules(question)
    with import_from(question.code):
        find_sources = _digest_of_sources(modules, question.code)
    return _hash_json([torch.__version__, device, find_sources, _digest_data(question)])


def explain_incomparable(question: CellSpec) -> str | None:
    """Why a cell is never done: something in its Python function that no two processes could compare; else None."""
    code = str(question.objective_config.get("code", ""))
    return code.removeprefix(NOT_COMPARABLE) if code.startswith(NOT_COMPARABLE) else None


def forget_changes() -> None:
    """See anew what may have changed since the last sweep: sources, and what objectives read when they are made."""
    forget_changed_modules()
    forget_objectives()
    for known in (_digest_of_sources, _digest_modules, find_sources, is_own_code, find_source):
        known.cache_clear()


def question_half(key: str) -> str:
    """The half of a key that says what was asked."""
    return key.partition("-")[0]


def _list_question(question: CellSpec) -> list[Any]:
    """All that is asked; an axis counts by its values, however it was written."""
    told = {name: value for name, value in vars(question).items() if name not in ("around", "axes", "code", "timing")}
    if question.around:
        told["around"] = {group: [each.name, each.config] for group, each in question.around.items()}
    told["axes"] = [(axis.name, hashlib.blake2b(axis.values.tobytes()).hexdigest()) for axis in question.axes]
    return [told, asdict(question.timing)]


def _digest_data(question: CellSpec) -> str | None:
    """The digest of what the objective is made with; None where it cannot be made, which a row will say."""
    try:
        return built_objective(question).digest
    except USER_ERRORS:
        return None


def _describe_device(name: str) -> str:
    try:
        device = device_of(name)
    except Unavailable:
        return f"no {name}"
    return f"{device} {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)


def _hash_json(content: Any) -> str:
    # An objective given from Python counts by the fingerprint of its code, which stands beside it.
    text = json.dumps(content, sort_keys=True, default=lambda other: type(other).__name__)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def list_source_digests(question: CellSpec) -> dict[str, str]:
    """The digest of each source file that the second half of ``cell_fingerprint`` covers, by the name of its module."""
    with import_from(question.code):
        return dict(_digest_modules(_named_modules(question), question.code))


def _named_modules(question: CellSpec) -> frozenset[str]:
    """The modules at which the sources of a question's answer begin."""
    named = {
        _find_module(_find_target(question.objective_config)),
        *map(_find_module, _iterate_method_targets(question)),
    } - {None}
    return frozenset({*OURS, *(str(name) for name in named)})


@cache
def _digest_of_sources(modules: frozenset[str], folder: str | None) -> str:
    return _hash_json(sorted(_digest_modules(modules, folder).items()))


@cache
def _digest_modules(modules: frozenset[str], folder: str | None) -> dict[str, str]:
    return {name: _digest_module(folder, name, path) for name, path in find_sources(modules, folder).items()}


_pinned: dict[str, tuple[ModuleSpec, str]] = {}
"""The digest of a module's source when it was first seen, and the spec of that import, which a reload replaces."""


def _digest_module(folder: str | None, name: str, path: Path) -> str:
    """The digest of the source that a module was made of; of its file where it has not been imported."""
    if loaded := find_loaded_digest(folder, name):
        return loaded
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None:
        return digest_source(path.read_bytes())
    if name not in _pinned or _pinned[name][0] is not spec:
        remark = EDITED if _is_edited_since_import(spec, path) else b""
        _pinned[name] = spec, digest_source(path.read_bytes() + remark)
    return _pinned[name][1]


def _is_edited_since_import(spec: ModuleSpec, path: Path) -> bool:
    """Whether a module was imported from another text than its file has now, by the .pyc that its import wrote.

    An import that wrote none tells nothing: that of pytest, which rewrites assertions and has files of its own, and any
    where Python writes no bytecode. A .pyc that lies there then may be of any text before.
    """
    if type(spec.loader) is not SourceFileLoader or sys.dont_write_bytecode:
        return False
    try:
        with open(spec.cached or "", "rb") as file:  # noqa: PTH123  (sixty of them)
            flags, modified, size = struct.unpack("<4xIII", file.read(16))
    except (OSError, struct.error):  # none was written, or it is being written
        return False
    now = path.stat()
    return flags == 0 and (modified, size) != (int(now.st_mtime) & 0xFFFFFFFF, now.st_size & 0xFFFFFFFF)


def list_data_digests(questions: Iterable[CellSpec]) -> dict[str, str]:
    """SHA-256 of the data of each objective that has any, as they enter its loss; by name, with digits if several."""
    asked_for = {_hash_json([each.objective, each.objective_config]): each for each in questions}
    found: dict[str, str] = {}
    for question in asked_for.values():
        try:
            stated = stated_objective(question)
        except USER_ERRORS:  # an objective that cannot be made is a row that says so
            continue
        if stated.data and found.setdefault(question.objective, told := fingerprint(stated)) != told:
            found[f"{question.objective} ({told[:8]})"] = told
    return found


def _find_target(config: Any) -> Any:
    target = config.get("_target_")
    return getattr(target, "fn", target)


def _iterate_method_targets(question: CellSpec) -> Iterator[Any]:
    blocks = ("manual", "torch")
    yield from (_find_target(question.optimizer_config[name]) for name in blocks if question.optimizer_config.get(name))
    yield from (_find_target(choice.config) for choice in question.around.values())


def _find_module(target: Any) -> str | None:
    """The module of ``package.module.name``, or of a function that was given; None for torch's and a notebook's."""
    name = target.rpartition(".")[0] if isinstance(target, str) else getattr(target, "__module__", None)
    return None if not name or name == "__main__" or top_package(name) == "torch" else str(name)
