"""Draw random expression graphs with sharing; every Hypothesis strategy of the tests stands here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import chainrule as cr
import pytest
from hypothesis import strategies as st

# Smooth everywhere and of bounded growth, so that a difference quotient is a fair judge.
TAME = ("add", "sub", "mul", "neg", "sin", "cos", "tanh", "sigmoid", "atan", "asinh", "softplus", "square")


@dataclass(frozen=True)
class Expression:
    """A function of several variables: steps of (row, places of the arguments among inputs and earlier steps)."""

    inputs: int
    steps: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(self, *xs: Any, apply: Callable[[str, Sequence[Any]], Any] | None = None) -> Any:
        run = apply or (lambda name, args: cr.PRIMITIVES[name](*args))
        values = list(xs)
        for name, places in self.steps:
            values.append(run(name, [values[place] for place in places]))
        return values[-1]


moderate = st.floats(-3.0, 3.0).map(lambda x: round(x, 3))
any_float = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def expressions(draw: Any, rows: Sequence[str], max_inputs: int = 3, max_steps: int = 8) -> Expression:
    """Draw an expression over the named rows; later steps use any earlier value, so nodes are shared."""
    inputs = draw(st.integers(1, max_inputs))
    steps = []
    for position in range(draw(st.integers(1, max_steps))):
        name = draw(st.sampled_from(rows))
        place = st.integers(0, inputs + position - 1)
        steps.append((name, tuple(draw(place) for _ in range(cr.PRIMITIVES[name].arity))))
    return Expression(inputs, tuple(steps))


@st.composite
def expressions_at_points(draw: Any, rows: Sequence[str], **options: int) -> tuple[Expression, list[float]]:
    """Draw an expression and a point for it."""
    expression = draw(expressions(rows, **options))
    return expression, [draw(moderate) for _ in range(expression.inputs)]


# ---- loops within loops ----

BOUNDED = ("sin", "cos", "tanh", "sigmoid", "atan", "add", "sub", "mul")


@dataclass(frozen=True)
class Nest:
    """A function of several variables: rows, and loops, branches and calls of nests, each taking earlier values."""

    inputs: int
    parts: tuple[tuple[Any, ...], ...]

    def __call__(self, *xs: Any) -> Any:
        values = list(xs)
        for kind, what, places, option in self.parts:
            chosen = [values[place] for place in places]
            if kind == "row":
                values.append(cr.PRIMITIVES[what](*chosen))
            elif kind == "call":
                values.append(cr.function(what)(*chosen))
            elif kind == "map":
                found = cr.map(what, chosen[2:], *chosen[:2], reduce=option)
                values += [found] if option else found
            elif kind == "cond":
                # Beside round numbers, at which equal values may differ by a rounding.
                values.append(cr.cond(chosen[0] > chosen[1] + 0.1234567, what, option, *chosen[1:]))
            elif kind == "switch":
                branches = [what, option, lambda x, *_: cr.cos(x)]
                values.append(cr.switch(3.0 * chosen[0] + 1.1234567, branches, *chosen[1:]))
            elif kind == "while":
                values.append(_walked(what, option, *chosen))
            else:
                last, found = cr.scan(
                    lambda c, x, s, what=what: (cr.sin(what(c, x, s)), c * x),
                    chosen[0],
                    chosen[2:],
                    chosen[1],
                    reverse=option > 2,
                    checkpoint=option % 3,
                )
                values += [last, *found]
        return cr.sum(values[-3:])


def _walked(f: Any, most: int, x: Any, y: Any, z: Any) -> Any:
    """Run a nest again and again while its numbers are small, so that samples end at different times."""
    carry = cr.while_loop(
        lambda c: cr.abs(c[0]) + 0.2 * c[1] < 0.9876543,
        lambda c: (cr.sin(f(c[0], y, z)), c[1] + 1.0),
        (x, 0.0),
        most + 5,
    )
    return cr.fori_loop(0, most, lambda k, c: cr.tanh(c + f(c, k, z)), carry[0])


@st.composite
def nests(draw: Any, inputs: int = 3, depth: int = 2) -> Nest:
    """Draw a nest: every part but rows holds nests of less depth."""
    parts: list[tuple[Any, ...]] = []
    count = inputs
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["row", "map", "scan", "call", "cond", "switch", "while"] if depth else ["row"]))
        place = st.integers(0, count - 1)
        if kind == "row":
            what: Any = draw(st.sampled_from(BOUNDED))
            size, option, more = cr.PRIMITIVES[what].arity, None, 1
        else:
            what = draw(nests(depth=depth - 1))
            length = draw(st.integers(1, 5))
            if kind == "call":
                size, option, more = 3, None, 1
            elif kind in ("cond", "switch"):
                size, option, more = 4, draw(nests(depth=depth - 1)), 1
            elif kind == "while":
                size, option, more = 3, length, 1
            elif kind == "map":
                option = draw(st.sampled_from([None, "sum", "mean"]))
                size, more = 2 + length, 1 if option else length
            else:
                size, option, more = 2 + length, draw(st.integers(0, 5)), 1 + length
        parts.append((kind, what, tuple(draw(place) for _ in range(size)), option))
        count += more
    return Nest(inputs, tuple(parts))


# ---- loops that were written out ----


@dataclass(frozen=True)
class WrittenOut:
    """A function of several variables that does the same to the items of columns, in some places with an exception."""

    length: int
    parts: tuple[tuple[str, Any, tuple[int, ...]], ...]

    def __call__(self, *xs: Any) -> Any:
        size = self.length
        shared, columns = list(xs), [[cr.sin(xs[0] + 0.3 * k) for k in range(size)], [xs[1]] * size]
        for kind, e, (one, other, own, turn) in self.parts:
            a, s = columns[one % len(columns)], shared[own % len(shared)]
            b = columns[other % len(columns)]
            b = [b[(k * (-1 if turn % 2 else 1) + turn) % size] for k in range(size)]
            if kind == "each":
                columns.append([e(x, y, s) for x, y in zip(a, b, strict=True)])
            elif kind == "layer":
                columns.append([cr.tanh(cr.dot(a[k:] + a[:k], b) + s) for k in range(size)])
            elif kind == "products":
                columns.append([sum((e(x, y, s) for y in b), x) for x in a])
            elif kind == "layers":
                inputs = [[e(x, y, s) for x in a] for y in b]
                columns.append([cr.sum([cr.sin(cr.dot(a[k:] + a[:k], row)) for k in range(size)]) for row in inputs])
            elif kind == "odd":
                columns.append([e(x, s, s) if k == turn % size else x for k, x in enumerate(a)])
            elif kind == "total":
                shared.append(cr.sin(cr.sum(a)) if turn % 2 else cr.tanh(cr.dot(a, b)))
            else:
                for x in a:
                    s = cr.tanh(e(s, x, a[turn % size]))
                shared.append(s)
        return cr.sum([*columns[-1], *columns[-2], shared[-1]])


KINDS = ("each", "each", "layer", "products", "layers", "odd", "total", "chain")


@st.composite
def written_out(draw: Any) -> WrittenOut:
    """Draw a function of three variables that repeats itself."""
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        inner = draw(nests(depth=0))
        places = tuple(draw(st.integers(0, 5)) for _ in range(4))
        parts.append((draw(st.sampled_from(KINDS)), inner, places))
    return WrittenOut(draw(st.integers(2, 6)), tuple(parts))


def loops_of(program):
    """List all loops of a program, inner ones too."""
    found = [op for op, _ in program.steps if hasattr(op, "body")]
    return found + [inner for op in found for inner in loops_of(op.body)]


def kept_apart(*rows):
    """Take a module's own rows out of the table, which tests elsewhere loop over; return a fixture that lends them."""
    own = {row.name: cr.PRIMITIVES.pop(row.name) for row in rows}

    @pytest.fixture(autouse=True)
    def own_rows(monkeypatch):
        for name, row in own.items():
            monkeypatch.setitem(cr.PRIMITIVES, name, row)

    return own_rows
