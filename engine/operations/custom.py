"""Make your own operations: `custom_primitive`, which users call as ``chainrule.primitive``."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..data import is_symbolic, to_float
from ..errors import describe
from ..pickling import Reduced, pickled_as, unpickled
from .primitive import PRIMITIVES, Interval, Primitive, Scalar, find, register
from .unlisted import Unlisted


def custom_primitive(definition: type | Callable[..., float] | None = None, /, **columns: Any) -> Any:
    """Make your own operation, with value and derivative rule, usable wherever the table's are.

    Decorate a class that holds the columns of a row, or a function that evaluates floats, with the rule as keyword:

    >>> import math
    >>> from chainrule import Var, exp, grad, log1p, primitive, sigmoid
    >>> @primitive
    ... class log1pexp:
    ...     "Return log(1 + exp(x))."
    ...     def evaluate(x):
    ...         return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
    ...     def partials(y, x):
    ...         return (sigmoid(x),)
    >>> log1pexp(0.0), grad(grad(log1pexp))(0.0)
    (0.6931471805599453, 0.25)
    >>> @primitive(partials=lambda y, x: (3 * x**2,), symbol="x³")
    ... def cube(x):
    ...     return x * x * x
    >>> cube(Var(2.0)).partials
    (12.0,)

    Columns are those of `Primitive`; only `evaluate` and `partials` are needed. The name is that of the class or
    function, the number of arguments that of `evaluate`; one with ``*xs`` takes any number. The rule returns a tuple
    with the partial by each argument, written in operators and chainrule's functions, so that it can be differentiated
    again; in it, too, a number below 0 to a broken power is nan. What it closes over can be differentiated by; in a
    loop that is traced that has to be an argument. Check the rule with `chainrule.testing.check_primitive`.
    Making it again replaces it; a name of the table raises `ValueError`.

    What else it says of itself is used as of the table's rows: one that ``commutes`` is computed once for both orders,
    one that ``compares`` is a condition, its ``infix`` stands in listings; by its ``code`` NumPy computes it on whole
    arrays, and it is exported to C.

    >>> @primitive(partials=lambda z, x, y: (0.0, 0.0), compares=True, commutes=True, infix="≈")
    ... def near(x, y):
    ...     return abs(x - y) < 0.01
    >>> from chainrule import trace, where
    >>> print(trace(lambda x, y: where(near(x, y), y, x), 1.0, 1.0))
    lambda(x, y):
        v1 = x ≈ y
        v2 = where(v1, y, x)
        return v2
    """
    if definition is None:
        return lambda definition: custom_primitive(definition, **columns)
    if not callable(definition):
        raise TypeError(
            f"primitive expected a class or a function to decorate but got {describe('definition', definition)}"
        )
    if isinstance(definition, type):
        columns = {key: item for key, item in vars(definition).items() if not key.startswith("__")} | columns
    else:
        columns = {"evaluate": definition} | columns
    name = columns.pop("name", None) or definition.__name__
    for column in ("evaluate", "partials"):
        if not callable(columns.get(column)):
            raise TypeError(
                f"primitive {name} expected a function {column!r} but got {describe(column, columns.get(column))}"
            )
    least, more = _arguments(name, columns["evaluate"])
    intervals = columns.setdefault("domain", (Interval(-math.inf, math.inf),) * (max(least, 3) if more else least))
    if len(intervals) == 0 or len(intervals) < least or (len(intervals) > least and not more):
        raise ValueError(
            f"primitive {name} expected an interval for each argument of evaluate, at least one, but got {least} "
            f"arguments and {len(intervals)} intervals"
        )
    if columns.get("infix") and (more or least != 2):
        raise ValueError(
            f"primitive {name} expected infix={columns['infix']!r} to stand between two arguments but evaluate has "
            f"{'any number' if more else least}; leave infix out"
        )
    _check_expression(name, (columns.get("code") or {}).get("c"), least, more)
    columns.setdefault("doc", inspect.getdoc(definition) or f"Return {name}.")
    columns["evaluate"] = _valued(name, columns["evaluate"], columns.get("compares", False))
    symbol = columns.pop("symbol", columns.get("infix") or name)
    if more:
        return register(Variadic(name, symbol, least=max(least, 1), **columns))
    columns["partials"] = _counted(name, columns["partials"], least)
    row = Primitive(name, symbol, **columns)
    row.custom, row.found_by = True, _found_by
    return register(row)


class Variadic(Primitive):
    """A user's operation on any number of arguments: one row for each number that it is called with.

    >>> from chainrule import Var
    >>> @custom_primitive(partials=lambda y, *xs: [2 * x for x in xs])
    ... def sum_of_squares(*xs):
    ...     return math.fsum(x * x for x in xs)
    >>> sum_of_squares(1.0, 2.0), sum_of_squares(Var(1.0), 2.0, Var(3.0)).partials
    (5.0, (2.0, 4.0, 6.0))
    """

    def __init__(self, name: str, symbol: str, *, least: int, **columns: Any) -> None:
        super().__init__(name, symbol, **columns)
        self.custom, self.found_by = True, _found_by
        self.least = least
        self.columns = columns
        self.rows: dict[int, _Row] = {}

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self.apply(self.placed(args, named) if named else args)

    def apply(self, args: tuple[Any, ...]) -> Any:
        """Evaluate on floats, or delegate to the number type of an argument."""
        return self.of(len(args)).apply(args)

    def of(self, count: int) -> Primitive:
        """Return the row for so many arguments."""
        if count < self.least:
            plural = "" if self.least == 1 else "s"
            raise TypeError(f"{self.name} expected at least {self.least} argument{plural} but got {count}")
        if count not in self.rows:
            self.rows[count] = _Row(self.name, self.symbol, count, self.columns)
        return self.rows[count]


class _Row(Primitive):
    """What a `Variadic` is for one number of arguments."""

    def __init__(self, name: str, symbol: str, count: int, columns: dict[str, Any]) -> None:
        first = columns["domain"]
        domain = (first + first[-1:] * count)[:count]
        rule = _counted(name, columns["partials"], count)
        super().__init__(name, symbol, **columns | {"domain": domain, "partials": rule})
        self.custom, self.found_by = True, _found_by

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self.apply(self.placed(args, named) if named else args)

    @property
    def argument_names(self) -> tuple[str, ...]:
        """Name the arguments as the rule does, and those after its own by their places."""
        own = super().argument_names
        return (*own, *[f"x{k}" for k in range(len(own), self.arity)])


def find_row(name: str, count: int) -> Primitive:
    """Return the operation of that name for so many arguments; a `KeyError` names it if there is none."""
    row = find(name)
    return row.of(count) if isinstance(row, Variadic) else row


def record_custom(
    row: Primitive,
    value: float,
    args: tuple[Any, ...],
    partials: Sequence[Any],
    record: Callable[..., Any],
    constants: bool,
) -> Any:
    """Record a row of the user's that ran on Vars.

    The rule was asked at plain numbers: a Var among the partials depends on what the rule closes over. It becomes an
    argument of the node, so that derivatives know of it, and ask the rule again.

    Args:
        row, value, args, partials: the operation, what it gave, of which numbers, what its rule gave.
        record: makes a node of these.
        constants: constant Vars count, too: a trace reads them at each call.
    """
    for partial in partials:
        if is_symbolic(partial):
            return type(partial).__apply__(row, args)
    recorded = [x for x in partials if hasattr(type(x), "__apply__")]
    closed = [x for x in recorded if constants or x.requires_grad]
    numbers = [getattr(x, "value", x) for x in partials] if recorded else partials
    if not closed:
        return record(row, value, args, numbers)
    return record(_closing_over(row, len(closed)), value, (*args, *closed), [*numbers, *[0.0] * len(closed)])


def _closing_over(row: Primitive, count: int) -> Primitive:
    """Return a row as one that takes some partials, too, on which its value does not depend."""
    own = row.arity

    def partials(y: Scalar, *xs: Scalar) -> Sequence[Scalar]:
        return [*row.partials(y, *xs[:own]), *[0.0] * count]

    domain = (*row.domain, *[Interval(-math.inf, math.inf)] * count)
    wider = Unlisted(
        row.name, row.symbol, evaluate=lambda *xs: row.evaluate(*xs[:own]), partials=partials, domain=domain
    )
    wider.custom = True
    wider.replay = lambda *xs: row.apply(xs[:own])
    return wider


def _found_by(row: Primitive) -> Reduced:
    return unpickled, ("own row", row.name, *_home(row), 0 if isinstance(row, Variadic) else row.arity)


def _home(row: Primitive) -> tuple[str, str]:
    """Return the module that an operation of the user's was made in, and its name there, empty where it has none."""
    module: str = row.evaluate.__module__ or ""
    names = row.evaluate.__qualname__
    held = vars(sys.modules.get(module, sys)).items()
    for place in (names, names.rpartition(".")[0], *[key for key, item in held if isinstance(item, Primitive)]):
        found = _in_module(module, place)
        # One row of a variadic operation has its function.
        if isinstance(found, Primitive) and found.evaluate is row.evaluate:
            return module, place
    return module, ""


def _in_module(module: str, place: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in place.split("."):
        found = getattr(found, part, None)
    return found


@pickled_as("own row")
def find_own(name: str, module: str, place: str, count: int) -> Primitive:
    """Return an operation of the user's from the module that made it, which is imported; the row for so many arguments.

    `LookupError` says what to do where it is not there.
    """
    failure = None
    try:
        importlib.import_module(module)
    except ImportError as error:  # who makes the row again, here, needs no such module
        failure = error
    row = _in_module(module, place)
    if not isinstance(row, Primitive):
        row = PRIMITIVES.get(name)
    if row is None:
        raise LookupError(
            f"loads expected the primitive {name!r} to be made where it reads the pickle, but its module {module!r} "
            "is not found here or does not make it when imported; make it at the top of a module that can "
            "be imported, or run the code that makes it first"
        ) from failure
    return row.of(count) if isinstance(row, Variadic) and count else row


def _arguments(name: str, evaluate: Callable[..., float]) -> tuple[int, bool]:
    """Return the number of arguments that a function requires, and whether it takes any number of others."""
    least, more = 0, False
    for parameter in inspect.signature(evaluate).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            more = True
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            least += 1
        elif parameter.kind is parameter.VAR_KEYWORD or parameter.default is parameter.empty:
            raise TypeError(
                f"primitive {name} expected evaluate to take numbers by position but got its argument {parameter}; "
                "write (x, y) or (*xs)"
            )
    return least, more


def _check_expression(name: str, text: str | None, count: int, more: bool) -> None:
    """Refuse a C expression that has other places than those of the arguments."""
    if text is None:
        return
    try:
        text.format(*["x"] * (0 if more else count))
    except (IndexError, KeyError, ValueError) as problem:
        places = "no number of places, for evaluate has any" if more else f"places {{0}} to {{{count - 1}}}"
        raise ValueError(
            f"primitive {name} expected code['c'] to have {places}, with other braces doubled, but got {text!r} "
            f"({type(problem).__name__}: {problem})"
        ) from None


def _valued(name: str, evaluate: Callable[..., float], compares: bool) -> Callable[..., float]:
    """Return the function, wrapped to raise if it does not give a real number, or as a comparison 0 or 1."""

    @functools.wraps(evaluate)
    def value(*xs: float) -> float:
        found = evaluate(*xs)
        try:
            number = found if type(found) is float else to_float(found, name, "value")
        except TypeError:
            raise TypeError(
                f"primitive {name} expected evaluate to return a float but got {describe('value', found)} at "
                f"{', '.join(map(repr, xs))}; return nan where there is no number"
            ) from None
        if compares and number not in (0.0, 1.0):
            raise ValueError(
                f"primitive {name} expected evaluate to return 1 or 0, since it compares, but got "
                f"{describe('value', found)} at {', '.join(map(repr, xs))}; return a bool"
            )
        return number

    return value


def _counted(name: str, rule: Callable[..., Sequence[Scalar]], count: int) -> Callable[..., Sequence[Scalar]]:
    """Return the rule, wrapped to raise if it does not give a number as partial for each argument."""

    @functools.wraps(rule)
    def partials(y: Scalar, *xs: Scalar) -> Sequence[Scalar]:
        found = rule(y, *xs)
        if not isinstance(found, (tuple, list)) or len(found) != count:
            raise TypeError(
                f"primitive {name} expected its rule to return a tuple of {count} partials, one for each argument, "
                f"but got {describe('partials', found)}"
            )
        # A float below 0 to a broken power is complex: who asked the rule asks it again, on Vars.
        asked_again = float not in map(type, (y, *xs))
        return [
            partial if type(partial) is float else _partial(name, k, partial, asked_again)
            for k, partial in enumerate(found)
        ]

    return partials


def _partial(name: str, position: int, partial: Any, asked_again: bool) -> Scalar:
    if hasattr(type(partial), "__apply__"):
        return partial
    if isinstance(partial, complex):
        if not asked_again:
            return partial
        raise TypeError(
            f"primitive {name} expected its rule to return a real number for each argument but got "
            f"{describe(f'partials[{position}]', partial)}; write it with chainrule's functions, which give nan there"
        )
    try:
        return to_float(partial, name, "partial")
    except TypeError:
        raise TypeError(
            f"primitive {name} expected its rule to return a number for each argument but got "
            f"{describe(f'partials[{position}]', partial)}; return 0.0 where there is no derivative"
        ) from None
