"""Choose the backend of a compiled function: the one asked for, or the fastest that is installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from typing import Any

from ..backends import buffers
from ..errors import needing
from ..programs import Loop, Program, Structural

BACKENDS = {"python": "python_", "numpy": "numpy_", "llvm": "llvm"}


@functools.cache
def backend_module(name: str) -> Any:
    """Import a module of `backends`; `MissingDependencyError` says what to install."""
    packages = {"llvm": ("numpy", "llvmlite"), "numpy_": ("numpy",)}.get(name, ())
    with needing(f'backend="{name.strip("_")}"', *packages, otherwise='use backend="python"'):
        for package in packages:
            importlib.import_module(package)
        return importlib.import_module(f"..backends.{name}", __package__)


def steps_of(program: Program) -> int:
    """Count the steps that code is generated for: those of each inner program once, none that only look at arrays."""
    count, known, waiting = 0, {id(program)}, [program]
    for own in waiting:
        for op, _ in own.steps:
            count += isinstance(op, Loop) or not isinstance(op, Structural)
            for inner in op.programs() if isinstance(op, Loop) else ():
                if id(inner) not in known:
                    known.add(id(inner))
                    waiting.append(inner)
    return count


def choose(backend: str, steps: int, most: int) -> str:
    """Name the backend for a program; machine code for more than `most` steps would take long to generate."""
    if backend != "auto":
        return backend
    if buffers.ARRAY is None:
        return "python"
    if importlib.util.find_spec("llvmlite") is None:
        return "numpy"
    if steps > most:
        warnings.warn(
            f"the program has {steps} steps, more than max_steps={most}: it runs with NumPy, not as machine code; "
            'raise max_steps or say backend="llvm" to compile it anyway',
            RuntimeWarning,
            stacklevel=5,
        )
        return "numpy"
    return "llvm"
