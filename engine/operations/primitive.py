"""What an operation is: one row with its value, its partials and its domain.

A `Primitive` is called like the function it names. Floats give a float; any other number type takes
part by defining ``__apply__(primitive, args)`` on its class, so that this module need not know `Var`.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar, overload

try:
    import cython
except ImportError:
    from .. import uncompiled as cython

from ..data import number_in, to_float, truth
from ..errors import describe as describe
from ..pickling import Reduced, pickled_as, unpickled
from .signatures import PLACE, Arguments, bound, parameter

if not cython.compiled:
    take_names: Any = None  # of primitive.pxd: only compiled code calls it

# A float, or an object whose class defines __apply__: what a rule computes with.
Scalar = Any

P = TypeVar("P", bound="Primitive")

PRIMITIVES: dict[str, Primitive] = {}
"""Every operation by name, in the order of the table."""


@pickled_as("interval")
@dataclass(frozen=True)
class Interval:
    """Where an argument may be sampled: the open interval from `low` to `high`.

    >>> 0.5 in Interval(0, 1), 1.0 in Interval(0, 1)
    (True, False)
    """

    low: float
    high: float
    integers: bool = False

    def __contains__(self, x: float) -> bool:
        return self.low < x < self.high and (not self.integers or float(x).is_integer())

    def __reduce__(self) -> Reduced:
        return unpickled, ("interval", self.low, self.high, self.integers)


@cython.cclass
class Primitive:
    """One operation: everything that evaluation, differentiation, drawing and compilation read of it.

    Args:
        name: the function's name, unique in the registry.
        symbol: what drawings and listings show.
        evaluate: floats to float; total, IEEE semantics, never raises.
        partials: ``partials(y, *xs)``, the derivative of the value ``y`` by each argument, written with
            operators and other primitives only, so that it serves floats, Vars and traces alike.
        domain: an `Interval` for each argument, where tests and strategies sample.
        smooth: false where the arguments stand on a kink or jump; None where there are none.
        defaults: values of trailing arguments that may be left out.
        exact: the definition in terms of mpmath, ``exact(mp, *xs)``, to check against; None where
            mpmath has a function of the same name.
        commutes: whether every order of the arguments gives the same number, bit for bit: programs compute such
            steps once, drawings need not keep the order.
        infix: the operator that Python writes between the two arguments, "" where it is a function; listings then
            have the symbol there.
        compares: whether the value is 1 where something holds, else 0, and its derivative 0: a condition, which
            `&`, `|`, `^` and `~` join in traced code.
        cheap: whether it takes about as long as an addition; a loop saves less code where steps are cheap.
        any_constant: whether steps that differ in a constant argument do the same, as factors and summands do and
            exponents do not: written out, they can be iterations of one loop.
        activation: whether a neuron may apply it to its weighted sum, for drawings that find neurons in a graph.
        code: how backends write the operation where its own name is not enough: "numpy" is the name of NumPy's
            function, or of another ufunc with its module (``scipy.special.j0``), "c" an expression of C99 with {0},
            {1} ... for the arguments.
        doc: one line for ``help``.

    >>> from chainrule import sin
    >>> sin.symbol, sin.arity, sin(0.0)
    ('sin', 1, 0.0)
    """

    results = 1  # how many numbers come out; loops have several
    # Of loops, which are not made as rows are.
    commutes = compares = cheap = any_constant = activation = False
    infix = ""
    __signature__ = Arguments(
        *("name", "symbol", "*", "evaluate", "partials", "domain"),
        smooth=None,
        defaults=(),
        exact=None,
        commutes=False,
        infix="",
        compares=False,
        cheap=False,
        any_constant=False,
        activation=False,
        code=None,
        doc="",
    )

    def __init__(
        self,
        name: str,
        symbol: str,
        *,
        evaluate: Callable[..., float],
        partials: Callable[..., Sequence[Scalar]],
        domain: tuple[Interval, ...],
        smooth: Callable[..., bool] | None = None,
        defaults: tuple[float, ...] = (),
        exact: Callable[..., Any] | None = None,
        commutes: bool = False,
        infix: str = "",
        compares: bool = False,
        cheap: bool = False,
        any_constant: bool = False,
        activation: bool = False,
        code: Mapping[str, str] | None = None,
        doc: str = "",
    ) -> None:
        self.name = self.__name__ = name
        self.symbol = symbol
        self.evaluate = evaluate
        self.partials = partials
        self.domain = domain
        self.smooth = smooth
        self.defaults = defaults
        self.exact = exact
        self.commutes = commutes
        self.infix = infix
        self.compares = compares
        self.cheap = cheap
        self.any_constant = any_constant
        self.activation = activation
        self.code = dict(code or {})
        self.arity = len(domain)
        self.custom = False
        # Set by `use_fast`: what to call when the first argument is of that type.
        self.fast: Callable[..., Any] | None = None
        self.fast_type: type | None = None
        # A row made of a function of the user's: calling it again serves where partials do not (checkpoint).
        self.replay: Callable[..., Any] | None = None
        # The same for the arguments of a node: what the function records of copies of them (see checkpointing.py).
        self.record: Callable[[Sequence[Scalar]], Any] | None = None
        # The same of a row of the user's: how a pickle finds it (see custom.py).
        self.found_by: Callable[[Primitive], Reduced] | None = None
        self.__doc__ = doc

    @property
    def argument_names(self) -> tuple[str, ...]:
        """Name the arguments as the row's rule names them."""
        code = inspect.unwrap(self.partials).__code__
        names: tuple[str, ...] = code.co_varnames[1 : code.co_argcount]
        return names + tuple([f"x{k}" for k in range(len(names), self.arity)])

    def signature(self) -> inspect.Signature:
        """Return the row's signature, for `inspect.signature`: its arguments by name, optional ones included."""
        names = self.argument_names
        filled = dict(zip(reversed(names), reversed(self.defaults), strict=False))
        return inspect.Signature([parameter(name, filled.get(name, inspect.Parameter.empty)) for name in names])

    @overload
    def __call__(self, *args: float) -> float: ...
    @overload
    def __call__(self, *args: Any, **named: Any) -> Any: ...
    def __call__(self, *args: Any) -> Any:
        if len(args) == self.arity:
            if type(args[0]) is self.fast_type and self.fast is not None:
                return self.fast(*args)
            return self.apply(args)
        missing = self.arity - len(args)
        if not 0 < missing <= len(self.defaults):
            self._reject_count(len(args))
        return self.apply(args + self.defaults[-missing:])

    def placed(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
        """Put arguments given by name at their places."""
        return bound(self.name, self.signature(), args, named)

    def apply(self, args: tuple[Any, ...]) -> Any:
        """Evaluate on floats, or delegate to the number type of an argument."""
        for arg in args:
            if type(arg) is not float:
                return self._dispatch(args)
        return self.evaluate(*args)

    def _dispatch(self, args: tuple[Any, ...]) -> Any:
        taker = None
        numbers = []
        for position, arg in enumerate(args):
            kind = type(arg)
            # The kinds met most come first: asking a class for __apply__, and to_float, cost several times more.
            if kind is taker or kind is float:
                numbers.append(arg)
            elif kind is bool:
                numbers.append(1.0 if arg else 0.0)
            elif kind is int and position == 0 and arg < 0 and self.name == "where":
                numbers.append(float(truth(arg, self.name, self.name_of(position))))
            elif hasattr(kind, "__apply__"):
                if taker is None or kind.__apply_rank__ > taker.__apply_rank__:
                    taker = kind
                numbers.append(arg)
            elif is_array(arg):
                return _on_arrays(self, args, {})
            elif number_in(arg) is not arg:
                return self.apply(tuple(map(number_in, args)))
            else:
                numbers.append(to_float(arg, self.name, self.name_of(position)))
        if taker is None:
            return self.evaluate(*numbers)
        return taker.__apply__(self, tuple(numbers))

    def name_of(self, position: int) -> str:
        """Name one argument, for messages; those of a rule that takes any number (a checkpoint's) are counted."""
        names = self.argument_names
        return names[position] if position < len(names) else f"argument {position}"

    def _reject_count(self, count: int) -> NoReturn:
        least = self.arity - len(self.defaults)
        wanted = f"{least}" if not self.defaults else f"{least} to {self.arity}"
        plural = "" if wanted == "1" else "s"
        raise TypeError(
            f"{self.name} expected {wanted} argument{plural} ({', '.join(self.argument_names)}) but got {count}"
        )

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __reduce__(self) -> Reduced:
        return (unpickled, ("row", self.name)) if self.found_by is None else self.found_by(self)

    def __copy__(self) -> Primitive:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Primitive:
        return self


# A dictionary of arguments by name, even an empty one, would cost every call a third of its time.
if not cython.compiled:
    _call = Primitive.__call__

    def _call_named(self: Primitive, *args: Any, **named: Any) -> Any:
        return _call(self, *(self.placed(args, named) if named else args))

    Primitive.__call__ = _call_named  # type: ignore[method-assign]
else:
    take_names(Primitive)


@cython.cclass
class Reduction(Primitive):
    """An operation on any number of arguments, given as one or more iterables of equal length.

    Of arrays all numbers are taken, or those along an `axis` or several; with `keepdims` these stay, of length 1. `dot`
    of arrays is NumPy's.

    >>> from chainrule import dot
    >>> dot([1.0, 2.0], [3.0, 4.0])
    11.0
    """

    def __init__(self, name: str, symbol: str, *, iterables: int = 1, empty: float | None = None, **row: Any) -> None:
        super().__init__(name, symbol, **row)
        self.iterables = iterables
        self.empty = empty

    def __call__(self, *args: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if len(args) != self.iterables:
            wanted = "an iterable" if self.iterables == 1 else f"{self.iterables} iterables"
            raise TypeError(f"{self.name} expected {wanted} of numbers but got {len(args)} arguments")
        first, last = args[0], args[len(args) - 1]
        if type(first) is list and type(last) is list and 0 < len(first) == len(last) and axis is None and not keepdims:
            return self.apply((*first, *last) if len(args) == 2 else tuple(first))  # without the checks of all else
        for arg in args:
            if (
                type(arg) is not list
                and is_array(arg)
                and (arg.ndim > 1 or axis is not None or keepdims or is_whole(arg))
            ):
                return _on_arrays(self, args, {"axis": axis, "keepdims": keepdims})
        if axis is not None or keepdims:
            raise TypeError(f"{self.name} takes axis and keepdims of arrays only")
        columns = [
            arg if type(arg) is list or type(arg) is tuple else self._column(arg, position)
            for position, arg in enumerate(args)
        ]
        if len(columns) > 1 and len({len(column) for column in columns}) > 1:
            lengths = " and ".join(str(len(column)) for column in columns)
            raise ValueError(f"{self.name} expected iterables of the same length but got lengths {lengths}")
        if not columns[0]:
            if self.empty is None:
                raise ValueError(f"{self.name} expected at least one number but got none")
            return self.empty
        return self.apply(tuple(columns[0]) if len(columns) == 1 else tuple(itertools.chain.from_iterable(columns)))

    def signature(self) -> inspect.Signature:
        """Return the row's signature, for `inspect.signature`: its iterables."""
        return inspect.Signature([parameter(name, kind=PLACE) for name in ("xs", "ys", "zs")[: self.iterables]])

    def _column(self, arg: Any, position: int) -> tuple[Any, ...]:
        if isinstance(arg, str) or not isinstance(arg, Iterable):
            raise TypeError(
                f"{self.name} expected an iterable of floats or Vars but got {describe('xyz'[position], arg)}"
            )
        return tuple(arg)

    def name_of(self, position: int) -> str:
        """Name one argument, for messages."""
        return f"item {position}"


def is_array(x: Any) -> bool:
    """Return whether rows are applied to each number of `x`: an array of NumPy's or a traced one, not of 0 dimensions.

    Arrays of other libraries, and those that leave numbers out, are refused.
    """
    kind: Any = type(x)
    is_numpys = kind.__name__ == "ndarray" and kind.__module__ == "numpy"
    return (is_numpys or hasattr(kind, "__of_numbers__") or hasattr(kind, "__whole__")) and len(x.shape) > 0


def is_whole(x: Any) -> bool:
    """Return whether `x` is a whole traced array."""
    return hasattr(type(x), "__whole__")


_on_arrays: Callable[[Any, Sequence[Any], Mapping[str, Any]], Any]  # numpy_calls.py gives it


def use_array_calls(on_arrays: Callable[[Any, Sequence[Any], Mapping[str, Any]], Any]) -> None:
    """Set how a function of numbers is applied to arrays: by code that needs NumPy, so when there are some."""
    global _on_arrays
    _on_arrays = on_arrays


def on_arrays(function: Any, args: Sequence[Any], **options: Any) -> Any:
    """Apply a function of numbers to arrays, or of many numbers along axes."""
    return _on_arrays(function, args, options)


def primitive(name: str, symbol: str, **row: Any) -> Primitive:
    """Make a row of the table and enter it in the registry; a name that is taken raises `ValueError`."""
    return register(Primitive(name, symbol, **row))


def reduction(name: str, symbol: str, **row: Any) -> Reduction:
    """Make a row for any number of arguments and enter it in the registry."""
    return register(Reduction(name, symbol, **row))


def register(row: P) -> P:
    """Enter a row in the registry; only a row of the user's own may replace another such row."""
    known = PRIMITIVES.get(row.name)
    if known is not None and not (known.custom and row.custom):
        raise ValueError(f"primitive expected a new name but got name={row.name!r}, which the table has already")
    PRIMITIVES[row.name] = row
    for listener in _listeners:
        listener(row)
    return row


_listeners: list[Callable[[Primitive], None]] = []


def on_register(listener: Callable[[Primitive], None]) -> None:
    """Register a function to be called with every row registered from now on."""
    _listeners.append(listener)


def use_fast(kind: type, *names: str) -> None:
    """Make rows call the methods of these names if their first argument is of a type that spells them out."""
    for name in names:
        row = PRIMITIVES[name]
        row.fast, row.fast_type = getattr(kind, name), kind


@pickled_as("row")
def find(name: str) -> Primitive:
    """Return the operation of that name; a `KeyError` names it if there is none."""
    return PRIMITIVES[name]
