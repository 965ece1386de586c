"""Write the playground: one page on which expressions and networks are computed, drawn and trained without Python."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import chainrule
from chainrule import PRIMITIVES, Primitive, Var
from chainrule.data import write_whole
from chainrule.misspelt import FUNCTIONS
from chainrule.operations import Reduction

from ..formulas import CONSTANTS, LISTS, formula, functions
from .javascript import library
from .page import controls, document, json_number, page_target, part
from .templates import rule_templates, text_template

# Joined in this order.
_SCRIPTS = (
    "numbers.js",
    "passes.js",
    "page.js",
    "axes.js",
    *[
        f"playground/{name}.js"
        for name in (
            "expressions",
            "growing",
            "layout",
            "graph",
            "data",
            "network",
            "gradients",
            "drawing",
            "scene",
            "address",
            "expression_tab",
            "training",
            "network_tab",
            "tabs",
        )
    ],
)

_STYLES = ("page.css", "steps.css", "plots.css", "playground/playground.css")

_LONGEST_LIST = 8  # numbers that an operation on lists takes on the page


def playground(path: str | os.PathLike[str] = "playground.html") -> Path:
    """Write the playground, and return its path.

    The page is one HTML file that needs neither Python nor a network. On it expressions are typed, drawn and
    differentiated step by step, and small networks learn before one's eyes, with the chain rule written out for
    any weight.

    Args:
        path: where to write, ending in ``.html``; folders that are missing are made. The file is there whole or not
            at all.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     playground(f"{folder}/playground.html").name
    'playground.html'
    """
    target = page_target("playground", path)
    page = playground_html()
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, page.encode())
    return target


def playground_html() -> str:
    """Return the page that `playground` writes.

    >>> playground_html()[:15]
    '<!doctype html>'
    """
    rows = _rows()
    program, missing = library(rows)
    forms = {f"{row.name}/{arity}": _form(row, arity) for row, arity in rows if row.name not in missing}
    data = {
        "functions": {name: _signature(name, missing) for name in functions() if name not in _own()},
        "forms": forms,
        "constants": {name: json_number(x) for name, x in CONSTANTS.items()},
        "others": {other: name for other, name in FUNCTIONS.items() if name in functions()},
        "lists": list(LISTS),
    }
    return document(
        title="chainrule playground",
        style="".join(map(part, _STYLES)),
        body=part("playground/body.html").replace("{controls}", controls("step")),
        data=data,
        script="\n".join([program, *map(part, _SCRIPTS)]),
    )


def _own() -> set[str]:
    """Name the rows that users have added: a page that others open knows none of them."""
    return {row.name for row in PRIMITIVES.values() if row.custom}


def _rows() -> list[tuple[Primitive, int]]:
    """List the rows with each number of arguments that the page may give them."""
    found = []
    for row in PRIMITIVES.values():
        if row.custom:
            continue
        each = row.iterables if isinstance(row, Reduction) else 0
        found += [(row, each * count) for count in range(1, _LONGEST_LIST + 1)] if each else [(row, row.arity)]
    return found


def _form(row: Primitive, arity: int) -> dict[str, Any]:
    """Return templates of an operation and of its derivatives, from what its rule writes at a place inside."""
    point = [_inside(row.domain[min(k, len(row.domain) - 1)]) + 0.013 * k for k in range(arity)]
    value = row.evaluate(*point)
    rules = rule_templates(row, value, point, [True] * arity, [math.nan] * arity)
    return {"text": text_template(row, arity), "rules": rules}


def _inside(interval: Any) -> float:
    low, high = interval.low, interval.high
    if math.isfinite(low) and math.isfinite(high):
        return (low + high) / 2
    return low + 1.3 if math.isfinite(low) else high - 1.3 if math.isfinite(high) else 0.3


def _signature(name: str, missing: list[str]) -> dict[str, Any]:
    """Return what the page needs in order to check a call."""
    if name == "prod":
        return {"lists": 1, "empty": 1.0, "missing": False}
    row = PRIMITIVES.get(name)
    if row is None:
        # What is made of rows is written out in them.
        written = formula(getattr(chainrule, name)(Var(0.5, label="x")))
        call = {"count": 1, "least": 1, "names": ["x"], "defaults": [], "lists": 0}
        return {**call, "written": written, "missing": False}
    lists, empty = (row.iterables, row.empty) if isinstance(row, Reduction) else (0, None)
    return {
        "symbol": row.symbol.strip() or row.name,
        "count": row.arity,
        "least": row.arity - len(row.defaults),
        "names": row.argument_names,
        "defaults": row.defaults,
        "lists": lists,
        "empty": None if empty is None else json_number(empty),
        "missing": name in missing,
    }
