"""Turn a function into its derivative: `grad`, `jacobian`, `hessian`, `jvp`, `vjp`, `hvp`, and nest them at will.

A function takes positional arguments, each a number or a nested list, tuple, named tuple, dict, dataclass or array of
numbers. It runs once on recorded copies of its arguments; sweeps over what it recorded give the derivatives. Results
are floats, unless they depend on Vars from outside (a closure, or an enclosing derivative): then they are Vars, and can
be differentiated by those. Nothing is stored in anybody's ``grad``.

None and strings within arguments and results stay what they are, also in derivatives. Keyword arguments are handed on.
With ``has_aux=True`` the function returns (result, aux); aux comes back beside the derivative, its numbers as floats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..data.numbers import is_index
from ..data.structure import NUMBER, Structure, arranged, blocks, direction_of, flatten, is_constant, unflatten
from ..graph.backward import gradients
from ..graph.modes import recording
from ..graph.runs import current, derivative, inside, is_tracing
from ..graph.var import Var, begin
from ..operations import table
from ..operations.primitive import describe, is_symbolic, to_float
from ..programs.wrapping import made_of_function
from .sparsity import sparse_rows
from .sweeps import between, forward, is_closed_over, is_node, matrix_of, reverse, second_order, settle

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

Function = Callable[..., Any]
Places = int | tuple[int, ...]


@dataclass
class _Run:
    """Hold one run of a function on recorded copies of its arguments."""

    inputs: list[Any]
    results: list[Any]
    argument: Structure
    result: Structure
    beside: list[Any]  # the numbers of what came back beside the result
    aux: Structure | None

    def with_aux(self, found: tuple[Any, ...], outside: bool) -> Any:
        """Append what came back beside the result, if anything was to."""
        if self.aux is not None:
            found = (*found, unflatten(self.aux, settle(self.beside, self.inputs, outside)))
        return found if len(found) > 1 else found[0]

    def close(self) -> None:
        """Make constants of the inputs, now that their derivatives are found: nobody else differentiates by them."""
        self._set_requires_grad(False)

    def reopen(self) -> None:
        """Undo `close`: rules that run a function again record what it does with the inputs."""
        self._set_requires_grad(True)

    def _set_requires_grad(self, flag: bool) -> None:
        for node in self.inputs:
            if type(node) is Var and node.op is None:
                node.requires_grad = flag


@made_of_function
def grad(f: Function, argnums: Places = 0, *, has_aux: bool = False) -> Function:
    """Return the function that computes the gradient of `f`, in the structure of the argument.

    Args:
        f: a function of numbers that returns one number.
        argnums: the position of the argument to differentiate by; a tuple gives a tuple of gradients.
        has_aux: `f` returns (number, aux); the gradient comes as (gradient, aux).

    >>> grad(lambda x: x**3)(2.0)
    12.0
    >>> grad(grad(lambda x: x**3))(2.0)
    12.0
    >>> grad(lambda p, x: p["w"] * x + p["b"])({"w": 2.0, "b": 1.0}, 5.0)
    {'w': 5.0, 'b': 1.0}
    >>> grad(lambda x: (x**2, {"twice": 2 * x}), has_aux=True)(3.0)
    (6.0, {'twice': 6.0})
    """
    both = _both(f, argnums, has_aux)

    @derivative
    def gradient(*args: Any, **named: Any) -> Any:
        value, found = both(*args, **named)
        return (found, value[1]) if has_aux else found

    return gradient


@made_of_function
def value_and_grad(f: Function, argnums: Places = 0, *, has_aux: bool = False) -> Function:
    """Return the function that computes the value of `f` and its gradient in one run.

    With ``has_aux=True``, where `f` returns (number, aux), they come as ((value, aux), gradient).

    >>> value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (6.0, (3.0, 2.0))
    """
    return _both(f, argnums, has_aux)


def _both(f: Function, argnums: Places, has_aux: bool) -> Function:
    @derivative
    def both(*args: Any, **named: Any) -> tuple[Any, Any]:
        with recording() as outside:
            run = _run("grad", f, args, argnums, named, has_aux)
            if run.result is not NUMBER:
                raise TypeError(
                    f"grad expected {_name(f)} to return one number but got {run.result}; use jacobian for several"
                )
            found = _numbers(run)
            if found is None:
                graph = between(run.inputs, run.results)
                found = settle(reverse(graph, [1.0], graph.foreign and outside), run.inputs, outside)
                (value,) = settle(run.results, run.inputs, outside)
            else:  # the sweep met no leaf of somebody else's
                (value,) = settle(run.results, run.inputs, False)
            value = run.with_aux((value,), outside)
            run.close()
        return value, unflatten(run.argument, found)

    return both


@made_of_function
def jacobian(f: Function, argnums: Places = 0, *, sparse: bool = False, has_aux: bool = False) -> Function:
    """Return the function that computes all first derivatives of `f`.

    Args:
        f: a function of numbers that returns a number or a structure of numbers.
        argnums: the position of the argument to differentiate by, or a tuple of positions.
        sparse: return a SciPy CSR array with a row for each number of the result and a column for each of the
            argument, in order; its zeros are found from the graph and cost nothing. Numbers only, no outer Vars.
            Compiled, the array has an entry wherever the code can make one, at the same places in each call.
        has_aux: `f` returns (result, aux); the derivatives come as (jacobian, aux).

    The result has the structure of the result of `f`, and in the place of each of its numbers the structure of the
    argument; an array of shape (m,) by one of shape (n,) gives an array (m, n). The mode with fewer sweeps is used.

    >>> jacobian(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 3.0])
    [[3.0, 2.0], [1.0, 1.0]]
    """

    @derivative
    def rows(*args: Any, **named: Any) -> Any:
        with recording() as outside:
            run = _run("jacobian", f, args, argnums, named, has_aux)
            graph = between(run.inputs, run.results)
            if sparse:
                return run.with_aux((sparse_rows("jacobian", graph, run.inputs),), outside)
            symbolic = graph.foreign and outside
            matrix = matrix_of(graph, symbolic)
            settled = [settle(row, run.inputs, outside) for row in matrix]
            found = run.with_aux((blocks(run.result, run.argument, settled),), outside)
            run.close()
        return found

    return rows


@made_of_function
def hessian(f: Function, argnums: Places = 0, *, sparse: bool = False, has_aux: bool = False) -> Function:
    """Return the function that computes all second derivatives of `f`; with `has_aux` as (hessian, aux).

    It is symmetric to the bit, also where it holds nan: the part below the diagonal counts.
    One reverse sweep records the gradient; that record is swept once for each input, or with ``sparse=True`` once for
    each colour of inputs that share no row (three for a tridiagonal Hessian), which gives a SciPy CSR array.

    >>> hessian(lambda x: x[0] ** 2 * x[1])([2.0, 3.0])
    [[6.0, 4.0], [4.0, 0.0]]
    """

    def table_of(*args: Any, **named: Any) -> Any:
        with recording() as outside:
            run = _run("hessian", f, args, argnums, named, has_aux)
            if run.result is not NUMBER:
                raise TypeError(
                    f"hessian expected {_name(f)} to return one number but got {run.result}; use jacobian of grad"
                )
            second = second_order(run.inputs, run.results)
            if sparse:
                return run.with_aux((sparse_rows("hessian", second, run.inputs),), outside)
            matrix = matrix_of(second, second.foreign and outside)
            settled = [settle(row, run.inputs, outside) for row in matrix]
            mirrored = [[settled[max(i, j)][min(i, j)] for j in range(len(row))] for i, row in enumerate(settled)]
            found = run.with_aux((blocks(run.argument, run.argument, mirrored),), outside)
            run.close()
        return found

    return table_of


def jvp(f: Function, args: Any, tangents: Any, *, has_aux: bool = False, **named: Any) -> tuple[Any, ...]:
    """Return the value of `f` and its derivative along `tangents`, by one forward sweep.

    Args:
        f: a function of positional arguments, returning any structure of numbers.
        args: a tuple of the arguments, or the one argument itself.
        tangents: the direction, in the structure of `args`.
        has_aux: `f` returns (result, aux); what comes is (value, derivative, aux).
        named: keyword arguments of `f`.

    >>> jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 0.0))
    (6.0, 3.0)
    """
    args, direction = direction_of("jvp", args, tangents)
    with recording() as outside:
        run = _run("jvp", f, args, tuple(range(len(args))), named, has_aux)
        graph = between(run.inputs, run.results)
        symbolic = (graph.foreign or any(map(is_node, direction))) and outside
        moved = settle(forward(graph, direction, symbolic), run.inputs, outside)
        values = settle(run.results, run.inputs, outside)
        found = run.with_aux((unflatten(run.result, values), unflatten(run.result, moved)), outside)
        run.close()
    pair: tuple[Any, ...] = found
    return pair


def vjp(f: Function, *args: Any, has_aux: bool = False, **named: Any) -> tuple[Any, ...]:
    """Return the value of `f` and the function that pulls a cotangent of it back to all arguments.

    Keyword arguments are those of `f`; with ``has_aux=True``, where it returns (result, aux), aux comes third.

    >>> value, pull = vjp(lambda x, y: [x * y, x + y], 2.0, 3.0)
    >>> value, pull([1.0, 10.0])
    ([6.0, 5.0], (13.0, 12.0))
    """
    with recording() as outside:
        run = _run("vjp", f, args, tuple(range(len(args))), named, has_aux)
        graph = between(run.inputs, run.results)
        value = unflatten(run.result, settle(run.results, run.inputs, outside))
        run.close()

    def pull(cotangent: Any) -> tuple[Any, ...]:
        """Return sum(cotangent * derivative) by each argument."""
        numbers, structure = flatten(cotangent, "vjp", "cotangent")
        seeds = arranged(numbers, structure, run.result)
        if seeds is None:
            raise ValueError(f"vjp expected a cotangent like the result, {run.result}, but got {structure}")
        with recording() as outside:
            symbolic = (graph.foreign or any(map(is_node, seeds))) and outside
            run.reopen()
            try:
                found = settle(reverse(graph, seeds, symbolic), run.inputs, outside)
            finally:
                run.close()
        pulled: tuple[Any, ...] = unflatten(run.argument, found)
        return pulled

    found: tuple[Any, ...] = run.with_aux((value, pull), outside)
    return found


def hvp(f: Function, args: Any, vector: Any, **named: Any) -> Any:
    """Return the product of the Hessian of `f` with a vector, at the cost of a few sweeps.

    Args:
        f: a function of positional arguments that returns one number.
        args: a tuple of the arguments, or the one argument itself.
        vector: in the structure of `args`, as is the result (for one argument, of that argument).
        named: keyword arguments of `f`.

    >>> hvp(lambda x: x[0] ** 2 * x[1], ([2.0, 3.0],), ([1.0, 0.0],))
    [6.0, 4.0]
    """
    args, direction = direction_of("hvp", args, vector)
    with recording() as outside:
        run = _run("hvp", f, args, tuple(range(len(args))), named)
        if run.result is not NUMBER:
            raise TypeError(f"hvp expected {_name(f)} to return one number but got {run.result}")
        second = second_order(run.inputs, run.results)
        symbolic = (second.foreign or any(map(is_node, direction))) and outside
        product = settle(forward(second, direction, symbolic), run.inputs, outside)
        run.close()
    whole = unflatten(run.argument, product)
    return whole if len(args) > 1 else whole[0]


def _run(
    function: str, f: Function, args: Sequence[Any], argnums: Places, named: dict[str, Any], has_aux: bool = False
) -> _Run:
    positions = argnums if isinstance(argnums, tuple) else (argnums,)
    if not all(is_index(position) and -len(args) <= position < len(args) for position in positions):
        raise ValueError(
            f"{function} expected argnums within the {len(args)} positional arguments given but got "
            f"{describe('argnums', argnums)}"
        )
    if len({position % len(args) for position in positions}) < len(positions):
        raise ValueError(f"{function} expected each argument once in argnums but got {describe('argnums', argnums)}")
    numbers: list[Any] = []
    structures = []
    beside: list[Any] = []
    aux: Structure | None = None
    for position in positions:
        flat, structure = flatten(args[position], function, f"argument {position}")
        if is_constant(args[position]) and function in ("grad", "jacobian", "hessian"):
            to_float(args[position], function, f"argument {position}")  # nothing to differentiate by: refused
        numbers += flat
        structures.append(structure)

    def call(inputs: list[Any]) -> tuple[list[Any], Structure]:
        nonlocal beside, aux
        copies = unflatten(Structure("tuple", tuple(structures)), inputs)
        given = list(args)
        for position, copy in zip(positions, copies, strict=True):
            given[position] = copy
        result = f(*given, **named)
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(
                    f"{function} with has_aux=True expected {_name(f)} to return a pair (result, aux) but got "
                    f"{describe('result', result)}"
                )
            result, other = result
            beside, aux = flatten(other, function, f"the aux of {_name(f)}", others=True)
        return _flatten_result(function, f, result)

    inputs, results, shape = run_on_copies(call, numbers)
    traced = next((type(item) for item in results if is_symbolic(item)), None)
    if traced is not None and inputs:
        # What is repeated becomes a loop first: then its derivative is one, too.
        restated = traced.restate(inputs, [*results, *beside])
        results, beside = restated[: len(results)], restated[len(results) :]
    argument = Structure("tuple", tuple(structures)) if isinstance(argnums, tuple) else structures[0]
    return _Run(inputs, results, argument, shape, beside, aux)


def run_on_copies(
    call: Callable[[list[Any]], tuple[list[Any], Structure]], numbers: Sequence[Any]
) -> tuple[list[Any], list[Any], Structure]:
    """Run a function on a node of its own for each input; return these nodes, its results and their structure."""
    if current.since:
        return _run_on_copies(call, numbers)
    with inside(begin()):
        return _run_on_copies(call, numbers)


def _run_on_copies(
    call: Callable[[list[Any]], tuple[list[Any], Structure]], numbers: Sequence[Any]
) -> tuple[list[Any], list[Any], Structure]:
    unseen, current.unseen = current.unseen, frozenset()
    kinds = set(map(type, numbers))
    only: Any = kinds.pop() if len(kinds) == 1 else None
    if hasattr(only, "__copies__"):
        places = set(map(id, numbers)) if unseen else set()
        # Inputs that nobody else can reach are as good as copies of them.
        inputs = list(numbers) if len(places) == len(numbers) and places <= unseen else only.__copies__(numbers)
    else:
        inputs = [traced_copy(number) for number in numbers]
    results, shape = call(inputs)
    kind = next((type(item) for item in results if is_symbolic(item)), None)
    if kind is not None and any(type(node) is Var for node in inputs):
        # Traced numbers of an enclosing trace came in, to which a Var is a constant: so the inputs must be traced, too.
        inputs = [kind.__apply__(table.pos, (_read(node),)) if type(node) is Var else node for node in inputs]
        results, shape = call(inputs)
    return inputs, results, shape


def _read(node: Var) -> Any:
    """Return what an input copies: a number, or a Var from outside."""
    return node.value if node.op is None else node.args[0]


def traced_copy(number: Any) -> Any:
    """Return a leaf, or a copy that an enclosing derivative can see through."""
    if type(number) is float:
        return Var(number)
    if type(number) is Var and not number.requires_grad and not is_closed_over(number):
        return Var(number.value)
    return table.pos(number)


def _flatten_result(function: str, f: Function, result: Any) -> tuple[list[Any], Structure]:
    if result is None:
        raise TypeError(f"{function} expected {_name(f)} to return a number but got None; is a return missing?")
    if is_constant(result):
        to_float(result, function, f"the result of {_name(f)}")  # refuses it
    return flatten(result, function, f"the result of {_name(f)}")


def _name(f: Function) -> str:
    return getattr(f, "__name__", repr(f))


def _numbers(run: _Run) -> list[float] | None:
    """Return the gradient by the stored partials, at the speed of `backward`; None where Vars are involved."""
    (root,) = run.results
    if is_tracing():
        return None  # constants of somebody else's count, too
    if type(root) is not Var:
        return None if is_node(root) else [0.0] * len(run.inputs)
    return gradients(root, run.inputs) if all(type(node) is Var and node.is_leaf for node in run.inputs) else None
