"""Place nested frames and what is in them in columns, with the lines between them in bands between the columns.

Nothing here knows what is drawn. A drawing flows along one axis; across it, the parts of a column stand below one
another. Every frame is laid out by itself, innermost first; a line enters and leaves it at its ends, never past its
title, and a line past several columns has a lane of its own in each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable, Iterable, Sequence

from .columns import (
    APART,
    GAP,
    Band,
    Line,
    Link,
    Part,
    Slot,
    in_at,
    links_after,
    links_before,
    middle_of,
    out_at,
    part_ways,
    settle,
    spread,
    weight_of,
)
from .rows import Rows

_ARROW = 22.0  # the least band with arrow heads
_STEEP = 0.16  # of the way that lines go across, as width of their band
_WIDEST = 160.0
_SWEEPS = 4
_CLEAR = 3.0  # between a label and the line above it


def arrange(root: Part, lines: Sequence[Line]) -> bool:
    """Place all parts of a frame and all lines; return False where frames depend on each other in a circle.

    >>> a, b = Part("a", 50, 10, 10), Part("b", 50, 10, 10)
    >>> line = Line("a", "b")
    >>> arrange(Part("all", parts=[a, b], is_frame=True), [line])
    True
    >>> a.u < a.u + a.along < b.u, line.points[0] == (a.u + 50, a.v), line.points[-1] == (b.u, b.v)
    (True, True, True)
    """
    around, frames = _opened(root)
    laid = _laid(root, frames, around, lines)
    if laid is None:
        return False
    for part in frames:  # outermost first
        for inner in part.parts:
            inner.u, inner.v = inner.u + part.u, inner.v + part.v
    for line in lines:
        (line.points,) = _pieces(line, around, laid, set())
    return True


def arrange_in_rows(root: Part, lines: Sequence[Line], longest: float) -> bool:
    """Place the nodes of a drawing without frames in rows that are not much longer; False where one row is enough.

    So it is where the drawing cannot be cut.
    """
    around, frames = _opened(root)
    laid = _laid(root, frames, around, lines)
    if laid is None or root.along <= longest:
        return False
    rows = Rows(laid[root].columns, laid[root].bands, longest)
    if rows.longest > 1.2 * longest:
        return False
    for line in lines:
        line.points = rows.joined(_pieces(line, around, laid, rows.cuts))
        line.label_at = None if line.label_at is None else rows.at(line.label_at)
    for part in root.parts:
        part.u, part.v = rows.at((part.u, part.v))
    return True


def _opened(root: Part) -> tuple[dict[Hashable, list[Part]], list[Part]]:
    """Return all parts with the frames around each, the outermost first, and all frames in this order."""
    around: dict[Hashable, list[Part]] = {}
    pending = [(root, [root])]
    frames: list[Part] = []
    while pending:
        part, chain = pending.pop()
        around[part.key] = chain
        if part.is_frame:
            frames.append(part)
            pending += [(inner, [*chain, inner]) for inner in part.parts]
    return around, frames


def _laid(
    root: Part, frames: list[Part], around: dict[Hashable, list[Part]], lines: Sequence[Line]
) -> dict[Part, _Frame] | None:
    laid: dict[Part, _Frame] = {}
    for part in reversed(frames):
        laid[part] = _Frame(part, around, lines)
        if not laid[part].ranked():
            return None
        laid[part].place(is_root=part is root)
    return laid


class _Frame:
    """One frame while it is laid out; places in it count from its own beginning and line."""

    def __init__(self, frame: Part, around: dict[Hashable, list[Part]], lines: Iterable[Line]) -> None:
        self.frame = frame
        self.depth = len(around[frame.key])
        self.inside: list[tuple[Line, Part | None, Part | None]] = []  # with the parts at both ends, if in here
        for line in lines:
            tail, head = self._own(around[line.tail]), self._own(around[line.head])
            if tail is not head:
                self.inside.append((line, tail, head))
        self.rank: dict[Part, int] = {}
        self.columns: list[list[Slot]] = []
        self.links: dict[Line, list[Link]] = {}
        self.bands: list[Band] = []

    def _own(self, chain: list[Part]) -> Part | None:
        return chain[self.depth] if len(chain) > self.depth and chain[self.depth - 1] is self.frame else None

    def ranked(self) -> bool:
        """Give each part a column: after all that lead to it; what nothing leads to, close before its first user."""
        after: dict[Part, list[Part]] = defaultdict(list)
        missing = dict.fromkeys(self.frame.parts, 0)
        for _, tail, head in self.inside:
            if tail is not None and head is not None:
                after[tail].append(head)
                missing[head] += 1
        first = [part for part in self.frame.parts if not missing[part]]
        self.rank = dict.fromkeys(first, 0)
        ready = list(first)
        for part in ready:
            for head in after[part]:
                self.rank[head] = max(self.rank.get(head, 0), self.rank[part] + 1)
                missing[head] -= 1
                if not missing[head]:
                    ready.append(head)
        if len(ready) < len(self.frame.parts):
            return False
        entered = {head for _, tail, head in self.inside if tail is None}
        last = max(self.rank.values(), default=0)
        leaving = {tail for _, tail, head in self.inside if head is None}
        for part in first:
            if part not in entered and (after[part] or part in leaving):
                self.rank[part] = min([self.rank[head] for head in after[part]], default=last + 1) - 1
        return True

    def place(self, is_root: bool) -> None:
        self._connect()
        self._order()
        self._across()
        self._along(is_root)

    def _connect(self) -> None:
        """Make the slots and the links between neighbouring columns; column 0 is where lines enter."""
        count = max(self.rank.values(), default=-1) + 1
        self.columns = [[] for _ in range(count + 2)]
        slots = {part: self._slot(part, rank + 1) for part, rank in self.rank.items()}
        nets: dict[Hashable, list[tuple[Line, Part | None, Part | None]]] = defaultdict(list)
        for item in self.inside:
            nets[item[0].tail].append(item)
        into: dict[Part, list[tuple[int, Link]]] = defaultdict(list)
        for tail, items in nets.items():
            source = items[0][1]
            start = self._slot(None, 0) if source is None else slots[source]
            shared: dict[int, Slot] = {start.column: start}
            links: dict[tuple[Slot, Slot], Link] = {}
            for line, _, head in items:
                end = slots[head] if head is not None else None
                goal = count + 1 if end is None else end.column
                route = []
                for column in range(start.column + 1, goal + 1):
                    left = shared[column - 1]
                    if column == goal and end is not None:
                        right = end
                    else:
                        right = shared.setdefault(column, Slot(None, column))
                        if right not in self.columns[column]:
                            self.columns[column].append(right)
                    whole = column == goal and end is not None and not end.is_frame
                    link = None if whole else links.get((left, right))
                    if link is None:
                        link = Link(left, right)
                        if left.is_frame and left.part is not None:
                            link.out = left.part.exits[tail]
                        if right.is_frame and right.part is not None:
                            link.into = right.part.entries[tail]
                        left.after.append(link)
                        right.before.append(link)
                        links[left, right] = link
                        if whole and head is not None:
                            into[head].append((line.order, link))
                    link.lines.append(line)
                    route.append(link)
                self.links[line] = route
        for head, arriving in into.items():
            spread([link for _, link in sorted(arriving, key=lambda item: item[0])], head)
        for slot in slots.values():
            if slot.part is not None and not slot.is_frame:
                part_ways(slot, slot.part)

    def _slot(self, part: Part | None, column: int) -> Slot:
        slot = Slot(part, column)
        self.columns[column].append(slot)
        return slot

    # ---- the order in each column ----

    def _order(self) -> None:
        index = {part: k for k, part in enumerate(self.frame.parts)}
        for column in self.columns:
            column.sort(key=lambda slot: -1 if slot.part is None else index[slot.part])
        self._number()
        best, least = [list(column) for column in self.columns], self._crossings()
        for sweep in range(2 * _SWEEPS):
            backwards = sweep % 2 == 0
            for column in reversed(self.columns) if backwards else self.columns:
                keys = {slot: middle_of(slot, backwards) for slot in column}
                column.sort(key=keys.__getitem__)
                ordered = iter(sorted([slot for slot in column if slot.order], key=lambda slot: slot.order))
                column[:] = [next(ordered) if slot.order else slot for slot in column]
                self._number()
            crossings = self._crossings()
            if crossings < least:
                best, least = [list(column) for column in self.columns], crossings
        self.columns = best
        self._number()

    def _number(self) -> None:
        for column in self.columns:
            for place, slot in enumerate(column):
                slot.place = place

    def _crossings(self) -> int:
        total = 0
        for column in self.columns:
            ends = [(out_at(link), in_at(link)) for slot in column for link in slot.after]
            ends.sort()
            for k, (start, end) in enumerate(ends):
                total += sum([start < others and end > other for others, other in ends[k + 1 :]])
        return total

    # ---- places across the flow ----

    def _across(self) -> None:
        for column in self.columns:
            settle(column, [0.0] * len(column), [1.0] * len(column))
        inner = self.columns[1:-1]
        for sweep in range(2 * _SWEEPS + 2):
            final = sweep >= 2 * _SWEEPS
            for column in inner if sweep % 2 == 0 else reversed(inner):
                wanted, weights = [], []
                for slot in column:
                    pulls = [(link.left.v + link.out - link.into, weight_of(link)) for link in slot.before]
                    others = [(link.right.v + link.into - link.out, weight_of(link)) for link in slot.after]
                    if not final:
                        pulls = (pulls or others) if sweep % 2 == 0 else (others or pulls)
                    else:
                        pulls += others
                    heavy = sum([weight for _, weight in pulls])
                    wanted.append(sum([v * weight for v, weight in pulls]) / heavy if pulls else slot.v)
                    weights.append(max(heavy, 0.1))
                settle(column, wanted, weights)
            # Where lines enter and leave, they follow what is inside.
            for column, links in ((self.columns[0], links_after), (self.columns[-1], links_before)):
                wanted = [
                    sum([link.end - link.out if links is links_after else link.start for link in links(slot)])
                    / max(1, len(links(slot)))
                    for slot in column
                ]
                column_order = sorted(range(len(column)), key=wanted.__getitem__)
                column[:] = [column[k] for k in column_order]
                settle(column, [wanted[k] for k in column_order], [1.0] * len(column), list(map(self._room, column)))
            self._number()

    # ---- places along the flow ----

    def _along(self, is_root: bool) -> None:
        title, least = self.frame.title
        u = 0.0
        for number, column in enumerate(self.columns):
            long = max([slot.part.along for slot in column if slot.part is not None], default=0.0)
            for slot in column:
                if slot.part is not None:
                    slot.part.v = slot.v
                    slot.part.u = u if slot.before or slot.is_frame else u + long - slot.part.along
                    if slot.is_frame:
                        slot.part.along = long
            u += long
            if number < len(self.columns) - 1:
                edge = number in (0, len(self.columns) - 2)
                self.bands.append(self._band(u, column, 0.0 if is_root and edge else GAP if edge else _ARROW))
                u = self.bands[-1].end
        slots = [slot for column in self.columns for slot in column]
        top = min([slot.v - slot.above for slot in slots], default=0.0)
        bottom = max([slot.v + slot.below for slot in slots], default=0.0)
        pad = 0.0 if is_root else GAP
        self.frame.above, self.frame.below = pad + title - top, bottom + pad
        self.frame.along = max(u, least)
        for line, tail, head in self.inside:
            if tail is None:
                self.frame.entries[line.tail] = self.links[line][0].start
            if head is None:
                self.frame.exits[line.tail] = self.links[line][-1].end

    def _band(self, begin: float, column: list[Slot], least: float) -> Band:
        links = [link for slot in column for link in slot.after]
        labels = [
            line.label[0] + 4
            for link in links
            for line in link.lines
            if line.label is not None and self._carries(link, line)
        ]
        bend = max([abs(link.end - link.start) for link in links], default=0.0)
        if any(link.right.part is not None and not link.right.is_frame for link in links):
            least = max(least, _ARROW)
        width = max(least, min(_WIDEST, _ARROW + _STEEP * bend) if bend > 1.0 else 0.0)
        flat = begin + max(labels, default=0.0)
        return Band(begin, flat, flat + width)

    def _room(self, slot: Slot) -> float:
        """Return what a line that enters or leaves takes, which is more where its label stands on it."""
        labels = [
            line.label[1] for link in slot.after for line in link.lines if line.label and self._carries(link, line)
        ]
        return max([APART, *[across + _CLEAR for across in labels]])

    def _carries(self, link: Link, line: Line) -> bool:
        """Return whether a link leads to the head of a line, and is nobody else's where it begins."""
        if link is not self.links[line][-1] or link.right.part is None or link.right.is_frame or len(link.lines) > 1:
            return False
        room = line.label[1] if line.label is not None else APART
        return all(other is link or abs(other.out - link.out) >= room for other in link.left.after)


def _pieces(
    line: Line, around: dict[Hashable, list[Part]], laid: dict[Part, _Frame], cuts: Container[int]
) -> list[list[tuple[float, float]]]:
    """Follow a line out of the frames of its tail and into those of its head; after a column in `cuts` begin anew."""
    tail, head = around[line.tail], around[line.head]
    shared = 0
    while tail[shared] is head[shared]:
        shared += 1
    through = [*reversed(tail[shared:-1]), *head[shared - 1 : -1]]
    first = laid[through[0]].links[line][0]
    pieces = []
    points = [(tail[-1].u + tail[-1].along, through[0].v + first.start)]
    for frame in through:
        own = laid[frame]
        for link in own.links[line]:
            band = own.bands[link.left.column]
            begin, flat, end = (frame.u + place for place in (band.begin, band.flat, band.end))
            start, arrival = frame.v + link.start, frame.v + link.end
            if own._carries(link, line) and line.label is not None:
                line.label_at = (begin + 2 + line.label[0] / 2, start - 2 - line.label[1] / 2)
            _level(points, flat)
            if link.left.column in cuts:
                pieces.append(points)
                points = [(end + _landing(link), arrival)]
            elif abs(arrival - start) < 0.5 and link.right.part is None:
                _level(points, end)
            else:
                landing = _landing(link)
                middle = (flat + end) / 2
                points += [(middle, start), (middle, arrival), (end + landing, arrival)]
                if landing:
                    points[-2] = (middle + landing / 2, arrival)
    return [*pieces, points]


def _level(points: list[tuple[float, float]], u: float) -> None:
    """Go straight on to `u`; one straight piece after another is one."""
    (before, v) = points[-1]
    if u - before < 0.01:
        return
    if len(points) > 3 and all(point[1] == v for point in points[-4:]):
        before = points[-4][0]
        del points[-3:]
    points += [(before + (u - before) / 3, v), (before + (u - before) * 2 / 3, v), (u, v)]


def _landing(link: Link) -> float:
    """Return how far behind the beginning of a node an arrow gets to its end."""
    part = link.right.part
    if part is None or part.is_frame:
        return 0.0
    return part.inset + (part.round - (max(0.0, part.round**2 - link.into**2)) ** 0.5 if part.round else 0.0)
