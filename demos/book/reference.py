"""Write the pages of the reference: every public name by topic, from its signature and its docstring."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import chainrule
from chainrule import nn, testing, viz

# Titles of pages with the names on them, in the order in which a reader needs them. "*" takes all that are left.
PAGES: dict[str, tuple[Any, str, str]] = {
    "var": (chainrule, "Recording and the gradient", "Var no_grad stop_gradient strict core"),
    "transforms": (
        chainrule,
        "Derivatives of functions",
        "grad value_and_grad jacobian hessian jvp vjp hvp taylor checkpoint",
    ),
    "compile": (chainrule, "Compilation", "compile trace Program"),
    "loops": (chainrule, "Loops and branches", "map scan while_loop fori_loop cond switch function"),
    "own": (chainrule, "Operations of your own", "custom_primitive Primitive Interval PRIMITIVES"),
    "errors": (chainrule, "Exceptions", "GraphError TraceError NonFiniteError BackendError MissingDependencyError"),
    "functions": (chainrule, "Functions", "*"),
    "nn": (nn, "chainrule.nn: networks", "*"),
    "viz": (viz, "chainrule.viz: pictures", "*"),
    "testing": (testing, "chainrule.testing: checks of derivatives", "*"),
}
ALIASES = {"primitive", "fabs"}  # second names of what stands under its first one
ROOMS = {"nn", "viz", "testing", "__version__"}


def write_reference(folder: Path) -> None:
    """Write a page for each topic and a list of them."""
    folder.mkdir(parents=True)
    for page, (_, title, _) in PAGES.items():
        (folder / f"{page}.rst").write_text(f"{heading(title, '=')}\n" + "\n".join(entries(page)))
    pages = "\n".join(f"   {page}" for page in PAGES)
    text = (
        f"{heading('Reference', '=')}\nEvery public name, from its docstring. Examples are run by the tests.\n\n"
        f".. toctree::\n   :maxdepth: 1\n\n{pages}\n"
    )
    (folder / "index.rst").write_text(text)


def names_on(page: str) -> list[str]:
    """Return the names that a page describes."""
    module, _, names = PAGES[page]
    if names != "*":
        return names.split()
    elsewhere = {name for other, _, named in PAGES.values() if other is module for name in named.split()}
    return [name for name in public(module) if name not in elsewhere]


def public(module: Any) -> list[str]:
    """Return the names that a module shows."""
    listed = sorted(dir(module), key=lambda name: (name.lower(), name))
    kept = [name for name in listed if not name.startswith("_") and name not in ROOMS | ALIASES]
    return [name for name in kept if not inspect.ismodule(getattr(module, name))]


def entries(page: str) -> list[str]:
    """Describe each name of a page in reStructuredText."""
    module = PAGES[page][0]
    return [f".. py:currentmodule:: {module.__name__}\n", *(entry(module, name) for name in names_on(page))]


def entry(module: Any, name: str) -> str:
    """Describe one name: its signature and its docstring; of a class its methods, too."""
    item = getattr(module, name)
    if isinstance(item, float | int):
        return f".. py:data:: {name}\n   :value: {item!r}\n"
    if not callable(item):
        return f".. py:data:: {name}\n\n{body(documented(item))}\n"
    if not inspect.isclass(item):
        return f".. py:function:: {name}{signature(item)}\n\n{body(inspect.getdoc(item))}\n"
    members = [member(item, each) for each in vars(item) if not each.startswith("_")]
    text = "\n".join([body(inspect.getdoc(item)), "", *filter(None, members)])
    return f".. py:class:: {name}{signature(item)}\n\n{text}\n"


def member(kind: Any, name: str) -> str:
    """Describe a method or property that has a docstring of its own."""
    item = inspect.getattr_static(kind, name)
    doc = inspect.getdoc(item)
    if not doc or doc == inspect.getdoc(type(item)):
        return ""
    if isinstance(item, property) or inspect.isgetsetdescriptor(item):
        return textwrap.indent(f".. py:property:: {name}\n\n{body(doc)}\n", "   ")
    function = getattr(kind, name)
    if not callable(function) or inspect.isclass(function):
        return ""
    return textwrap.indent(f".. py:method:: {name}{signature(function, is_method=True)}\n\n{body(doc)}\n", "   ")


def signature(item: Any, is_method: bool = False) -> str:
    """Return the arguments without types, which are in the hints that editors show."""
    if inspect.isclass(item) and issubclass(item, BaseException):
        return ""  # exceptions take a message, as all do
    try:
        found = inspect.signature(item)
    except ValueError:
        return "(...)"
    plain = [one.replace(annotation=one.empty) for one in found.parameters.values()]
    if is_method and plain and plain[0].name == "self":
        plain = plain[1:]
    return re.sub(
        r"<(?:function|class|primitive|built-in function) '?([\w.]+)[^>]*>", r"\1", str(inspect.Signature(plain))
    )


def documented(item: Any) -> str:
    """Return what is said of a table or constant."""
    if isinstance(item, dict):
        return "Every operation by name, in the order of the table."
    return f"A {type(item).__name__}."


def body(doc: str | None) -> str:
    """Return a docstring as an indented block."""
    from sphinx.ext.napoleon import Config, GoogleDocstring

    text = re.sub(r"(?<!`)`([^`\n]+)`(?![`_])", r"``\1``", doc or "")
    lines = GoogleDocstring(text, Config(napoleon_use_param=False, napoleon_use_ivar=True)).lines()
    return textwrap.indent("\n".join(lines), "   ")


def heading(title: str, line: str) -> str:
    """Return a title of a page."""
    return f"{title}\n{line * len(title)}\n"
