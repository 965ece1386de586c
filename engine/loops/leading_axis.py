"""Take lists and arrays apart along their leading axis, and stack the results of a loop along one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from ..data import (
    NUMBER,
    Structure,
    arranged,
    array_of,
    constant,
    flatten,
    held,
    is_constant,
    record_fields,
    unflatten,
    whole_number,
)
from ..errors import describe
from ..forking import kept
from ..graph import Var, no_grad
from ..programs import (
    ArrayTracer,
    are_conditions,
    row_at,
    row_by_row,
    shown,
    stacked,
    values_in,
    values_in_tuple,
)
from .bodies import any_traced, holds_conditions, holds_traced, seen
from .lengths import length_of

_EMPTY = Structure("list")


class Items:
    """The items along the leading axis of a list, an array, or a tuple or dict of these.

    Attributes:
        count: how many there are.
        length: how many of them take part: an int, or a traced number.
        traced: whether any of them holds traced numbers, or their number is one.
        arrays: whether there are arrays, so that results are stacked as arrays, too.
        nothing: whether there are no items, only a count.
        truths: the places of `columns` that hold truth values.
    """

    truths: list[int]

    def __init__(self, xs: Any, function: str, f: Callable[..., Any], length: Any = None) -> None:
        self.xs, self.function, self.arrays = _held(xs, function, "xs"), function, False
        self.nothing = xs is None
        self.name = getattr(f, "__name__", type(f).__name__).strip("<>")
        if xs is None:
            if length is None:
                raise TypeError(f"{function} expected length=, a number of iterations, where xs is None")
            if any_traced(seen([length])):
                raise TypeError(
                    f"{function} expected xs, items of which a traced length counts some, but got xs=None; a "
                    "fori_loop with a limit needs none"
                )
            self.count = self.length = whole_number(function, "length", length, 0, "whole number of iterations")
            self.traced = False
            return
        counts = list(self._counts(self.xs, "xs"))
        if not counts:
            self._reject(xs, "xs")
        self.count = counts[0][0]
        self.length = self.count if length is None else length_of(function, length, self.count)
        is_traced = any_traced([self.length])
        if not is_traced and self.length > self.count:
            counts.append((self.length, "length"))
        for count, name in counts:
            if count != self.count:
                raise ValueError(
                    f"{function} expected leading axes of one length for {self.name} but got {self.count} in "
                    f"{counts[0][1]} and {count} in {name}"
                )
        self.traced = is_traced or holds_traced(self.xs)

    @kept
    def structure(self) -> Structure:
        """The structure of each item."""
        if self.nothing:
            return _EMPTY
        return flatten(_item(self.xs, 0), self.function, "xs[0]")[1] if self.count else _row(self.xs)

    def columns(self) -> tuple[Structure, list[Any]]:
        """Return the structure of an item, in which each array is one value, and for each value the array of all.

        An array whose rows are the items is one, wherever it stands.
        """
        columns: list[Any] = []
        self.truths = []
        return (_EMPTY, columns) if self.nothing else (self._columns(self.xs, columns), columns)

    def _columns(self, xs: Any, columns: list[Any]) -> Structure:
        keys: Any = record_fields(xs)
        if isinstance(xs, list):
            return self._column_of_list(xs, columns)
        if keys is not None:
            parts = tuple([self._columns(getattr(xs, key), columns) for key in keys])
            return Structure("record", parts, keys, made=type(xs))
        if is_constant(xs):
            return constant(xs)
        if isinstance(xs, tuple):
            return Structure("tuple", tuple([self._columns(part, columns) for part in xs]))
        if isinstance(xs, dict):
            return Structure("dict", tuple([self._columns(part, columns) for part in xs.values()]), tuple(xs))
        if _are_truths(xs):
            self.truths.append(len(columns))
        columns += values_in(xs, self.function, "xs", 0)[0]
        return values_in_tuple([tuple(xs.shape[1:])]).parts[0]

    def _column_of_list(self, xs: list[Any], columns: list[Any]) -> Structure:
        if all(kind is float or hasattr(kind, "__apply__") for kind in set(map(type, xs))):
            columns.append(stacked(xs, ()))
            return NUMBER
        rows = []
        expected = _EMPTY
        for k, item in enumerate(xs):
            values, structure = values_in(item, self.function, f"xs[{k}]", 0)
            expected = expected if k else structure
            rows.append(self._placed(values, structure, expected, k))
        for k, leaf in enumerate(expected.leaves()):
            columns.append(stacked([row[k] for row in rows], leaf.shape))
        return expected

    def _placed(self, own: Sequence[Any], structure: Structure, first: Structure, k: int) -> Sequence[Any]:
        placed = arranged(own, structure, first)
        if placed is None:
            raise ValueError(
                f"{self.function} expected items of one structure for {self.name} but got {first} at 0 and "
                f"{structure} at {k}"
            )
        return placed

    def _counts(self, xs: Any, name: str) -> Iterator[tuple[int, str]]:
        keys = record_fields(xs)
        if isinstance(xs, list):
            yield len(xs), name
        elif keys:
            for key in keys:
                yield from self._counts(getattr(xs, key), f"{name}.{key}")
        elif is_constant(xs):
            return
        elif isinstance(xs, tuple) and xs:
            for k, part in enumerate(xs):
                yield from self._counts(part, f"{name}[{k}]")
        elif isinstance(xs, dict) and xs:
            for key, part in xs.items():
                yield from self._counts(part, f"{name}[{key!r}]")
        elif getattr(xs, "shape", None) and not hasattr(type(xs), "__apply__"):
            self.arrays = True
            yield xs.shape[0], name
        else:
            self._reject(xs, name)

    def _reject(self, xs: Any, name: str) -> NoReturn:
        raise TypeError(
            f"{self.function} expected a leading axis to go along (a list, an array, a tuple or dict of these) but "
            f"got {describe(name, xs)}"
        )

    @property
    def known(self) -> bool:
        """Whether the structure of an item is known, even if there are no items."""
        return self.nothing or not isinstance(self.xs, list)

    def on_zeros(self, f: Callable[..., Any], before: Sequence[Any], shared: Sequence[Any]) -> Any:
        """Return what a function gives when there are no items: it runs on zeros, as a trace runs on symbols."""
        zeros = unflatten(self.structure, [Var(0.0, None, False)] * self.structure.size)
        try:
            with no_grad():
                return f(*before, None if self.nothing else zeros, *shared)
        except Exception as error:
            raise ValueError(
                f"{self.function} expected at least one item to tell what {self.name} returns, but xs is empty, and on "
                f"zeros it raised {type(error).__name__}: {error}"
            ) from error

    def item(self, k: int) -> Any:
        """Return one item as floats and Vars, whatever types the caller's numbers have."""
        if self.nothing:
            return None
        given = _item(self.xs, k)
        numbers, found = flatten(given, self.function, f"xs[{k}]")
        return _with_truths(unflatten(self.structure, self._placed(numbers, found, self.structure, k)), given)


def _with_truths(item: Any, given: Any) -> Any:
    """Return an item in which what came from arrays of truth values is such."""
    if type(given) is tuple:
        return tuple([_with_truths(own, part) for own, part in zip(item, given, strict=True)])
    if type(given) is dict:
        return {key: _with_truths(item[key], part) for key, part in given.items()}
    if getattr(getattr(given, "dtype", None), "kind", "") != "b":
        return item
    return given if given.shape else bool(given)


def _are_truths(xs: Any) -> bool:
    """Return whether an array holds truth values, or traced conditions."""
    if getattr(getattr(xs, "dtype", None), "kind", "") == "O" and not isinstance(xs, ArrayTracer):
        return xs.size > 0 and are_conditions(*xs.ravel().tolist())
    return holds_conditions(xs)


def _row(xs: Any) -> Structure:
    """Describe the items of an empty container: an array's shape determines them, those of a list may be numbers."""
    keys: Any = record_fields(xs)
    if isinstance(xs, list) or is_constant(xs):
        return NUMBER if isinstance(xs, list) else constant(xs)
    if keys is not None:
        return Structure("record", tuple([_row(getattr(xs, key)) for key in keys]), keys, made=type(xs))
    if isinstance(xs, tuple):
        return Structure("tuple", tuple(map(_row, xs)))
    if isinstance(xs, dict):
        return Structure("dict", tuple(map(_row, xs.values())), tuple(xs))
    return Structure("array", shape=tuple(xs.shape[1:])) if len(xs.shape) > 1 else NUMBER


def _held(xs: Any, function: str, name: str) -> Any:
    """Return other libraries' containers, also inside tuples, dicts and records, as arrays and lists.

    A `TypeError` names what an array holds that is no number: items of their own, texts and None would be constants.
    """
    keys = record_fields(xs)
    if keys is not None:
        parts = [_held(getattr(xs, key), function, f"{name}.{key}") for key in keys]
        return Structure("record", keys=keys, made=type(xs)).build(parts)
    if isinstance(xs, tuple):
        return tuple([_held(part, function, f"{name}[{k}]") for k, part in enumerate(xs)])
    if isinstance(xs, dict):
        return {key: _held(part, function, f"{name}[{key!r}]") for key, part in xs.items()}
    if isinstance(xs, list):
        return xs
    found = held(xs, function, name)
    if getattr(getattr(found, "dtype", None), "kind", "f") not in "fiub":
        flatten(found, function, name)
    return found


def _item(xs: Any, k: int) -> Any:
    if isinstance(xs, list):
        return xs[k]
    if isinstance(xs, tuple) and not hasattr(xs, "_fields"):
        return tuple([_item(part, k) for part in xs])
    if isinstance(xs, dict):
        return {key: _item(part, k) for key, part in xs.items()}
    if is_constant(xs):
        return xs
    keys = record_fields(xs)
    if keys is None:
        return xs[k]
    return Structure("record", keys=keys, made=type(xs)).build([_item(getattr(xs, key), k) for key in keys])


def stack(structure: Structure, columns: Sequence[Any], count: int, arrays: bool) -> Any:
    """Return the results of a loop, an array for each value, stacked as `stack_rows` does."""
    if all(type(column) is ArrayTracer for column in columns):
        return _stack_columns(structure, iter(columns), count, arrays)
    shapes = [leaf.shape for leaf in structure.leaves()]
    rows = zip(*[row_by_row(column, shape) for column, shape in zip(columns, shapes, strict=True)], strict=True)
    return stack_rows(structure, [list(row) for row in rows], arrays)


def _stack_columns(structure: Structure, columns: Iterator[Any], count: int, arrays: bool) -> Any:
    if structure.kind in ("tuple", "dict", "record", "none", "constant"):
        return structure.build([_stack_columns(part, columns, count, arrays) for part in structure.parts])
    if arrays and (structure is NUMBER or structure.kind in ("number", "array")):
        return shown(next(columns))
    shapes = [leaf.shape for leaf in structure.leaves()]
    own = [next(columns) for _ in shapes]
    rows = [[column.view(row_at(k, shape)) for column, shape in zip(own, shapes, strict=True)] for k in range(count)]
    return [unflatten(structure, [*map(shown, row)]) for row in rows]


def stack_rows(structure: Structure, rows: Sequence[Sequence[Any]], arrays: bool) -> Any:
    """Stack results along a new leading axis: tuples and dicts of stacks, else a list or an array of results.

    >>> stack_rows(flatten((1, [2, 3]), "f", "x")[1], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], False)
    ([1.0, 4.0], [[2.0, 3.0], [5.0, 6.0]])
    """
    return _stack(structure, rows, arrays, 0)


def _stack(structure: Structure, rows: Sequence[Sequence[Any]], arrays: bool, start: int) -> Any:
    stop = start + structure.count
    if structure.kind in ("tuple", "dict", "record", "none", "constant"):
        parts = []
        for part in structure.parts:
            parts.append(_stack(part, rows, arrays, start))
            start += part.count
        return structure.build(parts)
    if arrays and structure.kind in ("number", "array"):
        numbers = [item for row in rows for own in row[start:stop] for item in (own if type(own) is list else (own,))]
        return array_of(numbers, (len(rows), *structure.shape))
    if structure is NUMBER:
        return [row[start] for row in rows]
    return [unflatten(structure, row[start:stop]) for row in rows]
