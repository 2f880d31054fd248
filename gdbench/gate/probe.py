"""Process that runs every series within one side, untimed, and answers with its exact measures.

The probe is always the head's, and is started as a file: an older base is measured by the same probe. Of a side's
gdbench it uses the facade alone (``gdbench.gate.facade``); the outcome is ``unsupported`` if there is none, or it works
differently. Operations are counted by the head's ``gdbench.engine.op_counter``.

The request is a line of JSON on standard input, which stays open: the probe ends with it. Answers go to standard
output, a line each: the description of the process, each series, and the other side's files that were imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TextIO

OP_COUNTER = Path(__file__).parents[1] / "engine" / "op_counter.py"
"""A file of the head, which is loaded by its path."""
FACADE, VERSION = "gdbench.gate.facade", 1
"""The facade that this gate uses, and its version."""
STEADY = 10
"""The step, counted from 0, whose work represents all but the first."""
COMPARED = (
    *("status", "steps_to_target", "gradients_to_target", "evaluations_to_target"),
    *(f"hit_1e-{power:02d}" for power in range(1, 13)),
    *("start_loss", "final_loss"),
)
"""Columns without which nothing can be compared."""
COLUMNS = (*COMPARED, "steps_to_settle", "event_step", "best_step", "gradients", "evaluations", "error", "resolved")


def main() -> None:
    """Answer one request."""
    output = redirect_output()
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_gate, daemon=True).start()
    write_line(output, describe_process())
    for answer in answer_request(request):
        write_line(output, answer)
    write_line(output, {"foreign": list_foreign_files(request["foreign"])})


def redirect_output() -> TextIO:
    """Standard output for answers alone; what a side's code prints goes to standard error."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return output


def write_line(output: TextIO, content: dict[str, Any]) -> None:
    """Write an answer, which is read at once."""
    output.write(json.dumps(content) + "\n")
    output.flush()


def _exit_with_gate() -> None:
    sys.stdin.read()
    os._exit(1)


def describe_process() -> dict[str, Any]:
    """The fingerprint, on which the bits of a trajectory depend besides the code, and the Python version."""
    import torch

    return {
        "fingerprint": {
            "torch": torch.__version__,
            "commit": str(torch.version.git_version)[:7],
            "capability": torch.backends.cpu.get_cpu_capability(),
            "cpu": _read_cpu_name(),
            "mkl": os.environ.get("MKL_CBWR", "auto"),
        },
        "python": platform.python_version(),
    }


def _read_cpu_name() -> str:
    """The processor's model name, or its architecture if the system has no /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def answer_request(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The answer on each series of a request."""
    series = request["series"]
    try:
        facade = find_facade()
    except Exception as error:
        reason = f"this side's gdbench cannot be probed: {describe_error(error)}"
        yield from ({"name": one["name"], "outcome": "unsupported", "error": reason} for one in series)
        return
    composed = facade.compose((one["fixed"], one["words"]) for one in series)
    for one, configuration in zip(series, composed, strict=True):
        yield {"name": one["name"], **_answer_series(facade, configuration)}


def find_facade() -> Any:
    """The facade of the side imported here. Raises ImportError if it has none that this gate can use."""
    try:
        facade = importlib.import_module(FACADE)
    except ModuleNotFoundError as error:
        if error.name not in (FACADE, FACADE.rpartition(".")[0]):
            raise
        raise ImportError(f"it has no {FACADE}, through which the gate uses a tree: it is older than that") from None
    if facade.VERSION != VERSION:
        raise ImportError(f"its facade is of version {facade.VERSION}, and this gate uses version {VERSION}")
    return facade


def _answer_series(facade: Any, composed: dict[str, Any] | Exception) -> dict[str, Any]:
    try:
        if isinstance(composed, Exception):
            raise composed
        parsed = facade.parse(composed)
    except Exception as error:
        if lacks := _find_lacking(error):
            return {"outcome": "lacking", "lacks": lacks, "error": f"there is no {lacks}"}
        kind = "unsupported" if isinstance(error, AttributeError | ImportError | TypeError) else "absent"
        return {"outcome": kind, "error": describe_error(error)}
    try:
        return _check_complete({"outcome": "measured", **measure_run(facade, parsed)})
    except Exception as error:
        if type(error).__name__ == "Unavailable":
            return {"outcome": "measured", "columns": {"status": "unavailable", "error": str(error)}}
        if type(error).__name__ == "UsageError":
            return {"outcome": "absent", "error": str(error)}
        traceback.print_exc()
        return {"outcome": "unsupported", "error": describe_error(error)}


def _find_lacking(error: BaseException) -> str:
    """The option (``optimizer/late``) or key (``optimizer.beta``) that Hydra does not find; empty for other errors."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ == "MissingConfigException":
            return str(getattr(cause, "missing_cfg_file", None) or "")
        key = getattr(cause, "full_key", None)  # of OmegaConf's errors
        if type(cause).__name__ in ("ConfigAttributeError", "ConfigKeyError") and key:
            return str(key)
        cause = cause.__cause__ or cause.__context__
    return ""


def _check_complete(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer if it has all that is compared; else ``unsupported`` with what it lacks."""
    columns = answer["columns"]
    missing = [name for name in COMPARED if name not in columns]
    if missing and columns["status"] not in ("unavailable", "failed"):
        return {"outcome": "unsupported", "error": f"its rows have no column {', '.join(missing)}"}
    if "raised" in answer and columns["status"] != "failed":
        return {
            "outcome": "unsupported",
            "error": f"a run that succeeded when observed raised on its own: {answer['raised']}",
        }
    return answer


def measure_run(facade: Any, parsed: Any) -> dict[str, Any]:
    """The exact columns of a run, digests of its points, and the work of its steps."""
    import torch

    built = facade.build(parsed)
    if built.compiled:
        torch._dynamo.utils.counters.clear()
    columns = facade.run(built)
    row = {name: _convert(columns[name]) for name in COLUMNS if name in columns}
    return {"columns": row, "dtype": built.dtype, **_trace_run(facade, built)}


def _convert(value: Any) -> Any:
    """A NumPy value as a Python value; None if it is masked."""
    import numpy as np

    if value is None or value is np.ma.masked:
        return None
    return value.item() if isinstance(value, np.generic) else value


def _trace_run(facade: Any, built: Any) -> dict[str, Any]:
    """Digest and loss of every point of a single run; the work of its first and of a steady step."""
    bits: list[str] = []
    losses: list[float] = []
    dtypes: list[str] = []

    def look(x: Any, loss: float) -> None:
        digest, dtype = _hash_point(x)
        bits.append(digest)
        losses.append(loss)
        if dtype not in dtypes:
            dtypes.append(dtype)

    solo = built.seeded_solo()
    try:
        end, _ = facade.descend(solo, solo.start(), range(solo.steps), look=look)
    except Exception as error:  # a run that raises has a status that says so
        return {"bits": bits, "losses": losses, "dtypes": dtypes, "raised": describe_error(error)}
    bits.append(_hash_point(end)[0])
    trace = {"bits": bits, "losses": losses, "dtypes": dtypes, "constant_cost": solo.constant_cost}
    return {**trace, **(_count_graphs() if built.compiled else _count_work(facade, solo))}


def _hash_point(x: Any) -> tuple[str, str]:
    """A digest of a point, and its dtypes."""
    import torch

    digest, dtypes = hashlib.blake2b(digest_size=6), []
    leaves = [x[name] for name in sorted(x)] if isinstance(x, dict) else [x]
    for leaf in leaves:
        leaf = leaf.detach().contiguous()
        dtypes.append(str(leaf.dtype).removeprefix("torch."))
        digest.update(f"{leaf.dtype}{tuple(leaf.shape)}".encode())
        digest.update(leaf.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest(), "/".join(sorted(set(dtypes)))


def _count_work(facade: Any, solo: Any) -> dict[str, Any]:
    """Operations and bytes of the first step, and of a steady one, each from a fresh start."""
    count_ops = _load_op_counter().count_ops
    x, state = solo.copy(solo.start())
    first = count_ops(lambda: facade.descend(solo, x, range(1), state))
    later = min(STEADY, solo.steps - 1)
    x, state = facade.descend(solo, solo.start(), range(later))
    steady = count_ops(lambda: facade.descend(solo, x, range(later, later + 1), state))
    return {"first": first._asdict(), "steady": steady._asdict()}


@cache
def _load_op_counter() -> Any:
    """The head's ``op_counter``, whatever this side's gdbench is."""
    spec = importlib.util.spec_from_file_location("gdbench_gate_work", OP_COUNTER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _count_graphs() -> dict[str, Any]:
    """Numbers of compiled graphs and of graph breaks since the counters were cleared."""
    import torch

    counters = torch._dynamo.utils.counters
    breaks = sum(counters["graph_break"].values())
    return {"compiled": {"graphs": counters["stats"]["unique_graphs"], "graph breaks": breaks}}


def list_foreign_files(roots: list[list[str]]) -> list[str]:
    """Files imported from the other side's tree; ``roots`` are the folders of this side, and of the other."""
    ours, theirs = map(tuple, roots)
    installed = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    named = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    loaded = {str(Path(file).resolve()) for file in named if isinstance(file, str)} - {__file__, str(OP_COUNTER)}
    return sorted(file for file in loaded if file.startswith(theirs) and not file.startswith((*ours, *installed)))


def describe_error(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500] or 'no message'}"


if __name__ == "__main__":
    main()
