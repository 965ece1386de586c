"""Numbers without a value: their comparisons are operations, and code that asks for the value is told what to write."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import TraceError
from ..graph import user_line
from ..operations import Operators, Primitive, table


class Unknown(Operators):
    """A number that is not known yet: an input by its name, or the result of an operation."""

    __slots__ = ()
    name: str
    op: Primitive | None
    args: tuple[Any, ...]

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
        if are_conditions(self, other):
            return table.not_equal(self, other)
        is_of_truth = are_conditions(self) or are_conditions(other)
        return NotImplemented if is_of_truth else super().__xor__(other)

    def __invert__(self) -> Any:
        if not are_conditions(self):
            raise TypeError("bad operand type for unary ~: it takes comparisons of traced numbers only")
        return table.equal(self, 0.0)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    @property
    def is_condition(self) -> bool:
        """Whether it is a comparison, or a combination of comparisons."""
        return are_conditions(self)

    # ---- what needs a value ----

    @property
    def value(self) -> float:
        """Raise: the value is not known while tracing."""
        self.refuse(".value was read", "compute with the number itself")

    def __bool__(self) -> bool:
        self.refuse(
            "a condition (if, while, and, or, not, min, max) was asked for",
            "write chainrule.where(condition, a, b), cond(condition, f, g), maximum or minimum instead",
        )

    def __format__(self, spec: str) -> str:
        if spec:
            self.refuse("it was formatted as a number", "leave out the format, or print it outside the function")
        return repr(self)

    def __round__(self, digits: int | None = None) -> Any:
        if digits is not None:
            self.refuse("round() to decimals was called", "write chainrule.round(x * 10**digits) / 10**digits")
        return table.round(self)

    def __float__(self) -> float:
        advice = "call chainrule's functions (chainrule.sin), and write x != x for isnan, abs(x) < inf for isfinite"
        self.refuse("float() or a function of math was called", advice)

    def __int__(self) -> int:
        self.refuse("int() was called", "use chainrule.floor, trunc or round")

    def __index__(self) -> int:
        advice = "use chainrule.take(items, index) or fori_loop, or name the argument in compile(..., static=)"
        self.refuse("it was used as an index or a count", advice)

    def __repr__(self) -> str:
        return f"Tracer({self.name or (self.op.name if self.op else '')})"

    def refuse(self, what: str, advice: str) -> NoReturn:
        name = f" {self.name}" if self.name else ""
        raise TraceError(f"traced number{name} has no value yet, but {what} at {user_line()}; {advice}")


def are_conditions(*items: Any) -> bool:
    """Return whether all are comparisons, or combinations of comparisons by `&`, `|`, `^` and `~`."""
    return all(
        type(item) is bool
        or (
            isinstance(item, Unknown)
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
    return property(lambda self: self.refuse(f".{name} was read", "take derivatives with chainrule.grad"))


for _name in ("grad", "has_grad", "parents", "backward", "zero_grad"):
    setattr(Unknown, _name, _unknown(_name))
