"""Save and restore torch's process-wide settings, so that a cell's settings do not affect the next."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, TypeVar

import torch
import torch.utils._device
import torch.utils.deterministic

__all__ = ["SETTINGS", "Values", "apply_settings", "isolate_settings", "read_settings", "run_and_diff"]

T = TypeVar("T")
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """A process-wide setting of torch: how it is read, and how it is set."""

    read: Callable[[], Any]
    write: Callable[[Any], None]


def _make_attribute_setting(path: str) -> Setting:
    """A setting that is an attribute below ``torch``."""
    *owners, name = path.split(".")
    owner = reduce(getattr, owners, torch)
    return Setting(partial(getattr, owner, name), partial(setattr, owner, name))


def _has_attribute(path: str) -> bool:
    try:
        reduce(getattr, path.split("."), torch)
    except AttributeError:  # another version of torch
        return False
    return True


def _read_matmul_precision() -> str | None:
    """The legacy precision of float32 products; None where the settings of the backends fit none of its names."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _write_matmul_precision(precision: str | None) -> None:
    if precision is not None:
        torch.set_float32_matmul_precision(precision)


def _is_flushing_denormals() -> bool:
    return bool(torch.tensor(2.0**-1060, dtype=torch.float64, device="cpu").mul(1.0) == 0)


def _write_flush_denormal(on: bool) -> None:
    torch.set_flush_denormal(on)


def _make_autocast_setting(device: str) -> Setting:
    """Whether autocast is on for a kind of device, and its dtype."""

    def write(values: tuple[bool, torch.dtype]) -> None:
        torch.set_autocast_enabled(device, values[0])
        torch.set_autocast_dtype(device, values[1])

    return Setting(lambda: (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)), write)


def _write_deterministic(values: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(values[0], warn_only=values[1])


def _write_anomaly(values: tuple[bool, bool]) -> None:
    torch.set_anomaly_enabled(*values)


PATHS = (
    "backends.fp32_precision",
    "backends.cuda.matmul.fp32_precision",
    "backends.cudnn.fp32_precision",
    "backends.cudnn.conv.fp32_precision",
    "backends.cudnn.rnn.fp32_precision",
    "backends.mkldnn.fp32_precision",
    "backends.mkldnn.matmul.fp32_precision",
    "backends.mkldnn.conv.fp32_precision",
    "backends.mkldnn.rnn.fp32_precision",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_fp16_accumulation",
    "backends.cudnn.enabled",
    "backends.cudnn.benchmark",
    "backends.cudnn.deterministic",
    "backends.mkldnn.enabled",
    "backends.mkldnn.deterministic",
    "backends.opt_einsum.enabled",
    "backends.opt_einsum.strategy",
    "backends.quantized.engine",
    "utils.deterministic.fill_uninitialized_memory",
)
"""Settings that are attributes; which of them there are depends on torch's version."""

SETTINGS: Mapping[str, Setting] = {
    "grad_mode": Setting(torch.is_grad_enabled, torch._C._set_grad_enabled),
    "default_dtype": Setting(torch.get_default_dtype, torch.set_default_dtype),
    # torch.get_default_device() cannot tell "none" from an explicit "cpu", which costs every call some microseconds.
    "default_device": Setting(lambda: torch.utils._device.CURRENT_DEVICE, torch.set_default_device),
    "threads": Setting(torch.get_num_threads, torch.set_num_threads),
    "deterministic_algorithms": Setting(
        lambda: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        _write_deterministic,
    ),
    "anomaly_mode": Setting(lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()), _write_anomaly),
    "float32_matmul_precision": Setting(_read_matmul_precision, _write_matmul_precision),
    "flush_denormal": Setting(_is_flushing_denormals, _write_flush_denormal),
    "warn_always": Setting(torch.is_warn_always_enabled, torch.set_warn_always),
    "autocast_cpu": _make_autocast_setting("cpu"),
    "autocast_cuda": _make_autocast_setting("cuda"),
    "autocast_cache": Setting(torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    "autograd_multithreading": Setting(torch._C._is_multithreading_enabled, torch._C._set_multithreading_enabled),
    **{path: _make_attribute_setting(path) for path in PATHS if _has_attribute(path)},
}
"""Every setting by name, in the order in which it is restored: the precision of products by its old name first."""


def read_settings() -> Values:
    """The present values of all settings."""
    return {name: setting.read() for name, setting in SETTINGS.items()}


def apply_settings(values: Values) -> None:
    """Set those settings that differ from the values given."""
    for name, setting in SETTINGS.items():
        if name in values and setting.read() != values[name]:
            setting.write(values[name])


@contextlib.contextmanager
def isolate_settings() -> Iterator[None]:
    """Gradients on inside, whatever the caller has set; every setting as it was outside."""
    before = read_settings()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        apply_settings(before)


def run_and_diff(action: Callable[[], T]) -> tuple[T, Values]:
    """What an action returns, and the settings that it changed, at their new values."""
    before = read_settings()
    result = action()
    after = read_settings()
    return result, {name: value for name, value in after.items() if value != before[name]}
