"""Draw expressions at points, nests of loops, and loops that were written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import chainrule as cr
from chainrule.testing import Expression, expressions
from hypothesis import strategies as st

moderate = st.floats(-3.0, 3.0).map(lambda x: round(x, 3))
points = st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3)


@st.composite
def expressions_at_points(draw: Any, *rows: Any, **options: Any) -> tuple[Expression, list[float]]:
    """Draw one of the engine's random expressions and a point for it."""
    expression = draw(expressions(*rows, **options))
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
    """Run a nest repeatedly while its numbers are small, so that samples end at different times."""
    carry = cr.while_loop(
        lambda c: cr.abs(c[0]) + 0.2 * c[1] < 0.9876543,
        lambda c: (cr.sin(f(c[0], y, z)), c[1] + 1.0),
        (x, 0.0),
        most + 5,
    )
    return cr.fori_loop(0, most, lambda k, c: cr.tanh(c + f(c, k, z)), carry[0])


@st.composite
def nests(draw: Any, inputs: int = 3, depth: int = 2) -> Nest:
    """Draw a nest: every part except rows holds nests of less depth."""
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
