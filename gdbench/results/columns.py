"""Schema of runs.parquet, traces.parquet and blocks.parquet: type, unit, meaning and direction of each column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = [
    *("BLOCK_COLUMNS", "COLUMNS", "LADDER", "TRACE_COLUMNS", "Field", "ColumnMeanings"),
    *("describe_columns", "get_column", "is_exact", "is_setting"),
]


@dataclass(frozen=True)
class Field:
    """Type, unit and meaning of a column, and which direction is better.

    Kinds are str, int, float, bool, time, list, and shared: text common to the runs of a cell, a category in pandas.
    """

    kind: str
    unit: str
    meaning: str
    better: str = ""

    @property
    def description(self) -> str:
        """Meaning, unit and direction, as in ``median time per step [s] (lower is better)``."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.meaning}{unit}" + (f" ({self.better} is better)" if self.better else "")


LADDER = {f"hit_1e-{power:02d}": 10.0**-power for power in range(1, 13)}
"""Column of each target of the ladder: the step of its first hit; the target is a relative gap."""


def _describe_hits() -> dict[str, Field]:
    meaning = "first step with a gap of at most {}; null: never, or below gap_floor"
    return {name: Field("int", "steps", meaning.format(name.removeprefix("hit_")), "lower") for name in LADDER}


COLUMNS: dict[str, Field] = {
    "run_id": Field(
        "str", "", "identifier of a run: hash of its settings; equal settings give equal ids on every machine"
    ),
    "objective": Field("str", "", "name of the objective (python -m gdbench list objectives)"),
    "optimizer": Field("str", "", "name of the optimizer (python -m gdbench list optimizers)"),
    "impl": Field(
        "str",
        "",
        "implementation after resolving auto: manual or compiled (gdbench); torch, foreach, fused, capturable "
        "or differentiable (torch.optim)",
    ),
    "dtype": Field("str", "", "floating-point type of x, gradient and optimizer state, after resolving auto"),
    "device": Field("str", "", "device of the run, after resolving auto"),
    "seed": Field("int", "", "random seed of start perturbation, initialisation and sampling"),
    "lr": Field("float", "", "learning rate used, after resolving lr=null and lr_scale"),
    "lr_scale": Field(
        "float", "", "multiplier from which lr was derived, see lr_scale_of; null: lr was given directly"
    ),
    "lr_scale_of": Field(
        "str", "", "base of lr_scale: default (the optimizer's default lr) or L (1/L); null: lr was given directly"
    ),
    "steps": Field("int", "steps", "number of steps; all are made, even after the target is reached"),
    "target": Field("float", "", "relative gap to which steps_to_target and time_to_target_s refer"),
    "target_loss": Field("float", "loss", "absolute loss used as target instead of a relative gap; null: not given"),
    "target_metric": Field(
        "str", "", "condition on metrics used as target instead, as held_out.accuracy>=0.95; null: not given"
    ),
    "judge_every": Field(
        "int", "steps", "steps between two judgements of a run: the resolution of steps_to_target; 1: exact"
    ),
    "start_noise": Field("float", "", "standard deviation of the Gaussian noise added to the start"),
    "threads": Field("int", "", "CPU threads of torch"),
    "schedule": Field("str", "", "learning-rate schedule; its parameters are in schedule.<name>"),
    "clip": Field("str", "", "gradient clipping; its parameters are in clip.<name>"),
    "noise": Field("str", "", "gradient noise; its parameters are in noise.<name>"),
    "status": Field(
        "str", "", "first that applies of: failed, unavailable, nonfinite, diverged, target, plateau, budget"
    ),
    "status_step": Field(
        "int",
        "steps",
        "nonfinite: first step with a nonfinite value; diverged: first step of the final stretch above "
        "f(x_0); null: other statuses",
    ),
    "error": Field("str", "", "error message; null unless the status is failed or unavailable"),
    "traceback": Field("str", "", "Python traceback of a failed run; null: no exception"),
    "start_loss": Field(
        "float", "loss", "full-data loss f(x_0); -f if the optimizer maximises, as in all loss columns"
    ),
    "final_loss": Field(
        "float",
        "loss",
        "full-data loss at the last iterate (or at the method's averaged point); the first nonfinite loss, if any",
        "lower",
    ),
    "best_loss": Field("float", "loss", "lowest finite loss of the run", "lower"),
    "best_step": Field("int", "steps", "step of best_loss"),
    "final_gap": Field(
        "float", "", "relative suboptimality at the end, (final_loss - f*) / (f(x_0) - f*); null: f* unknown", "lower"
    ),
    "best_gap": Field(
        "float", "", "relative suboptimality of best_loss, (best_loss - f*) / (f(x_0) - f*); null: f* unknown", "lower"
    ),
    "final_suboptimality": Field(
        "float", "loss", "absolute suboptimality at the end, final_loss - f*; null: f* unknown", "lower"
    ),
    "gap_floor": Field("float", "", "rounding resolution of the gap in this dtype; hits of smaller targets are null"),
    "minimum_kind": Field("str", "", "how f* is known: exact, computed, lower_bound or unknown"),
    "smoothness": Field(
        "float", "", "smoothness constant L of the objective (Lipschitz constant of its gradient); null: not stated"
    ),
    "shifted_minimum": Field("bool", "", "weight decay shifts the minimum; such runs are excluded from comparisons"),
    "steps_to_target": Field(
        "int", "steps", "first step with a gap (or loss) at or below the target; null: never", "lower"
    ),
    "steps_to_settle": Field(
        "int",
        "steps",
        "first step from which the gap stays at or below the target until the end; null: it does not",
        "lower",
    ),
    "gradient_evals_to_target": Field(
        "int", "gradients", "gradient evaluations until steps_to_target; null: never", "lower"
    ),
    "function_evals_to_target": Field(
        "int", "evaluations", "function evaluations without gradient until steps_to_target; null: never", "lower"
    ),
    **_describe_hits(),
    "selected_step": Field(
        "int",
        "steps",
        "judged step with the best held-out score, for selected.test.*; null: no held-out data",
    ),
    "grad_norm": Field("float", "", "Euclidean norm of the full-data gradient at the last iterate", "lower"),
    "distance": Field(
        "float", "", "Euclidean distance of the last iterate to the nearest known minimiser; null: none known", "lower"
    ),
    "linear_rate": Field(
        "float",
        "",
        "estimated linear convergence rate, gap ratio per step: exp(slope of ln(target) over first-hit "
        "steps); null: fewer than 4 hits",
        "lower",
    ),
    "gradient_evals": Field(
        "int", "gradients", "gradient evaluations of the whole run; a Hessian-vector product counts as two"
    ),
    "function_evals": Field(
        "int", "evaluations", "function evaluations without gradient of the whole run (line searches)"
    ),
    "lanes": Field("int", "runs", "number of runs computed in one batch; 1: alone"),
    "implementation": Field(
        "str", "", "resolved implementation: class or function, its switches, and the batching method"
    ),
    "seed_used": Field("bool", "", "whether the seed affects the run; if not, the configuration is run once"),
    "deterministic": Field(
        "bool", "", "whether repeating the first steps with the same seed gave the same bits; null: not checked"
    ),
    "timed": Field("bool", "", "whether this run itself was timed; if not, step_s is the median over its cell"),
    "timing_error": Field(
        "str", "", "reason for missing times: the timed pass did not reproduce the run; null: it did, or timing was off"
    ),
    "verified_steps": Field("int", "steps", "steps of the timed pass that were verified against the recorded run"),
    "first_step_s": Field(
        "float", "s", "time to create the optimizer state and make the first step, in a warm process"
    ),
    "warmup_s": Field(
        "float",
        "s",
        "time of the first use of an uncompiled method (imports, dispatch), before its first step",
    ),
    "compile_s": Field("float", "s", "time of torch.compile for this method and objective; null: not compiled"),
    "convergence_pass_s": Field(
        "float", "s", "time of the untimed recording pass, all runs of the cell together, including compilation"
    ),
    "step_s": Field("float", "s", "median time per step over short blocks without recording; null: not timed", "lower"),
    "step_s_lo": Field("float", "s", "lower quartile of the time per step over blocks"),
    "step_s_hi": Field("float", "s", "upper quartile of the time per step over blocks"),
    "update_s": Field("float", "s", "median time of the optimizer update alone, without the gradient", "lower"),
    "step_time_ratio": Field(
        "float", "", "median ratio of step_s to the reference loop's step time in the adjacent block", "lower"
    ),
    "step_time_ratio_lo": Field(
        "float", "", "lower end of the 95% confidence interval of step_time_ratio, within this process"
    ),
    "step_time_ratio_hi": Field(
        "float", "", "upper end of the 95% confidence interval of step_time_ratio, within this process"
    ),
    "reference_s": Field(
        "float",
        "s",
        "median step time of the fixed CPU reference loop (plain gradient descent on (x - 2)^2), measured "
        "beside this run",
    ),
    "memory_reference_s": Field("float", "s", "time to add two arrays of 32 MB, measured in this cell"),
    "device_reference_s": Field(
        "float", "s", "median step time of the reference loop on the run's accelerator; null: CPU"
    ),
    "overhead_bound": Field(
        "bool", "", "whether operations take under 20 us each, so that step_time_ratio is comparable"
    ),
    "time_to_target_s": Field("float", "s", "time from x_0 to the target; null: never reached, or not timed", "lower"),
    "time_to_target_kind": Field(
        "str",
        "",
        "how time_to_target_s was obtained: modelled (steps x step_s) or replayed (timed from the start to the hit)",
    ),
    "ops": Field("int", "operations", "torch operations dispatched in one steady step", "lower"),
    "peak_bytes": Field(
        "int", "bytes", "peak memory of one untimed step, in addition to x and optimizer state", "lower"
    ),
    "denormals": Field(
        "int",
        "numbers",
        "subnormal numbers in x and optimizer state at the end, which slow down a CPU; null: nonfinite run",
    ),
    "tuned_place": Field(
        "int", "", "rank among the configurations that tune chose for this problem, 1 is best; null: not chosen by tune"
    ),
    "tuned_for": Field("str", "", "metric by which tune chose this run; null: not chosen by tune"),
    "sweep": Field("str", "", "folder of the sweep, relative to outputs"),
    "cell": Field("int", "", "number of the cell within its sweep"),
    "cell_fingerprint": Field(
        "str", "", "cache key of the cell: hash of its configuration, then of source, data, torch version and device"
    ),
    "process": Field(
        "str", "", "identifier of the process that ran the cell; times are comparable within one process only"
    ),
    "cell_s": Field("float", "s", "wall time of the whole cell, all runs together"),
    "overrides": Field("shared", "", "command-line overrides that reproduce the cell"),
    "started_at": Field("time", "UTC", "start time of the cell"),
}
"""Columns of runs.parquet, in their order; hyper-parameters come beside them as optimizer.<name>, objective.<name>."""

METRIC_KINDS = {
    "final": "value at the last step",
    "best": "best value at a judged step",
    "selected": "value at selected_step",
}
"""Prefixes of the columns of metrics, as in ``final.held_out.accuracy``, and what they hold."""

TRACE_COLUMNS: dict[str, Field] = {
    "run_id": Field("str", "", "identifier of the run"),
    "step": Field("int", "steps", "step k; 0 is the start"),
    "loss": Field("float", "loss", "full-data loss f(x_k)"),
    "gap": Field("float", "", "relative suboptimality (loss - f*) / (f(x_0) - f*); null: f* unknown"),
    "grad_norm": Field("float", "", "Euclidean norm of the gradient at x_k"),
    "x": Field("list", "", "iterate x_k, flattened; null: more than 16 numbers"),
}

BLOCK_COLUMNS: dict[str, Field] = {
    "run_id": Field("str", "", "identifier of the run"),
    "block": Field("int", "", "number of the timing block"),
    "step_s": Field("float", "s", "time per step in this block"),
    "reference_s": Field("float", "s", "time per step of the reference loop in the adjacent block"),
}


def get_column(name: str) -> Field:
    """Field of that name; the meaning of a hyper-parameter is made from its name."""
    if name in COLUMNS:
        return COLUMNS[name]
    group, _, parameter = name.partition(".")
    if group in METRIC_KINDS:
        return Field("float", "", f"{METRIC_KINDS[group]} of {parameter}")
    return Field("any", "", f"{parameter} of the {group}")


class ColumnMeanings(dict[str, str]):
    """Meanings by column for ``DataFrame.attrs``: pandas deep-copies attrs often, so this is shared."""

    def __deepcopy__(self, memo: object) -> ColumnMeanings:
        """Itself, as it is immutable by convention."""
        return self


def describe_columns(names: Iterable[str], known: Mapping[str, Field]) -> ColumnMeanings:
    """Text of each column, as ``Field.description``; ``known`` is looked up before COLUMNS."""
    return ColumnMeanings({name: (known[name] if name in known else get_column(name)).description for name in names})


SETTING_GROUPS = ("objective", "optimizer", "schedule", "clip", "noise")
SETTINGS = (
    *(*SETTING_GROUPS, "impl", "dtype", "device", "seed", "lr", "lr_scale", "lr_scale_of"),
    *("steps", "target", "target_loss", "target_metric", "judge_every", "start_noise", "threads"),
)
PROVENANCE = (
    *("sweep", "cell", "cell_fingerprint", "process", "overrides", "started_at"),
    *("traceback", "tuned_place", "tuned_for"),
)
"""When and where a run was made, where it failed, and how a search rated it."""
TIMING = ("timed", "timing_error", "verified_steps", "ops", "peak_bytes", "overhead_bound", "time_to_target_kind")
"""Results of the timed pass other than seconds: null without timing."""


LR_ORIGIN = ("lr_scale", "lr_scale_of")
"""How lr was derived: runs of equal lr are the same question."""


def is_setting(name: str) -> bool:
    """Whether a column is a setting of a run, and not a result."""
    return name in SETTINGS or name.partition(".")[0] in SETTING_GROUPS


def is_exact(name: str) -> bool:
    """Whether a column is reproduced bitwise by the same settings, source and machine.

    Steps, counts, losses and statuses are; seconds, their ratios, and provenance are not.
    """
    return not (
        name in (*PROVENANCE, *TIMING, *LR_ORIGIN) or get_column(name).unit == "s" or name.startswith("step_time_ratio")
    )
