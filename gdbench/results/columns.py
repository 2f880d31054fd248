"""What each column of ``runs.parquet`` and ``traces.parquet`` means: one line each, read by README, report and gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = [
    "BLOCK_COLUMNS",
    "COLUMNS",
    "TRACE_COLUMNS",
    "Column",
    "Described",
    "asked",
    "describe",
    "described",
    "exact",
]


@dataclass(frozen=True)
class Column:
    """A column's kind, unit, meaning in one line, and which way is better.

    Kinds are str, int, float, bool, time, list, and shared: text that the runs of a cell have in common, in pandas a
    category.
    """

    kind: str
    unit: str
    meaning: str
    better: str = ""

    @property
    def said(self) -> str:
        """Its meaning, unit and direction, as in ``time of a step [s] (lower is better)``."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.meaning}{unit}" + (f" ({self.better} is better)" if self.better else "")


def _hits() -> dict[str, Column]:
    return {
        f"hit_1e-{power:02d}": Column(
            "int",
            "steps",
            f"first step with a gap of at most 1e-{power:02d}; null: never, or below resolution",
            "lower",
        )
        for power in range(1, 13)
    }


COLUMNS: dict[str, Column] = {
    "run_id": Column("str", "", "stable key of the question: equal for equal questions, on every machine"),
    "objective": Column("str", "", "name of the objective (python -m gdbench list objectives)"),
    "optimizer": Column("str", "", "name of the method (python -m gdbench list optimizers)"),
    "impl": Column(
        "str",
        "",
        "who carries it out, after resolving auto: manual, compiled; torch.optim's torch, foreach, fused, capturable,"
        " differentiable",
    ),
    "dtype": Column("str", "", "floating-point type of x, gradient and state, after resolving auto"),
    "device": Column("str", "", "where it ran, after resolving auto"),
    "seed": Column("int", "", "seed of start perturbation, initialisation and sampling"),
    "lr": Column("float", "", "learning rate used (after lr=null and lr_scale)"),
    "lr_scale": Column(
        "float", "", "factor of the method's own lr, or of 1/L, that made lr; null: lr itself was given"
    ),
    "lr_scale_of": Column(
        "str", "", "what lr_scale multiplies: default, the method's own lr, or L, 1/L; null: nothing"
    ),
    "steps": Column("int", "steps", "steps asked for; all are made, target hit or not"),
    "target": Column("float", "", "relative gap that steps_to_target refers to"),
    "target_loss": Column("float", "loss", "absolute loss that replaces the relative target, if given"),
    "start_noise": Column("float", "", "standard deviation of the normal noise that the seed adds to the start"),
    "threads": Column("int", "", "CPU threads that torch was given"),
    "schedule": Column("str", "", "how lr changes over the steps; its numbers stand beside it as schedule.<name>"),
    "clip": Column("str", "", "how gradients are clipped before the method sees them; numbers as clip.<name>"),
    "noise": Column("str", "", "what noise is added to gradients before the method sees them; numbers as noise.<name>"),
    "status": Column(
        "str", "", "failed, unavailable, nonfinite, diverged, target, plateau or budget, in this precedence"
    ),
    "status_step": Column(
        "int", "steps", "nonfinite: first step that was; diverged: start of the last rise above f0; null: all others"
    ),
    "error": Column("str", "", "why a run failed or was unavailable"),
    "traceback": Column("str", "", "of a failed run: where what it raised came from, as Python prints it"),
    "start_loss": Column("float", "loss", "f, of all data, at x_0 (of -f where the method maximises, as all losses)"),
    "final_loss": Column(
        "float", "loss", "f at the last x, or the point judged for it; the first non-finite value if any", "lower"
    ),
    "best_loss": Column("float", "loss", "lowest finite loss of the run", "lower"),
    "best_step": Column("int", "steps", "step of best_loss"),
    "final_gap": Column("float", "", "(final_loss - f*) / (f0 - f*); null where f* is unknown", "lower"),
    "best_gap": Column("float", "", "(best_loss - f*) / (f0 - f*); null where f* is unknown", "lower"),
    "final_suboptimality": Column("float", "loss", "final_loss - f*; null where f* is unknown", "lower"),
    "gap_floor": Column("float", "", "smallest gap that the dtype can tell here; hits below it are null"),
    "minimum_kind": Column("str", "", "how f* is known: exact, computed, lower_bound or unknown"),
    "smoothness": Column("float", "", "L, the largest curvature of the objective, where it is stated"),
    "shifted_minimum": Column("bool", "", "weight decay moves the minimum away from the stated one"),
    "steps_to_target": Column("int", "steps", "first step at or below the target; null: never", "lower"),
    "steps_to_settle": Column(
        "int",
        "steps",
        "first step from which the gap stays at or below the target until the end; null: it does not",
        "lower",
    ),
    "gradient_evals_to_target": Column("int", "gradients", "gradients evaluated up to the target", "lower"),
    "function_evals_to_target": Column("int", "evaluations", "value-only evaluations up to the target", "lower"),
    **_hits(),
    "grad_norm": Column("float", "", "Euclidean norm of the gradient, of all data, at the last x", "lower"),
    "distance": Column("float", "", "Euclidean distance of the last x to the nearest stated minimiser", "lower"),
    "linear_rate": Column(
        "float", "", "gap factor a step: exp of the slope of ln(target) over the first-hit steps (>= 4 hits)", "lower"
    ),
    "gradient_evals": Column("int", "gradients", "gradients evaluated in all; a Hessian product counts as two"),
    "function_evals": Column("int", "evaluations", "value-only evaluations in all (line searches)"),
    "lanes": Column("int", "runs", "how many runs shared the watched pass; 1 is solo"),
    "implementation": Column("str", "", "what really ran: the class or function, its switches, how lanes were carried"),
    "seed_used": Column("bool", "", "whether the seed changes anything; if not, the run was made once"),
    "deterministic": Column(
        "bool", "", "whether the first steps, repeated with the same seed, gave the same bits; if not, no run repeats"
    ),
    "timed": Column("bool", "", "whether this very run was timed; if not, step_s is the median of its cell"),
    "timing_error": Column(
        "str", "", "why a run has no times: its timed pass was not the watched run; null: it was, or nothing was timed"
    ),
    "verified_steps": Column("int", "steps", "steps of the bare pass that were held against the watched run"),
    "first_step_s": Column("float", "s", "making the optimizer's state and its first step, after a process warm-up"),
    "warmup_s": Column(
        "float", "s", "first use of a method that is not compiled: imports, lazy dispatch; before its first step"
    ),
    "compile_s": Column(
        "float", "s", "time that torch.compile took for the method on this objective; null: not compiled"
    ),
    "convergence_pass_s": Column(
        "float", "s", "time of the pass that watches, all runs of the cell together, compiling included"
    ),
    "step_s": Column("float", "s", "median time of a step over short blocks that record nothing", "lower"),
    "step_s_lo": Column("float", "s", "lower quartile of the blocks' step times"),
    "step_s_hi": Column("float", "s", "upper quartile of the blocks' step times"),
    "update_s": Column("float", "s", "median time of the update alone, its gradient given", "lower"),
    "step_time_ratio": Column("float", "", "median ratio of step_s to the reference block beside it", "lower"),
    "step_time_ratio_lo": Column("float", "", "lower end of its 95% interval, within this process"),
    "step_time_ratio_hi": Column("float", "", "upper end of its 95% interval, within this process"),
    "reference_s": Column("float", "s", "median step of the frozen reference loop, the notebook's, beside this run"),
    "memory_reference_s": Column("float", "s", "time to add one array of 32 MB to another in this cell"),
    "device_reference_s": Column("float", "s", "median step of the reference loop on the run's own accelerator"),
    "overhead_bound": Column("bool", "", "operations take under 20 us each, so that step_time_ratio compares"),
    "time_to_target_s": Column("float", "s", "time from x_0 to the target; null: never reached", "lower"),
    "time_to_target_kind": Column("str", "", "modelled: steps x step_s; replayed: timed from the start to the hit"),
    "ops": Column("int", "operations", "operations dispatched in one steady step", "lower"),
    "peak_bytes": Column("int", "bytes", "most bytes alive at once in one untimed step, beyond x and state", "lower"),
    "denormals": Column(
        "int", "numbers", "subnormal numbers in x and state at the end, which slow a CPU; null: nonfinite"
    ),
    "tuned_place": Column(
        "int", "", "of what tune chose: place among the choices for its problem, 1 is best; null: no choice of tune"
    ),
    "tuned_for": Column("str", "", "of what tune chose: the metric that it was chosen by"),
    "sweep": Column("str", "", "folder of the sweep, within outputs"),
    "cell": Column("int", "", "number of the cell within its sweep"),
    "cell_fingerprint": Column(
        "str", "", "what the cell's result depends on: its configuration - source, data, torch, device"
    ),
    "process": Column("str", "", "key of the process in which the cell ran: times compare within one alone"),
    "cell_s": Column("float", "s", "wall time of the whole cell, all its runs together"),
    "overrides": Column("shared", "", "the cell's overrides, which repeat it"),
    "started_at": Column("time", "UTC", "when the cell started"),
}
"""Columns of runs.parquet, in their order; hyper-parameters come beside them as optimizer.<name>, objective.<name>."""

TRACE_COLUMNS: dict[str, Column] = {
    "run_id": Column("str", "", "key of the run"),
    "step": Column("int", "steps", "k, from 0 (the start)"),
    "loss": Column("float", "loss", "f at x_k"),
    "gap": Column("float", "", "(loss - f*) / (f0 - f*); null where f* is unknown"),
    "grad_norm": Column("float", "", "Euclidean norm of the gradient at x_k"),
    "x": Column("list", "", "x_k, flattened, where it holds at most 16 numbers"),
}

BLOCK_COLUMNS: dict[str, Column] = {
    "run_id": Column("str", "", "key of the run"),
    "block": Column("int", "", "number of the block"),
    "step_s": Column("float", "s", "time of a step in this block"),
    "reference_s": Column("float", "s", "time of a reference step in the block beside it"),
}


def describe(name: str) -> Column:
    """The column of that name; a hyper-parameter's is worded from its name."""
    if name in COLUMNS:
        return COLUMNS[name]
    group, _, parameter = name.partition(".")
    return Column("any", "", f"{parameter} of the {group}")


class Described(dict[str, str]):
    """What columns mean, for ``DataFrame.attrs``: pandas copies these in every step, and this is shared."""

    def __deepcopy__(self, memo: object) -> Described:
        """Itself: nobody changes it."""
        return self


def described(names: Iterable[str], known: Mapping[str, Column]) -> Described:
    """What the columns of these names mean, as ``Column.said``; ``known`` are those of the table, before all others."""
    return Described({name: (known[name] if name in known else describe(name)).said for name in names})


GROUPS = ("objective", "optimizer", "schedule", "clip", "noise")
ASKED = (
    *(*GROUPS, "impl", "dtype", "device", "seed", "lr", "lr_scale", "lr_scale_of"),
    *("steps", "target", "target_loss", "start_noise", "threads"),
)
PLACES = (
    *(
        "sweep",
        "cell",
        "cell_fingerprint",
        "process",
        "overrides",
        "started_at",
        "traceback",
        "tuned_place",
        "tuned_for",
    ),
)
"""Where and when a run was made, where it failed (lines and folders of one machine), what a search made of it."""
TIMED = ("timed", "timing_error", "verified_steps", "ops", "peak_bytes", "overhead_bound", "time_to_target_kind")
"""What the timed pass tells beside seconds: absent where it was left out."""


SCALED = ("lr_scale", "lr_scale_of")
"""How an lr came about: the same lr is the same question, however it was asked."""


def asked(name: str) -> bool:
    """Whether a column is a part of the question, and not of the answer."""
    return name in ASKED or name.partition(".")[0] in GROUPS


def exact(name: str) -> bool:
    """Whether the same question must give the same bits here, asked again of the same source on the same machine.

    Steps, counts, losses and statuses are; seconds, what stands over them, and where a run lies are not.
    """
    return not (name in (*PLACES, *TIMED, *SCALED) or describe(name).unit == "s" or name.startswith("step_time_ratio"))
