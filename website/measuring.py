"""Figures of the page "How we measure", from the code: each ``{{name}}`` in its text is one of these."""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml

from gdbench.config.config_folders import config_folder
from gdbench.engine.targets import SAFETY
from gdbench.engine.timer import MeasurementPlan
from gdbench.gate.timing.sequential_test import find_detectable_slowdown
from gdbench.gate.timing.settings import TimingSettings
from gdbench.results.columns import LADDER
from website.facts import Entry, entries
from website.typeset import table

__all__ = ["filled"]

SPREADS = (0.005, 0.01, 0.015, 0.03)
"""Standard deviations of a series' replicates, from a good hour to a bad one."""


def filled(page: str) -> str:
    """The page with its figures."""
    told = figures()
    return re.sub(r"\{\{(\w+)\}\}", lambda found: told[found[1]], page)


def figures() -> dict[str, str]:
    """Each figure, by its name."""
    rule, limits = TimingSettings(), _limits()
    return {
        "targets": f"{max(LADDER.values()):.0e} ... {min(LADDER.values()):.0e}",
        "safety": f"{SAFETY:g}",
        "block": f"{MeasurementPlan(1.0).block_s * 1e3:g} ms",
        "gate_block": f"{rule.block_s * 1e3:g} ms",
        "quads": str(rule.max_quads),
        "looks": ", ".join(map(str, rule.looks[:-1])) + f" and {rule.looks[-1]}",
        "alphas": ", ".join(f"{each:.2%}" for each in rule.alphas),
        "alpha": f"{rule.alpha:.1%}",
        "beta": f"{rule.beta:.0%}",
        "family": f"{rule.family_alpha:.0%}",
        "confirmations": str(rule.confirmations),
        "control": f"{rule.control_zone:.0%}",
        "d0": f"{limits['d0']:.0%}",
        "d1": f"{limits['d1']:.0%}",
        "power": _power(rule, limits["d0"], limits["d1"]),
        "separable": _objectives(lambda entry: entry.is_separable),
        "diagonal": _objectives(lambda entry: entry.starts_on_diagonal),
    }


def _objectives(holds: Callable[[Entry], bool]) -> str:
    """The names of the shipped objectives, at their defaults, of which something holds."""
    return ", ".join(
        f"[`{entry.name}`](reference/objectives/{entry.family}.md#{entry.name})"
        for entry in entries("objective")
        if holds(entry)
    )


def _limits() -> dict[str, float]:
    """The limits of the shipped suite."""
    suite = yaml.safe_load((config_folder() / "gate" / "default.yaml").read_text(encoding="utf-8"))
    return {name: float(suite["defaults"][name]) for name in ("d0", "d1")}


def _power(rule: TimingSettings, d0: float, d1: float) -> str:
    """The slowdown that is found, by the spread of the replicates."""
    rows = [(f"{s:.1%}", f"+{find_detectable_slowdown(s, d0, d1, rule):.1%}") for s in SPREADS]
    return table(("Spread of the replicates (SD)", "Smallest slowdown found with power 0.95"), rows)
