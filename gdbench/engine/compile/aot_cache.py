"""On-disk cache of compiled steps in lanes, as shared libraries of inductor's.

torch.compile caches its kernels too, but to find them it must import the compiler, trace and lower: five seconds, which
is longer than the steps of a million runs. Importing ``torch._inductor`` alone, which the documented loaders need,
takes 1 CPU s. Here the operations of the steps on a few lanes are listed, and the hash of that list and of all else
that a library depends on names the file, so that a warm start imports no compiler. A call costs a fifth less
than that of a graph, and lets other threads use Python meanwhile.
"""

from __future__ import annotations

import ctypes
import getpass
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from gdbench.engine.compile.op_trace import trace_operations

__all__ = ["Library", "load_or_build", "read_library"]

SOURCES = ("aot_build.py", "aot_cache.py", "op_trace.py", "unstack_pass.py")
"""gdbench's sources that a library depends on."""
SETTINGS = ("AOT_INDUCTOR", "CXX", "TORCHINDUCTOR")
"""Prefixes of environment variables that change compiled code."""
OFF = ("TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE", "TORCHINDUCTOR_FORCE_DISABLE_CACHES")
DIGEST = hashlib.sha256().digest_size
UNBUILDABLE = b""
"""Stored where the compiler can build no library, so that it is not tried again."""

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype, _capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


def load_or_build(code: Callable[..., Any], at: Sequence[Any]) -> Library | None:
    """The library of ``code(*at)`` for any number of lanes, the last axis of every tensor in ``at``, loaded or built.

    None where torch.compile is needed instead: off Linux, with a torch that lacks the functions,
    where compilers are switched off, and for code that reads its numbers, draws at random or holds large constants.
    """
    steps = _FlatFunction(code, at)
    if not _is_possible(steps.given):
        return None
    try:
        written = trace_operations(steps, steps.given)
        path = find_folder() / f"{_hash('|'.join((written, *_list_dependencies())).encode()).hex()}.so"
        held = read_library(path)
        if held is None:
            held = _build(steps, path)
        return Library(path, steps.result, steps.spec) if held else None
    except Exception:  # of many kinds: torch.compile goes another way, and says what is wrong where it is so there too
        return None


class _FlatFunction:
    """A function of flat lists of tensors made from ``code``; other inputs and outputs are constants."""

    spec: TreeSpec

    def __init__(self, code: Callable[..., Any], at: Sequence[Any]) -> None:
        self.code = code
        self.at, self.at_spec = tree_flatten(at)
        self.given = [leaf for leaf in self.at if isinstance(leaf, Tensor)]
        self.result: list[Any] = []
        """The leaves of the latest result, of which the tensors are replaced by their type."""

    def __call__(self, *tensors: Tensor) -> list[Tensor]:
        given = iter(tensors)
        at = [next(given) if isinstance(leaf, Tensor) else leaf for leaf in self.at]
        leaves, self.spec = tree_flatten(self.code(*tree_unflatten(at, self.at_spec)))
        self.result = [Tensor if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


class Library:
    """A loaded library, called like the code that it was built from, with tensors of the same kinds."""

    def __init__(self, path: Path, result: Sequence[Any], spec: TreeSpec) -> None:
        """``result`` and ``spec`` are those of the code's flat result."""
        self.result, self.spec = result, spec
        self.places = [index for index, leaf in enumerate(result) if leaf is Tensor]
        functions, self.container = ctypes.CDLL(str(path)), ctypes.c_void_p()
        at_once = ctypes.c_size_t(os.cpu_count() or 1)
        create = functions.AOTInductorModelContainerCreateWithDevice
        if create(ctypes.byref(self.container), at_once, b"cpu", None):
            raise RuntimeError(f"{path} cannot be loaded")
        self.run = functions.AOTInductorModelContainerRun

    def __call__(self, *at: Any) -> Any:
        """The code's result; other threads may use Python meanwhile, as ctypes lets go of it."""
        given = [leaf.contiguous() for leaf in tree_flatten(at)[0] if isinstance(leaf, Tensor)]
        handles = [_pointer(capsule, None) for capsule in torch._C._aoti.unsafe_alloc_void_ptrs_from_tensors(given)]
        ins, outs = (ctypes.c_void_p * len(given))(*handles), (ctypes.c_void_p * len(self.places))()
        sizes = ctypes.c_size_t(len(ins)), ctypes.c_size_t(len(outs))
        if self.run(self.container, ins, sizes[0], outs, sizes[1], None, None):
            raise RuntimeError("a compiled step has failed")
        leaves = list(self.result)
        tensors = torch._C._aoti.alloc_tensors_by_stealing_from_void_ptrs(
            [_capsule(pointer, None, None) for pointer in outs]
        )
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        return tree_unflatten(leaves, self.spec)


def find_folder() -> Path:
    """The folder of the cached libraries, within inductor's own."""
    given = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    try:
        user = re.sub(r'[\\/:*?"<>|]', "_", getpass.getuser())
    except (KeyError, OSError):  # nobody whom the system knows, as in a container
        user = str(os.getuid())
    return Path(given or Path(tempfile.gettempdir()) / f"torchinductor_{user}") / "gdbench"


def _is_possible(given: Sequence[Tensor]) -> bool:
    """Whether libraries are supported here and not switched off."""
    dynamo = sys.modules.get("torch._dynamo.config")
    off = any(os.environ.get(name, "0") == "1" for name in OFF) or getattr(dynamo, "disable", False)
    able = hasattr(getattr(torch._C, "_aoti", None), "alloc_tensors_by_stealing_from_void_ptrs")
    return sys.platform == "linux" and able and not off and all(tensor.device.type == "cpu" for tensor in given)


def _list_dependencies() -> tuple[str, ...]:
    """What a library depends on beside its code: constants of the process, threads and settings."""
    settings = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(SETTINGS)]
    return (*_list_lasting_dependencies(), str(torch.get_num_threads()), *settings)


@cache
def _list_lasting_dependencies() -> tuple[str, ...]:
    """Torch, this processor, and the sources that make a library."""
    cores = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    abilities = [line for line in cores if line.startswith(("model name", "flags", "Features", "CPU"))]
    ours = [_hash(Path(__file__).with_name(name).read_bytes()).hex() for name in SOURCES]
    torchs = (torch.__version__, str(torch.version.git_version), torch.backends.cpu.get_cpu_capability())
    return (*torchs, *abilities, *ours)


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def read_library(path: Path) -> bytes | None:
    """The content of a cache file, which ends with its digest; None where it is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    held, digest = content[:-DIGEST], content[-DIGEST:]
    return held if _hash(held) == digest else None


def _build(steps: _FlatFunction, path: Path) -> bytes:
    """Build a library and store it atomically, as other processes may build the same."""
    from gdbench.engine.compile.aot_build import compile_library, trace_graph

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as beside:
        graph = trace_graph(steps, steps.given)
        made = compile_library(graph, steps.given, Path(beside)) if graph else None
        held = made.read_bytes() if made else UNBUILDABLE
        whole = Path(beside) / "whole"
        whole.write_bytes(held + _hash(held))
        whole.replace(path)
    return held
