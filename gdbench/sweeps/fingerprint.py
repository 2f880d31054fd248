"""Fingerprint of a cell: hash of its specification, of the source and data that it uses, of torch and the device."""

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
from gdbench.engine.device import resolve_device
from gdbench.engine.function_digest import NOT_COMPARABLE
from gdbench.engine.objective_factory import build_objective, forget_objectives, load_objective
from gdbench.errors import Unavailable
from gdbench.objectives.base import hash_data
from gdbench.objectives.flat_names import find_module
from gdbench.sweeps.source_files import find_source, find_sources, is_own_code, top_package

__all__ = [
    "cell_fingerprint",
    "explain_incomparable",
    "fingerprint_after_run",
    "forget_changes",
    "list_data_digests",
    "list_source_digests",
    "spec_half",
]


OURS = ("gdbench.sweeps.job_runner",)
"""The module from which our own sources are found; objectives and optimizers count for the cells that name them."""
EDITED = b"\n# edited since it was imported"
"""Marks the digest of a file that was edited after its import: the imported text is unknown."""


def cell_fingerprint(spec: CellSpec) -> str:
    """``<specification>-<environment>``, 12 hexadecimal digits each; a known cell need not run again.

    The second half covers every Python file that the cell imports, directly or not, if it belongs to gdbench, to the
    user, or to the package of the objective or optimizer; of other packages only torch's version counts. Imports of
    computed names are not seen. It also covers the objective's data. For an imported module the source at its import
    counts, not the file's present text. A function given from Python is part of the specification; where it cannot be
    compared, the second half is random.
    """
    if explain_incomparable(spec):
        return f"{_hash_json(_list_settings(spec))}-{secrets.token_hex(6)}"
    return f"{_hash_json(_list_settings(spec))}-{_hash_environment(spec, _describe_device(spec.device))}"


def fingerprint_after_run(key: str, spec: CellSpec) -> str:
    """The fingerprint to record for a cell that has just run: a new one if it ran with other sources or data.

    A worker's device may differ from that of the machine that planned the sweep; that alone changes nothing.
    """
    if not key or explain_incomparable(spec) or _digest_data(spec) is None:
        return key
    first_half, _, environment_half = key.partition("-")
    devices = (_describe_device(spec.device), "cpu", f"no {spec.device}")
    halves = [_hash_environment(spec, device) for device in devices]
    return key if environment_half in halves else f"{first_half}-{halves[0]}"


def _hash_environment(spec: CellSpec, device: str) -> str:
    """The second half of a fingerprint: torch, device, sources and data."""
    modules = _named_modules(spec)
    with import_from(spec.code):
        sources_digest = _digest_of_sources(modules, spec.code)
    return _hash_json([torch.__version__, device, sources_digest, _digest_data(spec)])


def explain_incomparable(spec: CellSpec) -> str | None:
    """Why a cell always runs again: a part of its Python function that cannot be compared; else None."""
    code = str(spec.objective_config.get("code", ""))
    return code.removeprefix(NOT_COMPARABLE) if code.startswith(NOT_COMPARABLE) else None


def forget_changes() -> None:
    """Forget cached sources, modules and objectives, which may have changed since the last sweep."""
    forget_changed_modules()
    forget_objectives()
    for known in (_digest_of_sources, _digest_modules, find_sources, is_own_code, find_source):
        known.cache_clear()


def spec_half(key: str) -> str:
    """The first half of a fingerprint, which hashes the specification."""
    return key.partition("-")[0]


def _list_settings(spec: CellSpec) -> list[Any]:
    """The specification to hash; an axis counts by its values, however it was written."""
    apart = ("around", "axes", "code", "metric", "timing")
    settings = {name: value for name, value in vars(spec).items() if name not in apart}
    if spec.around:
        settings["around"] = {group: [choice.name, choice.config] for group, choice in spec.around.items()}
    settings["axes"] = [(axis.name, hashlib.blake2b(axis.values.tobytes()).hexdigest()) for axis in spec.axes]
    return [settings, asdict(spec.timing)]


def _digest_data(spec: CellSpec) -> str | None:
    """The digest of the objective's data; None where it cannot be made, which its rows report."""
    try:
        return build_objective(spec).digest
    except USER_ERRORS:
        return None


def _describe_device(name: str) -> str:
    try:
        device = resolve_device(name)
    except Unavailable:
        return f"no {name}"
    return f"{device} {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)


def _hash_json(content: Any) -> str:
    # An objective given from Python counts by the digest of its code, which is hashed beside it.
    text = json.dumps(content, sort_keys=True, default=lambda other: type(other).__name__)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def list_source_digests(spec: CellSpec) -> dict[str, str]:
    """The digest of each source file in a cell's fingerprint, by the name of its module."""
    with import_from(spec.code):
        return dict(_digest_modules(_named_modules(spec), spec.code))


def _named_modules(spec: CellSpec) -> frozenset[str]:
    """The modules from which a cell's sources are found."""
    named = {
        _find_module(_find_target(spec.objective_config)),
        *map(_find_module, _iterate_method_targets(spec)),
    } - {None}
    return frozenset({*OURS, *(str(name) for name in named)})


@cache
def _digest_of_sources(modules: frozenset[str], folder: str | None) -> str:
    return _hash_json(sorted(_digest_modules(modules, folder).items()))


@cache
def _digest_modules(modules: frozenset[str], folder: str | None) -> dict[str, str]:
    return {name: _digest_module(folder, name, path) for name, path in find_sources(modules, folder).items()}


_pinned: dict[str, tuple[ModuleSpec, str]] = {}
"""The digest of a module's source when first seen, and the spec of that import, which a reload replaces."""


def _digest_module(folder: str | None, name: str, path: Path) -> str:
    """The digest of a module's source at its import; of its file where it has not been imported."""
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
    """Whether a file was edited after its module was imported, according to the .pyc that the import wrote.

    Without a .pyc nothing is known: pytest writes files of its own, and Python may write none. An existing .pyc may
    then be older.
    """
    if type(spec.loader) is not SourceFileLoader or sys.dont_write_bytecode:
        return False
    try:
        with open(spec.cached or "", "rb") as file:  # noqa: PTH123  (sixty of them)
            flags, modified, size = struct.unpack("<4xIII", file.read(16))
    except (OSError, struct.error):  # missing, or being written
        return False
    now = path.stat()
    return flags == 0 and (modified, size) != (int(now.st_mtime) & 0xFFFFFFFF, now.st_size & 0xFFFFFFFF)


def list_data_digests(specs: Iterable[CellSpec]) -> dict[str, str]:
    """SHA-256 of the data of each objective, as they enter its loss; by name, with digits where several share one."""
    distinct = {_hash_json([spec.objective, spec.objective_config]): spec for spec in specs}
    digests: dict[str, str] = {}
    for spec in distinct.values():
        try:
            stated = load_objective(spec)
        except USER_ERRORS:  # its rows report why the objective cannot be made
            continue
        if stated.data and digests.setdefault(spec.objective, digest := hash_data(stated)) != digest:
            digests[f"{spec.objective} ({digest[:8]})"] = digest
    return digests


def _find_target(config: Any) -> Any:
    target = config.get("_target_")
    return getattr(target, "fn", target)


def _iterate_method_targets(spec: CellSpec) -> Iterator[Any]:
    blocks = ("manual", "torch")
    yield from (_find_target(spec.optimizer_config[name]) for name in blocks if spec.optimizer_config.get(name))
    yield from (_find_target(choice.config) for choice in spec.around.values())


def _find_module(target: Any) -> str | None:
    """The module that defines a factory, by name or as an object; None for torch's and for a notebook's."""
    name = find_module(target) if isinstance(target, str) else getattr(target, "__module__", None)
    return None if not name or name == "__main__" or top_package(name) == "torch" else str(name)
