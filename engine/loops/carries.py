"""What a loop carries from one iteration to the next: numbers, and truth values that stay truth values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..data import NUMBER, Structure, arranged, flatten, is_symbolic, leaves, unflatten
from ..operations import table
from ..programs import are_conditions, function_name, shown, values_in


class Carry:
    """Flatten a carry, and rebuild it for each iteration.

    Attributes:
        numbers: its numbers, and where it is `traced` its large arrays as one value each; True and False are 1 and 0.
        structure: that of the carry.
        truths: the places of truth values, which iterations get as such, so that `&`, `|`, `^` take them.
    """

    def __init__(self, function: str, tree: Any, traced: bool = False) -> None:
        self.function, self.traced = function, traced
        self.numbers, self.structure = self._values(tree, "carry")
        self.truths = frozenset([k for k, leaf in enumerate(leaves(tree, self.structure)) if _is_truth(leaf)])

    def _values(self, tree: Any, name: str) -> tuple[list[Any], Structure]:
        return values_in(tree, self.function, name) if self.traced else flatten(tree, self.function, name)

    def give(self, numbers: Sequence[Any]) -> Any:
        """Return the carry passed to an iteration, or returned by the loop."""
        if self.truths:
            numbers = [_truth(number) if k in self.truths else number for k, number in enumerate(numbers)]
        return unflatten(self.structure, [*map(shown, numbers)])

    def take(self, f: Callable[..., Any], tree: Any, name: str = "the carry of") -> list[Any]:
        """Return the numbers of a carry that an iteration returned; keys of dicts may come in any order.

        What is a number now is no truth value any more. `ValueError` where it is not like the first carry.
        """
        if type(tree) is float and self.structure is NUMBER:
            self.truths = frozenset()
            return [tree]
        numbers, found = self._values(tree, f"{name} {function_name(f)}")
        placed = arranged(numbers, found, self.structure)
        if placed is None:
            raise ValueError(
                f"{self.function} expected {function_name(f)} to return a carry like {self.structure.in_numbers()} "
                f"but got {found.in_numbers()}; every iteration must give the same structure"
            )
        if self.truths:
            own = [float(_is_truth(leaf)) for leaf in leaves(tree, found)]
            kept = arranged(own, found, self.structure) or own
            self.truths = frozenset([k for k in self.truths if kept[k]])
        return list(placed)


def _is_truth(leaf: Any) -> bool:
    if is_symbolic(leaf):
        return are_conditions(leaf)
    return type(leaf) is bool or (getattr(leaf, "shape", None) == () and getattr(leaf.dtype, "kind", "") == "b")


def _truth(number: Any) -> Any:
    return table.not_equal(number, 0.0) if is_symbolic(number) else bool(number)
