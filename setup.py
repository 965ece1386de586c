"""Compile the engine's core where a C compiler is at hand; everywhere else the same source runs interpreted.

``CHAINRULE_PURE=1 pip install .`` skips compilation; ``pip install -v .`` shows what is compiled and how long it takes.
All other settings are in setup.cfg.
"""

import os
import shutil
import time
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# What an installation leaves in the package where compilation failed: the first import tells of it.
NOTE = "not_compiled.txt"


HEADERS = ("graph/nodes.h", "graph/slopes.h", "backends/llvm/crew.h")


def extensions() -> list[Extension]:
    """Describe the C extensions: the modules that cost most, with their C types in a .pxd, and calls of code."""
    if os.environ.get("CHAINRULE_PURE", "") not in ("", "0"):
        return []
    from Cython.Build import cythonize

    # Cython finds a .pxd by the name of the package, which the folder does not have.
    package = Path("build/cython/chainrule")
    typed = ("operations/primitive", "graph/var", "graph/backward")
    native = ("backends/llvm/arguments", "backends/llvm/entry")
    sources = (*(f"{name}.py" for name in typed), *(f"{name}.pyx" for name in native))
    for name in (*sources, *(f"{name}.pxd" for name in (*typed, native[0])), *HEADERS):
        target = package / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Path("engine") / name, target)  # with its time: what is compiled already stays
        for folder in target.relative_to(package.parent).parents[:-1]:
            (package.parent / folder / "__init__.py").touch()
    described = [
        Extension(f"chainrule.{source.rpartition('.')[0].replace('/', '.')}", [str(package / source)])
        for source in sources
    ]
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
        if os.name == "posix":
            # Python's own flags, -O3 -g on many systems, take the compiler twice the time and make nothing faster.
            # Where graphs are built and swept, and in a call of next to nothing, -O1 would cost some percent.
            is_hot = module.name.rpartition(".")[2] in ("var", "backward", "entry")
            module.extra_compile_args = ["-O2" if is_hot else "-O1", "-g0"]
    return modules


class BuildCore(build_ext):
    """Compile the extensions, say so, and leave a note where that failed."""

    def run(self) -> None:
        self.note.unlink(missing_ok=True)
        if not self.extensions:
            return
        print("chainrule: compiling the core takes about 10 seconds of one processor core", flush=True)
        started = time.perf_counter()
        super().run()
        if all(map(os.path.exists, super().get_outputs())):
            print(f"chainrule: compiled the core in {time.perf_counter() - started:.0f} s", flush=True)
        else:
            print("chainrule: no working C compiler, the core runs interpreted", flush=True)
            self.note.parent.mkdir(parents=True, exist_ok=True)
            self.note.touch()

    @property
    def note(self) -> Path:
        return Path(self.build_lib, "chainrule", NOTE)

    def get_outputs(self) -> list[str]:
        return [*super().get_outputs(), *([str(self.note)] if self.note.exists() else [])]


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildCore})
