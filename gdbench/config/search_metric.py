"""The metric of a search, ``metric=``: a cost or loss of every run, or a metric of a training workload."""

from __future__ import annotations

import re
from typing import Any

from gdbench.config.schema import METRICS
from gdbench.config.validation import format_for_message
from gdbench.errors import UsageError, did_you_mean

__all__ = ["find_metric_column", "is_training_metric", "parse_metric"]

TRAINING_METRIC = re.compile(r"(final\.)?(train|held_out)\.\w+")
TEST_METRIC = re.compile(r"((final|selected|best)\.)?test(\.\w*)?")


def parse_metric(given: Any) -> str:
    """The metric, if searches can rank by it. Raises UsageError for unknown ones, and for those of test data."""
    name = str(given)
    if name in METRICS or TRAINING_METRIC.fullmatch(name):
        return name
    if TEST_METRIC.fullmatch(name):
        held_out = f"held_out.{name.partition('test.')[2] or 'loss'}"
        raise UsageError(
            f"metric={name}: test data select nothing, so that their metrics stay unbiased; give metric={held_out}."
        )
    raise UsageError(
        f"metric={format_for_message(given)} is not known.{did_you_mean(name, METRICS)} Allowed: {', '.join(METRICS)};"
        " of a training workload also held_out.NAME, its best value at a judged step, and final.held_out.NAME."
    )


def is_training_metric(metric: str) -> bool:
    """Whether a metric is one of training workloads, as ``held_out.accuracy``."""
    return TRAINING_METRIC.fullmatch(metric) is not None


def find_metric_column(metric: str) -> str:
    """The column of a training metric: that of its best value, unless it is ``final.``."""
    return metric if metric.startswith("final.") else f"best.{metric}"
