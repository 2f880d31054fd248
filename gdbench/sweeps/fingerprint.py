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

from gdbench.config.spec import Question
from gdbench.config.user_modules import USER_ERRORS, digest_of_source, importing, loaded_digest
from gdbench.config.user_modules import refresh as refresh_modules
from gdbench.engine.device import resolve_device
from gdbench.engine.factories import build_objective, forget_objectives, load_objective
from gdbench.engine.function_digest import NOT_COMPARABLE
from gdbench.errors import Unavailable
from gdbench.objectives.base import hash_data
from gdbench.objectives.flat_names import find_module
from gdbench.sweeps.source_files import find_source, is_own_code, sources, top_package

__all__ = [
    "asked",
    "cell_fingerprint",
    "data_digests",
    "key_of_what_ran",
    "not_comparable",
    "refresh",
    "source_digests",
]


OURS = ("gdbench.sweeps.job",)
"""Where our own part of a result begins; objectives and optimizers count for the cells that name them."""
EDITED = b"\n# edited since it was imported"
"""What stands for the text of which a module was made, where only that of its file is known, which is another."""


def cell_fingerprint(question: Question) -> str:
    """``<question>-<answerer>``, 12 hexadecimal digits each: a cell whose key is known need not run again.

    The second half covers every Python file that is imported, directly or not, by what runs the cell, as far as it is
    gdbench's, the user's own or of the package that the objective or optimizer comes from; other packages do not count,
    but for torch, whose version does. Imports that are made from a computed name are not seen. It also covers the
    objective's data. Of a module that has been imported it is the source that it was made of, not what the file holds
    by now. What a function given from Python computes with is a part of the question; where that cannot be compared,
    the second half is another one each time.
    """
    if not_comparable(question):
        return f"{_digest(_question(question))}-{secrets.token_hex(6)}"
    return f"{_digest(_question(question))}-{_answerer(question, _device(question.device))}"


def key_of_what_ran(key: str, question: Question) -> str:
    """The key under which a cell is recorded that has just run: its own, unless it ran with other sources or data.

    A worker may have another device than the machine that asked, which is no other source; and where it cannot make
    the objective it has run nothing else.
    """
    if not key or not_comparable(question) or _data(question) is None:
        return key
    question_half, _, answerer_half = key.partition("-")
    devices = (_device(question.device), "cpu", f"no {question.device}")
    halves = [_answerer(question, device) for device in devices]
    return key if answerer_half in halves else f"{question_half}-{halves[0]}"


def _answerer(question: Question, device: str) -> str:
    """What answers a question, as the second half of its key."""
    modules = _named_modules(question)
    with importing(question.code):
        sources = _digest_of_sources(modules, question.code)
    return _digest([torch.__version__, device, sources, _data(question)])


def not_comparable(question: Question) -> str | None:
    """Why a cell is never done: something in its Python function that no two processes could compare; else None."""
    code = str(question.objective_config.get("code", ""))
    return code.removeprefix(NOT_COMPARABLE) if code.startswith(NOT_COMPARABLE) else None


def refresh() -> None:
    """See anew what may have changed since the last sweep: sources, and what objectives read when they are made."""
    refresh_modules()
    forget_objectives()
    for known in (_digest_of_sources, _digests, sources, is_own_code, find_source):
        known.cache_clear()


def asked(key: str) -> str:
    """The half of a key that says what was asked."""
    return key.partition("-")[0]


def _question(question: Question) -> list[Any]:
    """All that is asked; an axis counts by its values, however it was written."""
    told = {name: value for name, value in vars(question).items() if name not in ("around", "axes", "code", "timing")}
    if question.around:
        told["around"] = {group: [each.name, each.config] for group, each in question.around.items()}
    told["axes"] = [(axis.name, hashlib.blake2b(axis.values().tobytes()).hexdigest()) for axis in question.axes]
    return [told, asdict(question.timing)]


def _data(question: Question) -> str | None:
    """The digest of what the objective is made with; None where it cannot be made, which a row will say."""
    try:
        return build_objective(question).digest
    except USER_ERRORS:
        return None


def _device(name: str) -> str:
    try:
        device = resolve_device(name)
    except Unavailable:
        return f"no {name}"
    return f"{device} {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)


def _digest(content: Any) -> str:
    # An objective given from Python counts by the fingerprint of its code, which stands beside it.
    text = json.dumps(content, sort_keys=True, default=lambda other: type(other).__name__)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def source_digests(question: Question) -> dict[str, str]:
    """The digest of each source file that the second half of ``cell_fingerprint`` covers, by the name of its module."""
    with importing(question.code):
        return dict(_digests(_named_modules(question), question.code))


def _named_modules(question: Question) -> frozenset[str]:
    """The modules at which the sources of a question's answer begin."""
    named = {_module(_target(question.objective_config)), *map(_module, _method_targets(question))} - {None}
    return frozenset({*OURS, *(str(name) for name in named)})


@cache
def _digest_of_sources(modules: frozenset[str], folder: str | None) -> str:
    return _digest(sorted(_digests(modules, folder).items()))


@cache
def _digests(modules: frozenset[str], folder: str | None) -> dict[str, str]:
    return {name: _source_digest(folder, name, path) for name, path in sources(modules, folder).items()}


_pinned: dict[str, tuple[ModuleSpec, str]] = {}
"""The digest of a module's source when it was first seen, and the spec of that import, which a reload replaces."""


def _source_digest(folder: str | None, name: str, path: Path) -> str:
    """The digest of the source that a module was made of; of its file where it has not been imported."""
    if loaded := loaded_digest(folder, name):
        return loaded
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None:
        return digest_of_source(path.read_bytes())
    if name not in _pinned or _pinned[name][0] is not spec:
        remark = EDITED if _is_edited_since_import(spec, path) else b""
        _pinned[name] = spec, digest_of_source(path.read_bytes() + remark)
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


def data_digests(questions: Iterable[Question]) -> dict[str, str]:
    """SHA-256 of the data of each objective that has any, as they enter its loss; by name, with digits if several."""
    asked_for = {_digest([each.objective, each.objective_config]): each for each in questions}
    found: dict[str, str] = {}
    for question in asked_for.values():
        try:
            stated = load_objective(question)
        except USER_ERRORS:  # an objective that cannot be made is a row that says so
            continue
        if stated.data and found.setdefault(question.objective, told := hash_data(stated)) != told:
            found[f"{question.objective} ({told[:8]})"] = told
    return found


def _target(config: Any) -> Any:
    target = config.get("_target_")
    return getattr(target, "fn", target)


def _method_targets(question: Question) -> Iterator[Any]:
    blocks = ("manual", "torch")
    yield from (_target(question.optimizer_config[name]) for name in blocks if question.optimizer_config.get(name))
    yield from (_target(choice.config) for choice in question.around.values())


def _module(target: Any) -> str | None:
    """The module that defines a factory, by name or as an object; None for torch's and a notebook's."""
    name = find_module(target) if isinstance(target, str) else getattr(target, "__module__", None)
    return None if not name or name == "__main__" or top_package(name) == "torch" else str(name)
