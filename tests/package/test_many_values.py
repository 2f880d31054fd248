from __future__ import annotations

from pathlib import Path

import pytest
from support.processes import Processes

PEAK = "import resource, sys; from gdbench.cli.main import main; code = main(sys.argv[1:]); "
PEAK += "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"


def peak_mb(processes: Processes, folder: Path, *words: str) -> float:
    """The most memory that a command takes, in MB, with that of the server it is forked from; it has to end well."""
    done = processes.fork("-c", PEAK, *words, cwd=folder).communicate(limit=1800)
    assert done.code == 0, done.err
    return int(done.out.rpartition("peak ")[2]) / 1000


@pytest.mark.slow
@pytest.mark.parametrize("most", [5_000, pytest.param(10_000, marks=pytest.mark.campaign)])
def test_thousands_of_explicit_values_run_load_report_show_and_go_on(
    processes: Processes, tmp_path: Path, most: int
) -> None:
    """Memory grows with the number of runs, not with its square: 10,000 explicit values take little more than 1,000."""
    peaks: dict[int, dict[str, float]] = {}
    for count in (1_000, most):
        place = tmp_path / str(count)
        place.mkdir()
        values = ",".join(f"{1e-4 * (1 + row / count):.7g}" for row in range(count))
        peaks[count] = {"run": peak_mb(processes, place, "-m", f"lr={values}", "steps=10", "timing=off", "--quiet")}
        (folder,) = (place / "outputs").glob("*/*")
        code = f"import gdbench; runs = gdbench.load({str(folder)!r}); print(runs['run_id'].iloc[-1], len(runs))"
        key, rows = processes.fork("-c", code, cwd=place).communicate().out.split()
        assert int(rows) == count
        peaks[count] |= {
            "report": peak_mb(processes, place, "report", str(folder), "--format", "html,md,tables"),
            "show": peak_mb(processes, place, "show", key),
            "sweeps": peak_mb(processes, place, "sweeps", "lr>0"),
            "dry run": peak_mb(processes, place, "--dry-run", f"resume={folder}"),
            "resume": peak_mb(processes, place, f"resume={folder}", "--quiet"),
        }
    print(peaks)

    # A copy of the overrides for each run would be 1 GB of 10,000, 250 MB of 5,000, and 9 MB of 1,000.
    assert all(peaks[most][verb] < peaks[1_000][verb] + most / 25 for verb in peaks[1_000]), peaks
