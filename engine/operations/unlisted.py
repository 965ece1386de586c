"""Make operations of functions while a program runs: in no table, and known in the process that made them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NoReturn

from ..forking import key_of_its_own
from .primitive import Interval, Primitive, Scalar

# By their keys, those that pickles name.
_pickled: weakref.WeakValueDictionary[Any, Unlisted] = weakref.WeakValueDictionary()


class Unlisted(Primitive):
    """Hold an operation that a function of the user's makes, as a checkpoint does.

    A pickle finds it again in the process that made it, as long as a graph there holds it. Elsewhere an operation of
    the same name stands for it, which keeps nodes what they are, values and partials, and raises where it would have to
    run.
    """

    key: Any = None

    def __reduce__(self) -> Any:
        if self.key is None:
            self.key = key_of_its_own()
            _pickled[self.key] = self
        return _find, (self.key, self.name, self.symbol, self.arity)


def _find(key: Any, name: str, symbol: str, arity: int) -> Unlisted:
    known = _pickled.get(key)
    if known is not None:
        return known

    def refuse() -> NoReturn:
        raise ValueError(
            f"{name} expected to run in the process that recorded it, while it is in use there, but its result came "
            "from a pickle, which holds numbers and first derivatives; call the function here for higher ones"
        )

    def evaluate(*xs: float) -> float:
        refuse()

    def partials(y: Scalar, *xs: Scalar) -> Sequence[Scalar]:
        refuse()

    domain = (Interval(float("-inf"), float("inf")),) * arity
    row = Unlisted(name, symbol, evaluate=evaluate, partials=partials, domain=domain, doc=f"Stand for {name}.")
    row.key = key  # back where it was made, it is what it was
    _pickled[key] = row
    return row
