"""Fold a large picture to a readable size: equal parts become one box with a count, distant ones are summed up.

Every way of folding gives each node the number of a group; `boxes` then adds up what each group shows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from chainrule import Primitive
from chainrule.operations import Reduction

from .highlight import Paths
from .picture import Node, Picture
from .units import UnitPath, Units

Kind = Literal["value", "unit", "rest"]

LEVELS = {"neuron": 1, "layer": 2, "module": 3}

# A summary is read as a whole, so that it shows less than a graph that somebody wants to see node by node.
_SUMMARY = 60
_CONNECTED = 2  # arrows for each box, which is more than a network of a few neurons has
_KEPT_INPUTS = 12
_DEEPEST = 8  # boxes in a row, or the picture of a chain is a line across ten screens


class Span(NamedTuple):
    """The least and greatest of several numbers (both nan if there is none), and whether nan is among them.

    >>> Span.of(2.0).with_one(math.nan).with_one(-3.0)
    Span(low=-3.0, high=2.0, holds_nan=True)
    """

    low: float
    high: float
    holds_nan: bool = False

    @classmethod
    def of(cls, number: float) -> Span:
        """Return the span of a single number."""
        return cls(number, number, number != number)

    def with_one(self, number: float) -> Span:
        """Return the span extended by one number."""
        low, high, holds_nan = self
        if low != low:
            return Span(number, number, True)
        if low <= number <= high:
            return self
        return Span(min(low, number), max(high, number), holds_nan) if number == number else Span(low, high, True)

    @property
    def strongest(self) -> float:
        """The number that determines the colour: nan if it is among them, else the one farthest from 0."""
        return math.nan if self.holds_nan else max(self.low, self.high, key=abs)


@dataclass(slots=True)
class Box:
    """A box of a picture: a value with its operation, or all nodes that were folded into it.

    A box of the kind "unit" is part of a model, one of the kind "rest" the far end of the graph. `times` counts the
    values that are alike, `ops` the operations, `values` and `grads` reach from the least to the greatest.
    `args` tells the number of each box that enters, the partials by it, and whether a highlighted path runs there.
    """

    kind: Kind
    place: int  # of the node that stands for the box
    node: Node
    path: UnitPath | None = None  # of the unit that the box is, or is drawn in
    times: int = 0
    inputs: int = 0
    constants: int = 0
    ops: Counter[Primitive] = field(default_factory=Counter)
    labels: dict[str | None, None] = field(default_factory=dict)
    values: Span | None = None
    grads: Span | None = None
    lit: bool = False
    args: list[tuple[int, Span | None, bool]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Folding:
    """The grouping of nodes that are drawn as one.

    Args:
        groups: the number of the group that each node is in.
        heads: the node at whose end the row of like operations stands that each node is in: mostly the node itself.
        units: the part of the model that each group is which is one.
        rest: the number of the group of all that is far; None where nothing had to be cut off.
        words: what was done, for the reader of the picture.
    """

    groups: list[int]
    heads: list[int]
    units: dict[int, UnitPath]
    rest: int | None = None
    words: str = ""


def fold(picture: Picture, most: int, level: str | None, units: Units | None) -> Folding:
    """Fold until no more than `most` groups are left.

    `level` "neuron", "layer" or "module" folds these parts of the model in any case; else they fold where there is
    need only.
    """
    alone = list(range(len(picture.nodes)))
    least = LEVELS[level] if level else 0
    if len(alone) <= most:
        return _merge(picture, alone, units, least, None) if least else Folding(alone, alone, {})
    # What somebody asked to fold to is shown as it is; a summary is as short as can be.
    summary = most if level else min(most, _SUMMARY)
    heads = _chains(picture, units)
    if least == 0 and _fits(picture, heads, summary):
        return Folding(heads, heads, {}, None, "operations in a row are one")
    folding = Folding(heads, heads, {})
    for levels, by_shape in _attempts(least, units):
        if units is not None and not by_shape and units.count(levels) > summary:
            continue  # without trying: for a million nodes it takes a second
        folding = _merge(picture, heads, units, levels, by_shape)
        if _fits(picture, folding.groups, summary):
            return folding
    return folding if len(set(folding.groups)) <= most else _cut(picture, folding, min(most, _SUMMARY))


def _attempts(least: int, units: Units | None) -> Iterator[tuple[int, bool]]:
    highest = 3 if units else 0
    for levels in range(least, highest + 1):
        yield levels, False
    yield highest, True


def _fits(picture: Picture, groups: Sequence[int], most: int) -> bool:
    """Return whether the groups are few enough, and not all connected to all."""
    if len(set(groups)) > most:
        return False
    arrows = {(groups[arg], own) for node, own in zip(picture.nodes, groups, strict=True) for arg in node.args}
    return len(arrows) <= _CONNECTED * most


def takes_any_order(operation: Primitive) -> bool:
    """Return whether the order of the arguments is irrelevant, as in a + b + c and in a mean."""
    return operation.commutes or (isinstance(operation, Reduction) and operation.iterables == 1)


def pairs_arguments(operation: Primitive | None) -> bool:
    """Return whether an operation takes the arguments of its first half with those of its second, as a dot product."""
    return isinstance(operation, Reduction) and operation.iterables == 2


def argument_order(operation: Primitive | None, count: int) -> list[int]:
    """Return the order in which arguments stand: a factor, which may be a weight, below the one it goes with.

    >>> from chainrule import PRIMITIVES
    >>> argument_order(PRIMITIVES["dot"], 4), argument_order(PRIMITIVES["sum"], 3)
    ([1, 3, 0, 2], [0, 1, 2])
    """
    half = count // 2 if pairs_arguments(operation) else 0
    return [2 * (k % half) + (k < half) if half else k for k in range(count)]


def _chains(picture: Picture, units: Units | None) -> list[int]:
    """Map each node to the last of its chain of like operations: of a + b + c + d, or - - - x."""
    nodes = picture.nodes
    uses = [0] * len(nodes)
    for node in nodes:
        for arg in node.args:
            uses[arg] += 1
    for root in picture.roots:
        uses[root] += 1
    heads = list(range(len(nodes)))
    for place in range(len(nodes) - 1, -1, -1):
        node = nodes[place]
        if node.op is None or not (len(node.args) == 1 or takes_any_order(node.op)):
            continue
        for arg in node.args:
            below = nodes[arg]
            together = units is None or units.owner[arg] == units.owner[place]
            if together and below.op is node.op and uses[arg] == 1 and below.label is None:
                heads[arg] = heads[place]
    return heads


def _merge(picture: Picture, heads: list[int], units: Units | None, levels: int, by_shape: bool | None) -> Folding:
    """Group nodes that are computed alike, from the inputs upwards.

    Two results are alike where the same operation took arguments that are alike. Constants are alike whatever
    their numbers, so that 100 samples through one network are one; inputs are alike only if `by_shape`, and there
    labels may differ in their numbers. With `by_shape` None, nothing but units is folded.
    """
    nodes, kinds = picture.nodes, picture.kinds
    owner = units.owner if units is not None and levels else None
    numbers: dict[object, int] = {}
    groups = [-1] * len(nodes)
    found: dict[int, UnitPath] = {}
    gathered: dict[int, list[int]] = {}  # all that enters a row of like operations, by its last one
    for place, head in enumerate(heads):
        if head != place or head in gathered:
            gathered.setdefault(head, []).extend([arg for arg in nodes[place].args if heads[arg] != head])
    for place, (role, _, _, _, op, args, _, _) in enumerate(nodes):
        path = None if owner is None else owner[place]
        key: object
        if path is not None and units is not None:
            path = units.folded(path, levels)
            key = path
        elif heads[place] != place:
            continue  # gets the group of its head, below
        elif by_shape is None:
            key = place
        elif op is None:
            key = place if role == "input" and not by_shape else (kinds[place],)
        elif by_shape or place in gathered:
            # However many: what counts is what kinds of things came together.
            key = (kinds[place], *sorted({groups[arg] for arg in gathered.get(place, args)}))
        else:
            key = (kinds[place], *[groups[arg] for arg in args])
        number = numbers.get(key)
        if number is None:
            number = numbers[key] = len(numbers)
            if path is not None:
                found[number] = path
        groups[place] = number
    for place, head in enumerate(heads):
        if groups[place] < 0:
            groups[place] = groups[head]
    words = "parts of the same shape are one" if by_shape else "equal parts are one"
    return Folding(groups, heads, found, None, "" if by_shape is None else words)


def _cut(picture: Picture, folding: Folding, most: int) -> Folding:
    """Merge the groups farthest from the roots until `most` are left.

    A group counts as far as the longest way from it to a root: then whatever takes a value that is shown is shown
    too. Some inputs that have names are kept however far.
    """
    nodes, groups = picture.nodes, folding.groups
    depth = dict.fromkeys(groups, 0)
    for place in range(len(nodes) - 1, -1, -1):
        own = groups[place]
        deeper = depth[own] + 1
        for arg in nodes[place].args:
            if groups[arg] != own and depth[groups[arg]] < deeper:
                depth[groups[arg]] = deeper
    kept = {groups[root] for root in picture.roots}
    for place, node in enumerate(nodes):
        if node.role == "input" and node.label and len(kept) < min(_KEPT_INPUTS, most // 2):
            kept.add(groups[place])
    for own in sorted(depth, key=depth.__getitem__):
        if len(kept) >= most - 1 or depth[own] > _DEEPEST:
            break
        kept.add(own)
    rest = max(depth) + 1
    sizes = Counter(groups)
    own_numbers: dict[int, int] = {}  # groups of numbers that stand beside the one value that uses them
    for place, node in enumerate(nodes):
        if groups[place] in kept and sizes[groups[place]] == 1 and len(kept) + len(own_numbers) < most:
            for arg in node.args:
                if nodes[arg].role == "constant" and nodes[arg].label is None and groups[arg] not in kept:
                    own_numbers[arg] = rest + 1 + len(own_numbers)
    groups = [own if own in kept else own_numbers.get(place, rest) for place, own in enumerate(groups)]
    units = {own: path for own, path in folding.units.items() if own in kept}
    return Folding(groups, folding.heads, units, rest, "all that is far from the result is one")


def boxes(picture: Picture, folding: Folding, units: Units | None, paths: Paths | None) -> list[Box]:
    """Summarise each group; boxes come in the order of the nodes that represent them."""
    nodes, groups, heads = picture.nodes, folding.groups, folding.heads
    lit = None if paths is None else paths.lit
    found: dict[int, Box] = {}
    arrows: dict[tuple[int, int], tuple[Span | None, bool]] = {}
    for place, (role, value, grad, label, op, args, partials, _) in enumerate(nodes):
        own = groups[place]
        box = found.get(own)
        if box is None:
            box = found[own] = _empty_box(place, own, nodes[place], folding, units)
        whole, is_head = box.kind == "value", heads[place] == place
        if lit is not None and lit[place]:
            box.lit = True
        if op is not None:
            box.ops[op] = box.ops.get(op, 0) + 1
        elif role == "input":
            box.inputs += 1
        else:
            box.constants += 1
        if units is not None and whole and box.path != units.owner[place]:
            box.path = _around(box.path, units.owner[place])
        if is_head:
            box.place, box.node = place, nodes[place]
            box.times += 1
            if whole:
                box.labels[label] = None
                box.values = _wider(box.values, value)
        if grad is not None and (is_head or not whole):
            box.grads = _wider(box.grads, grad)
        for position, arg in enumerate(args):
            source = groups[arg]
            if source != own:
                span, bright = arrows.get((own, source), (None, False))
                if partials and nodes[arg].role != "constant":
                    span = _wider(span, partials[position])
                arrows[own, source] = span, bright or _runs(lit, arg, place)
    ordered = sorted(found, key=lambda own: found[own].place)
    number = {own: position for position, own in enumerate(ordered)}
    drawn_apart = {
        own for own, box in found.items() if _is_single(box) and not (folding.words and len(box.node.args) > 4)
    }
    for (own, source), (span, bright) in arrows.items():
        if own not in drawn_apart:
            found[own].args.append((number[source], span, bright))
    for own, box in found.items():
        if own in drawn_apart:
            # One operation: its arguments as they are, also the same one twice.
            for position, arg in enumerate(box.node.args):
                known = bool(box.node.partials) and nodes[arg].role != "constant"
                one = Span.of(box.node.partials[position]) if known else None
                box.args.append((number[groups[arg]], one, _runs(lit, arg, box.place)))
    return [found[own] for own in ordered]


def _empty_box(place: int, own: int, node: Node, folding: Folding, units: Units | None) -> Box:
    if own == folding.rest:
        return Box("rest", place, node)
    if own in folding.units:
        return Box("unit", place, node, path=folding.units[own])
    return Box("value", place, node, path=None if units is None else units.owner[place])


def _around(one: UnitPath | None, other: UnitPath | None) -> UnitPath | None:
    """Return the innermost unit that contains both; None if one of them is outside all units."""
    if one is None or other is None:
        return None
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    return one[:shared]


def _is_single(box: Box) -> bool:
    return box.kind == "value" and box.times == 1 and box.ops.total() == 1


def _runs(lit: list[bool] | None, arg: int, place: int) -> bool:
    """Return whether a highlighted path leads from one place to the next: wherever both lie on one."""
    return lit is not None and lit[arg] and lit[place]


def _wider(span: Span | None, number: float) -> Span:
    return Span.of(number) if span is None else span.with_one(number)
