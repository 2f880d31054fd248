"""Suites: the series that are compared and the waivers, as stated in ``conf/gate/*.yaml``."""

from __future__ import annotations

import datetime
import fnmatch
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gdbench.config.config_folders import config_folder
from gdbench.config.spec import resolve_impl
from gdbench.config.yaml_files import read_yaml
from gdbench.errors import UsageError, did_you_mean
from gdbench.gate.series import POLICIES, Series

__all__ = ["Suite", "Waiver", "load_suite"]

JUDGING = ("policy", "d0", "d1", "budget_s")
"""Keys of an entry that state how a series is judged; all others are settings."""
NAME_KEYS = ("optimizer", "impl", "objective", "dtype")
UNNAMED_KEYS = ("steps", "seed", "target", "lr", "lr_scale", "lr_scale_of")
"""Settings that are part of a name only if an entry lists several values."""
DEFAULTS = {"impl": "auto", "dtype": "auto"}
KEYS = ("defaults", "series", "ulps", "waivers")
LAYERS = ("exact", "time", "both")


@dataclass(frozen=True)
class Waiver:
    """A failure that is forgiven until a date, and why."""

    series: str
    """A name or a pattern, as in ``adam * rosenbrock *``."""
    reason: str
    until: datetime.date
    """The last day on which it is valid."""
    layer: str = "both"

    def covers(self, series: str, layer: str) -> bool:
        """Whether it applies to a series in a layer, whatever the date."""
        return self.layer in (layer, "both") and fnmatch.fnmatchcase(series, self.series)


@dataclass(frozen=True)
class Suite:
    """Series with unique names, and the rules of their comparison."""

    series: tuple[Series, ...]
    waivers: tuple[Waiver, ...] = ()
    ulps: Mapping[str, float] = field(default_factory=lambda: {"float32": 8.0, "float64": 4096.0})
    """Allowed difference of losses on another fingerprint, in units in the last place of the first loss."""

    @property
    def running(self) -> list[Series]:
        """The series that are not off."""
        return [one for one in self.series if one.policy != "off"]

    def select(self, patterns: Sequence[str]) -> Suite:
        """The series whose names match one of the patterns; all without patterns."""
        for pattern in patterns:
            names = [one.name for one in self.series]
            if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
                raise UsageError(
                    f"--only {pattern!r} fits none of {len(names)} series.{did_you_mean(pattern, names)} It may hold *."
                )
        selected = [s for s in self.series if not patterns or any(fnmatch.fnmatchcase(s.name, p) for p in patterns)]
        return replace(self, series=tuple(selected))


def load_suite(name: str, config_dir: Path | None = None, code: str | None = None) -> Suite:
    """The suite ``gate/<name>.yaml`` of the user's folder, else of gdbench; ``code`` is that folder within a tree."""
    files = [folder / "gate" / f"{name}.yaml" for folder in (config_dir, config_folder()) if folder]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        known = sorted({other.stem for file in files for other in file.parent.glob("*.yaml")})
        raise UsageError(f"--suite {name} is not known.{did_you_mean(name, known)} Allowed: {', '.join(known)}.")
    stated = read_yaml(file)
    if not isinstance(stated, dict):
        raise UsageError(f"{file} must hold the keys {', '.join(KEYS)}; at least series.")
    return _parse_suite({str(key): value for key, value in stated.items()}, str(file), code, config_dir)


def _parse_suite(stated: Mapping[str, Any], file: str, code: str | None, config_dir: Path | None) -> Suite:
    for key in stated:
        if key not in KEYS:
            raise UsageError(
                f"{file}: {key} is not a key of a suite.{did_you_mean(key, KEYS)} Allowed: {', '.join(KEYS)}."
            )
    common = _check_mapping(stated.get("defaults") or {}, file)
    entries = stated.get("series") or []
    if not entries or not isinstance(entries, list):
        raise UsageError(
            f"{file}: series must be a list of entries such as {{objective: rosenbrock, optimizer: adam}}."
        )
    complete = [{**DEFAULTS, **common, **_check_mapping(entry, file)} for entry in entries]
    series = [one for entry in complete for one in _expand_entry(entry, file, code, config_dir)]
    names = [one.name for one in series]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"{file}: two series are called {twice!r}: give one of the entries a label.")
    ulps = {
        **Suite(()).ulps,
        **{str(key): _check_number(file, "ulps", value) for key, value in (stated.get("ulps") or {}).items()},
    }
    return Suite(tuple(series), tuple(_parse_waiver(one, file) for one in stated.get("waivers") or []), ulps)


def _check_mapping(given: Any, file: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise UsageError(f"{file}: {given!r} must be settings such as {{objective: rosenbrock, optimizer: adam}}.")
    return {str(key): value for key, value in given.items()}


def _expand_entry(entry: Mapping[str, Any], file: str, code: str | None, config_dir: Path | None) -> list[Series]:
    """The series of an entry: one per combination of the values in its lists."""
    for key in ("objective", "optimizer"):
        if key not in entry:
            raise UsageError(f"{file}: an entry of series lacks its {key}: {dict(entry)}.")
    judged = {key: entry[key] for key in JUDGING if key in entry}
    policy = judged.get("policy", "gate")
    if policy is False:  # YAML reads a bare off as false
        judged["policy"] = policy = "off"
    if policy not in POLICIES:
        raise UsageError(f"{file}: policy={policy} is not known. Allowed: {', '.join(POLICIES)}.")
    judged |= {key: _check_number(file, key, judged[key]) for key in JUDGING[1:] if key in judged}
    if not 0 <= judged.get("d0", Series.d0) < judged.get("d1", Series.d1):
        raise UsageError(f"{file}: d0 must be below d1, and neither negative.")
    settings = {key: value for key, value in entry.items() if key not in (*JUDGING, "label")}
    axes = {key: value if isinstance(value, list) else [value] for key, value in settings.items()}
    named = [key for key in settings if len(axes[key]) > 1 or key not in UNNAMED_KEYS]
    combinations = [
        _resolve_impl(dict(zip(axes, values, strict=True)), config_dir) for values in itertools.product(*axes.values())
    ]
    label = entry.get("label")
    return [Series(_make_name(one, named, label), tuple(one.items()), code=code, **judged) for one in combinations]


def _resolve_impl(settings: dict[str, Any], config_dir: Path | None) -> dict[str, Any]:
    """The settings with ``impl=auto`` resolved: the name of a series must be the same for both sides.

    An optimizer without a file becomes manual: composing its cell then says that there is none.
    """
    if settings["impl"] != "auto":
        return settings
    files = [
        folder / "optimizer" / f"{settings['optimizer']}.yaml" for folder in (config_folder(), config_dir) if folder
    ]
    stated: Any = next((read_yaml(file, resolve=False) for file in files if file.is_file()), {})
    stated = stated if isinstance(stated, Mapping) and "defaults" not in stated else {}
    return {**settings, "impl": resolve_impl("auto", stated)}


def _make_name(settings: Mapping[str, Any], named: Sequence[str], label: Any) -> str:
    """``adam manual rosenbrock float64``, then the settings that distinguish it, then the label."""
    words = [str(settings[key]) for key in NAME_KEYS if settings[key] != "auto"]
    words += [f"{key.rpartition('.')[2]}={settings[key]}" for key in named if key not in NAME_KEYS]
    return " ".join([*words, *([str(label)] if label else [])])


def _check_number(file: str, key: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not given >= 0:
        raise UsageError(f"{file}: {key}={given} must be a number from 0.")
    return float(given)


def _parse_waiver(given: Any, file: str) -> Waiver:
    stated = _check_mapping(given, file)
    missing = [key for key in ("series", "reason", "until") if not stated.get(key)]
    if missing or set(stated) - {"series", "reason", "until", "layer"}:
        raise UsageError(
            f"{file}: a waiver states series, reason and until (a date), and may state layer; this one: {stated}."
        )
    if stated.get("layer", "both") not in LAYERS:
        raise UsageError(f"{file}: layer={stated['layer']} is not known. Allowed: {', '.join(LAYERS)}.")
    try:
        until = datetime.date.fromisoformat(str(stated["until"]))
    except ValueError:
        raise UsageError(f"{file}: until={stated['until']} must be a date such as 2027-01-31.") from None
    return Waiver(str(stated["series"]), str(stated["reason"]), until, stated.get("layer", "both"))
