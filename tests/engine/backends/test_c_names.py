"""Names of exported functions: none is one that C, C++ or their libraries have."""

import shutil
import subprocess

import chainrule as cr
import pytest
from chainrule.backends import c

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.mark.parametrize(
    "name", ["double", "nan", "rint", "remainder", "fmax", "y0", "main", "memcpy", "strlen", "sinf", "tgammal", "f"]
)
def test_names_that_c_has_are_not_defined_again(name, tmp_path):
    def f(x, y):
        return x * cr.sin(y)

    f.__name__ = name
    compiled = cr.compile(f)
    compiled(1.0, 2.0)
    path = compiled.export_c(tmp_path / "model.c")
    subprocess.run(
        ["gcc", "-std=c99", "-Wall", "-Werror", "-c", str(path), "-o", str(tmp_path / "model.o")], check=True
    )


FOREIGN = """
    _Bool _Complex _Imaginary _Generic _Static_assert _Atomic __attribute__ free malloc abs exit linux unix nullptr
    alignof constexpr typeof and or not concept requires noexcept M_PI NULL size_t exp10 signgam
"""


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99"], ["gcc", "-std=gnu17"], ["g++", "-std=gnu++17"]])
def test_names_of_other_standards_and_of_the_library(compiler, tmp_path):
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"{compiler[0]} is not installed")
    program = cr.trace(lambda x: x * 2.0, 1.0)
    texts = [c.source(program, name=name) for name in FOREIGN.split()]
    for name, text in zip(FOREIGN.split(), texts, strict=True):
        assert f"void f_{name}(" in text
    (tmp_path / "names.cpp").write_text("\n".join(texts))
    language = "c++" if compiler[0] == "g++" else "c"
    command = [*compiler, "-Wall", "-Werror", "-fsyntax-only", "-x", language, "names.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
