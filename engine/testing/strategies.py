"""Draw points and random expressions with Hypothesis, to test a function or an engine on inputs you would not think of.

Hypothesis is needed when a strategy is asked for, not to import this module.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import describe, needing
from ..operations import PRIMITIVES, Interval, Primitive, Reduction

__all__ = ["Expression", "arguments", "expressions"]

# Smooth everywhere and of bounded growth, so that a difference quotient is a fair judge.
TAME = ("add", "sub", "mul", "neg", "sin", "cos", "tanh", "sigmoid", "atan", "asinh", "softplus", "square")
_NAMES = "xyzuvwpqrst"


@dataclass(frozen=True)
class Expression:
    """A function of several numbers as steps: the name of a row and the places of its arguments.

    An argument is the place of an input or an earlier step; so steps can be shared. Called with any number type, it
    runs the rows; ``apply`` runs something else instead, such as another library's functions.

    >>> e = Expression(2, (("mul", (0, 1)), ("sin", (2,)), ("add", (3, 2))))
    >>> e
    lambda x, y: (a := x * y, sin(a) + a)[-1]
    >>> e(0.0, 5.0)
    0.0
    """

    inputs: int
    steps: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(self, *xs: Any, apply: Callable[[str, Sequence[Any]], Any] | None = None) -> Any:
        if len(xs) != self.inputs:
            raise TypeError(f"the expression expected {self.inputs} numbers but got {len(xs)}")
        run = _run if apply is None else apply
        values = list(xs)
        for name, places in self.steps:
            values.append(run(name, [values[place] for place in places]))
        return values[-1]

    def __repr__(self) -> str:
        """Write it as Python; a value used more than once gets a name."""
        uses = [0] * (self.inputs + len(self.steps))
        for _, places in self.steps:
            for place in places:
                uses[place] += 1
        texts = [_NAMES[k] if self.inputs <= len(_NAMES) else f"x{k}" for k in range(self.inputs)]
        shared: list[str] = []
        outer = [""] * self.inputs  # the operation that each text ends with; none of a name
        for position, (name, places) in enumerate(self.steps):
            text = _write(name, [texts[place] for place in places], [outer[place] for place in places])
            last = position == len(self.steps) - 1
            outer.append(name)
            if uses[self.inputs + position] > 1 and not last:
                label = "abcdefghijklmno"[len(shared)] if len(shared) < 15 else f"a{len(shared)}"
                shared.append(f"{label} := {text}")
                text = label
                outer[-1] = ""
            texts.append(text)
        body = f"({', '.join([*shared, texts[-1]])})[-1]" if shared else texts[-1]
        return f"lambda {', '.join(texts[: self.inputs])}: {body}"


def _run(name: str, args: Sequence[Any]) -> Any:
    row = PRIMITIVES[name]
    # A call goes the short way of numbers that have one, as in code that people write.
    return row.apply(tuple(args)) if isinstance(row, Reduction) else row(*args)


def _write(name: str, args: Sequence[str], outer: Sequence[str]) -> str:
    # A minus binds less than a power only.
    loose = [_operator(last) != "" or (last == "neg" and name == "pow") for last in outer]
    bracketed = [f"({arg})" if flag else arg for arg, flag in zip(args, loose, strict=True)]
    if _operator(name):
        return f"{bracketed[0]} {_operator(name)} {bracketed[1]}"
    return f"-{bracketed[0]}" if name == "neg" else f"{name}({', '.join(args)})"


def _operator(name: str) -> str:
    """Return Python's operator for a row, "" where it has none."""
    row = PRIMITIVES.get(name)
    return "" if row is None or row.custom else row.infix


def arguments(row: Primitive, edges: bool = False) -> Any:
    """Return a Hypothesis strategy for argument tuples of a row: points of its domain, off its kinks.

    With `edges`, the ends of the domain, signed zeros, ones, extremes, infinities and nan come too.

    Check a function of your own in five lines (here the row itself):

    >>> from hypothesis import given, settings
    >>> from chainrule import hypot
    >>> from chainrule.testing import arguments, check_grads
    >>> @settings(max_examples=5, database=None, derandomize=True)
    ... @given(arguments(hypot))
    ... def test(point):
    ...     check_grads(hypot, *point)
    >>> test()
    """
    st = _strategies()
    points = st.tuples(*[_numbers(st, interval, edges) for interval in row.domain])
    smooth = row.smooth
    return points if edges or smooth is None else points.filter(lambda point: bool(smooth(*point)))


def expressions(
    rows: Iterable[str | Primitive] = TAME,
    *,
    inputs: int | tuple[int, int] = (1, 3),
    steps: int | tuple[int, int] = (1, 8),
) -> Any:
    """Return a Hypothesis strategy for random `Expression` graphs over the given rows, with sharing.

    Args:
        rows: names or rows to choose from; the default ones are smooth, defined everywhere and grow slowly.
        inputs, steps: how many, or the least and the most. Counter-examples shrink to few steps.

    >>> from hypothesis import given, settings, strategies as st
    >>> from chainrule.testing import check_grads, expressions
    >>> @settings(max_examples=5, database=None, derandomize=True)
    ... @given(expressions(["sin", "mul"]), st.floats(-1, 1))
    ... def test(f, x):
    ...     check_grads(f, *[x] * f.inputs, order=1)
    >>> test()
    """
    names = [row.name if isinstance(row, Primitive) else row for row in rows]
    for name in names:
        if name not in PRIMITIVES:
            raise ValueError(f"expressions expected names of rows but got {describe('row', name)}")
    if not names:
        raise ValueError("expressions expected at least one row but got none")
    st = _strategies()

    @st.composite  # type: ignore[untyped-decorator]
    def draw_expression(draw: Any) -> Expression:
        count = draw(st.integers(*_bounds("inputs", inputs)))
        chosen: list[tuple[str, tuple[int, ...]]] = []
        for position in range(draw(st.integers(*_bounds("steps", steps)))):
            name = draw(st.sampled_from(names))
            # Counted from the latest, so that shrinking leads to short chains.
            back = [draw(st.integers(1, count + position)) for _ in range(PRIMITIVES[name].arity)]
            chosen.append((name, tuple(count + position - step for step in back)))
        return Expression(count, tuple(chosen))

    return draw_expression()


def _bounds(name: str, given: int | tuple[int, int]) -> tuple[int, int]:
    low, high = given if isinstance(given, tuple) else (given, given)
    if not 1 <= low <= high:
        raise ValueError(f"expressions expected {name} of 1 or more, least first, but got {describe(name, given)}")
    return low, high


def _numbers(st: Any, interval: Interval, edges: bool) -> Any:
    if interval.integers:
        return st.integers(math.floor(interval.low) + 1, math.ceil(interval.high) - 1).map(float)
    low, high = max(interval.low, -1e3), min(interval.high, 1e3)
    inside = st.floats(low, high, exclude_min=True, exclude_max=True, allow_subnormal=False)
    inside = inside.filter(lambda x: x == 0.0 or abs(x) > 1e-6)
    if not edges:
        return inside
    ends = [x for x in (interval.low, interval.high) if math.isfinite(x)]
    return inside | st.sampled_from([*ends, 0.0, -0.0, 1.0, -1.0, 5e-324, 1e300, -1e300, math.inf, -math.inf, math.nan])


def _strategies() -> Any:
    with needing("chainrule.testing", "hypothesis"):
        return importlib.import_module("hypothesis.strategies")
