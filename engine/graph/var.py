"""Record scalar code: `Var` remembers every operation, and `backward()` then finds all derivatives.

A computed Var is a node of the graph: an operation (a row of the table), its arguments and, found when the
operation ran, the partial derivative by each of them. `Var.backward` visits the nodes so that each comes
before its arguments, and at each node adds (gradient of the node) x (partial) to the gradient of the argument:
that is the chain rule, and all there is to backpropagation. Nothing here recurses on the graph.

Arithmetic is spelled here a second time, beside its rows, for speed; tests hold both spellings equal.
"""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

try:
    import cython
except ImportError:
    from .. import uncompiled as cython

from ..data import to_float
from ..errors import GraphError, describe
from ..floats import ieee
from ..misspelt import POWER, READ
from ..operations import (
    PARTS,
    Arguments,
    Primitive,
    both,
    call_function,
    call_ufunc,
    is_array,
    method_names,
    method_of,
    method_or_advice,
    offer,
    on_arrays,
    power_of_root,
    record_custom,
    table,
    use_fast,
)
from .blame import check_value, remember, warn_of_lost_step
from .modes import in_effect, is_recording, lenient, use_watcher
from .runs import is_tracing

if not cython.compiled:  # else var.pxd declares these; the functions are C's own, which follow IEEE as they are
    from ..floats.ieee import cos as c_cos
    from ..floats.ieee import cosh as c_cosh
    from ..floats.ieee import exp as c_exp
    from ..floats.ieee import log as c_log
    from ..floats.ieee import pow as c_pow
    from ..floats.ieee import power_slope as c_power_slope
    from ..floats.ieee import sin as c_sin
    from ..floats.ieee import sqrt as c_sqrt
    from ..floats.ieee import tanh as c_tanh

    _CLOSED = 2.0**1000
    install_nodes: Any = None  # these are of nodes.h: only compiled code calls them
    new_node: Any = None

__all__ = ["Var", "begin", "born_since", "core", "local_partials", "number_of"]

# Var._mark: 0 or less where no sweep came yet, and then it tells how many calls had begun when the Var was made (see
# `begin`); 1 where a sweep came; greater numbers belong to a sweep under way. Far beyond them is _CLOSED, where no
# gradient is wanted, with the calls in its last digits, or twice that where there is one, so that one comparison tells
# a sweep where to go.
_FRESH = 1.0
_birth = 0.0  # the calls that began, as a negative number
_watched = 0  # open blocks of no_grad and strict in all threads
_reverse_sweep: Callable[[Any, float], None]  # backward.py gives it
_copy: Callable[[Any, Any], Any]  # copying.py gives both
_reduce: Callable[[Any], Any]
_lift: Callable[[Any], Any]  # closures.py gives it, and what follows
_check_reading: Callable[[Any], None]
_INF, _NAN = ieee.inf, ieee.nan
_LAST_DIGIT = 2.0**948  # of numbers from _CLOSED on
_new = object.__new__
_EXACT = 2**53  # integers below it are floats exactly

_ADD, _SUB, _MUL, _DIV, _NEG, _POW = table.add, table.sub, table.mul, table.div, table.neg, table.pow
_EXP, _LOG, _SQRT, _SIN, _COS, _TANH = table.exp, table.log, table.sqrt, table.sin, table.cos, table.tanh
_SIGMOID, _RELU, _ABS, _MAXIMUM, _MINIMUM = table.sigmoid, table.relu, table.abs, table.maximum, table.minimum
_SUM, _DOT = table.sum, table.dot


def core() -> str:
    """Return "compiled" if Cython compiled the engine's core at installation, else "interpreted"; results are equal."""
    return "compiled" if cython.compiled else "interpreted"


def _closed(birth: float) -> float:
    """Return the mark of a Var that requires no gradient, made after that many calls had begun."""
    return _CLOSED - birth * _LAST_DIGIT


# cclass must stand next to the class. Without the collector a graph costs a third: it holds no cycles, so that
# counting references frees it.
@cython.final
@cython.no_gc
@cython.cclass
class Var:
    """Hold a number, remember how it was computed, and receive its gradient.

    Args:
        value: any real number; it is stored as a float.
        label: a name for drawings and messages.
        requires_grad: whether gradients are wanted for it.

    >>> x, y = Var(2.0, label="x"), Var(3.0, label="y")
    >>> z = (x**2 + 3)**2 + y
    >>> z.backward()
    >>> z.value, x.grad, y.grad
    (52.0, 56.0, 1.0)
    """

    # One or two arguments stand in _a and _b, their partials in _da and _db. A constant argument is not a node: its
    # field is _NOTHING, as a missing one is, and its number stands where the partial would. Few nodes are wide: those
    # of n-ary operations, and those with a label. Their _b is None, and their _a is a tuple: the arguments, Vars and
    # floats as they came, their partials, and the label. The _a of a leaf is its label.
    __signature__ = Arguments("value", label=None, requires_grad=True)
    __slots__ = ("_a", "_b", "_da", "_db", "_grad", "_mark", "_op", "_value")

    # Without this, C would refuse a wrong type before the message below could name it.
    @cython.annotation_typing(False)
    def __init__(self, value: Any, label: str | None = None, requires_grad: bool = True) -> None:
        if type(value) is not float:
            value = _as_number(value)
        if label is not None and not isinstance(label, str):
            raise TypeError(f"Var expected a str or None as label but got {describe('label', label)}")
        self._value = value
        self._grad = 0.0
        self._op: Primitive | None = None
        self._a: Any = label
        self._b: Var | None = None
        self._da = self._db = 0.0
        self._mark = _birth if requires_grad else _closed(_birth)

    # ---- what a Var tells of itself ----

    @property
    def value(self) -> float:
        """The number. It can be assigned on a leaf; graphs recorded before keep their derivatives."""
        if _watched and is_tracing():
            _check_reading(self)
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        if self._op is not None:
            raise AttributeError(
                f"value expected a leaf Var to assign to but got a Var computed by '{self._op.name}'; "
                "assign to the leaves it was computed from, or make a new Var"
            )
        self._value = value if type(value) is float else _as_number(value)

    @property
    def grad(self) -> float:
        """The gradient: on a leaf the sum over all sweeps since `zero_grad`, else that of the latest sweep."""
        return self._grad

    @grad.setter
    def grad(self, grad: Any) -> None:
        self._grad = grad if type(grad) is float else to_float(grad, "grad", "grad")
        self._mark = _FRESH if self._mark < _CLOSED else 2.0 * _CLOSED

    @property
    def has_grad(self) -> bool:
        """Whether a sweep has reached this Var since `zero_grad`: distinguishes a gradient of 0 from none."""
        return 0.0 < self._mark < _CLOSED or self._mark >= 2.0 * _CLOSED

    @property
    def label(self) -> str | None:
        """The name shown in drawings."""
        if self._b is not None:
            return None
        label: str | None = self._a if self._op is None else self._a[2]
        return label

    @label.setter
    def label(self, label: Any) -> None:
        if label is not None and not isinstance(label, str):
            raise TypeError(f"label expected a str or None but got {describe('label', label)}")
        if self._op is None:
            self._a = label
        elif label is not None or self._b is None:
            self._a = (self.args, self.partials, label)
            self._b = None

    @property
    def op(self) -> Primitive | None:
        """The operation that computed this Var; None for a leaf."""
        return self._op

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments of the operation, in order, as given: Vars, and floats for constants."""
        if self._op is None:
            return ()
        if self._b is None:
            args: tuple[Any, ...] = self._a[0]
            return args
        a = self._da if self._a is _NOTHING else self._a
        return (a,) if self._op.arity == 1 else (a, self._db if self._b is _NOTHING else self._b)

    @property
    def parents(self) -> tuple[Var, ...]:
        """The arguments of the operation, in order; a constant is a Var that requires no gradient."""
        # Once shown, a constant stays a node, so that walks by identity see one and the same.
        if self._op is None:
            return ()
        if self._b is None:
            args, partials, label = self._a
            self._a = (tuple([arg if type(arg) is Var else Var(arg, None, False) for arg in args]), partials, label)
            return self.args
        if self._a is _NOTHING:
            self._a, self._da = Var(self._da, None, False), 0.0
        if self._b is _NOTHING and self._op.arity == 2:
            self._b, self._db = Var(self._db, None, False), 0.0
        return self.args

    @property
    def partials(self) -> tuple[float, ...]:
        """The derivative by each argument, found when the operation ran; 0 for a constant number."""
        if self._op is None:
            return ()
        if self._b is None:
            partials: tuple[float, ...] = self._a[1]
            return partials
        found = (0.0 if self._a is _NOTHING else self._da, 0.0 if self._b is _NOTHING else self._db)
        return found[: self._op.arity]

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this Var; it can be assigned on a leaf."""
        return self._mark < _CLOSED

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        if self._op is not None:
            raise AttributeError(
                f"requires_grad expected a leaf Var to assign to but got a Var computed by '{self._op.name}'; "
                "use detach() for a copy without gradient"
            )
        if bool(flag) != self.requires_grad:
            if self.has_grad:
                self._mark = _FRESH if flag else 2.0 * _CLOSED
            else:
                self._mark = _made_at(self) if flag else _closed(self._mark)

    @property
    def is_leaf(self) -> bool:
        """Whether this Var was made by the user, not computed."""
        return self._op is None

    def __repr__(self) -> str:
        label = "" if self.label is None else f", label={self.label!r}"
        return f"Var({self._value!r}, grad={self._grad!r}{label})"

    def __format__(self, spec: str) -> str:
        return format(self._value, spec) if spec else repr(self)

    # ---- gradients ----

    @cython.annotation_typing(False)
    def backward(self, seed: float = 1.0) -> None:
        """Add `seed` times the derivative of this Var by each leaf to that leaf's gradient.

        An adjoint or a partial that is exactly 0 propagates nothing (so 0 times infinity never makes nan).
        Raises `GraphError` where nothing below requires a gradient.

        Sweeps of several threads wait for each other, so leaves that they share lose nothing. Ctrl-C leaves the
        gradients of leaves as they were before the sweep; those of computed Vars are then of no use.

        >>> a = Var(3.0)
        >>> b = a + a
        >>> c = b + b
        >>> c.backward()
        >>> a.grad
        4.0
        """
        if type(seed) is not float:
            seed = to_float(seed, "backward", "seed")
        if self._mark >= _CLOSED:
            raise GraphError(
                f"backward expected a Var that requires grad but got {self!r}; it was computed from constants "
                "only, detached, or made inside no_grad()"
            )
        if self._op is None:
            self._grad += seed
            self._mark = _FRESH
            return
        _reverse_sweep(self, seed)

    def zero_grad(self) -> None:
        """Forget the gradient of this Var."""
        self._grad = 0.0
        if self.has_grad:
            self._mark = 0.0 if self._mark < _CLOSED else _CLOSED

    def detach(self) -> Var:
        """Return a new leaf with this value, through which no gradient flows."""
        if _watched and is_tracing():
            stopped: Var = table.stop_gradient(self)
            return stopped
        return Var(self._value, self.label, False)

    # ---- arithmetic ----

    def __add__(self, other: Any) -> Any:
        if type(other) is Var:
            rhs: Var = other
            return _binary(_ADD, self._value + rhs._value, self, rhs, 1.0, 1.0)
        number = other if type(other) is float else _operand(other)
        return NotImplemented if number is None else _binary(_ADD, self._value + number, self, _NOTHING, 1.0, number)

    def __iadd__(self, other: Any) -> Any:
        if type(other) is float and self._op is None and self.has_grad:
            warn_of_lost_step("+=", self)
        return self + other

    def __radd__(self, other: Any) -> Any:
        number = other if type(other) is float else _operand(other)
        return NotImplemented if number is None else _binary(_ADD, number + self._value, _NOTHING, self, number, 1.0)

    def __sub__(self, other: Any) -> Any:
        if type(other) is Var:
            rhs: Var = other
            return _binary(_SUB, self._value - rhs._value, self, rhs, 1.0, -1.0)
        number = other if type(other) is float else _operand(other)
        return NotImplemented if number is None else _binary(_SUB, self._value - number, self, _NOTHING, 1.0, number)

    def __isub__(self, other: Any) -> Any:
        if type(other) is float and self._op is None and self.has_grad:
            warn_of_lost_step("-=", self)
        return self - other

    def __rsub__(self, other: Any) -> Any:
        number = other if type(other) is float else _operand(other)
        return NotImplemented if number is None else _binary(_SUB, number - self._value, _NOTHING, self, number, -1.0)

    def __mul__(self, other: Any) -> Any:
        if type(other) is Var:
            rhs: Var = other
            at_zero = self._value == 0.0 and rhs._value == 0.0 and self._op is not None and rhs._op is not None
            if at_zero and (found := power_of_root(_MUL, (self, rhs))) is not None:
                return found
            return _binary(_MUL, self._value * rhs._value, self, rhs, rhs._value, self._value)
        # The constant is at once the second argument and the partial by the first.
        number = other if type(other) is float else _operand(other)
        return NotImplemented if number is None else _binary(_MUL, self._value * number, self, _NOTHING, number, number)

    def __rmul__(self, other: Any) -> Any:
        number = other if type(other) is float else _operand(other)
        return NotImplemented if number is None else _binary(_MUL, number * self._value, _NOTHING, self, number, number)

    def __truediv__(self, other: Any) -> Any:
        if type(other) is Var:
            rhs: Var = other
            y = rhs._value
            quotient = _div(self._value, y)
            return _binary(_DIV, quotient, self, rhs, _div(1.0, y), -_div(quotient, y))
        number = other if type(other) is float else _operand(other)
        if number is None:
            return NotImplemented
        return _binary(_DIV, _div(self._value, number), self, _NOTHING, _div(1.0, number), number)

    def __rtruediv__(self, other: Any) -> Any:
        number = other if type(other) is float else _operand(other)
        if number is None:
            return NotImplemented
        quotient = _div(number, self._value)
        return _binary(_DIV, quotient, _NOTHING, self, number, -_div(quotient, self._value))

    def __neg__(self) -> Var:
        return _unary(_NEG, -self._value, self, -1.0)

    def __pos__(self) -> Var:
        return self

    def __pow__(self, other: Any, modulus: None = None) -> Any:
        if modulus is not None:
            return NotImplemented
        number = None if type(other) is Var else other if type(other) is float else _operand(other)
        if number is not None:
            at_zero = self._value == 0.0 and self._op is not None
            if at_zero and (found := power_of_root(_POW, (self, number))) is not None:
                return found
            slope = c_power_slope(self._value, number)
            if -_INF < slope < _INF:
                return _binary(_POW, c_pow(self._value, number), self, _NOTHING, slope, number)
        return _operator(_POW, self, other)

    def __rpow__(self, other: Any, modulus: None = None) -> Any:
        return NotImplemented if modulus is not None else _operator(_POW, other, self)

    def __xor__(self, other: Any) -> Any:
        raise TypeError(POWER.format(got=describe("x ^ y", other)))

    def __rxor__(self, other: Any) -> Any:
        raise TypeError(POWER.format(got=describe("x ^ y", self)))

    def __mod__(self, other: Any) -> Any:
        return _operator(table.remainder, self, other)

    def __rmod__(self, other: Any) -> Any:
        return _operator(table.remainder, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _operator(table.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _operator(table.floor_divide, other, self)

    def __divmod__(self, other: Any) -> Any:
        return both(self.__floordiv__(other), self.__mod__(other))

    def __rdivmod__(self, other: Any) -> Any:
        return both(self.__rfloordiv__(other), self.__rmod__(other))

    def __abs__(self) -> Any:
        return self.abs()

    def __floor__(self) -> Any:
        return table.floor(self)

    def __ceil__(self) -> Any:
        return table.ceil(self)

    def __trunc__(self) -> Any:
        return table.trunc(self)

    def __round__(self, ndigits: int | None = None) -> Any:
        # Rounding to decimals is not a row: its derivative is 0, so the rounded number is a constant.
        return table.round(self) if ndigits is None else Var(round(self.value, ndigits), None, False)

    # ---- comparisons: by value; the hash is the identity, so that Vars can stand in sets and dicts ----

    def __eq__(self, other: object) -> Any:
        return _compare(operator.eq, self, other)

    def __ne__(self, other: object) -> Any:
        return _compare(operator.ne, self, other)

    def __lt__(self, other: Any) -> Any:
        return _compare(operator.lt, self, other)

    def __le__(self, other: Any) -> Any:
        return _compare(operator.le, self, other)

    def __gt__(self, other: Any) -> Any:
        return _compare(operator.gt, self, other)

    def __ge__(self, other: Any) -> Any:
        return _compare(operator.ge, self, other)

    def __hash__(self) -> int:
        return id(self) >> 4

    def __bool__(self) -> bool:
        return bool(_compare(operator.ne, self, 0.0))

    # ---- functions met most, as their rows have them ----

    def exp(self) -> Var:
        """Return e to the power of this."""
        value = c_exp(self._value)
        return _unary(_EXP, value, self, value)

    def log(self) -> Var:
        """Return the natural logarithm."""
        x = self._value
        return _unary(_LOG, c_log(x), self, _NAN if x < 0.0 else _div(1.0, abs(x)))

    def sqrt(self) -> Var:
        """Return the square root."""
        value = c_sqrt(self._value)
        return _unary(_SQRT, value, self, _div(0.5, abs(value)))

    def sin(self) -> Var:
        """Return the sine."""
        return _unary(_SIN, c_sin(self._value), self, c_cos(self._value))

    def cos(self) -> Var:
        """Return the cosine."""
        return _unary(_COS, c_cos(self._value), self, -c_sin(self._value))

    def tanh(self) -> Var:
        """Return the hyperbolic tangent."""
        root = 1.0 / c_cosh(self._value)
        return _unary(_TANH, c_tanh(self._value), self, root * root)

    def sigmoid(self) -> Var:
        """Return 1 / (1 + exp(-x))."""
        x = self._value
        power = c_exp(-x if x >= 0.0 else x)
        root = 1.0 / c_cosh(0.5 * x)
        value = 1.0 / (1.0 + power) if x >= 0.0 else power / (1.0 + power)
        return _unary(_SIGMOID, value, self, 0.25 * (root * root))

    def relu(self) -> Var:
        """Return max(x, 0)."""
        x = self._value
        return _unary(_RELU, 0.0 if x <= 0.0 else x, self, 1.0 if x > 0.0 else 0.0)

    def abs(self) -> Var:
        """Return the absolute value."""
        x = self._value
        if x > 0.0:
            return _unary(_ABS, x, self, 1.0)
        return _unary(_ABS, -x, self, -1.0) if x < 0.0 else _unary(_ABS, x * x, self, x)

    def maximum(self, y: Any) -> Any:
        """Return the greater of two."""
        return _extremum(_MAXIMUM, self, y, True)

    def minimum(self, y: Any) -> Any:
        """Return the lesser of two."""
        return _extremum(_MINIMUM, self, y, False)

    # ---- functions, methods and NumPy ----

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Offer every row as a method, under NumPy's name too: ``x.sin()``, ``x.arcsin()``."""
        return MethodType(method_of(method_or_advice(name, "Var"), name), self)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *method_names()} - PARTS)

    def __float__(self) -> float:
        raise TypeError(READ.format(function="float", got=describe("x", self)))

    def __int__(self) -> int:
        raise TypeError(READ.format(function="int", got=describe("x", self)))

    def __complex__(self) -> complex:
        raise TypeError(READ.format(function="complex", got=describe("x", self)))

    __apply_rank__ = 1

    @staticmethod
    def __apply__(row: Primitive, args: tuple[Any, ...]) -> Any:
        """Run an operation of the table on Vars and floats, and record it."""
        if (row is _DOT and len(args) > 2) or row is _SUM:
            found = _run_dot(args) if row is _DOT else _run_sum(args)
            if found is not None:
                return found
        values = [_number(arg) for arg in args]
        value = row.evaluate(*values)
        if value == 0.0 and type(args[0]) is Var and (smooth := power_of_root(row, args)) is not None:
            return smooth
        if not _any_wants_gradient(args) or (_watched and not is_recording()):
            return _wide(row, value, args, ())
        partials = ask_rule(row, value, values)
        if row.custom:
            return record_custom(row, value, args, partials, Var.record, is_tracing())
        return Var.record(row, value, args, [_number(partial) for partial in partials])

    @staticmethod
    def record(row: Primitive, value: float, args: tuple[Any, ...], partials: Sequence[float]) -> Var:
        """Make the node of an operation that ran: its value, its arguments and its partials."""
        if len(args) == 1 and row.arity == 1:
            return _unary(row, value, args[0], partials[0])
        if len(args) == 2 and row.arity == 2:
            a, b = args
            if type(a) is not Var:
                return _binary(row, value, _NOTHING, b, a, partials[1])
            if type(b) is not Var:
                return _binary(row, value, a, _NOTHING, partials[0], b)
            return _binary(row, value, a, b, partials[0], partials[1])
        return _wide(row, value, args, tuple(partials))

    def __copy__(self) -> Any:
        return _copy(self, None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return _copy(self, memo)

    def __reduce__(self) -> Any:
        return _reduce(self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return call_function(function, types, args, kwargs)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle: dict[str, str] = importlib.import_module("chainrule.viz").mimebundle(self)
        return bundle

    def _repr_svg_(self) -> str | None:
        return self._repr_mimebundle_().get("image/svg+xml")


_NOTHING = Var(0.0, None, False)  # where a node has no Var as argument


def _as_number(value: Any) -> float:
    if type(value) is Var:
        raise TypeError(
            f"Var expected a number but got {describe('value', value)}; use .value for its number, or the Var itself"
        )
    return to_float(value, "Var", "value", "a number", "make one Var for each number")


def number_of(x: Any) -> Any:
    """Return the number that a Var holds, and anything else as it is."""
    return x.value if type(x) is Var else x


def _number(arg: Any) -> float:
    if type(arg) is Var:
        node: Var = arg
        return node._value
    return arg


def _wants_gradient(arg: Any) -> Any:
    if type(arg) is Var:
        node: Var = arg
        return node._mark < _CLOSED
    return False


def _any_wants_gradient(args: Any) -> Any:
    for arg in args:  # noqa: SIM110  # a generator would cost more than it asks
        if _wants_gradient(arg):
            return True
    return False


def _operand(other: Any) -> Any:
    """Return the other operand of an operator as a float, or None if it is not a number."""
    if type(other) is float:
        return other
    if type(other) is int and -_EXACT < other < _EXACT:
        return float(other)
    try:
        return to_float(other, "Var", "other")
    except TypeError:
        return None


def _div(x: float, y: float) -> float:
    return x / y if y != 0.0 else ieee.div(x, y)


def _leaf(value: float, requires: bool) -> Var:
    """Make a Var like the constructor, from a value known to be a float."""
    node: Var = Var.__new__(Var)
    if not cython.compiled:
        _blank(node)
    node._value = value
    node._mark = _birth if requires else _closed(_birth)
    return node


def _blank(node: Var) -> None:
    """Set the fields that the compiled form initialises by itself."""
    node._grad = node._da = node._db = 0.0
    node._op = node._a = node._b = None


def _made_at(node: Var) -> float:
    """Return minus the number of calls begun before a Var was made; 0 if a sweep has reached it since."""
    if node._mark < _CLOSED:
        return node._mark if node._mark <= 0.0 else 0.0
    return (_CLOSED - node._mark) / _LAST_DIGIT if node._mark < 2.0 * _CLOSED else 0.0


def begin() -> float:
    """Begin a call that will ask which Vars were made in it; return its start, for `born_since`.

    >>> old = Var(2.0)
    >>> start = begin()
    >>> born_since(old * old, start), born_since(old, start)
    (True, False)
    """
    global _birth
    _birth -= 1.0
    return _birth


def born_since(node: Var, start: float) -> bool:
    """Return whether a Var was made after a call began; one that `backward` has swept since counts as older."""
    return _made_at(node) <= start


def _unary(row: Primitive, value: float, a: Var, da: float) -> Var:
    return _binary(row, value, a, _NOTHING, da, 0.0)


def _binary(row: Primitive, value: float, a: Var, b: Var, da: float, db: float) -> Var:
    """Make the node of an operation on one or two arguments; for _NOTHING a constant comes as its partial."""
    if _watched or (a._mark >= _CLOSED and b._mark >= _CLOSED):
        args = (da if a is _NOTHING else a, db if b is _NOTHING else b)
        partials = (0.0 if a is _NOTHING else da, 0.0 if b is _NOTHING else db)
        return _wide(row, value, args[: row.arity], partials[: row.arity])
    if cython.compiled:
        node: Var = cython.cast(Var, new_node(value, row, a, b, da, db))
        node._mark = _birth
    else:
        # This is where interpreted code spends its time.
        node = _new(Var)
        node._value = value
        node._grad = 0.0
        node._op = row
        node._a = a
        node._b = b
        node._da = da
        node._db = db
        node._mark = _birth
    return node


def _wide(row: Primitive, value: float, args: Any, partials: Any) -> Var:
    """Make the node of an operation on any number of arguments, or a leaf if nothing is recorded."""
    recorded, searched = in_effect() if _watched else (True, False)
    if searched:
        check_value(row, value, [_number(arg) for arg in args])
    wanted = recorded and _any_wants_gradient(args)
    # A trace wants to know how constants were computed, too: it reads what they were computed from at each call.
    if not wanted and not (_watched and is_tracing() and Var in map(type, args)):
        return _leaf(value, False)
    node = _leaf(value, wanted)
    node._op = row
    node._a = (args, partials, None)
    if searched:
        remember(node)
    return node


def _extremum(row: Primitive, x: Var, other: Any, greater: bool) -> Any:
    """Run maximum or minimum: a tie shares the derivative, a nan is the result."""
    y: Var = other if type(other) is Var else _NOTHING
    number = other if y is _NOTHING else y._value
    if type(number) is not float:
        if is_array(other):
            return on_arrays(row, [x, other])
        found: Var = Var.__apply__(row, (x, to_float(number, row.name, "y")))
        return found
    difference = x._value - number if greater else number - x._value
    if difference > 0.0:
        return _binary(row, x._value, x, y, 1.0, number if y is _NOTHING else 0.0)
    if difference < 0.0:
        return _binary(row, number, x, y, 0.0, number if y is _NOTHING else 1.0)
    # Ties, signed zeros, infinities and nan are left to the row.
    partials = local_partials(row, row.evaluate(x._value, number), [x._value, number])
    return _binary(row, row.evaluate(x._value, number), x, y, partials[0], number if y is _NOTHING else partials[1])


def _run_sum(args: Any) -> Any:
    total = 0.0
    wanted = False
    for arg in args:
        if type(arg) is Var:
            x: Var = arg
            total += x._value
            wanted = wanted or x._mark < _CLOSED
        else:
            total += arg
    return _wide(_SUM, total, args, (1.0,) * len(args)) if wanted else None


def _run_dot(args: Any) -> Any:
    half = len(args) // 2
    total = 0.0
    wanted = False
    values = []
    for arg in args:
        if type(arg) is Var:
            x: Var = arg
            values.append(x._value)
            wanted = wanted or x._mark < _CLOSED
        else:
            values.append(arg)
    if not wanted:
        return None
    for k in range(half):
        total += values[k] * values[half + k]
    return _wide(_DOT, total, args, (*values[half:], *values[:half]))


def _operator(row: Primitive, left: Any, right: Any) -> Any:
    """Run a row for an operator; an operand that is not a number is left to its own class."""
    left = left if type(left) is Var else _operand(left)
    right = right if type(right) is Var else _operand(right)
    return NotImplemented if left is None or right is None else Var.__apply__(row, (left, right))


def _compare(relation: Callable[[Any, Any], Any], left: Var, right: object) -> Any:
    if _watched and is_tracing():
        traced, other = _lift(left), _lift(right)
        if type(traced) is not float or (type(right) is Var and type(other) is not float):
            return relation(traced, other)
    number = _number(right) if type(right) is Var else _operand(right)
    return NotImplemented if number is None else relation(left._value, number)


def local_partials(row: Primitive, value: float, values: Sequence[float]) -> Sequence[float]:
    """Return the derivative of a row by each argument, at floats.

    >>> from chainrule import log
    >>> local_partials(log, float("-inf"), [0.0])
    [inf]
    """
    return [_number(partial) for partial in ask_rule(row, value, values)]


def ask_rule(row: Primitive, value: Any, args: Sequence[Any]) -> Sequence[Any]:
    """Return a row's partials; where ``/`` and ``**`` of floats raise or make complex numbers, those of Vars."""
    try:
        partials: Sequence[Any] = row.partials(value, *args)
        if not row.custom or complex not in set(map(type, partials)):
            return partials
    except (ZeroDivisionError, OverflowError, TypeError) as error:
        if type(error) is TypeError and not row.custom:  # a row of the table computes with nothing complex
            raise
    with lenient():
        return row.partials(*[Var(arg, None, False) if type(arg) is float else arg for arg in (value, *args)])


def _set_watched(blocks: int) -> None:
    global _watched
    _watched = blocks


def use_reverse_sweep(sweep: Callable[[Any, float], None]) -> None:
    """Set what `Var.backward` runs: a function of another module, which imports this one."""
    global _reverse_sweep
    _reverse_sweep = sweep


def use_traces(lift: Callable[[Any], Any], check_reading: Callable[[Any], None]) -> None:
    """Set what represents a Var in the running trace, and what happens when its number is read."""
    global _lift, _check_reading
    _lift, _check_reading = lift, check_reading


def use_copies(copy: Callable[[Any, Any], Any], reduce: Callable[[Any], Any]) -> None:
    """Set what `copy.copy` and `copy.deepcopy` do, and what pickles hold."""
    global _copy, _reduce
    _copy, _reduce = copy, reduce


use_watcher(_set_watched)
if cython.compiled:
    install_nodes(Var)  # nodes.h gives them memory, and frees graphs without recursion
else:
    del Var.__getattr__  # with it, Python would look up every field the slow way
    offer(Var)

use_fast(Var, "exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "relu", "abs", "maximum", "minimum")
