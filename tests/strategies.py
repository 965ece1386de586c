"""Draw random expression graphs with sharing; every Hypothesis strategy of the tests stands here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import chainrule as cr
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
