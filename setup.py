"""Compile the engine's core where a C compiler is at hand; everywhere else the same source runs interpreted.

``CHAINRULE_PURE=1 pip install .`` skips compilation. All other settings are in setup.cfg.
"""

import os
import shutil
from pathlib import Path

from setuptools import Extension, setup


def extensions() -> list[Extension]:
    """Describe the C extension made of engine/var.py and engine/var.pxd."""
    if os.environ.get("CHAINRULE_PURE", "") not in ("", "0"):
        return []
    from Cython.Build import cythonize

    # Cython finds var.pxd by the name of the package, which the folder does not have.
    package = Path("build/cython/chainrule")
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    for name in ("var.py", "var.pxd"):
        shutil.copy(Path("engine") / name, package)
    core = Extension("chainrule.var", [str(package / "var.py")])
    directives = {
        "auto_pickle": False,  # copying.py says how a graph is pickled
        "boundscheck": False,
        "cdivision": True,  # IEEE division
        "language_level": 3,
        "wraparound": False,
    }
    modules: list[Extension] = cythonize([core], compiler_directives=directives, quiet=True)
    for module in modules:
        module.optional = True  # cythonize drops it: without a compiler, install the .py alone
    return modules


setup(ext_modules=extensions())
