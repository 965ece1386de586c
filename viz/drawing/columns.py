"""What the layout of nested columns is made of: parts, lines, and their places in a column and across a band."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

GAP = 8.0  # between the parts of a column, and inside frames
LANE = 6.0  # what a line takes on one side that passes a column, at least: its label stands on it
APART = 12.0  # between lines that stand alone


@dataclass(eq=False, slots=True)
class Part:
    """A node, or a frame with parts; lines meet a node at its line, `above` and `below` which it reaches.

    Args:
        key: what tells it from others.
        along, above, below: its size; that of a frame is computed.
        round: the radius of the end where arrows land; 0 for a straight end.
        inset: how far behind its beginning that end is.
        order: those with one keep it in their column.
        title: what a frame keeps free above its parts, and at least its length.
        parts: what is in a frame.
    """

    key: Hashable
    along: float = 0.0
    above: float = 0.0
    below: float = 0.0
    round: float = 0.0
    inset: float = 0.0
    order: int = 0
    title: tuple[float, float] = (0.0, 0.0)
    parts: list[Part] = field(default_factory=list)
    is_frame: bool = False
    u: float = 0.0  # where it begins, inside its frame at first
    v: float = 0.0  # where its line is
    entries: dict[Hashable, float] = field(default_factory=dict)  # across, by the tail of the line
    exits: dict[Hashable, float] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Line:
    """An arrow from one node to another.

    Args:
        tail, head: the keys of the nodes.
        order: its place among the arrows into the head.
        label: the size of what is written on it, along and across.

    `points` are those of its Bézier curves, the first its start; `label_at` the middle of the label, None where the
    line has no stretch of its own to carry it.
    """

    tail: Hashable
    head: Hashable
    order: int = 0
    label: tuple[float, float] | None = None
    points: list[tuple[float, float]] = field(default_factory=list)
    label_at: tuple[float, float] | None = None


@dataclass(eq=False, slots=True)
class Slot:
    """A place in a column: a part, or the lane of lines from one tail."""

    part: Part | None
    column: int
    place: int = 0
    v: float = 0.0
    before: list[Link] = field(default_factory=list)
    after: list[Link] = field(default_factory=list)

    @property
    def above(self) -> float:
        labels = [line.label[1] - link.out for link in self.after for line in link.lines if line.label is not None]
        # A label may reach further than the card that its line leaves.
        return max(labels, default=LANE) if self.part is None else max([self.part.above, *labels])

    @property
    def below(self) -> float:
        return 2.0 if self.part is None else self.part.below

    @property
    def is_frame(self) -> bool:
        return self.part is not None and self.part.is_frame

    @property
    def order(self) -> int:
        return 0 if self.part is None else self.part.order


@dataclass(eq=False, slots=True)
class Link:
    """A stretch of one or more lines across a band, from a slot to one of the next column."""

    left: Slot
    right: Slot
    out: float = 0.0  # where it leaves and arrives, across, from the lines of both
    into: float = 0.0
    lines: list[Line] = field(default_factory=list)

    @property
    def start(self) -> float:
        return self.left.v + self.out

    @property
    def end(self) -> float:
        return self.right.v + self.into


@dataclass(eq=False, slots=True)
class Band:
    """The room between two columns; lines are level up to `flat`, where labels stand."""

    begin: float = 0.0
    flat: float = 0.0
    end: float = 0.0


def spread(links: list[Link], head: Part) -> None:
    """Make arrows arrive at a node one below the other."""
    reach = 0.75 * head.round if head.round else min(head.above, head.below) - 5
    step = min(2 * reach / (len(links) - 1), 10.0) if len(links) > 1 else 0.0
    for k, link in enumerate(links):
        link.into = step * (k - (len(links) - 1) / 2)


def part_ways(slot: Slot, part: Part) -> None:
    """Make lines with labels leave a node one below the other, where it is high enough."""
    labelled = [link for link in slot.after if any(line.label for line in link.lines) and link.right.part is not None]
    if len(labelled) < 2 or len(labelled) < len(slot.after):
        return
    room = max([line.label[1] for link in labelled for line in link.lines if line.label is not None])
    step = min((min(part.above, part.below) - 3) * 2 / (len(labelled) - 1), 1.3 * room)
    if step >= room:
        for k, link in enumerate(labelled):
            link.out = step * (k - (len(labelled) - 1) / 2)


def links_after(slot: Slot) -> list[Link]:
    return slot.after


def links_before(slot: Slot) -> list[Link]:
    return slot.before


def share(slot: Slot, offset: float) -> float:
    """Return a place in a column with the share of the slot that lies above it."""
    height = slot.above + slot.below
    return slot.place + (0.5 if not height or slot.part is None else (slot.above + offset) / height)


def out_at(link: Link) -> float:
    return share(link.left, link.out)


def in_at(link: Link) -> float:
    return share(link.right, link.into)


def middle_of(slot: Slot, backwards: bool) -> float:
    links = slot.after if backwards else slot.before
    at: Callable[[Link], float] = in_at if backwards else out_at
    return sum(map(at, links)) / len(links) if links else slot.place + 0.5


def weight_of(link: Link) -> float:
    """Return how much a link wants to be straight: most where it is one of few."""
    return 4.0 if link.left.part is None and link.right.part is None else 1.0


def settle(column: list[Slot], wanted: list[float], weights: list[float], apart: list[float] | None = None) -> None:
    """Set places in this order without overlaps, with the least squares of the ways from where slots want to be.

    `apart` says how far each slot stays from the one above it, where that is not what both take.
    """
    shift, offsets = 0.0, []
    for k, slot in enumerate(column):
        if k:
            gap = column[k - 1].below + GAP + slot.above if apart is None else apart[k]
            lanes = slot.part is None or column[k - 1].part is None
            shift += gap - (GAP - 3 if lanes and apart is None else 0.0)
        offsets.append(shift)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, count
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, heavy, count = want - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, more, many = blocks.pop()
            mean = (mean * heavy + other * more) / (heavy + more)
            heavy, count = heavy + more, count + many
        blocks.append((mean, heavy, count))
    places = [mean for mean, _, count in blocks for _ in range(count)]
    for slot, place, offset in zip(column, places, offsets, strict=True):
        slot.v = place + offset
