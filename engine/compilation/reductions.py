"""Compile a function whose parts of the result are reduced in different ways: ``reduce=("mean", None)``.

There is a program for each way, of the parts that are reduced so alone; steps that several parts need run in each.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from ..data import Structure, record_fields
from ..errors import describe
from ..programs import function_name, positional

Function = Callable[..., Any]
WAYS = (None, "sum", "mean")


def ways_in(reduce: Any) -> Iterator[Any]:
    """Yield what the leaves of a structure of reductions are, also where they are none."""
    if isinstance(reduce, (list, tuple, dict)):
        for part in reduce.values() if isinstance(reduce, dict) else reduce:
            yield from ways_in(part)
    else:
        yield reduce


def check_ways(reduce: Any) -> None:
    """Raise an error for what is no way of reduction, nor a structure of them."""
    wrong = [way for way in ways_in(reduce) if way not in WAYS]
    if wrong:
        raise ValueError(
            f'compile expected reduce to be None, "sum" or "mean", or a structure of these, but got '
            f"{describe('reduce', wrong[0])}"
        )


class Reductions:
    """Call a function compiled once for each way that its results are reduced in.

    Args:
        f: the function.
        reduce: a structure like that of the result, or of its outer parts: each of its leaves holds for all below.
        make: from a function and one way to a compiled function.
    """

    _latest = None

    def __init__(self, f: Function, reduce: Any, make: Callable[[Function, str | None], Any]) -> None:
        self.f, self.reduce = f, reduce
        found = set(ways_in(reduce))
        self.compiled = {way: make(_Chosen(f, reduce, way), way) for way in WAYS if way in found}

    def of(self, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Reductions, Sequence[Any]]:
        """Return what takes the arguments of a call, and these in order."""
        return self, positional(self.f, args, named, function_name(self.f)) if named else args

    def __call__(self, *args: Any) -> Any:
        return _merged({way: f(*args) for way, f in self.compiled.items()}, self.reduce)

    def _call_into(self, out: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        results = {}
        for way, f in self.compiled.items():
            own = None if out is None else _chosen(out, self.reduce, way, "out")
            results[way] = f._call_into(own, args, dict(named))
        return _merged(results, self.reduce)

    def report(self, *args: Any) -> NoReturn:
        """Refuse: there is not one program."""
        self.trace()

    def trace(self, *examples: Any) -> NoReturn:
        """Refuse: there is not one program."""
        raise ValueError(
            f"{function_name(self.f)} has a program for each of its reductions, {list(self.compiled)}; compile it with "
            "one of them to look at its program or code"
        )


class _Chosen:
    """Call a function, and return of its result what is reduced in one way, None in the place of the rest."""

    def __init__(self, f: Function, reduce: Any, way: str | None) -> None:
        functools.update_wrapper(self, f, updated=())
        self._f, self._reduce, self._way = f, reduce, way

    def __call__(self, *args: Any, **named: Any) -> Any:
        return _chosen(self._f(*args, **named), self._reduce, self._way, "the result")


def _chosen(tree: Any, reduce: Any, way: str | None, name: str) -> Any:
    """Return a result with None for what is reduced in other ways."""
    if reduce is None or isinstance(reduce, str):
        return tree if reduce == way else None
    structure, items, reductions = _opened(tree, reduce, name)
    return structure.build(
        [None if item is None else _chosen(item, own, way, name) for item, own in zip(items, reductions, strict=True)]
    )


def _merged(results: dict[str | None, Any], reduce: Any) -> Any:
    """Put results of different reductions together."""
    if reduce is None or isinstance(reduce, str):
        return results[reduce]
    opened = {way: _opened(tree, reduce, "the result") for way, tree in results.items()}
    structure, _, reductions = next(iter(opened.values()))
    return structure.build(
        [_merged({way: items[k] for way, (_, items, _) in opened.items()}, own) for k, own in enumerate(reductions)]
    )


def _opened(tree: Any, reduce: Any, name: str) -> tuple[Structure, Sequence[Any], Sequence[Any]]:
    """Return the structure of what a result holds directly, its items, and the reduction of each."""
    fields = record_fields(tree)
    if fields is not None:
        found = Structure("record", keys=fields, made=type(tree))
        items: Sequence[Any] = [getattr(tree, key) for key in fields]
    elif isinstance(tree, dict):
        found, items = Structure("dict", keys=tuple(tree)), [*tree.values()]
    elif isinstance(tree, (list, tuple)):
        found, items = Structure("list" if isinstance(tree, list) else "tuple"), tree
    else:
        _refuse(tree, reduce, name)
    if isinstance(reduce, dict):
        if set(reduce) != set(found.keys):
            _refuse(tree, reduce, name)
        return found, items, [reduce[key] for key in found.keys]
    if isinstance(tree, dict) or len(reduce) != len(items):
        _refuse(tree, reduce, name)
    return found, items, list(reduce)


def _refuse(tree: Any, reduce: Any, name: str) -> NoReturn:
    raise ValueError(
        f"compile expected reduce to have the structure of {name}, or of its outer parts, but got "
        f"{describe('reduce', reduce)} and {describe(name, tree)}"
    )
