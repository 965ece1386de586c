"""Follow every path from one value of a picture to its roots: which nodes lie on them, and what each multiplies."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from chainrule import Var
from chainrule.errors import describe

from .picture import Picture

_MOST_COUNTED = 10**6  # paths can double at every step, and nobody reads a number of a thousand digits


@dataclass(frozen=True)
class Paths:
    """The paths from one node to the root.

    `lit` says of each node whether it lies on one, `count` how many there are (at most a million are counted),
    `derivative` the sum of their products, and `routes` each path as the places along it, where there are few.
    """

    start: int
    lit: list[bool]
    count: int
    derivative: float
    routes: list[list[int]]
    products: list[list[float]]  # the factors along each route


def find_start(picture: Picture, wanted: Any) -> int:
    """Return the place of the value to highlight: a Var of the graph, or the label that one value has.

    Errors: `ValueError` where the graph has no such value, or several of that label; `TypeError` for anything else.
    """
    if isinstance(wanted, Var):
        if id(wanted) not in picture.places:
            raise ValueError(
                f"draw expected highlight to be a Var of the graph but got {describe('highlight', wanted)}"
            )
        return picture.places[id(wanted)]
    if not isinstance(wanted, str):
        raise TypeError(f"draw expected highlight to be a Var, a label or None but got {describe('highlight', wanted)}")
    found = [place for place, node in enumerate(picture.nodes) if node.label == wanted]
    if len(found) != 1:
        labels = list(dict.fromkeys(node.label for node in picture.nodes if node.label))
        near = difflib.get_close_matches(wanted, labels, n=3)
        advice = "pass the Var itself" if found else f"did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(
            f"draw expected highlight to be the label of one value but {len(found) or 'none'} of the graph "
            f"has {describe('highlight', wanted)}" + (f"; {advice}" if advice else "")
        )
    return found[0]


def follow(picture: Picture, start: int, most: int = 8) -> Paths:
    """Find the paths from `start` to the root; each is listed where there are no more than `most`.

    >>> from chainrule.viz.drawing.picture import gather
    >>> x = Var(3.0)
    >>> found = follow(gather(x * x + x), 0)
    >>> found.count, found.derivative, found.products
    (3, 7.0, [[3.0, 1.0], [3.0, 1.0], [1.0]])
    """
    nodes = picture.nodes
    counts, slopes = [0] * len(nodes), [0.0] * len(nodes)
    counts[start], slopes[start] = 1, 1.0
    for place in range(start + 1, len(nodes)):
        node = nodes[place]
        count, slope = 0, 0.0
        for position, arg in enumerate(node.args):
            if counts[arg]:
                count += counts[arg]
                partial = node.partials[position] if node.partials else 0.0
                # As in backward(): what is exactly 0 propagates nothing, also through infinity.
                if partial != 0.0 and slopes[arg] != 0.0:
                    slope += partial * slopes[arg]
        counts[place], slopes[place] = min(count, _MOST_COUNTED), slope
    total = min(sum(counts[root] for root in picture.roots), _MOST_COUNTED)
    routes, products = _routes(picture, start, counts) if total <= most else ([], [])
    derivative = sum([slopes[root] for root in picture.roots])
    return Paths(start, _reaching(picture, counts), total, derivative, routes, products)


def _reaching(picture: Picture, counts: list[int]) -> list[bool]:
    """Keep only the nodes on the paths from which a root can be reached."""
    lit = [False] * len(counts)
    for root in picture.roots:
        lit[root] = counts[root] > 0
    for place in range(len(counts) - 1, -1, -1):
        if lit[place]:
            for arg in picture.nodes[place].args:
                lit[arg] = lit[arg] or counts[arg] > 0
    return lit


def _routes(picture: Picture, start: int, counts: list[int]) -> tuple[list[list[int]], list[list[float]]]:
    """Walk back from the roots, one branch of the walk for each path; every branch ends at `start`."""
    routes: list[list[int]] = []
    products: list[list[float]] = []
    # Branches share nothing: there are few, and each is as long as its path.
    pending: list[tuple[list[int], list[float]]] = [([root], []) for root in picture.roots if counts[root]]
    while pending:
        route, factors = pending.pop(0)
        while route[-1] != start:
            node = picture.nodes[route[-1]]
            steps = [
                (arg, node.partials[position] if node.partials else 0.0)
                for position, arg in enumerate(node.args)
                if counts[arg]
            ]
            for place, (arg, partial) in enumerate(steps[1:]):
                pending.insert(place, ([*route, arg], [*factors, partial]))
            route.append(steps[0][0])
            factors.append(steps[0][1])
        routes.append(route[::-1])
        products.append(factors[::-1])
    return routes, products
