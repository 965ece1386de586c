"""Compute with truncated power series: the coefficients of each operation from those of what it takes.

For z = f(x, y) with partials p = df/dx and q = df/dy along a curve, z' = p x' + q y'. The coefficients of a series
follow from that one at a time: the k-th of z needs the partials up to order k-1 only, and those are what the row's
rule gives for the series of x, y and z itself, of which that much is known already. So the rules that serve the other
modes serve here too, and an operation costs O(order**2). Equal operations on equal series are one series, so sin needs
cos and cos needs that same sin. Only what is singular in this form has a recurrence of its own: division and powers.
(Griewank & Walther, Evaluating Derivatives, 2nd ed., chapter 13.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..data import is_symbolic
from ..graph import ask_rule
from ..operations import PRIMITIVES, Operators, Primitive, Scalar, table
from ..programs import Gather, Loop, Scatter, Shape, View, shape_of, zeros
from .sweeps import chain, plus

_LEAST = 2.0**-1022  # normal number

_expand_loop: Callable[[Loop, Sequence[Any]], list[Any]]  # loop_series.py gives it


def use_loop_series(expand: Callable[[Loop, Sequence[Any]], list[Any]]) -> None:
    """Set how loops run on series: by a function of another module, which imports this one."""
    global _expand_loop
    _expand_loop = expand


class Expansion:
    """Keep one series for each operation on given series, and the order they are all needed to."""

    def __init__(self, order: int) -> None:
        self.order = order
        self.in_order = False
        self.known: dict[tuple[Any, ...], Series] = {}
        self.alive: list[Any] = []  # keys name arguments by identity

    def run(self, program: Any, args: Sequence[Any]) -> list[Any]:
        """Run a program on series, finishing each operation before the next."""
        self.in_order = True
        try:
            found: list[Any] = program.run(args)
            return found
        finally:
            self.in_order = False

    def apply(self, row: Primitive, args: tuple[Any, ...], value: Scalar | None = None) -> Series:
        """Return the series of an operation on series and constants."""
        # In hexadecimal -0.0 differs from 0.0.
        key = (row, *[arg.hex() if type(arg) is float else id(arg) for arg in args])
        if row.replay is not None:
            replayed = row.replay(*args)
            return replayed if type(replayed) is Series else Series(self, coefficients=[replayed])
        if key not in self.known:
            self.alive.append(args)
            if value is None:
                value = row.apply(tuple([arg.coefficient(0) if type(arg) is Series else arg for arg in args]))
            self.known[key] = Series(self, row, args, [value])
            if self.in_order:
                # What rules compute on the way waits until it is asked for: it may take coefficients still to come.
                self.in_order = False
                self.known[key].coefficient(self.order)
                self.in_order = True
        return self.known[key]


class Series(Operators):
    """A truncated power series whose coefficients are computed when they are asked for."""

    __slots__ = ("args", "coefficients", "expansion", "row", "rule")

    def __init__(
        self,
        expansion: Expansion,
        row: Primitive | None = None,
        args: tuple[Any, ...] = (),
        coefficients: Sequence[Scalar] = (),
    ) -> None:
        self.expansion = expansion
        self.row = row
        self.args = args
        self.coefficients = list(coefficients)
        self.rule: Sequence[Any] | None = None

    __apply_rank__ = 4  # above traced numbers, which stand in its coefficients

    @staticmethod
    def __apply__(row: Primitive, args: tuple[Any, ...]) -> Any:
        if row is table.where:
            # The condition is a number: only the series of the branch taken matters, if it is known which.
            condition = _at_zero(args[0])
            if not is_symbolic(condition):
                return args[1] if condition else args[2]
        expansion = next(arg.expansion for arg in args if type(arg) is Series)
        return expansion.apply(row, args)

    @staticmethod
    def __apply_loop__(loop: Loop, args: Sequence[Any]) -> list[Any]:
        """Return the results of a loop on series, from a loop on their coefficients."""
        return _expand_loop(loop, args)

    @staticmethod
    def __apply_structure__(op: Any, args: Sequence[Any]) -> Any:
        """Return the result of an operation of views.py: it does to each coefficient what it does to numbers."""
        return _arrange(op, args)

    def coefficient(self, k: int) -> Scalar:
        """Return the coefficient of t**k."""
        while len(self.coefficients) <= k:
            self.coefficients.append(self._next(len(self.coefficients)))
        return self.coefficients[k]

    def _next(self, k: int) -> Scalar:
        if self.row is None:
            return 0.0
        recurrence = _RECURRENCES.get(self.row.name)
        if recurrence is not None:
            found = recurrence(self, k)
            if found is not None:
                return found
        if self.rule is None:
            self.rule = _rule(self)
        # z_k = 1/k * sum over arguments and j of j x_j p_(k-j)
        total: Scalar = 0.0
        for arg, partial in zip(self.args, self.rule, strict=True):
            if type(arg) is Series:
                for j in range(1, k + 1):
                    total = plus(total, chain(j * arg.coefficient(j), _coefficient(partial, k - j)))
        return total / k

    def __eq__(self, other: object) -> Any:
        return _at_zero(self) == _at_zero(other)

    def __ne__(self, other: object) -> Any:
        return _at_zero(self) != _at_zero(other)

    def __lt__(self, other: Any) -> Any:
        return _at_zero(self) < _at_zero(other)

    def __le__(self, other: Any) -> Any:
        return _at_zero(self) <= _at_zero(other)

    def __gt__(self, other: Any) -> Any:
        return _at_zero(self) > _at_zero(other)

    def __ge__(self, other: Any) -> Any:
        return _at_zero(self) >= _at_zero(other)

    def __bool__(self) -> bool:
        return bool(_at_zero(self))

    __hash__ = object.__hash__


class ArraySeries:
    """A truncated power series of a whole traced array: its coefficients are arrays."""

    __slots__ = ("coefficients", "expansion", "shape")
    __apply_rank__ = Series.__apply_rank__
    __apply_loop__ = Series.__apply_loop__
    __apply_structure__ = Series.__apply_structure__

    def __init__(self, expansion: Expansion, shape: Shape, coefficients: Sequence[Any]) -> None:
        self.expansion, self.shape, self.coefficients = expansion, shape, coefficients

    def coefficient(self, k: int) -> Any:
        """Return the coefficient of t**k."""
        return self.coefficients[k] if k < len(self.coefficients) else zeros(self.shape)


def has_series(item: Any) -> bool:
    """Return whether a number or an array, which may be a list, is a series."""
    return type(item) in (Series, ArraySeries) or (type(item) is list and any(type(x) is Series for x in item))


def expansion_of(args: Sequence[Any]) -> Expansion:
    """Return the expansion that the series among numbers and arrays belong to."""
    return next(x.expansion for arg in args for x in (arg if type(arg) is list else (arg,)) if has_series(x))


def constant_series(expansion: Expansion, item: Any) -> Any:
    """Return the series of a number or array that does not depend on the variable."""
    shape = getattr(item, "shape", ())
    return ArraySeries(expansion, shape, [item]) if shape else Series(expansion, coefficients=[item])


def coefficient_of(item: Any, k: int) -> Any:
    """Return the coefficient of t**k of a number or array."""
    if type(item) in (Series, ArraySeries):
        return item.coefficient(k)
    if type(item) is list:
        return [_coefficient(x, k) for x in item]
    return zeros(shape_of(item)) if k else item


def series_of(expansion: Expansion, shape: Shape, coefficients: Sequence[Any]) -> Any:
    """Return the number or array that has these coefficients; an array that is not traced is a list."""
    if not shape:
        return Series(expansion, coefficients=coefficients)
    if all(type(item) is list for item in coefficients):
        return [Series(expansion, coefficients=own) for own in zip(*coefficients, strict=True)]
    return ArraySeries(expansion, shape, coefficients)


def _arrange(op: Any, args: Sequence[Any]) -> Any:
    expansion = expansion_of(args)
    first = op.apply(tuple([coefficient_of(arg, 0) for arg in args]))
    if isinstance(op, View) and op.stops:
        return first
    # What says where numbers are read and go moves nothing.
    index = 1 if isinstance(op, Gather) else 0 if isinstance(op, Scatter) else -1
    if index >= 0 and not has_series(args[1 - index]):
        return first
    coefficients = [first]
    for k in range(1, expansion.order + 1):
        own = [coefficient_of(arg, 0 if place == index else k) for place, arg in enumerate(args)]
        coefficients.append(op.apply(tuple(own)))
    return series_of(expansion, op.shape, coefficients)


def _at_zero(x: Any) -> Any:
    return x.coefficient(0) if type(x) is Series else x


def _coefficient(x: Any, k: int) -> Scalar:
    if type(x) is Series:
        return x.coefficient(k)
    return x if k == 0 else 0.0


def _rule(series: Series) -> Sequence[Any]:
    row = series.row
    assert row is not None
    return ask_rule(row, series, series.args)


def _quotient(z: Series, k: int) -> Scalar:
    """z y = x gives z_k = (x_k - sum over j of y_j z_(k-j)) / y_0."""
    x, y = z.args
    total = _coefficient(x, k)
    for j in range(1, k + 1):
        total = plus(total, -1.0 * chain(_coefficient(y, j), z.coefficient(k - j)))
    return table.div(total, _coefficient(y, 0))


def _power(z: Series, k: int) -> Scalar | None:
    """z = x**n gives x z' = n z x', but not at x = 0; a whole exponent up to 64 is multiplied out and serves there."""
    x, n = z.args
    if type(n) is not float or type(x) is not Series:
        return None
    if n == 0.0:
        return 0.0
    if 0.0 < n <= 64.0 and n == int(n):
        if z.rule is None:
            product = x
            for bit in bin(int(n))[3:]:
                product = product * product
                product = product * x if bit == "1" else product
            z.rule = (product,)
        return _coefficient(z.rule[0], k)
    # Where the power itself is out of range, at 0 and far from it, its derivatives may be in range.
    size = table.abs(z.coefficient(0))
    in_range = (size < math.inf) & (size >= _LEAST)
    if is_symbolic(in_range):
        return table.where(in_range, _power_by_recurrence(z, k), _composed_power(z, k))
    return _power_by_recurrence(z, k) if in_range else _composed_power(z, k)


def _power_by_recurrence(z: Series, k: int) -> Scalar:
    x, n = z.args
    total: Scalar = 0.0
    for j in range(1, k + 1):
        total = plus(total, (n * j - (k - j)) * chain(x.coefficient(j), z.coefficient(k - j)))
    return table.div(total, k * x.coefficient(0))


def _composed_power(z: Series, k: int) -> Scalar:
    """Sum the contributions of the power's derivatives at x_0: right at x_0 = 0 too, but O(order**3).

    With h = x - x_0 it is the sum over m of binomial(n, m) x_0**(n - m) h**m. The rule of the series is a table of
    the powers' coefficients: its k-th row has those of t**k in h, h**2, ..., h**k.
    """
    x, n = z.args
    if z.rule is None:
        z.rule = [[]]
    powers: list[Any] = list(z.rule)
    for row in range(len(powers), k + 1):
        found = [x.coefficient(row)]
        for m in range(2, row + 1):
            total: Scalar = 0.0
            for j in range(1, row - m + 2):
                total = plus(total, chain(x.coefficient(j), powers[row - j][m - 2]))
            found.append(total)
        powers.append(found)
    z.rule = powers
    value: Scalar = 0.0
    for m, power in enumerate(powers[k], 1):
        value = plus(value, chain(chain(_binomial(n, m), table.pow(x.coefficient(0), n - m)), power))
    return value


def _binomial(n: float, m: int) -> float:
    """Return n (n - 1) ... (n - m + 1) / m! for any real n."""
    if n.is_integer() and m <= n:
        m = min(m, int(n) - m)
    product = 1.0
    for j in range(m):
        product *= (n - j) / (j + 1)
    return product


def _chosen(z: Series, k: int) -> Scalar:
    """Choose each coefficient: the condition is not known yet."""
    condition, x, y = z.args
    return table.where(_at_zero(condition), _coefficient(x, k), _coefficient(y, k))


_RECURRENCES: dict[str, Callable[[Series, int], Scalar | None]] = {"div": _quotient, "pow": _power, "where": _chosen}
assert _RECURRENCES.keys() <= PRIMITIVES.keys()
