from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PEAK = "import resource, sys; from gdbench.cli import main; code = main(sys.argv[1:]); "
PEAK += "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"


def peak_mb(folder: Path, *words: str) -> float:
    """The most memory that a command takes, in MB; it has to end well."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.rpartition("peak ")[2]) / 1000


@pytest.mark.slow
def test_ten_thousand_explicit_values_run_load_report_show_and_go_on(tmp_path: Path) -> None:
    """Memory grows with the number of runs, not with its square: 10,000 explicit values take little more than 1,000."""
    peaks: dict[int, dict[str, float]] = {}
    for count in (1_000, 10_000):
        place = tmp_path / str(count)
        place.mkdir()
        values = ",".join(f"{1e-4 * (1 + row / count):.7g}" for row in range(count))
        peaks[count] = {"run": peak_mb(place, "-m", f"lr={values}", "steps=10", "timing=off", "--quiet")}
        (folder,) = (place / "outputs").glob("*/*")
        code = f"import gdbench; runs = gdbench.load({str(folder)!r}); print(runs['run'].iloc[-1], len(runs))"
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        key, rows = told.stdout.split()
        assert int(rows) == count
        peaks[count] |= {
            "report": peak_mb(place, "report", str(folder), "--format", "html,md,tables"),
            "show": peak_mb(place, "show", key),
            "runs": peak_mb(place, "runs", "lr>0"),
            "plan": peak_mb(place, "plan", f"resume={folder}"),
            "resume": peak_mb(place, f"resume={folder}", "--quiet"),
        }
    print(peaks)

    # A copy of the overrides for each run would be 1 GB of 10,000, and 9 MB of 1,000.
    assert all(peaks[10_000][verb] < peaks[1_000][verb] + 400 for verb in peaks[1_000]), peaks
