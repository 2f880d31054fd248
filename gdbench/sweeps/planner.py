"""From a sweep's specification to its cells: axes over numbers become runs within a cell, all others multiply cells."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep
from omegaconf import DictConfig, OmegaConf

from gdbench.config.compose import Composed, Composer, to_plain
from gdbench.config.overrides import format_value
from gdbench.config.spec import CellSpec
from gdbench.config.sweep_axes import check_count, check_once, count_values, list_values
from gdbench.errors import UsageError
from gdbench.sweeps.job import Job
from gdbench.sweeps.sweep_spec import SweepSpec, parse_spec, to_overrides

__all__ = ["make_job", "plan", "plan_overrides", "write_declared_axes"]

BATCHED = ("lr", "lr_scale", "seed")
"""Settings whose values are runs within a cell; float parameters of the optimizer are too."""


def plan(spec: SweepSpec, composer: Composer) -> list[Job]:
    """The cells of a sweep, composed and checked before any runs; those of the last axis vary fastest."""
    check_once(spec.axes)
    fixed = to_overrides(spec)
    batched = {key: text for key, axis in spec.axes.items() if (text := _write_batched(key, axis)) is not None}
    while True:
        crossed = {key: axis for key, axis in spec.axes.items() if key not in batched}
        check_count({key: count_values(axis) for key, axis in crossed.items()})
        products = list(itertools.product(*map(_list_overrides, crossed.values())))
        cells = [composer([*fixed, *values]) for values in products]
        refused = [key for key in batched if not all(_is_float(cell.config, key) for cell in cells)]
        if not refused:
            break
        for key in refused:  # a whole number or a switch, to one of these optimizers
            del batched[key]
    if not cells:
        raise UsageError(
            "the settings select no runs: an axis has no value. A glob(...) must match a name that python -m gdbench"
            " list prints, and range(START,STOP,STEP) must not stop before it starts."
        )
    lanes = [f"{key}={text}" for key, text in batched.items()]
    return [
        make_job(number, [*fixed, *values, *lanes], composer.set(cell, lanes), spec)
        for number, (values, cell) in enumerate(zip(products, cells, strict=True))
    ]


def plan_overrides(words: Sequence[str], composer: Composer) -> list[Job]:
    """The cells of a sweep that is described by overrides alone."""
    return plan(parse_spec(words, composer), composer)


def make_job(number: int, overrides: Sequence[str], composed: Composed, spec: SweepSpec | None = None) -> Job:
    """The cell of a composed configuration; ``UsageError`` where that asks for what cannot be."""
    config = to_plain(composed.config)
    job = Job(CellSpec.parse(config, composed.choices), number, tuple(overrides), config)
    return spec.objective.put_into(job) if spec and spec.objective else job


def write_declared_axes(params: Mapping[str, Any]) -> list[str]:
    """Overrides that sweep what a configuration declares (hydra.sweeper.params); its text is in their grammar."""
    return [f"{name}={value if isinstance(value, str) else format_value(value)}" for name, value in params.items()]


def _write_batched(key: str, axis: Override) -> str | None:
    """An axis over numbers as one value, unexpanded: ``[0.1,0.2]``, ``'range(1,4,1)'``; None for any other."""
    if key not in BATCHED and not key.startswith("optimizer."):
        return None
    values = axis.value()
    if isinstance(values, IntervalSweep):
        text = f"interval({values.start},{values.end})"
        return f"'tag(log,{text})'" if "log" in values.tags else f"'{text}'"
    if isinstance(values, RangeSweep) and not values.shuffle:
        return f"'range({values.start},{values.stop},{values.step})'"
    if isinstance(values, ChoiceSweep) and not values.shuffle:
        numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values.list)
        if numeric or (key in BATCHED and None not in values.list):
            words = [value.with_quotes() if isinstance(value, QuotedString) else str(value) for value in values.list]
            return f"[{','.join(words)}]"
    return None


def _list_overrides(axis: Override) -> list[str]:
    """The overrides that an axis stands for, one a value."""
    if isinstance(axis.value(), IntervalSweep):
        raise UsageError(
            f"{axis.input_line}: an interval makes lanes, which only lr, lr_scale, seed and float parameters of the"
            " optimizer can be; list the values instead."
        )
    return [f"{axis.get_key_element()}={value}" for value in list_values(axis)]


def _is_float(config: DictConfig, key: str) -> bool:
    return key in BATCHED or isinstance(OmegaConf.select(config, key), float)
