"""Turn a function into its derivative: `grad`, `jacobian`, `hessian`, `jvp`, `vjp`, `hvp`, in any nesting.

A function takes positional arguments, each a number or a nested list, tuple, named tuple, dict, dataclass or array of
numbers. It runs once on recorded copies of its arguments; sweeps over what it recorded give the derivatives. Results
are floats, unless they depend on Vars from outside (a closure, or an enclosing derivative): then they are Vars, and can
be differentiated by those. Nothing is stored in anybody's ``grad``.

None and strings within arguments and results stay what they are, also in derivatives. Keyword arguments are handed on.
With ``has_aux=True`` the function returns (result, aux); aux comes back beside the derivative, its numbers as floats.
"""

from __future__ import annotations

import importlib
from typing import Any

from ..data import NUMBER, blocks, flatten, in_tuples, unflatten
from ..errors import describe
from ..graph import Var, begin, gradients, inside, is_tracing, recording
from ..programs import arranged_values, made_of_function
from .dense_arrays import arranged_blocks, dense_arrays, holds_whole_arrays, mirrored_blocks
from .running import Function, Places, Run, check_places, name_of, run_recorded
from .sweeps import between, forward, is_node, matrix_of, reverse, second_order, settle

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]


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
    check_places("grad", argnums)
    both = _both(f, argnums, has_aux)

    def gradient(*args: Any, **named: Any) -> Any:
        value, found = both(*args, **named)
        return (found, value[1]) if has_aux else found

    return gradient


@made_of_function
def value_and_grad(f: Function, argnums: Places = 0, *, has_aux: bool = False) -> Function:
    """Return the function that computes the value and the gradient of `f` in one run.

    With ``has_aux=True``, where `f` returns (number, aux), they come as ((value, aux), gradient).

    >>> value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (6.0, (3.0, 2.0))
    """
    check_places("value_and_grad", argnums)
    return _both(f, argnums, has_aux)


def _both(f: Function, argnums: Places, has_aux: bool) -> Function:
    def both(*args: Any, **named: Any) -> tuple[Any, Any]:
        with recording() as outside, inside(begin()):
            run = run_recorded("grad", f, args, argnums, named, has_aux)
            if run.result is not NUMBER:
                raise TypeError(
                    f"grad expected {name_of(f)} to return one number but got {run.result}; use jacobian for several"
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
def jacobian(
    f: Function, argnums: Places = 0, *, mode: str | None = None, sparse: bool = False, has_aux: bool = False
) -> Function:
    """Return the function that computes all first derivatives of `f`.

    Args:
        f: a function of numbers that returns a number or a structure of numbers.
        argnums: the position of the argument to differentiate by, or a tuple of positions.
        mode: "forward" takes a sweep for each number of the argument, "reverse" one for each number of the result (with
            `sparse` for each colour of them); None whichever has fewer sweeps.
        sparse: return a SciPy CSR array with a row for each number of the result and a column for each of the
            argument, in order; its zeros are found from the graph and cost nothing. Numbers only, no outer Vars.
            Compiled, the array has an entry wherever the code can make one, at the same places in each call; arrays
            stay whole, also where constant index arrays (``x[rows]``) say what depends on what.
        has_aux: `f` returns (result, aux); the derivatives come as (jacobian, aux).

    The result has the structure of the result of `f`, and in the place of each of its numbers the structure of the
    argument; an array of shape (m,) by one of shape (n,) gives an array (m, n). Try both modes where results
    are about as many as arguments, or what is common to all sweeps differs; only "forward" differentiates a
    `while_loop` without a limit.

    >>> jacobian(lambda x: [x[0] * x[1], x[0] + x[1]], mode="forward")([2.0, 3.0])
    [[3.0, 2.0], [1.0, 1.0]]
    """
    if mode not in (None, "forward", "reverse"):
        raise ValueError(f'jacobian expected mode to be "forward", "reverse" or None but got {describe("mode", mode)}')
    check_places("jacobian", argnums)

    def rows(*args: Any, **named: Any) -> Any:
        with recording() as outside, inside(begin()):
            run, is_whole = _run_for_matrix("jacobian", f, args, argnums, named, has_aux, sparse)
            graph = between(run.inputs, run.results)
            if sparse:
                return run.with_aux((_sparse_rows("jacobian", graph, run.inputs, mode),), outside)
            if is_whole:
                found = [settle(row, run.inputs, outside) for row in dense_arrays(graph, mode)]
                return run.with_aux((arranged_blocks(run.result, run.argument, found),), outside)
            symbolic = graph.foreign and outside
            matrix = matrix_of(graph, symbolic, mode)
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
    check_places("hessian", argnums)

    def table_of(*args: Any, **named: Any) -> Any:
        with recording() as outside, inside(begin()):
            run, is_whole = _run_for_matrix("hessian", f, args, argnums, named, has_aux, sparse)
            if run.result is not NUMBER:
                raise TypeError(
                    f"hessian expected {name_of(f)} to return one number but got {run.result}; use jacobian of grad"
                )
            second = second_order(run.inputs, run.results)
            if sparse:
                return run.with_aux((_sparse_rows("hessian", second, run.inputs),), outside)
            if is_whole:
                found = [settle(row, run.inputs, outside) for row in dense_arrays(second, "forward")]
                symmetric = mirrored_blocks(found, [leaf.shape for leaf in run.argument.leaves()])
                return run.with_aux((arranged_blocks(run.argument, run.argument, symmetric),), outside)
            matrix = matrix_of(second, second.foreign and outside)
            settled = [settle(row, run.inputs, outside) for row in matrix]
            mirrored = [[settled[max(i, j)][min(i, j)] for j in range(len(row))] for i, row in enumerate(settled)]
            found = run.with_aux((blocks(run.argument, run.argument, mirrored),), outside)
            run.close()
        return found

    return table_of


def _run_for_matrix(
    function: str, f: Function, args: Any, argnums: Places, named: dict[str, Any], has_aux: bool, sparse: bool
) -> tuple[Run, bool]:
    """Run a function for all of its derivatives; also return whether these come as blocks of whole arrays."""
    run = run_recorded(function, f, args, argnums, named, has_aux)
    is_whole = holds_whole_arrays([*run.inputs, *run.results], run.argument, run.result)
    if sparse or is_whole or not (run.argument.has_whole or run.result.has_whole):
        return run, is_whole
    return run_recorded(function, f, args, argnums, named, has_aux, one_by_one=True), False


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
    args, direction = _direction_of("jvp", args, tangents)
    with recording() as outside, inside(begin()):
        run = run_recorded("jvp", f, args, tuple(range(len(args))), named, has_aux)
        graph = between(run.inputs, run.results)
        symbolic = (graph.foreign or any(map(is_node, direction))) and outside
        moved = settle(forward(graph, direction, symbolic), run.inputs, outside)
        values = settle(run.results, run.inputs, outside)
        found = run.with_aux((unflatten(run.result, values), unflatten(run.result, moved)), outside)
        run.close()
    pair: tuple[Any, ...] = found
    return pair


def vjp(f: Function, *args: Any, has_aux: bool = False, **named: Any) -> tuple[Any, ...]:
    """Return the value of `f` and the function that pulls its cotangent back to all arguments.

    Keyword arguments are those of `f`; with ``has_aux=True``, where it returns (result, aux), aux comes third.

    >>> value, pull = vjp(lambda x, y: [x * y, x + y], 2.0, 3.0)
    >>> value, pull([1.0, 10.0])
    ([6.0, 5.0], (13.0, 12.0))
    """
    with recording() as outside, inside(begin()):
        run = run_recorded("vjp", f, args, tuple(range(len(args))), named, has_aux)
        graph = between(run.inputs, run.results)
        value = unflatten(run.result, settle(run.results, run.inputs, outside))
        run.close()

    def pull(cotangent: Any) -> tuple[Any, ...]:
        """Return sum(cotangent * derivative) by each argument."""
        numbers, structure = flatten(cotangent, "vjp", "cotangent")
        seeds = arranged_values(numbers, structure, run.result)
        if seeds is None:
            raise ValueError(f"vjp expected a cotangent like the result, {run.result}, but got {structure}")
        with recording() as outside, inside(run.start):
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
    args, direction = _direction_of("hvp", args, vector)
    with recording() as outside, inside(begin()):
        run = run_recorded("hvp", f, args, tuple(range(len(args))), named)
        if run.result is not NUMBER:
            raise TypeError(f"hvp expected {name_of(f)} to return one number but got {run.result}")
        second = second_order(run.inputs, run.results)
        symbolic = (second.foreign or any(map(is_node, direction))) and outside
        product = settle(forward(second, direction, symbolic), run.inputs, outside)
        run.close()
    whole = unflatten(run.argument, product)
    return whole if len(args) > 1 else whole[0]


def _direction_of(function: str, args: Any, tangents: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """Return the arguments as a tuple, also a single one, and the values of a direction of the same structure."""
    args, tangents = in_tuples(args, tangents)
    values, structure = flatten(tangents, function, "the direction")
    expected = flatten(args, function, "args")[1]
    direction = arranged_values(values, structure, expected)
    if direction is None:
        raise ValueError(f"{function} expected a direction like the arguments, {expected}, but got {structure}")
    return args, direction


def _numbers(run: Run) -> list[float] | None:
    """Return the gradient from the stored partials, at the speed of `backward`; None if Vars are involved."""
    (root,) = run.results
    if is_tracing():
        return None  # constants of somebody else's count, too
    if type(root) is not Var:
        return None if is_node(root) else [0.0] * len(run.inputs)
    return gradients(root, run.inputs) if all(type(node) is Var and node.is_leaf for node in run.inputs) else None


def _sparse_rows(*given: Any) -> Any:
    # Most programs never ask for one, and an import would wait for what it takes.
    return importlib.import_module(".sparse_arrays", __package__).sparse_rows(*given)
