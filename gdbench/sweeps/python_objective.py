"""An objective that was given from Python as a function or an ``Objective``, in place of a named one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gdbench.errors import UsageError
from gdbench.sweeps.job import Job

if TYPE_CHECKING:
    from torch import Tensor

    from gdbench.objectives.base import Objective
    from gdbench.tree import Params

    Function = Callable[[Params], Tensor]
    Start = Params | float | Sequence[Any] | Mapping[str, Any] | Callable[[int], Any]

__all__ = ["NeverDone", "PythonObjective", "make_objective"]


class NeverDone(UserWarning):
    """A function was given to a sweep that is continued, and something in it cannot be compared."""


@dataclass(frozen=True)
class PythonObjective:
    """An objective, the name that its rows bear, and the digest that tells it from others of this name."""

    name: str
    objective: Objective
    digest: str

    @classmethod
    def make(cls, objective: Objective, name: str, resumable: bool) -> PythonObjective:
        """Take the digest now, before the objective has run; warns where a resumed sweep could not compare it."""
        from gdbench.engine.function_digest import NOT_COMPARABLE, digest_or_reason

        digest = digest_or_reason(objective)
        if resumable and digest.startswith(NOT_COMPARABLE):
            warnings.warn(
                f"objective={name} runs each time, as it cannot be told whether it is what it was"
                f" ({digest.removeprefix(NOT_COMPARABLE)})",
                NeverDone,
                stacklevel=4,
            )
        return cls(name, objective, digest)

    def put_into(self, job: Job) -> Job:
        """The same cell of this objective."""
        config = {"_target_": self.objective, "code": self.digest}
        spec = replace(job.spec, objective=self.name, objective_config=config)
        return replace(job, spec=spec, config={**job.config, "objective": {"python": self.name}})


def make_objective(objective: Any, x0: Any) -> Objective | None:
    """The objective that a function and its start make; None for one that is named."""
    if not callable(objective) and x0 is None and isinstance(objective, (str, list, tuple, type(None))):
        return None
    import torch

    from gdbench.objectives.base import Objective
    from gdbench.objectives.point_conversion import convert_point, widest_dtype
    from gdbench.objectives.training import Training
    from gdbench.objectives.training_objective import build_training_objective

    if isinstance(objective, Training):
        objective = build_training_objective(objective)
    if isinstance(objective, Objective) or not callable(objective):
        if x0 is not None:
            raise UsageError(
                "x0= is the start of a function: an objective has its own"
                " (an Objective gets another by dataclasses.replace(objective, start=...))."
            )
        return objective if isinstance(objective, Objective) else None
    if x0 is None:
        raise UsageError("a function needs its start: give x0=, a tensor, a list of numbers or a dict of tensors.")
    if isinstance(x0, torch.nn.Module):
        raise UsageError(
            "x0= is a module: give dict(module.named_parameters()), and let the function call"
            " torch.func.functional_call(module, x, ...)."
        )
    if callable(x0):
        return Objective(fn=objective, start=x0, dtype=widest_dtype(x0(0)))
    return Objective(fn=objective, start=convert_point("x0", x0), dtype=widest_dtype(x0))
