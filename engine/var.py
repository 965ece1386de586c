"""Write scalar code with `Var`, and every operation is recorded; `backward()` then finds all derivatives.

A computed Var is a node of the graph: an operation (a row of the table), its arguments and, found when the
operation ran, the partial derivative by each of them. `Var.backward` visits the nodes so that each comes
before its arguments, and at each node adds (gradient of the node) x (partial) to the gradient of the argument:
that is the chain rule, and all there is to backpropagation. Nothing here recurses on the graph.

Arithmetic is spelled here a second time, beside its rows, for speed; tests hold both spellings equal.
"""

from __future__ import annotations

import importlib
import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any

from . import ieee, table
from .errors import GraphError
from .methods import call_ufunc, method_names, method_row
from .modes import check_gradient, check_value, is_recording, is_strict, lenient, listen, remember
from .primitive import Primitive, describe, to_float

__all__ = ["Var", "gradients", "local_partials", "walk"]

_NEVER, _FRESH = 0, 1  # Var._mark: no sweep came here yet; one did; greater numbers belong to a sweep under way
_clock = 1
_watched = 0  # open blocks of no_grad and strict in all threads
_sweeping = threading.RLock()  # sweeps of several threads wait for each other, so that shared leaves lose nothing


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

    # One or two arguments stand in _a and _b, their partials in _da and _db. A constant argument is not a
    # node: its field is None and its number stands where the partial would. More arguments, Vars and floats
    # as they came, stand in _args and their partials in _partials.
    __slots__ = (
        "_a",
        "_args",
        "_b",
        "_da",
        "_db",
        "_grad",
        "_label",
        "_mark",
        "_op",
        "_partials",
        "_requires",
        "_value",
    )

    _value: float
    _grad: float
    _op: Primitive | None
    _a: Var | None
    _b: Var | None
    _da: float
    _db: float
    _args: tuple[Any, ...] | None
    _partials: tuple[float, ...]
    _label: str | None
    _requires: bool
    _mark: int

    def __init__(self, value: Any, label: str | None = None, requires_grad: bool = True) -> None:
        if type(value) is not float:
            value = _as_number(value)
        if label is not None and not isinstance(label, str):
            raise TypeError(f"Var expected a str or None as label but got {describe('label', label)}")
        self._value = value
        self._grad = 0.0
        self._op = None
        self._a = self._b = None
        self._da = self._db = 0.0
        self._args = None
        self._partials = ()
        self._label = label
        self._requires = bool(requires_grad)
        self._mark = _NEVER

    # ---- what a Var tells of itself ----

    @property
    def value(self) -> float:
        """The number. It can be assigned on a leaf; graphs recorded before keep their derivatives."""
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        if self._op is not None:
            raise AttributeError(
                f"value expected a leaf Var to assign to but got a Var computed by '{self._op.name}'; "
                "assign to the leaves it was computed from, or make a new Var"
            )
        self._value = _as_number(value)

    @property
    def grad(self) -> float:
        """The gradient: on a leaf the sum over all sweeps since `zero_grad`, else that of the latest sweep."""
        return self._grad

    @grad.setter
    def grad(self, grad: Any) -> None:
        self._grad = to_float(grad, "grad", "grad")
        self._mark = _FRESH

    @property
    def has_grad(self) -> bool:
        """Whether a sweep has come here since `zero_grad`: tells a gradient of 0 from one never computed."""
        return self._mark != _NEVER

    @property
    def label(self) -> str | None:
        """The name shown in drawings."""
        return self._label

    @label.setter
    def label(self, label: str | None) -> None:
        if label is not None and not isinstance(label, str):
            raise TypeError(f"label expected a str or None but got {describe('label', label)}")
        self._label = label

    @property
    def op(self) -> Primitive | None:
        """The operation that computed this Var; None for a leaf."""
        return self._op

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments of the operation, in order, as they came: Vars, and floats for constants."""
        if self._op is None:
            return ()
        if self._args is not None:
            return self._args
        a = self._da if self._a is None else self._a
        return (a,) if self._op.arity == 1 else (a, self._db if self._b is None else self._b)

    @property
    def parents(self) -> tuple[Var, ...]:
        """The arguments of the operation, in order; a constant is a Var that requires no gradient."""
        # Once shown, a constant stays a node, so that walks by identity see one and the same.
        if self._args is not None:
            self._args = tuple([arg if type(arg) is Var else Var(arg, None, False) for arg in self._args])
        elif self._op is not None:
            if self._a is None:
                self._a, self._da = Var(self._da, None, False), 0.0
            if self._b is None and self._op.arity == 2:
                self._b, self._db = Var(self._db, None, False), 0.0
        return self.args

    @property
    def partials(self) -> tuple[float, ...]:
        """The derivative by each argument, found when the operation ran; 0 for a constant number."""
        if self._args is not None:
            return self._partials
        found = (0.0 if self._a is None else self._da, 0.0 if self._b is None else self._db)
        return found[: len(self.args)]

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this Var; it can be assigned on a leaf."""
        return self._requires

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        if self._op is not None:
            raise AttributeError(
                f"requires_grad expected a leaf Var to assign to but got a Var computed by '{self._op.name}'; "
                "use detach() for a copy without gradient"
            )
        self._requires = bool(flag)

    @property
    def is_leaf(self) -> bool:
        """Whether this Var was made by the user, not computed."""
        return self._op is None

    def __repr__(self) -> str:
        label = "" if self._label is None else f", label={self._label!r}"
        return f"Var({self._value!r}, grad={self._grad!r}{label})"

    def __format__(self, spec: str) -> str:
        return format(self._value, spec) if spec else repr(self)

    # ---- gradients ----

    def backward(self, seed: float = 1.0) -> None:
        """Add `seed` times the derivative of this Var by each leaf to that leaf's gradient.

        An adjoint or a partial that is exactly 0 propagates nothing (so 0 times infinity never makes nan).
        Raises `GraphError` where nothing below requires a gradient.

        >>> a = Var(3.0)
        >>> b = a + a
        >>> c = b + b
        >>> c.backward()
        >>> a.grad
        4.0
        """
        if type(seed) is not float:
            seed = to_float(seed, "backward", "seed")
        if not self._requires:
            raise GraphError(
                f"backward expected a Var that requires grad but got {self!r}; it was computed from constants "
                "only, detached, or made inside no_grad()"
            )
        if self._op is None:
            self._grad += seed
            self._mark = _FRESH
            return
        with _sweeping:
            _sweep(self, seed, None)

    def zero_grad(self) -> None:
        """Forget the gradient of this Var."""
        self._grad = 0.0
        self._mark = _NEVER

    def detach(self) -> Var:
        """Return a new leaf with this value, through which no gradient flows."""
        return Var(self._value, self._label, False)

    # ---- arithmetic ----

    def __add__(self, other: Any) -> Any:
        if type(other) is Var:
            return _binary(table.add, self._value + other._value, self, other, 1.0, 1.0)
        other = _operand(other)
        if other is None:
            return NotImplemented
        return _binary(table.add, self._value + other, self, None, 1.0, other)

    def __radd__(self, other: Any) -> Any:
        other = _operand(other)
        if other is None:
            return NotImplemented
        return _binary(table.add, other + self._value, None, self, other, 1.0)

    def __sub__(self, other: Any) -> Any:
        if type(other) is Var:
            return _binary(table.sub, self._value - other._value, self, other, 1.0, -1.0)
        other = _operand(other)
        if other is None:
            return NotImplemented
        return _binary(table.sub, self._value - other, self, None, 1.0, other)

    def __rsub__(self, other: Any) -> Any:
        other = _operand(other)
        if other is None:
            return NotImplemented
        return _binary(table.sub, other - self._value, None, self, other, -1.0)

    def __mul__(self, other: Any) -> Any:
        if type(other) is Var:
            return _binary(table.mul, self._value * other._value, self, other, other._value, self._value)
        other = _operand(other)
        if other is None:
            return NotImplemented
        # The constant is at once the second argument and the partial by the first.
        return _binary(table.mul, self._value * other, self, None, other, other)

    def __rmul__(self, other: Any) -> Any:
        other = _operand(other)
        if other is None:
            return NotImplemented
        return _binary(table.mul, other * self._value, None, self, other, other)

    def __truediv__(self, other: Any) -> Any:
        if type(other) is Var:
            y = other._value
            quotient = ieee.div(self._value, y)
            return _binary(table.div, quotient, self, other, ieee.div(1.0, y), -ieee.div(quotient, y))
        other = _operand(other)
        if other is None:
            return NotImplemented
        return _binary(table.div, ieee.div(self._value, other), self, None, ieee.div(1.0, other), other)

    def __rtruediv__(self, other: Any) -> Any:
        other = _operand(other)
        if other is None:
            return NotImplemented
        quotient = ieee.div(other, self._value)
        return _binary(table.div, quotient, None, self, other, -ieee.div(quotient, self._value))

    def __neg__(self) -> Var:
        return _unary(table.neg, -self._value, self, -1.0)

    def __pos__(self) -> Var:
        return self

    def __pow__(self, other: Any, modulus: None = None) -> Any:
        if modulus is not None:
            return NotImplemented
        exponent = None if type(other) is Var else _operand(other)
        if exponent is not None:
            power = ieee.pow(self._value, exponent - 1.0)
            if abs(power) < ieee.inf:
                value = ieee.pow(self._value, exponent)
                return _binary(table.pow, value, self, None, exponent * power, exponent)
        return _operator(table.pow, self, other)

    def __rpow__(self, other: Any, modulus: None = None) -> Any:
        return NotImplemented if modulus is not None else _operator(table.pow, other, self)

    def __mod__(self, other: Any) -> Any:
        return _operator(table.remainder, self, other)

    def __rmod__(self, other: Any) -> Any:
        return _operator(table.remainder, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _operator(table.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _operator(table.floor_divide, other, self)

    def __divmod__(self, other: Any) -> Any:
        rest = self.__mod__(other)
        return rest if rest is NotImplemented else (self // other, rest)

    def __rdivmod__(self, other: Any) -> Any:
        rest = self.__rmod__(other)
        return rest if rest is NotImplemented else (other // self, rest)

    def __abs__(self) -> Any:
        return table.abs(self)

    def __floor__(self) -> Any:
        return table.floor(self)

    def __ceil__(self) -> Any:
        return table.ceil(self)

    def __trunc__(self) -> Any:
        return table.trunc(self)

    def __round__(self, ndigits: int | None = None) -> Any:
        # Rounding to decimals is not a row: its derivative is 0, so the rounded number is a constant.
        return table.round(self) if ndigits is None else Var(round(self._value, ndigits), None, False)

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
        return self._value != 0.0

    # ---- functions, methods and NumPy ----

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Offer every row as a method, under NumPy's name too: ``x.sin()``, ``x.arcsin()``."""
        row = method_row(name)
        if row is None:
            raise AttributeError(f"'Var' object has no attribute {name!r}")

        def method(*args: Any) -> Any:
            return row(self, *args)

        method.__name__ = name
        method.__doc__ = row.__doc__
        return method

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *method_names()]

    def __float__(self) -> float:
        raise TypeError(_READ.format(function="float", got=describe("x", self)))

    def __int__(self) -> int:
        raise TypeError(_READ.format(function="int", got=describe("x", self)))

    def __complex__(self) -> complex:
        raise TypeError(_READ.format(function="complex", got=describe("x", self)))

    __apply_rank__ = 1

    @staticmethod
    def __apply__(row: Primitive, args: tuple[Any, ...]) -> Var:
        """Run an operation of the table on Vars and floats, and record it."""
        values = [arg._value if type(arg) is Var else arg for arg in args]
        value = row.evaluate(*values)
        if not any(type(arg) is Var and arg._requires for arg in args) or not is_recording():
            if _watched and is_strict():
                check_value(row, value, values)
            return Var(value, None, False)
        return Var.record(row, value, args, local_partials(row, value, values))

    @staticmethod
    def record(row: Primitive, value: float, args: tuple[Any, ...], partials: Sequence[float]) -> Var:
        """Make the node of an operation that ran: its value, its arguments, the partial by each of them."""
        if len(args) == 1:
            return _unary(row, value, args[0], partials[0])
        if len(args) == 2 and row.arity == 2:
            a, b = args
            if type(a) is not Var:
                return _binary(row, value, None, b, a, partials[1])
            if type(b) is not Var:
                return _binary(row, value, a, None, partials[0], b)
            return _binary(row, value, a, b, partials[0], partials[1])
        node = Var(value)
        if _watched and _is_constant(row, value, args, node):
            return node
        node._op = row
        node._args = args
        node._partials = tuple(partials)
        return node

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle: dict[str, str] = importlib.import_module("chainrule.viz").mimebundle(self)
        return bundle

    def _repr_svg_(self) -> str | None:
        return self._repr_mimebundle_().get("image/svg+xml")


_READ = (
    "{function} expected a number but got {got}; use .value to read the number, "
    "or chainrule's own functions (chainrule.sin for math.sin) to keep the gradient"
)


def _as_number(value: Any) -> float:
    if type(value) is Var:
        raise TypeError(
            f"Var expected a number but got {describe('value', value)}; use .value for its number, or the Var itself"
        )
    try:
        return to_float(value, "Var", "value")
    except TypeError:
        advice = "make one Var for each number" if hasattr(value, "__len__") and not isinstance(value, str) else ""
        advice = advice or ("convert it with float()" if isinstance(value, str) else "give a real number")
        raise TypeError(f"Var expected a number but got {describe('value', value)}; {advice}") from None


def _operand(other: Any) -> float | None:
    """Return the other side of an operator as a float, or None where it is not a number."""
    if type(other) is float:
        return other
    try:
        return to_float(other, "Var", "other")
    except TypeError:
        return None


def _unary(row: Primitive, value: float, a: Var, da: float) -> Var:
    node = Var(value)
    if _watched and _is_constant(row, value, (a,), node):
        return node
    if not a._requires:
        node._requires = False
        return node
    node._op = row
    node._a = a
    node._da = da
    return node


def _binary(row: Primitive, value: float, a: Var | None, b: Var | None, da: float, db: float) -> Var:
    """Make the node of a two-argument operation; for a constant argument the number comes as its partial."""
    node = Var(value)
    if _watched and _is_constant(row, value, (da if a is None else a, db if b is None else b), node):
        return node
    if not ((a is not None and a._requires) or (b is not None and b._requires)):
        node._requires = False
        return node
    node._op = row
    node._a = a
    node._b = b
    node._da = da
    node._db = db
    return node


def _is_constant(row: Primitive, value: float, args: Sequence[Any], node: Var) -> bool:
    """Ask this thread's modes: check the value where `strict` is on, and tell whether `no_grad` makes a constant."""
    if is_strict():
        check_value(row, value, [arg._value if type(arg) is Var else arg for arg in args])
        remember(node)
    node._requires = is_recording()
    return not node._requires


def _operator(row: Primitive, left: Any, right: Any) -> Any:
    """Run a row for an operator; what is not a number is left to the other side's class."""
    if type(left) is not Var:
        left = _operand(left)
    if type(right) is not Var:
        right = _operand(right)
    return NotImplemented if left is None or right is None else Var.__apply__(row, (left, right))


def _compare(relation: Callable[[float, float], bool], left: Var, right: object) -> Any:
    number = right._value if type(right) is Var else _operand(right)
    return NotImplemented if number is None else relation(left._value, number)


def local_partials(row: Primitive, value: float, values: Sequence[float]) -> Sequence[float]:
    """Return the derivative of a row by each argument at floats.

    Rules are written with ``/`` and ``**``, at which plain floats raise where IEEE has inf or nan: there the
    rule runs again on constant Vars, whose operators follow IEEE.

    >>> from chainrule import log
    >>> local_partials(log, float("-inf"), [0.0])
    [inf]
    """
    try:
        partials: Sequence[float] = row.partials(value, *values)
    except (ZeroDivisionError, OverflowError):
        constants = [Var(number, None, False) for number in (value, *values)]
        with lenient():
            partials = [d._value if type(d) is Var else d for d in row.partials(*constants)]
    return partials


def gradients(root: Var, inputs: Sequence[Var]) -> list[float] | None:
    """Return the derivatives by some leaves and change none of their gradients; None if there are more leaves.

    >>> x, y = Var(2.0), Var(3.0)
    >>> gradients(x * y, [x, y]), gradients(x * y, [x])
    ([3.0, 2.0], None)
    """
    if not root._requires:
        return [0.0] * len(inputs)
    with _sweeping:
        found = _sweep(root, 1.0, {id(leaf) for leaf in inputs})
    return None if found is None else [found.get(id(leaf), 0.0) for leaf in inputs]


def _sweep(root: Var, seed: float, only: set[int] | None) -> dict[int, float] | None:
    """Run the reverse sweep; `only` asks for the result instead of adding it, and for None at other leaves."""
    leaves: list[Var] = []
    marks: list[tuple[Var, int]] = []
    order = _order(root, leaves, None if only is None else marks)
    if only is not None and any(id(leaf) not in only for leaf in leaves):
        for node, mark in marks:
            node._mark = mark
        return None
    before = [leaf._grad for leaf in leaves]
    found = None
    try:
        for leaf in leaves:
            leaf._grad = 0.0
        for node in order:
            node._grad = 0.0
        root._grad = seed
        if _watched and is_strict():
            _propagate_strictly(order)
        else:
            _propagate(order)
        if only is not None:
            found = {id(leaf): leaf._grad for leaf in leaves}
        else:
            # Added once, so that a second sweep adds exactly as much as the first.
            before = [old + leaf._grad for old, leaf in zip(before, leaves, strict=True)]
    finally:
        for grad, leaf in zip(before, leaves, strict=True):
            leaf._grad = grad
    return found


def _order(root: Var, leaves: list[Var], marks: list[tuple[Var, int]] | None) -> list[Var]:
    """List the computed nodes below `root`, arguments before results; and the leaves, and marks as they were."""
    global _clock
    _clock += 1
    seen = _clock
    order: list[Var] = []
    stack: list[Any] = [root]
    while stack:
        node = stack.pop()
        if node is None:
            # Everything below the node under this mark is in the list.
            order.append(stack.pop())
            continue
        if node._mark == seen:
            continue
        if marks is not None:
            marks.append((node, node._mark))
        node._mark = seen
        if node._op is None:
            leaves.append(node)
            continue
        stack.append(node)
        stack.append(None)
        for arg in (node._a, node._b) if node._args is None else node._args:
            if type(arg) is Var and arg._requires and arg._mark != seen:
                stack.append(arg)
    return order


def _propagate(order: list[Var]) -> None:
    """Apply the chain rule at each node, results before arguments."""
    for position in range(len(order) - 1, -1, -1):
        node = order[position]
        g = node._grad
        if g == 0.0:
            continue
        if node._args is not None:
            for arg, partial in zip(node._args, node._partials, strict=True):
                if partial != 0.0 and type(arg) is Var and arg._requires:
                    arg._grad += g * partial
            continue
        a = node._a
        if a is not None and a._requires and node._da != 0.0:
            a._grad += g * node._da
        b = node._b
        if b is not None and b._requires and node._db != 0.0:
            b._grad += g * node._db


def _propagate_strictly(order: list[Var]) -> None:
    """Do what `_propagate` does, and raise where a gradient first becomes nan or inf."""
    for node in reversed(order):
        row, values = node._op, [arg._value if type(arg) is Var else arg for arg in node.args]
        for position, (arg, partial) in enumerate(zip(node.args, node.partials, strict=True)):
            if row is not None and node._grad != 0.0 and partial != 0.0 and type(arg) is Var and arg._requires:
                product = node._grad * partial
                check_gradient(node, row, position, values, node._grad, partial, product)
                arg._grad += product


def _set_watched(blocks: int) -> None:
    global _watched
    _watched = blocks


listen(_set_watched)


def walk(root: Var) -> list[Var]:
    """List all Vars below `root`, leaves and constant Vars too, arguments before results; change nothing.

    >>> x = Var(2.0)
    >>> [node.value for node in walk(x * x + 1.0)]
    [2.0, 4.0, 5.0]
    """
    order: list[Var] = []
    seen: set[int] = set()
    stack: list[Any] = [root]
    while stack:
        node = stack.pop()
        if node is None:
            order.append(stack.pop())
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append(node)
            stack.append(None)
            args = (node._a, node._b) if node._args is None else node._args
            stack.extend([arg for arg in args if type(arg) is Var and id(arg) not in seen])
    return order
