"""Check the derivatives of any function against differences of its values, in both modes and to any order.

Differences are extrapolated to a vanishing step (Ridders 1982, Advances in Engineering Software 4): from each of
several first steps a table of central differences is refined until it gets worse, and the entry that its neighbours
vouch for best is taken, with their disagreement as its error. So no step has to be chosen, and where differences
cannot tell, they say so instead of raising a false alarm.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..data import flatten, unflatten, whole_number
from ..derivatives import grad, jvp
from ..errors import describe
from ..graph import Var, number_of, walk
from ..operations import Scalar

__all__ = ["check_grads"]

_FIRST_STEPS = (0.1, 1e-3, 1e-5)
_SHORT = 1e-7
_SHRINK = 1.6
_ROWS = 14
# Arguments with more numbers than this are checked along random directions instead of one number at a time.
_MOST_NUMBERS = 16
_MODES: dict[str, Callable[..., Any]] = {
    "reverse": grad,
    "forward": lambda f: lambda t: jvp(f, (t,), (1.0,))[1],
}


def check_grads(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    modes: Sequence[str] = ("reverse", "forward"),
    tolerance: float = 1e-7,
) -> None:
    """Compare the derivatives of `f` at `args` with extrapolated differences of its values.

    Args:
        f: a function of numbers, or of nested lists, tuples, dicts and arrays of numbers.
        args: where to differentiate; the point should lie off kinks and poles.
        order: the highest derivative compared.
        modes: "reverse", "forward" or both.
        tolerance: the greatest relative error, beyond what the differences themselves are uncertain by.

    Raises `AssertionError` that names argument, order and mode, expected against got. An argument of up to 16 numbers
    is checked by each of them, a larger one along random directions (always the same ones), and all arguments together
    along one more, which is what mixed second derivatives show in.

    >>> from chainrule import sin, stop_gradient
    >>> check_grads(lambda x, y: sin(x) * y, 0.5, 2.0)
    >>> check_grads(lambda x: x * stop_gradient(x), 3.0)
    Traceback (most recent call last):
        ...
    AssertionError: derivative of order 1 by argument 0 in reverse mode: expected 6.0 but got 3.0 (relative error 0.5)
    """
    order = whole_number("check_grads", "order", order)
    for mode in modes:
        if mode not in _MODES:
            raise ValueError(f"check_grads expected modes 'reverse' and 'forward' but got {describe('mode', mode)}")
    numbers, structure = flatten(args, "check_grads", "args")
    if not numbers:
        raise ValueError(f"check_grads expected numbers to differentiate by but got {describe('args', args)}")
    point = [number_of(number) for number in numbers]
    for what, direction, unit in _directions(args, point):

        def along(t: Scalar, direction: Sequence[float] = direction) -> Scalar:
            moved = [x + t * d if d else x for x, d in zip(point, direction, strict=True)]
            return _one_number(f(*unflatten(structure, moved)))

        for mode in modes:
            lower: Callable[[Any], Any] = along
            for level in range(1, order + 1):
                exact = _MODES[mode](lower)
                name = f"derivative of order {level} {what} in {mode} mode"
                _compare(name, lower, number_of(exact(0.0)), tolerance, unit**level)
                lower = exact


def _directions(args: tuple[Any, ...], point: Sequence[float]) -> Iterator[tuple[str, list[float], float]]:
    """Yield directions in the space of all numbers, scaled to the size of the numbers they move, and that scale."""
    source = random.Random(0)
    scales = [abs(x) if x else 1.0 for x in point]
    start = 0
    for position, arg in enumerate(args):
        count = len(flatten(arg, "check_grads", "arg")[0])
        places = range(start, start + count)
        start += count
        if count <= _MOST_NUMBERS:
            for k, place in enumerate(places):
                name = f"by argument {position}" + (f", number {k}" if count > 1 else "")
                direction = [scales[place] if other == place else 0.0 for other in range(len(point))]
                yield name, direction, scales[place]
        else:
            for _ in range(3):
                chosen = {place: source.uniform(-1.0, 1.0) * scales[place] for place in places}
                yield f"along a direction of argument {position}", [chosen.get(k, 0.0) for k in range(len(point))], 1.0
    if len(point) > 1:
        yield "along a direction of all arguments", [source.uniform(-1.0, 1.0) * scale for scale in scales], 1.0


def _one_number(result: Any) -> Scalar:
    """Combine the numbers of a result with weights so that none can hide another."""
    numbers, _ = flatten(result, "check_grads", "the result")
    if len(numbers) == 1:
        return numbers[0]
    source = random.Random(1)
    total: Scalar = 0.0
    for number in numbers:
        total = total + source.uniform(0.5, 1.5) * number
    return total


def _compare(what: str, f: Callable[[Any], Any], got: float, tolerance: float, unit: float) -> None:
    expected, error = difference(lambda t: number_of(f(t)), abs(got), _rounding(f))
    if not math.isfinite(expected) and not math.isfinite(got):
        return
    size = max(abs(expected), abs(got))
    off = abs(expected - got)
    # Below the least normal double numbers have fewer digits than any tolerance asks for.
    if off <= tolerance * size + 10.0 * error + 2.3e-308:
        return
    hint = ""
    right, left = (number_of(f(h)) - number_of(f(0.0)) for h in (1e-6, -1e-6))
    if abs(right + left) > 1e-3 * max(abs(right), abs(left)):
        hint = "; the slopes on both sides differ: the point stands on a kink"
    raise AssertionError(
        f"{what}: expected {expected / unit:.10} but got {got / unit:.10} (relative error {off / size:.2}){hint}"
    )


def _rounding(f: Callable[[Any], Any]) -> float:
    """Return the rounding uncertainty of a value of `f`: the sum over its graph's nodes of the effect of one ulp.

    A function that cancels inside (x - tanh(x) near 0) is less certain than its value's own ulp says.
    """
    root = f(Var(0.0))
    if type(root) is not Var or not root.requires_grad:
        return 0.0
    root.backward()
    steps = (abs(node.grad * node.value) for node in walk(root) if node.op is not None)
    return 1.1e-16 * sum(step for step in steps if math.isfinite(step))


def difference(f: Callable[[float], float], scale: float = 0.0, rounding: float = 0.0) -> tuple[float, float]:
    """Return the derivative of `f` at 0 by extrapolated central differences, and how uncertain it is.

    Errors of the size `rounding` in the values are allowed for; the search ends early at 1e-12 of `scale`.

    >>> import math
    >>> slope, error = difference(math.exp)
    >>> abs(slope - 1) < 1e-11, error < 1e-10
    (True, True)
    """
    best, least = math.nan, math.inf
    for first in _FIRST_STEPS:
        found, error = _ridders(f, first, rounding)
        if error < least:
            best, least = found, error
        if least < 1e-12 * max(abs(best), scale):
            break
    # Long steps may pass over whole swings of the function, and find a slope that a short one does not.
    up, down = f(_SHORT), f(-_SHORT)
    slope = (up - down) / (2.0 * _SHORT)
    noise = max(2.3e-16 * (abs(up) + abs(down)), rounding) / (2.0 * _SHORT)
    if abs(slope - best) > 0.01 * max(abs(slope), abs(best)) + 10.0 * (least + noise):
        return _ridders(f, _SHORT, rounding)
    return best, least


def _ridders(f: Callable[[float], float], step: float, rounding: float) -> tuple[float, float]:
    best, least = math.nan, math.inf
    before: list[float] = []
    # Near the edge of a domain the first step may lead out of it.
    while not math.isfinite(f(step) - f(-step)) and step > 1e-15:
        step *= 0.1
    for _ in range(_ROWS):
        up, down = f(step), f(-step)
        row = [(up - down) / (2.0 * step)]
        # Rounding of the two values alone makes the quotient uncertain by this much.
        noise = max(2.3e-16 * (abs(up) + abs(down)), rounding) / (2.0 * step)
        factor = _SHRINK * _SHRINK
        for column, older in enumerate(before):
            row.append((row[column] * factor - older) / (factor - 1.0))
            factor *= _SHRINK * _SHRINK
            error = max(abs(row[-1] - row[-2]), abs(row[-1] - older)) + noise
            if error < least:
                best, least = row[-1], error
        if before and abs(row[-1] - before[-1]) > 4.0 * least:
            break
        before = row
        step /= _SHRINK
    return best, least
