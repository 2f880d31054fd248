"""``hydra/launcher=ray``: one task a cell, on this machine or on a cluster that is named by its address.

hydra-ray-launcher 1.2 wants a cloudpickle that joblib no longer works with; the names of its keys are kept.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

__all__ = ["Ray"]

QUIET: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "logging_level": "ERROR"}


@dataclass(frozen=True)
class Shared:
    """The data that all jobs of a launch share; sent to each node once."""

    context: HydraContext
    config: DictConfig
    task_function: TaskFunction
    singletons: Mapping[Any, Any]


class Ray(Launcher):
    """Carries each job of a multirun out as a task of Ray."""

    def __init__(self, ray: Mapping[str, Any]) -> None:
        """``ray.init`` and ``ray.remote`` are the arguments of the functions of these names."""
        plain: Any = OmegaConf.to_container(ray, resolve=True) if OmegaConf.is_config(ray) else ray
        self.init, self.remote = _without_nulls(plain["init"]), _without_nulls(plain["remote"])

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the jobs need."""
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs; one whose worker died comes back as failed, and the others go on."""
        shared = Shared(self.context, self.config, self.task_function, Singleton.get_state())
        with start_ray(self.init) as ray:
            task = ray.remote(**self.remote)(run_ray_job) if self.remote else ray.remote(run_ray_job)
            sent, jobs = ray.put(shared), enumerate(job_overrides, initial_job_idx)
            refs = {task.remote(number, list(overrides), sent): number for number, overrides in jobs}
            results = {refs[ref]: result for ref, result in _iterate_results(ray, list(refs))}
        return [results[number] for number in sorted(results)]


def _without_nulls(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


@contextlib.contextmanager
def start_ray(init: dict[str, Any]) -> Iterator[Any]:
    """Ray, connected to a cluster or to a local one of its own, without output, telemetry or network access."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with contextlib.ExitStack() as meanwhile:
        ours = meanwhile.enter_context(_isolate_cluster()) if init.get("address") == "local" else {}
        import ray

        ray.init(**{**QUIET, **ours, **init})
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _isolate_cluster() -> Iterator[dict[str, Any]]:
    """Environment and arguments of a local cluster that lives as long as the sweep."""
    ours = {
        "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # nobody will bring its head back: do not wait a minute for that
        "RAY_AUTH_MODE": "token",  # Ray listens on every interface; by default it keeps its token in the home folder
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    os.environ.update({name: value for name, value in ours.items() if name not in os.environ})
    # A dashboard starts even where none is wanted, and asks the network which cloud this is; a port in use prevents it.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield {"include_dashboard": False, "dashboard_port": taken.getsockname()[1]}


def _iterate_results(ray: Any, pending: list[Any]) -> Iterator[tuple[Any, JobReturn]]:
    """Each task with its result, in the order in which they end."""
    while pending:
        ended, pending = ray.wait(pending)
        for ref in ended:
            try:
                yield ref, ray.get(ref)
            except ray.exceptions.RayError as error:
                yield ref, JobReturn(_return_value=_find_cause(error), status=JobStatus.FAILED)


def _find_cause(error: Exception) -> Exception:
    """The exception that a worker raised, without Ray's message around it."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else error


def run_ray_job(number: int, overrides: list[str], shared: Shared) -> JobReturn:
    """The result of one job, run in a worker."""
    if threading.current_thread() is threading.main_thread():
        # Ray ends a worker by a handler that raises SystemExit in whatever runs: the cell that was interrupted would be
        # taken for one whose own code had called sys.exit, and so for a failed one.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    setup_globals()
    Singleton.set_state(shared.singletons)
    config = shared.context.config_loader.load_sweep_config(shared.config, overrides)
    with open_dict(config):
        config.hydra.job.id = f"{config.hydra.job.name}_{number}"
        config.hydra.job.num = number
    HydraConfig.instance().set_config(config)
    return run_job(
        hydra_context=shared.context,
        config=config,
        task_function=shared.task_function,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
