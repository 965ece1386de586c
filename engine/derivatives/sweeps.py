"""Differentiate along a recorded graph, forwards or in reverse, with numbers or with Vars.

A sweep with numbers uses the partials stored at the nodes. A sweep with Vars asks each row's rule again with the
nodes themselves as arguments: what comes out is a recorded expression, which can be differentiated in turn. That
gives every order. It also leaves no room for perturbation confusion: a derivative is taken by given nodes of the
graph, not by an epsilon that another derivative could mistake for its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..data import is_symbolic
from ..graph import Var, ask_rule, born_since, check_gradient, current, is_strict, lenient, number_of
from ..operations import Scalar, table
from ..programs import (
    ArrayTracer,
    Gather,
    Loop,
    Numbers,
    Part,
    Place,
    Scatter,
    Shape,
    Structural,
    Tracer,
    View,
    shape_of,
    stopped,
    whole,
    zeros,
)

_pull_loop: Callable[[Any, dict[int, Any], Sequence[bool]], list[Any]]  # loop_rules.py gives them
_push_loop: Callable[[Any, Sequence[Any]], dict[int, Any]]


def use_loop_rules(pull: Callable[..., list[Any]], push: Callable[..., dict[int, Any]]) -> None:
    """Set how gradients and tangents pass through a loop: by functions of another module, which imports this one."""
    global _pull_loop, _push_loop
    _pull_loop, _push_loop = pull, push


def is_node(x: Any) -> bool:
    """Return whether `x` is a recorded number or array rather than a plain one."""
    return hasattr(type(x), "__apply__") or type(x) is ArrayTracer


def is_closed_over(leaf: Any) -> bool:
    """Return whether a leaf comes from outside the running trace: even a constant's value is read at each call."""
    return current.tracing != 0.0 and type(leaf) is Var and not born_since(leaf, current.tracing)


class Recorded:
    """The part of a graph that leads from some inputs to some results.

    Attributes:
        order: the computed nodes between them, arguments before results.
        active: the same and the inputs, by identity.
        others: leaves beside the inputs that gradients are wanted for, or that a trace reads.
        foreign: whether a result may depend on any Var from outside.
    """

    def __init__(
        self,
        inputs: Sequence[Any],
        results: Sequence[Any],
        order: list[Any],
        active: set[int],
        others: list[Any],
        foreign: bool,
    ) -> None:
        self.inputs, self.results = inputs, results
        self.order, self.active, self.others, self.foreign = order, active, others, foreign


def between(inputs: Sequence[Any], results: Sequence[Any]) -> Recorded:
    """List the nodes between inputs and results, in order."""
    sources = {id(node) for node in inputs}
    active = set(sources)
    others: list[Any] = []
    order: list[Any] = []
    seen: set[int] = set(sources)
    stack: list[Any] = [result for result in reversed(results) if is_node(result)]
    while stack:
        node = stack.pop()
        if node is None:
            node = stack.pop()
            if any(id(arg) in active for arg in node.args):
                active.add(id(node))
                order.append(node)
            continue
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.op is None:
            if node.requires_grad or is_closed_over(node):
                others.append(node)
            continue
        stack.append(node)
        stack.append(None)
        if not seen.issuperset(map(id, node.args)):
            stack.extend([arg for arg in node.args if is_node(arg) and id(arg) not in seen])
    foreign = bool(others) or any(node.op is not None or is_symbolic(node) for node in inputs)
    return Recorded(inputs, results, order, active, others, foreign)


def chain(gradient: Scalar, partial: Scalar) -> Scalar:
    """Multiply two factors of the chain rule: an exact 0 wins over inf and nan, and 1 costs nothing."""
    if type(gradient) is float:
        if gradient == 0.0 or gradient == 1.0:
            return partial if gradient else 0.0
        if type(partial) is float:
            return gradient * partial if partial != 0.0 else 0.0
    if type(partial) is float and (partial == 0.0 or partial == 1.0):
        return gradient if partial else 0.0
    product = gradient * partial
    if type(product) is Var and product.value == product.value:
        return product
    return table.strong_mul(gradient, partial)


class Total:
    """The gradient by a whole array, as it comes: of the whole, of parts, and of rows by index."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.parts: list[tuple[Part, Any]] = []

    def add(self, part: Part, gradient: Any) -> None:
        """Add the gradient by a part of the array."""
        if type(gradient) is not float or gradient != 0.0:
            self.parts.append((part, gradient))

    def value(self) -> Any:
        """Return the gradient as one array; 0.0 where nothing came."""
        if not self.parts:
            return 0.0
        parts, gradients = zip(*self.parts, strict=True)
        return placed(self.shape, parts, gradients)


def placed(shape: Shape, parts: Sequence[Part], values: Sequence[Any]) -> Any:
    """Return an array of a shape that is 0 but for values added at its parts."""
    return Tracer.__apply_structure__(Place(shape, parts), values)


def plus(left: Scalar, right: Scalar) -> Scalar:
    """Add; an exact 0 costs nothing."""
    if type(left) is float and left == 0.0:
        return right
    return left if type(right) is float and right == 0.0 else left + right


def partials_of(node: Any, symbolic: bool) -> Sequence[Scalar]:
    """Return the derivative of a node by each argument: as stored there, or `symbolic`, by the row's rule."""
    if not symbolic:
        return node.partials
    with lenient():
        return ask_rule(node.op, node, node.args)


def _linked(node: Any, position: int, gradient: Scalar, partial: Scalar) -> Scalar:
    """Return one product of the chain rule; in strict mode, raise if it is the first nan or inf."""
    if not is_strict() or any(map(is_symbolic, (gradient, partial, node))):
        return chain(gradient, partial)
    with lenient():
        product = chain(gradient, partial)
    values = [number_of(arg) for arg in node.args]
    check_gradient(node, node.op, position, values, number_of(gradient), number_of(partial), number_of(product))
    return product


def reverse(graph: Recorded, seeds: Sequence[Scalar], symbolic: bool) -> list[Scalar]:
    """Return the derivative of sum(seed * result) by each input."""
    gradients: dict[int, Any] = {}

    def add(node: Any, gradient: Any) -> None:
        if type(node) is ArrayTracer:
            gradients.setdefault(id(node), Total(node.shape)).add(whole(node.shape), gradient)
        else:
            gradients[id(node)] = plus(gradients.get(id(node), 0.0), gradient)

    for result, seed in zip(graph.results, seeds, strict=True):
        if id(result) in graph.active:
            add(result, seed)
    for node in reversed(graph.order):
        gradient = gradients.pop(id(node), 0.0)
        if type(gradient) is Total:
            gradient = gradient.value()
        if type(gradient) is float and gradient == 0.0:
            continue
        if isinstance(node.op, Loop):
            _pull(node, gradient, gradients, graph.active, add)
        elif isinstance(node.op, Structural):
            _pull_structure(node, gradient, gradients, graph.active, add)
        elif type(node) is ArrayTracer:  # a copy
            add(node.args[0], gradient)
        else:
            for position, (arg, partial) in enumerate(zip(node.args, partials_of(node, symbolic), strict=True)):
                if id(arg) in graph.active:
                    product = _linked(node, position, gradient, partial)
                    gradients[id(arg)] = plus(gradients.get(id(arg), 0.0), product)
    found = []
    for node in graph.inputs:
        own = gradients.get(id(node), 0.0)
        own = own.value() if type(own) is Total else own
        found.append(zeros(node.shape) if type(own) is float and own == 0.0 and type(node) is ArrayTracer else own)
    return found


def _pull(node: Any, gradient: Any, gradients: dict[int, Any], active: set[int], add: Callable[..., None]) -> None:
    """Pass the gradient of a loop's result to the loop, or those of all its results to its arguments."""
    if node.place >= 0:
        # Several nodes may stand for one result.
        own = gradients.setdefault(id(node.args[0]), {})
        before = own.get(node.place)
        if before is not None and type(node) is ArrayTracer:
            gradient = placed(node.shape, [whole(node.shape)] * 2, [before, gradient])
        own[node.place] = gradient if before is None or type(node) is ArrayTracer else plus(before, gradient)
        return
    wanted = [id(arg) in active for arg in node.args]
    for arg, product in zip(node.args, _pull_loop(node, gradient, wanted), strict=True):
        if id(arg) in active:
            add(arg, product)


def _pull_structure(
    node: Any, gradient: Any, gradients: dict[int, Any], active: set[int], add: Callable[..., None]
) -> None:
    """Pass the gradient of a view or the like to what it is of."""
    op = node.op
    if isinstance(op, View):
        (arg,) = node.args
        if not op.stops and id(arg) in active:
            gradients.setdefault(id(arg), Total(arg.shape)).add(op.part, gradient)
    elif isinstance(op, Place) and op.is_list and type(gradient) is ArrayTracer:
        for arg, number in zip(node.args, gradient.numbers(), strict=True):
            if id(arg) in active:
                add(arg, number)
    elif isinstance(op, Place):
        for arg, part in zip(node.args, op.parts, strict=True):
            if id(arg) in active:
                add(arg, Tracer.__apply_structure__(View(op.shape, part), [gradient]))
    elif isinstance(op, Gather):
        array, index = node.args
        if id(array) in active:
            add(array, Tracer.__apply_structure__(Scatter(op.of, op.index), [index, gradient]))
    else:
        index, rows = node.args
        if id(rows) in active:
            add(rows, Tracer.__apply_structure__(Gather(op.shape, op.index), [gradient, index]))


def forward(graph: Recorded, tangents: Sequence[Scalar], symbolic: bool) -> list[Scalar]:
    """Return the derivative of each result along the direction `tangents` of the inputs."""
    moved: dict[int, Any] = {}
    for node, tangent in zip(graph.inputs, tangents, strict=True):
        before = moved.get(id(node), 0.0)
        if type(node) is ArrayTracer and type(before) is not float:
            moved[id(node)] = placed(node.shape, [whole(node.shape)] * 2, [before, tangent])
        else:
            moved[id(node)] = tangent if type(node) is ArrayTracer else plus(before, tangent)
    for node in graph.order:
        if isinstance(node.op, Loop) and node.place >= 0:
            moved[id(node)] = moved[id(node.args[0])].get(node.place, 0.0)
            continue
        tangents_in = [moved.get(id(arg), 0.0) if is_node(arg) else 0.0 for arg in node.args]
        if isinstance(node.op, Loop):
            moved[id(node)] = _push_loop(node, tangents_in)
        elif all(type(tangent) is float and tangent == 0.0 for tangent in tangents_in):
            continue
        elif isinstance(node.op, Structural):
            moved[id(node)] = _push_structure(node, tangents_in)
        elif type(node) is ArrayTracer:
            moved[id(node)] = tangents_in[0]
        else:
            total: Scalar = 0.0
            for position, (tangent, partial) in enumerate(zip(tangents_in, partials_of(node, symbolic), strict=True)):
                total = plus(total, _linked(node, position, tangent, partial))
            moved[id(node)] = total
    found = []
    for result in graph.results:
        own = moved.get(id(result), 0.0) if is_node(result) else 0.0
        is_none = type(own) is float and own == 0.0
        found.append(zeros(shape_of(result)) if is_none else own)
    return found


def _push_structure(node: Any, tangents: Sequence[Any]) -> Any:
    """Return the tangent of a view or the like from those of its arguments, some of which move."""
    op = node.op
    if isinstance(op, View):
        return 0.0 if op.stops else Tracer.__apply_structure__(op, tangents)
    if isinstance(op, Place):
        moving = [(p, t) for p, t in zip(op.parts, tangents, strict=True) if type(t) is not float or t != 0.0]
        return placed(op.shape, [part for part, _ in moving], [tangent for _, tangent in moving])
    if isinstance(op, Gather):
        return _gathered(op, tangents[0], node.args[1]) if type(tangents[0]) is not float else 0.0
    return Tracer.__apply_structure__(op, [node.args[0], tangents[1]]) if type(tangents[1]) is not float else 0.0


def _gathered(op: Gather, tangent: Any, index: Any) -> Any:
    """Return the rows of a tangent: where all are one, no index is asked."""
    made = getattr(tangent, "op", None)
    if isinstance(made, View) and made.part.strides[0] == 0 and isinstance(index, Numbers):
        strides = (*[0] * len(op.index), *made.part.strides[1:])
        return Tracer.__apply_structure__(View(made.of, Part(made.part.start, op.shape, strides)), tangent.args)
    return Tracer.__apply_structure__(op, [tangent, index])


def second_order(inputs: Sequence[Any], results: Sequence[Any]) -> Recorded:
    """Record the gradient of one result, and return the graph from the inputs to it."""
    first = between(inputs, results)
    second = between(inputs, reverse(first, [1.0], True))
    second.foreign = second.foreign or first.foreign
    return second


def matrix_of(graph: Recorded, symbolic: bool, mode: str | None = None) -> list[list[Scalar]]:
    """Return the derivative of each result by each input, in the given mode or the one that takes fewer sweeps."""
    rows, columns = len(graph.results), len(graph.inputs)
    if mode == "reverse" or (mode is None and rows <= columns):
        units = _units(rows)
        return [reverse(graph, unit, symbolic) for unit in units]
    transposed = [forward(graph, unit, symbolic) for unit in _units(columns)]
    return [[column[row] for column in transposed] for row in range(rows)]


def _units(count: int) -> list[list[float]]:
    return [[1.0 if row == column else 0.0 for column in range(count)] for row in range(count)]


def settle(numbers: Sequence[Scalar], inputs: Sequence[Any], outside: bool) -> list[Scalar]:
    """Turn Vars that depend only on the function's own inputs into floats, and all Vars if nobody records."""
    settled = []
    for number in numbers:
        if type(number) is Var and not (outside and _depends_on_others(number, inputs)):
            number = number.value
        elif not outside and is_symbolic(number):
            number = stopped(number)
        settled.append(number)
    return settled


def _depends_on_others(number: Var, inputs: Sequence[Any]) -> bool:
    """Return whether `number` depends on a foreign leaf; an input that copies an outer Var counts as one."""
    own = {id(node): node.op is not None for node in inputs}
    seen: set[int] = set()
    stack = [number]
    while stack:
        node = stack.pop()
        if id(node) in own:
            if own[id(node)]:
                return True
        elif node.op is None:
            if node.requires_grad or is_closed_over(node):
                return True
        elif id(node) not in seen:
            seen.add(id(node))
            stack.extend([arg for arg in node.args if type(arg) is Var])
    return False
