"""Record what a function does with numbers that are not known yet.

A `Tracer` stands for such a number. Like a computed Var it holds an operation and its arguments, so that derivatives
(`grad`, `hessian`, ...) can be traced too. What it lacks is a value: code that asks for one, as ``if x > 0`` does,
raises `TraceError`. An `ArrayTracer` stands for a whole array. A loop is one `LoopNode`, with a node for each result.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..data import array_of
from ..graph import Var, ask_rule, is_recording, is_tracing, lift, link, session
from ..operations import Primitive, power_of_root, table
from .loop import Loop
from .program import flat, with_constant
from .tables import Numbers, constants
from .unknown import Unknown
from .views import Part, Place, Shape, View, elements, number_at, regular, size_of, whole

_births = itertools.count()
_long_forms: dict[Primitive, tuple[int, Callable[[Sequence[Any]], Any]]] = {}  # long_sums.py gives them


def use_long_forms(forms: dict[Any, tuple[int, Callable[[Sequence[Any]], Any]]]) -> None:
    """Set which rows are traced as loops, from how many arguments on, and how."""
    _long_forms.update(forms)


def use_array_methods(
    methods: dict[str, Any], item_of: Callable[[Any, Any], Any], as_type: Callable[[Any, Any], Any]
) -> None:
    """Set how arrays are indexed and cast, and what a whole one does beyond being a node, by names of attributes."""
    Tracer.__as_type__ = ArrayTracer.__as_type__ = staticmethod(as_type)
    Tracer.__item_of__ = ArrayTracer.__item_of__ = staticmethod(item_of)
    for name, method in methods.items():
        setattr(ArrayTracer, name, method)


_power_of: Callable[[Any, float], Any]  # loop_powers.py gives it


def use_loop_powers(power_of: Callable[[Any, float], Any]) -> None:
    """Set how a power of what comes out of a loop is traced: by inner programs, so that module knows this one."""
    global _power_of
    _power_of = power_of


class Tracer(Unknown):
    """A number in a traced function: an input by its name, or the result of an operation."""

    __slots__ = ("args", "birth", "name", "op", "place")
    __apply_rank__ = 3
    __symbolic__ = True
    __as_type__: ClassVar[Callable[[Any, Any], Any]]
    __item_of__: ClassVar[Callable[[Any, Any], Any]]
    requires_grad = True  # an input of the trace counts as a Var from outside for derivatives taken inside

    def __init__(self, name: str, op: Primitive | None = None, args: tuple[Any, ...] = (), place: int = -1) -> None:
        self.name = name
        self.op = op
        self.args = args
        self.place = place  # of a result of a loop: which one; its one argument is the loop's node
        self.birth = next(_births)

    @staticmethod
    def __apply_loop__(loop: Loop, args: Sequence[Any]) -> list[Any]:
        """Record a loop on traced values as one node, and return its results."""
        results = LoopNode(loop, args).results()
        if loop.sums and is_unrecorded():  # its body may record nothing to add up
            results[-loop.sums :] = map(stopped, results[-loop.sums :])
        return results

    @staticmethod
    def __apply_structure__(op: Any, args: Sequence[Any]) -> Any:
        """Record an operation of views.py on traced values, and return its result."""
        return structural(op, as_values(args, op.argument_shapes))

    @staticmethod
    def __apply__(row: Primitive, args: tuple[Any, ...]) -> Any:
        if row.replay is not None:
            return row.replay(*args)
        if row in _long_forms and len(args) >= _long_forms[row][0]:
            return _long_forms[row][1](args)
        if Var in set(map(type, args)):
            args = tuple([lift(arg) for arg in args])
        node = Tracer("", row, args)
        if is_unrecorded() and not row.compares and row is not table.stop_gradient:
            return Tracer("", table.stop_gradient, (node,))
        at_zero = power_of_root(row, node.args) if isinstance(node.args[0], Tracer) else None
        return node if at_zero is None else table.where(node.args[0] == 0.0, at_zero, node)

    def __add__(self, other: Any) -> Any:  # this and the next, of which most traces are, without detours
        is_plain = type(other) is Tracer and not is_unrecorded()
        return Tracer("", table.add, (self, other)) if is_plain else super().__add__(other)

    def __mul__(self, other: Any) -> Any:
        is_plain = type(other) is Tracer and not is_unrecorded() and power_of_root(table.mul, (self, other)) is None
        return Tracer("", table.mul, (self, other)) if is_plain else super().__mul__(other)

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
        """Return a power of what comes out of a loop as what it is at 0, where a root of the table does; else None."""
        return _power_of(self, exponent)

    @property
    def comes_out(self) -> bool:
        """Whether it comes out of a loop: itself, or in an array."""
        return self.place >= 0 or type(self.op) is View

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


def is_unrecorded() -> bool:
    """Return whether the code that is traced runs inside `no_grad`: no derivative passes what it does."""
    return is_tracing() and not is_recording()


class ArrayTracer:
    """A whole array in a traced function: an input by its name, or the result of an operation.

    What it does beyond being a node is in loops/traced_arrays.py.

    Attributes:
        views: the nodes of its parts that were asked for, so that what is equal is the same.
        each: those of all of its numbers, None until these are asked for.
        holds_conditions: whether its numbers are truth values.
        holds_roots: whether any may be a root, None where nobody asked (see loop_powers.py).
        memory: what it holds since code wrote to it (see loops/writing.py); None where it never did.
    """

    __slots__ = (
        "args", "birth", "each", "holds_conditions", "holds_roots", "memory", "name", "op", "place", "shape", "views",
    )  # fmt: skip
    __apply_rank__ = 3
    __symbolic__ = True
    __as_type__: ClassVar[Callable[[Any, Any], Any]]
    __item_of__: ClassVar[Callable[[Any, Any], Any]]
    requires_grad = True

    __apply_loop__ = Tracer.__apply_loop__
    __apply_structure__ = Tracer.__apply_structure__

    def __init__(
        self, shape: Shape, name: str = "", op: Any = None, args: tuple[Any, ...] = (), place: int = -1
    ) -> None:
        self.shape = shape
        self.name = name
        self.op = op
        self.args = args
        self.place = place
        self.birth = next(_births)
        self.views: dict[Part, Any] = {}
        self.each: list[Tracer] | None = None
        self.holds_conditions = False
        self.holds_roots: bool | None = None
        self.memory: Any = None

    def __repr__(self) -> str:
        name = self.name or (self.op.name if self.op else "")
        return f"ArrayTracer({name}, {' × '.join(map(str, self.shape))})"

    def __whole__(self) -> ArrayTracer:
        """Return the array as it is now: it may have been written to, or what it is a view of."""
        if self.memory is not None:
            found: ArrayTracer = self.memory.read()
            return found
        of = self.args[0] if type(self.op) is View and not self.op.stops else None
        now = of.__whole__() if type(of) is ArrayTracer else of
        return self if now is of else structural(self.op, [now])

    def view(self, part: Any = None) -> Any:
        """Return some of its numbers: an array, or one number; without a part the array, as ``ndarray.view()``."""
        if type(part) is not Part:
            own: Any = self
            return own.astype(float if part is None or isinstance(part, type) else part, copy=False)
        return structural(View(self.shape, part), [self])

    def numbers(self) -> list[Tracer]:
        """Return its numbers one by one."""
        if self.each is None:
            if type(self.op) is View and not self.op.stops:
                self.each = _numbers_at(self.args[0], self.op.part.places())
            else:
                self.each = [Tracer("", op, (self,)) for op in elements(self.shape)]
        return self.each

    def detach(self) -> Any:
        """Return the same array without derivatives: no gradient flows through it."""
        return stopped(self.__whole__())


def _numbers_at(array: Any, places: Sequence[int]) -> list[Any]:
    """Return the numbers of an array at some places, each as one of the array that it is looked up in."""
    if type(array) is Numbers:
        return [array.part(number_at(k)) for k in places]
    if type(array.op) is View and not array.op.stops:
        own = array.op.part.places()
        return _numbers_at(array.args[0], [own[k] for k in places])
    if array.each is not None:
        return [array.each[k] for k in places]
    known, parts = array.views, [number_at(k) for k in places]
    for part in parts:
        if part not in known:
            known[part] = Tracer("", View(array.shape, part), (array,))
    return [known[part] for part in parts]


def result(shape: Shape, op: Any, args: tuple[Any, ...], place: int = -1) -> Any:
    """Return the node of a result."""
    return ArrayTracer(shape, "", op, args, place) if shape else Tracer("", op, args, place)


def as_values(args: Sequence[Any], shapes: Sequence[Shape]) -> list[Any]:
    """Return a node or a constant for each argument: for an array that came as a list of numbers, too."""
    return [joined(arg, shape) if type(arg) is list else lift(arg) for arg, shape in zip(args, shapes, strict=True)]


def joined(numbers: Sequence[Any], shape: Shape) -> Any:
    """Return numbers as one array: the array that they are of, in order, where there is one."""
    found = array_in_order(numbers, shape)
    if found is not None:
        return found if getattr(found, "memory", None) is None else copied(found)
    parts = [number_at(k) for k in range(len(numbers))]
    return structural(Place(shape, parts), [lift(number) for number in numbers])


def array_in_order(numbers: Sequence[Any], shape: Shape | None = None) -> Any:
    """Return the array that numbers are of, in order, or that of constants; None where there is none.

    Its shape is (length,) if not said.
    """
    shape = (len(numbers),) if shape is None else shape
    if all(type(number) is float for number in numbers):
        return constants(numbers, shape)
    source = _source(numbers[0])
    if source is None or _source(numbers[-1]) is not source or any(_source(number) is not source for number in numbers):
        return None
    part = regular([number.op.part.start for number in numbers], shape)
    return None if part is None else structural(View(source.shape, part), [source])


def _source(number: Any) -> Any:
    """Return the array that a number was taken of."""
    return number.args[0] if type(number) is Tracer and type(number.op) is View and not number.op.stops else None


def zeros(shape: Shape) -> Any:
    """Return 0, or an array of zeros."""
    return result(shape, Place(shape, ()), ()) if shape else 0.0


def structural(op: Any, args: Sequence[Any]) -> Any:
    """Return the node of an operation of views.py, or of what it comes to."""
    if type(op) is View:
        node = args[0]
        if type(node) is Numbers:
            if 0 in op.part.strides and size_of(op.shape) > size_of(op.of):
                return result(op.shape, op, (node,))  # numbers that repeat are held once
            return node.part(op.part)
        if type(node.op) is View and not node.op.stops and not op.stops:
            inner = op.after(node.op)
            if inner is not None:
                return structural(inner, node.args)  # which may be of constants
        if op.is_all and not op.stops:
            return node
        if not op.stops:
            if not op.shape and node.each is not None:
                return node.each[op.part.start]
            if op.part not in node.views:
                node.views[op.part] = result(op.shape, op, (node,))
            return node.views[op.part]
        args = [node]
    elif type(op) is Place and len(args) == 1 and op.fills and op.parts[0].shape:
        return structural(View(op.parts[0].shape, whole(op.shape)), args)  # in order, maybe in another shape
    return result(op.shape, op, tuple(args))


WHOLE = 256
"""From so many numbers on an array is traced as one value. Smaller ones come as arrays of numbers, each a symbol, so
that code for a few numbers is what is written."""


def whole_from(least: int | None = None) -> int:
    """Return from how many numbers on an array is one value: `WHOLE` if neither this call nor the trace says."""
    if least is not None:
        return least
    return WHOLE if session.least is None else min(WHOLE, session.least)


def shown(value: Any) -> Any:
    """Return a value as code that is traced gets it: an array that is small as one of numbers."""
    if type(value) is ArrayTracer and size_of(value.shape) < whole_from():
        return array_of(value.numbers(), value.shape)
    return value


def stopped(value: Any) -> Any:
    """Return a value without derivatives."""
    if type(value) is ArrayTracer:
        return structural(View(value.shape, whole(value.shape), stops=True), [value])
    return table.stop_gradient(value)


def copied(value: Any) -> Any:
    """Return a node of its own for the same value."""
    return (
        ArrayTracer(value.shape, value.name, table.pos, (value,))
        if type(value) is ArrayTracer
        else Tracer(value.name, table.pos, (value,))
    )


class LoopNode(Tracer):
    """A loop in a trace; each of its results is a node that has it as argument."""

    __slots__ = ("found", "loop")

    def __init__(self, loop: Loop, args: Sequence[Any]) -> None:
        super().__init__("", loop, tuple(as_values(args, loop.argument_shapes)))
        self.loop = loop
        self.found: dict[int, Any] = {}  # the nodes of results, by their places

    def result_of(self, place: int) -> Any:
        """Return the node of the result at a place (see `Loop.result_at`): the same each time."""
        if place not in self.found:
            loop = self.loop
            self.found[place] = result(loop.shapes[loop.result_at(place)], loop, (self,), place)
        return self.found[place]

    def results(self) -> list[Any]:
        """Return all results."""
        return [self.result_of(self.loop.place_of(k)) for k in range(self.loop.results)]

    def keep(self, values: Sequence[int]) -> list[Any]:
        """Make the loop also stack some values of its body; return these arrays."""
        loop = self.loop
        end = loop.carry + loop.stacked
        stacked = list(loop.body.outputs[loop.carry : end])
        places = []
        for value in values:
            if value not in stacked:
                stacked.append(value)
            places.append(stacked.index(value))
        if len(stacked) > loop.stacked:
            outputs = (*loop.body.outputs[: loop.carry], *stacked, *loop.body.outputs[end:])
            self.loop = self.op = loop.change(body=flat(loop.body, outputs))
        return [self.result_of(self.loop.place_of(loop.carry + place)) for place in places]

    def counted(self) -> Any:
        """Make a while loop also count its iterations; return their number."""
        loop = self.loop
        body, one = with_constant(loop.body, 1.0)
        sums = body.outputs[loop.carry + loop.stacked :]
        if one not in sums:
            sums = (*sums, one)
            self.loop = self.op = loop.change(body=flat(body, (*body.outputs, one)), sums=loop.sums + 1)
        return self.result_of(self.loop.place_of(loop.carry + loop.stacked + sums.index(one)))
