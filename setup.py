"""Compile the engine's core where a C compiler is at hand; everywhere else the same source runs interpreted.

``CHAINRULE_PURE=1 pip install .`` skips compilation. All other settings are in setup.cfg.
"""

import os
import shutil
from pathlib import Path

from setuptools import Extension, setup


def extensions() -> list[Extension]:
    """Describe the C extensions: the modules that cost most, with their C types in a .pxd, and backends/entry.pyx."""
    if os.environ.get("CHAINRULE_PURE", "") not in ("", "0"):
        return []
    from Cython.Build import cythonize

    # Cython finds a .pxd by the name of the package, which the folder does not have.
    package = Path("build/cython/chainrule")
    for folder in (package, package / "backends"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    typed = ("primitive", "var", "backward")
    sources = {name: f"{name}.py" for name in typed} | {"backends.entry": "backends/entry.pyx"}
    for name in (*sources.values(), *(f"{name}.pxd" for name in typed), "nodes.h"):
        shutil.copy2(Path("engine") / name, package / name)  # with its time: what is compiled already stays
    described = [Extension(f"chainrule.{name}", [str(package / source)]) for name, source in sources.items()]
    directives = {
        "auto_pickle": False,  # copying.py says how a graph is pickled
        "boundscheck": False,
        "cdivision": True,  # IEEE division
        "language_level": 3,
        "wraparound": False,
    }
    modules: list[Extension] = cythonize(described, compiler_directives=directives, quiet=True)
    for module in modules:
        module.optional = True  # cythonize drops it: without a compiler, install the .py alone
    return modules


setup(ext_modules=extensions())
