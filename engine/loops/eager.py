"""Run loops on numbers that are known, one iteration after another, as Python's own do.

None in place of a result tells that the function closes over traced numbers: then the loop has to be traced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..data import NONE, NUMBER, Structure, arranged, flatten, truth, unflatten
from ..errors import describe
from ..operations import table
from ..programs import function_name, values_in
from .bodies import any_traced, numbers_of, seen
from .carries import Carry
from .leading_axis import Items, stack_rows


def map_eagerly(f: Callable[..., Any], items: Items, shared: Sequence[Any], reduce: str | None) -> Any:
    """Return the result of `map`, in a tuple."""
    rows: list[Sequence[Any]] = []
    shape = NUMBER
    if not items.length and (reduce or items.known):
        shape = flatten(items.on_zeros(f, (), shared), "map", f"the result of {function_name(f)}")[1]
    for k in range(items.length):
        numbers, found = numbers_of(f(items.item(k), *shared), "map", f)
        if not k:
            shape = found
            if any_traced(numbers):
                return None
        rows.append(_same("map", f, f"result {k}", shape, found, numbers))
    if reduce is None:
        rows += [[0.0] * shape.size] * (items.count - items.length)
        return (stack_rows(shape, rows, items.arrays),)
    sums = [table.sum(column) for column in zip(*rows, strict=True)] if rows else [0.0] * shape.size
    return (unflatten(shape, sums if reduce == "sum" else [mean(total, items.length) for total in sums]),)


def scan_eagerly(f: Callable[..., Any], carry: Carry, items: Items, shared: Sequence[Any], reverse: bool) -> Any:
    """Return the pair that `scan` returns."""
    rows: list[Sequence[Any]] = []
    numbers, shape = carry.numbers, NUMBER
    if not items.length and items.known:
        shape = pair(f, items.on_zeros(f, (carry.give(numbers),), shared), carry)[2]
    order = range(items.length - 1, -1, -1) if reverse else range(items.length)
    for place, k in enumerate(order):
        numbers, own, found = pair(f, f(carry.give(numbers), items.item(k), *shared), carry)
        if not place:
            shape = found
            if any_traced(numbers) or any_traced(own):
                return None
        rows.append(_same("scan", f, f"result {k}", shape, found, own))
    rows = rows[::-1] if reverse else rows
    rows += [[0.0] * shape.size] * (items.count - items.length)
    return carry.give(numbers), None if shape is NONE else stack_rows(shape, rows, items.arrays)


def while_eagerly(cond: Callable[[Any], Any], body: Callable[[Any], Any], carry: Carry, limit: int | None) -> Any:
    """Return the result of `while_loop`, in a tuple."""
    count, numbers = 0, carry.numbers
    while True:
        (asked,) = seen([cond(carry.give(numbers))])
        if any_traced([asked]):
            return None
        if not truth(asked, "while_loop", f"the result of {function_name(cond)}"):
            return (carry.give(numbers),)
        if limit is not None and count == limit:
            return (unflatten(carry.structure, [table.where(True, math.nan, number) for number in numbers]),)
        found = body(carry.give(numbers))
        if found is None:
            raise TypeError(
                f"while_loop expected {function_name(body)} to return a carry but got None; is a return missing?"
            )
        numbers = carry.take(body, found, "the result of")
        if any_traced(numbers):
            return None
        count += 1


def pair(f: Callable[..., Any], value: Any, carry: Carry) -> tuple[list[Any], list[Any], Structure]:
    """Split what the function of a scan returned: the carry's numbers, the result's, and its structure."""
    if not isinstance(value, tuple) or len(value) != 2:
        advice = "; is a return missing?" if value is None else ""
        raise TypeError(
            f"scan expected {function_name(f)} to return a pair (carry, y) but got {describe('result', value)}{advice}"
        )
    numbers = carry.take(f, value[0])
    if value[1] is None:
        return numbers, [], NONE
    name = f"the result of {function_name(f)}"
    own, shape = values_in(value[1], "scan", name, 0) if carry.traced else flatten(value[1], "scan", name)
    return numbers, own, shape


def mean(total: Any, count: Any) -> Any:
    """Return the mean of so many numbers from their sum; that of none is nan."""
    return total / count if any_traced([count]) or count else math.nan


def _same(
    function: str, f: Callable[..., Any], what: str, expected: Structure, found: Structure, numbers: list[Any]
) -> Sequence[Any]:
    """Return the numbers in the order of the expected structure; `ValueError` if the structure differs."""
    placed = arranged(numbers, found, expected)
    if placed is None:
        raise ValueError(
            f"{function} expected {function_name(f)} to return a {what} like {expected} but got {found}; "
            "every iteration must give the same structure"
        )
    return placed
