"""Optimizers named by their class, ``optimizer=package.module.Class``: its signature stands for a YAML file."""

from __future__ import annotations

import importlib
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gdbench.config.allowed_targets import check_module, check_object
from gdbench.config.user_modules import USER_ERRORS, import_from
from gdbench.errors import UsageError, to_one_line

__all__ = ["find_class_name", "is_class_name", "read_class_settings"]

CLASS_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
LR_NAMES = ("lr", "learning_rate")
SWITCHES = ("foreach", "fused", "capturable", "differentiable")
"""Keywords of classes of torch that ``impl`` sets."""
MISSING = "???"
"""OmegaConf's word for a value that must be given."""
PLAIN = (bool, int, float, str, type(None))


def is_class_name(name: str) -> bool:
    """Whether a name has dots, as ``torch.optim.AdamW``; names of YAML files have none."""
    return CLASS_NAME.fullmatch(name) is not None


def find_class_name(value: Any) -> str | None:
    """The shortest name by which a class or function can be imported again; None for those of ``__main__`` and locals.

    ``torch.optim.AdamW`` is that of ``torch.optim.adamw.AdamW``.
    """
    module, name = str(getattr(value, "__module__", "")), str(getattr(value, "__qualname__", ""))
    if not callable(value) or module == "__main__" or not name.isidentifier():
        return None
    packages = itertools.accumulate(module.split("."), "{}.{}".format)
    return next((f"{package}.{name}" for package in packages if _is_there(package, name, value)), None)


def _is_there(module: str, name: str, value: Any) -> bool:
    return getattr(sys.modules.get(module), name, None) is value


def read_class_settings(target: str, folder: Path | None) -> dict[str, Any]:
    """The configuration of an optimizer's class, or of a function that makes one, read off its signature.

    Keywords become settings with the class's own defaults; of a tuple of numbers, ``betas=(0.9, 0.999)``, the settings
    are ``beta1`` and ``beta2``. The learning rate is gdbench's. Modules in ``folder`` can be imported.
    Raises UsageError where the class cannot be imported, or has no signature.
    """
    parameters = _read_signature(target, folder)
    block: dict[str, Any] = {"_target_": target}
    settings: dict[str, Any] = {}
    default_lr = None
    for name, parameter in list(parameters.items())[1:]:  # the first takes the parameters
        default = MISSING if parameter.default is parameter.empty else parameter.default
        if name in LR_NAMES:
            default_lr = None if isinstance(default, str) else float(default)
            block |= {} if name == "lr" else {name: "lr"}
        elif isinstance(default, tuple) and default and all(isinstance(number, float | int) for number in default):
            members = [f"{name.removesuffix('s')}{i}" for i in range(1, len(default) + 1)]
            block[name] = members
            settings |= zip(members, default, strict=True)
        elif isinstance(default, PLAIN) and name not in SWITCHES:
            settings[name] = default
    return {"manual": None, "torch": block, "default_lr": default_lr, **settings}


def _read_signature(target: str, folder: Path | None) -> Mapping[str, inspect.Parameter]:
    """The parameters of a class or function that can be given by keyword."""
    where = f"optimizer={target}"
    check_module(target, where)
    with import_from(str(folder) if folder else None):
        found = _import_class(target, where)
    check_object(found, target, where)
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):
        raise UsageError(f"{where}: its signature cannot be read: name it in a YAML file, with its settings.") from None
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {name: parameter for name, parameter in parameters.items() if parameter.kind not in variadic}


def _import_class(target: str, where: str) -> Callable[..., Any]:
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except USER_ERRORS as error:
        raise UsageError(
            f"{where} is the name of no class that can be imported ({to_one_line(str(error))}). Write"
            " package.module.Class; a module of your own must lie in the folder given by --config-dir."
            " All shipped ones: python -m gdbench list optimizers"
        ) from None
    if not callable(found):
        raise UsageError(f"{where} is no class and no function.")
    return found  # type: ignore[no-any-return]
