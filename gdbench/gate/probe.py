"""Answers the gate's questions within one side, untimed: started as a file, it drives whatever gdbench that side has.

It is always the head's: an older base is asked by the same probe. Of a side's gdbench it uses the facade alone
(``gdbench.gate.facade``), and says ``unsupported`` where there is none, or it works otherwise. Operations are counted
by the head's ``gdbench.engine.op_counter``.

A request comes as a line of JSON on standard input, which stays open: its end is the end of the gate, and of the probe.
Answers leave on standard output, a line each: the facts of the process, then every series.
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
from pathlib import Path
from typing import Any, TextIO

WORK, LOADER = Path(__file__).parents[1] / "engine" / "op_counter.py", Path(__file__).with_name("facade_loader.py")
"""Files of the head, which are loaded by their place."""
STEADY = 10
"""The step, counted from 0, whose work stands for all but the first."""
COMPARED = (
    *("status", "steps_to_target", "gradients_to_target", "evaluations_to_target"),
    *(f"hit_1e-{power:02d}" for power in range(1, 13)),
    *("start_loss", "final_loss"),
)
"""Columns without which there is nothing to compare."""
COLUMNS = (*COMPARED, "steps_to_settle", "event_step", "best_step", "gradients", "evaluations", "error", "resolved")


def main() -> None:
    """Answer one request."""
    answers = _private_output()
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_gate, daemon=True).start()
    _say(answers, facts())
    for answer in answered(request):
        _say(answers, answer)
    _say(answers, {"foreign": foreign(request["foreign"])})


def _private_output() -> TextIO:
    """Standard output for answers alone; what the side's code prints goes to standard error."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def _say(answers: TextIO, content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def _end_with_the_gate() -> None:
    sys.stdin.read()
    os._exit(1)


def facts() -> dict[str, Any]:
    """What the bits of a trajectory depend on beside the code."""
    import torch

    return {
        "fingerprint": {
            "torch": torch.__version__,
            "commit": str(torch.version.git_version)[:7],
            "capability": torch.backends.cpu.get_cpu_capability(),
            "cpu": _cpu(),
            "mkl": os.environ.get("MKL_CBWR", "auto"),
        },
        "python": platform.python_version(),
    }


def _cpu() -> str:
    """The processor's own name for itself, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def answered(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The answer to each series of a request."""
    series = request["series"]
    try:
        facade = _load("gdbench_gate_facade_loader", LOADER).find_facade()
    except Exception as error:
        reason = f"this side's gdbench cannot be asked: {_line(error)}"
        yield from ({"name": each["name"], "outcome": "unsupported", "error": reason} for each in series)
        return
    composed = facade.compose((each["fixed"], each["words"]) for each in series)
    for each, configuration in zip(series, composed, strict=True):
        yield {"name": each["name"], **_answer(facade, configuration)}


def _answer(facade: Any, composed: dict[str, Any] | Exception) -> dict[str, Any]:
    try:
        if isinstance(composed, Exception):
            raise composed
        parsed = facade.parse(composed)
    except Exception as error:
        if lacks := _lacking(error):
            return {"outcome": "lacking", "lacks": lacks, "error": f"there is no {lacks}"}
        kind = "unsupported" if isinstance(error, AttributeError | ImportError | TypeError) else "absent"
        return {"outcome": kind, "error": _line(error)}
    try:
        return _whole({"outcome": "measured", **measured(facade, parsed)})
    except Exception as error:
        if type(error).__name__ == "Unavailable":
            return {"outcome": "measured", "columns": {"status": "unavailable", "error": str(error)}}
        if type(error).__name__ == "UsageError":
            return {"outcome": "absent", "error": str(error)}
        traceback.print_exc()
        return {"outcome": "unsupported", "error": _line(error)}


def _lacking(error: BaseException) -> str:
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


def _whole(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer that has all that is compared; one that says what it lacks where it has not."""
    columns = answer["columns"]
    lost = [name for name in COMPARED if name not in columns]
    if lost and columns["status"] not in ("unavailable", "failed"):
        return {"outcome": "unsupported", "error": f"its rows have no column {', '.join(lost)}"}
    if "raised" in answer and columns["status"] != "failed":
        return {
            "outcome": "unsupported",
            "error": f"a run that ended well when watched raised alone: {answer['raised']}",
        }
    return answer


def measured(facade: Any, parsed: Any) -> dict[str, Any]:
    """The exact columns of a run, the bits of its trajectory, and what its steps do."""
    import torch

    built = facade.build(parsed)
    if built.compiled:
        torch._dynamo.utils.counters.clear()
    columns = facade.run(built)
    row = {name: _plain(columns[name]) for name in COLUMNS if name in columns}
    return {"columns": row, "dtype": built.dtype, **_walk(facade, built)}


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python's; null where it is masked."""
    import numpy as np

    if value is None or value is np.ma.masked:
        return None
    return value.item() if isinstance(value, np.generic) else value


def _walk(facade: Any, built: Any) -> dict[str, Any]:
    """Every point of a run alone, by its bits; the work of its first and of a steady step."""
    bits: list[str] = []
    losses: list[float] = []
    dtypes: list[str] = []

    def look(x: Any, loss: float) -> None:
        digest, dtype = _bits(x)
        bits.append(digest)
        losses.append(loss)
        if dtype not in dtypes:
            dtypes.append(dtype)

    solo = built.seeded_solo()
    try:
        end, _ = facade.descend(solo, solo.start(), range(solo.steps), look=look)
    except Exception as error:  # a run that raises has a status that says so
        return {"bits": bits, "losses": losses, "dtypes": dtypes, "raised": _line(error)}
    bits.append(_bits(end)[0])
    facts = {"bits": bits, "losses": losses, "dtypes": dtypes, "constant_cost": solo.constant_cost}
    return {**facts, **(_graphs() if built.compiled else _work(facade, solo))}


def _bits(x: Any) -> tuple[str, str]:
    """A digest of a point, and its dtypes."""
    digest, dtypes = hashlib.blake2b(digest_size=6), []
    leaves = [x[name] for name in sorted(x)] if isinstance(x, dict) else [x]
    for leaf in leaves:
        leaf = leaf.detach().contiguous()
        dtypes.append(str(leaf.dtype).removeprefix("torch."))
        digest.update(f"{leaf.dtype}{tuple(leaf.shape)}".encode())
        digest.update(leaf.reshape(-1).view(_byte()).numpy().tobytes())
    return digest.hexdigest(), "/".join(sorted(set(dtypes)))


def _byte() -> Any:
    import torch

    return torch.uint8


def _work(facade: Any, solo: Any) -> dict[str, Any]:
    """The operations and bytes of the first step, and of a later one, each from a start of its own."""
    counted = _load("gdbench_gate_work", WORK).counted
    x, state = solo.copy(solo.start())
    first = counted(lambda: facade.descend(solo, x, range(1), state))
    later = min(STEADY, solo.steps - 1)
    x, state = facade.descend(solo, solo.start(), range(later))
    steady = counted(lambda: facade.descend(solo, x, range(later, later + 1), state))
    return {"first": first._asdict(), "steady": steady._asdict()}


def _load(name: str, file: Path) -> Any:
    """A module of the head's own, whatever this side's gdbench is."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec
        assert spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def _graphs() -> dict[str, Any]:
    """How many graphs have been compiled since the counters were cleared, and how often the compiler gave up."""
    import torch

    counters = torch._dynamo.utils.counters
    breaks = sum(counters["graph_break"].values())
    return {"compiled": {"graphs": counters["stats"]["unique_graphs"], "graph breaks": breaks}}


def foreign(roots: list[list[str]]) -> list[str]:
    """Files imported from the other side's tree; ``roots`` are those of this side, and those of the other."""
    ours, theirs = map(tuple, roots)
    installed = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    named = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    loaded = {str(Path(file).resolve()) for file in named if isinstance(file, str)} - {__file__, str(WORK), str(LOADER)}
    return sorted(file for file in loaded if file.startswith(theirs) and not file.startswith((*ours, *installed)))


def _line(error: BaseException) -> str:
    """An exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


if __name__ == "__main__":
    main()
