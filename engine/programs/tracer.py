"""Record what a function does with numbers that are not known yet.

A `Tracer` stands for such a number. Like a computed Var it holds an operation and its arguments, so that derivatives
(`grad`, `hessian`, ...) can be traced too. What it lacks is a value: code that asks for one, as ``if x > 0`` does,
raises `TraceError`. A loop is one node, `LoopNode`, with a Tracer for each of its results.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from ..errors import TraceError
from ..graph import Var, ask_rule, is_recording, is_tracing, lift, link, user_line
from ..operations import Operators, Primitive, power_of_root, table
from .loop import Loop
from .program import flat

_births = itertools.count()
_long_forms: dict[Primitive, tuple[int, Callable[[Sequence[Any]], Any]]] = {}  # long_sums.py gives them


def use_long_forms(forms: dict[Any, tuple[int, Callable[[Sequence[Any]], Any]]]) -> None:
    """Set which rows are traced as loops, from how many arguments on, and how."""
    _long_forms.update(forms)


_power_of_result: Callable[[Loop, Sequence[Any], int, float], Any]  # loop_powers.py gives it


def use_loop_powers(power_of_result: Callable[[Loop, Sequence[Any], int, float], Any]) -> None:
    """Set how a power of a loop's result is traced: by inner programs, so that module knows this one."""
    global _power_of_result
    _power_of_result = power_of_result


class Tracer(Operators):
    """A number in a traced function: an input by its name, or the result of an operation."""

    __slots__ = ("args", "birth", "name", "op", "place")
    __apply_rank__ = 3
    __symbolic__ = True
    requires_grad = True  # an input of the trace counts as a Var from outside for derivatives taken inside

    def __init__(self, name: str, op: Primitive | None = None, args: tuple[Any, ...] = (), place: int = -1) -> None:
        self.name = name
        self.op = op
        self.args = args
        self.place = place  # of a result of a loop: which one; its one argument is the loop's node
        self.birth = next(_births)

    @staticmethod
    def __apply_loop__(loop: Loop, args: Sequence[Any]) -> list[Tracer]:
        """Record a loop on traced numbers as one node, and return its results."""
        results = LoopNode(loop, args).results()
        if loop.sums and is_unrecorded():  # its body may record nothing to add up
            results[-loop.sums :] = map(table.stop_gradient, results[-loop.sums :])
        return results

    @staticmethod
    def __apply__(row: Primitive, args: tuple[Any, ...]) -> Any:
        if row.replay is not None:
            return row.replay(*args)
        if row in _long_forms:
            least, form = _long_forms[row]
            if len(args) >= least:
                return form(args)
        if Var in set(map(type, args)):
            args = tuple([lift(arg) for arg in args])
        node = Tracer("", row, args)
        if is_unrecorded() and not row.compares and row is not table.stop_gradient:
            return Tracer("", table.stop_gradient, (node,))
        at_zero = power_of_root(row, node.args) if isinstance(node.args[0], Tracer) else None
        return node if at_zero is None else table.where(node.args[0] == 0.0, at_zero, node)

    @staticmethod
    def __copies__(numbers: Sequence[Any]) -> list[Tracer]:
        """Return a node of its own for each of some traced numbers, with the same name."""
        return [Tracer(number.name, table.pos, (number,)) for number in numbers]

    @property
    def partials(self) -> Sequence[Any]:
        """The derivative by each argument, as traced expressions."""
        if self.op is None:
            return ()
        return ask_rule(self.op, self, self.args)

    def power(self, exponent: float) -> Any:
        """Return a power of a loop's result as what it is at 0, where a root of the table comes out; else None."""
        return _power_of_result(self.args[0].loop, self.args[0].args, self.place, exponent)

    def __copy__(self) -> Any:
        return table.pos.apply((self,))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return table.pos.apply((self,))

    def __reduce__(self) -> Any:
        return link(self, table.pos)

    def detach(self) -> Any:
        """Return the same number without derivatives: no gradient flows through it."""
        return table.stop_gradient(self)

    @property
    def label(self) -> str | None:
        """The name of an input; code may set other labels, for drawings of graphs, but a trace does not keep them."""
        return self.name or None

    @label.setter
    def label(self, label: str | None) -> None:
        pass

    # ---- comparisons are operations ----

    def __lt__(self, other: Any) -> Any:
        return table.less(self, other)

    def __le__(self, other: Any) -> Any:
        return table.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return table.less(other, self)

    def __ge__(self, other: Any) -> Any:
        return table.less_equal(other, self)

    def __eq__(self, other: object) -> Any:
        return table.equal(self, other)

    def __ne__(self, other: object) -> Any:
        return table.not_equal(self, other)

    __hash__ = object.__hash__

    def __and__(self, other: Any) -> Any:
        return table.where(self, other, 0.0) if are_conditions(self, other) else NotImplemented

    def __or__(self, other: Any) -> Any:
        return table.where(self, 1.0, other) if are_conditions(self, other) else NotImplemented

    def __xor__(self, other: Any) -> Any:
        return table.not_equal(self, other) if are_conditions(self, other) else NotImplemented

    def __invert__(self) -> Any:
        if not are_conditions(self):
            raise TypeError("bad operand type for unary ~: it takes comparisons of traced numbers only")
        return table.equal(self, 0.0)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    # ---- what needs a value ----

    @property
    def value(self) -> float:
        """Raise: the value is not known while tracing."""
        self._refuse(".value was read", "compute with the number itself")

    def __bool__(self) -> bool:
        self._refuse(
            "a condition (if, while, and, or, not, min, max) was asked for",
            "write chainrule.where(condition, a, b), cond(condition, f, g), maximum or minimum instead",
        )

    def __format__(self, spec: str) -> str:
        if spec:
            self._refuse("it was formatted as a number", "leave out the format, or print it outside the function")
        return repr(self)

    def __round__(self, digits: int | None = None) -> Any:
        if digits is not None:
            self._refuse("round() to decimals was called", "write chainrule.round(x * 10**digits) / 10**digits")
        return table.round(self)

    def __float__(self) -> float:
        advice = "call chainrule's functions (chainrule.sin), and write x != x for isnan, abs(x) < inf for isfinite"
        self._refuse("float() or a function of math was called", advice)

    def __int__(self) -> int:
        self._refuse("int() was called", "use chainrule.floor, trunc or round")

    def __index__(self) -> int:
        advice = "use chainrule.take(items, index) or fori_loop, or name the argument in compile(..., static=)"
        self._refuse("it was used as an index or a count", advice)

    def __repr__(self) -> str:
        return f"Tracer({self.name or (self.op.name if self.op else '')})"

    def _refuse(self, what: str, advice: str) -> NoReturn:
        name = f" {self.name}" if self.name else ""
        raise TraceError(f"traced number{name} has no value yet, but {what} at {user_line()}; {advice}")


def is_unrecorded() -> bool:
    """Return whether the code that is traced runs inside `no_grad`: no derivative passes what it does."""
    return is_tracing() and not is_recording()


def are_conditions(*items: Any) -> bool:
    """Return whether all are comparisons, or combinations of comparisons by `&`, `|`, `^` and `~`."""
    return all(
        type(item) is bool
        or (
            isinstance(item, Tracer)
            and item.op is not None
            and (
                item.op.compares
                or (item.op is table.stop_gradient and are_conditions(*item.args))
                or (item.op is table.where and all(type(arg) is float or are_conditions(arg) for arg in item.args))
            )
        )
        for item in items
    )


def _unknown(name: str) -> property:
    return property(lambda self: self._refuse(f".{name} was read", "take derivatives with chainrule.grad"))


for _name in ("grad", "has_grad", "parents", "backward", "zero_grad"):
    setattr(Tracer, _name, _unknown(_name))


class LoopNode(Tracer):
    """A loop in a trace; each of its results is a `Tracer` that has it as argument."""

    __slots__ = ("loop",)

    def __init__(self, loop: Loop, args: Sequence[Any]) -> None:
        if Var in set(map(type, args)):
            args = [lift(arg) for arg in args]
        super().__init__("", loop, tuple(args))
        self.loop = loop

    def result_of(self, places: Iterable[int]) -> list[Tracer]:
        """Return traced numbers for the results at these places (see `Loop.result_at`)."""
        loop, own = self.loop, (self,)
        return [Tracer("", loop, own, place) for place in places]

    def results(self) -> list[Tracer]:
        """Return all results."""
        loop, first, length = self.loop, self.loop.carry + self.loop.sums, self.loop.length
        columns = [range(first + j * length, first + (j + 1) * length) for j in range(loop.stacked)]
        stacked = itertools.chain.from_iterable(zip(*columns, strict=True))
        return self.result_of((*range(loop.carry), *stacked, *range(loop.carry, first)))

    def keep(self, values: Sequence[int]) -> list[list[Tracer]]:
        """Make each iteration also stack some values of its body; return these, a list for each value."""
        loop, found = self.loop, []
        end = loop.carry + loop.stacked
        stacked = list(loop.body.outputs[loop.carry : end])
        for value in values:
            if value not in stacked:
                stacked.append(value)
            first = loop.carry + loop.sums + stacked.index(value) * loop.length
            found.append(self.result_of(range(first, first + loop.length)))
        if len(stacked) > loop.stacked:
            outputs = (*loop.body.outputs[: loop.carry], *stacked, *loop.body.outputs[end:])
            self.loop = self.op = loop.change(body=flat(loop.body, outputs))
        return found
