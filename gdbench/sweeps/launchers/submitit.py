"""``hydra/launcher=submitit_slurm`` and ``submitit_local``: jobs of the plugin, each of which may fail alone.

The plugin raises at the first job that has failed and forgets the others; its local executor starts all at once.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import LocalLauncher, SlurmLauncher

__all__ = ["Local", "Slurm"]


class _IndependentJobs:
    """Replaces the plugin's ``launch`` in both launchers."""

    params: dict[str, Any]
    _EXECUTOR: str
    poll_s: float
    """How often to ask for jobs that have ended."""
    patience_s: float
    """How long a result may take to appear on a shared file system after its job has ended."""

    def count_parallel(self, jobs: int) -> int:
        """How many jobs may run at the same time."""
        raise NotImplementedError

    def cancel(self, jobs: Sequence[Any]) -> None:
        """End running jobs."""
        raise NotImplementedError

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """The results of all jobs, in their order; an interruption cancels those that run."""
        executor, most = self._make_executor(), self.count_parallel(len(job_overrides))
        waiting = [_arguments(overrides, number) for number, overrides in enumerate(job_overrides, initial_job_idx)]
        running: dict[int, Any] = {}
        results: dict[int, JobReturn] = {}
        try:
            while waiting or running:
                batch, waiting = waiting[: most - len(running)], waiting[most - len(running) :]
                if batch:
                    jobs = executor.map_array(self, *zip(*batch, strict=True))
                    running |= {number: job for (_, _, number, _, _), job in zip(batch, jobs, strict=True)}
                for number in [number for number, job in running.items() if job.done()]:
                    results[number] = self._read_result(running.pop(number))
                time.sleep(self.poll_s)
        finally:
            if running:
                self.cancel(list(running.values()))
        return [results[number] for number in sorted(results)]

    def _make_executor(self) -> Any:
        """The executor as the plugin makes it."""
        import submitit

        params = dict(self.params)
        given = {"folder": params.pop("submitit_folder")}
        if "max_num_timeout" in params:
            given[f"{self._EXECUTOR}_max_num_timeout"] = params.pop("max_num_timeout")
        executor = submitit.AutoExecutor(cluster=self._EXECUTOR, **given)
        shared = set(BaseQueueConf.__dataclass_fields__)
        executor.update_parameters(
            **{name if name in shared else f"{self._EXECUTOR}_{name}": value for name, value in params.items()}
        )
        return executor

    def _read_result(self, job: Any) -> JobReturn:
        """The result of a job that has ended; of a failed one the reason."""
        job._results_timeout_s = self.patience_s
        error = job.exception()
        if error is None:
            (result,) = job.results()
            return result  # type: ignore[no-any-return]
        words = _last_line(str(error)) if job.paths.result_pickle.exists() else f"its log: {job.paths.stderr}"
        failure = RuntimeError(f"job {job.job_id} ended without a result; {words}")
        return JobReturn(_return_value=failure, status=JobStatus.FAILED)


def _last_line(text: str) -> str:
    """The last line of the traceback that submitit frames in dashes."""
    framed = re.search(r"-{5,}\n(.*)\n\s*-{5,}", text, re.DOTALL)
    return (framed.group(1) if framed else text).strip().splitlines()[-1]


def _arguments(overrides: Sequence[str], number: int) -> tuple[Any, ...]:
    """The arguments of the plugin's ``__call__`` in a worker."""
    return list(overrides), "hydra.sweep.dir", number, f"job_id_for_{number}", Singleton.get_state()


class Slurm(_IndependentJobs, SlurmLauncher):  # type: ignore[misc]
    """One job array of Slurm."""

    poll_s, patience_s = 2.0, 15.0

    def count_parallel(self, jobs: int) -> int:
        """All: how many run is Slurm's business (hydra.launcher.array_parallelism)."""
        return jobs

    def cancel(self, jobs: Sequence[Any]) -> None:
        """Cancel the array as a whole: a call for each of a thousand jobs would take minutes."""
        subprocess.call(["scancel", *{job.job_id.partition("_")[0] for job in jobs}])


class Local(_IndependentJobs, LocalLauncher):  # type: ignore[misc]
    """Processes of this machine, as many as there are cores for."""

    poll_s, patience_s = 0.1, 0.0

    def count_parallel(self, jobs: int) -> int:
        """The cores, by those that a job asks for."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // (self.params.get("cpus_per_task") or 1))

    def cancel(self, jobs: Sequence[Any]) -> None:
        """Interrupt each."""
        for job in jobs:
            job.cancel(check=False)
