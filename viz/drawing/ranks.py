"""Find arrows so long that their start is better drawn again: Graphviz is very slow on long arrows.

A recurrence that uses the same input at every step has an arrow from it to each. Laying 40 of them out took Graphviz
ten seconds, 200 more than ten minutes; and who reads the picture cannot follow them either.
"""

from __future__ import annotations

from collections.abc import Sequence

from .folding import Box

_FAR = 12  # ranks, of operations and values, that an arrow may cross
_LONG = 500  # ranks that the arrows from results may cross together before the far ones among them are cut too

Arrow = tuple[int, int]  # the numbers of two boxes


def far_uses(boxes: Sequence[Box]) -> set[Arrow]:
    """Return (argument, user) for each use far from its argument: of inputs, and of results if there are many.

    An input is laid out next to its first user, so that what counts is how far the user is from that one.
    """
    ranks = _ranks(boxes)
    first: dict[int, int] = {}
    for user, box in enumerate(boxes):
        for arg, _, _ in box.args:
            first[arg] = min(first.get(arg, ranks[user]), ranks[user]) if _is_input(boxes[arg]) else ranks[arg] + 2
    crossed = {(arg, user): ranks[user] - first[arg] for user, box in enumerate(boxes) for arg, _, _ in box.args}
    results = [arrow for arrow in crossed if not _is_input(boxes[arrow[0]])]
    many = sum([crossed[arrow] for arrow in results]) > _LONG
    return {arrow for arrow in crossed if crossed[arrow] > _FAR and (many or _is_input(boxes[arrow[0]]))}


def _is_input(box: Box) -> bool:
    return box.kind == "value" and box.node.op is None


def _ranks(boxes: Sequence[Box]) -> list[int]:
    """Return how many operations and values precede each box, on the longest way."""
    ranks: list[int] = []
    for box in boxes:
        # In a folded part that uses itself again, an argument may come later than its use.
        ranks.append(max([ranks[arg] + 2 for arg, _, _ in box.args if arg < len(ranks)], default=0))
    return ranks
