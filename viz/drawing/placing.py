"""Give the shapes of a drawing with frames their places: every layer a column, what it takes on its left.

Graphviz draws them there; it lays out only what has no frames.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from .columns import Line, Part
from .layered import arrange, arrange_in_rows
from .measuring import Size, label_size
from .units import UnitPath

_MARGIN = Size(12.0, 6.0)  # of a card, both sides together
_ARROW_HEAD = 6.0
_TO_CARD = 20.0  # from an operation to its result
_TO_ASIDE = 14.0  # from an operation to a number beside it
_FEW, _ARROW_ROOM = 4, 9.0  # arrows that land on a circle, and what each takes where there are more
_OUTLINE = 4.0  # between two outlines
_LONGEST = 1200.0  # of a row
_FEWEST, _MOST = 12, 150  # shapes that are tried in rows
_INCH = 72.0
_TITLE_FONT, _LABEL_FONT = 11.0, 10.0
_LABEL_MARGIN = 4.0

Point = tuple[float, float]


@dataclass(eq=False, slots=True)
class Shape:
    """A card or an operation as DOT has it; shapes of one `item` stand together.

    `aside` marks a number without a name, which may stand beside its only user; `order` is not 0 for one of a row.
    """

    name: str
    label: str
    style: dict[str, str]
    frame: UnitPath | None
    item: int
    order: int = 0
    aside: bool = False

    @property
    def is_operation(self) -> bool:
        return self.style.get("class") == "operation"

    @property
    def is_round(self) -> bool:
        return self.style.get("shape") == "circle"


@dataclass(eq=False, slots=True)
class Arrow:
    """An edge as DOT has it: the number `order` of those into its head; `told` is its tooltip where no label fits."""

    tail: str
    head: str
    style: dict[str, str]
    order: int = 0
    told: str = ""
    pairs: bool = False  # whether the head takes arguments two by two


@dataclass(eq=False, slots=True)
class Frame:
    """The frame of a unit, and its place in the model."""

    style: dict[str, str]
    order: int


@dataclass(eq=False, slots=True)
class _Item:
    """A part of the layout with the shapes that stand in it: an operation, its result, numbers beside it."""

    part: Part
    shapes: list[Shape]
    before: Shape | None = None
    after: Shape | None = None


def placed(shapes: Sequence[Shape], arrows: Sequence[Arrow], frames: dict[UnitPath, Frame], direction: str) -> bool:
    """Set positions and sizes of all shapes, arrows and frames; return False where that is left to Graphviz.

    So it is where the frames have no order, and without frames where Graphviz needs no rows.
    """
    if not frames and (direction != "LR" or not _FEWEST <= len(shapes) <= _MOST):
        return False
    return _Placing(shapes, arrows, frames, direction).run()


class _Placing:
    def __init__(
        self, shapes: Sequence[Shape], arrows: Sequence[Arrow], frames: dict[UnitPath, Frame], direction: str
    ) -> None:
        self.shapes, self.arrows, self.frames = shapes, arrows, frames
        self.upright = direction in ("TB", "BT")
        self.sign = -1.0 if direction in ("RL", "BT") else 1.0
        self.named = {shape.name: shape for shape in shapes}
        self.sizes = {shape: _size(shape) for shape in shapes}
        self.straight: set[Shape] = set()  # operations of a straight end
        self._widen()
        self._heighten()
        self.items: dict[Hashable, _Item] = {}
        self.beside: dict[str, Arrow] = {}  # by the name of a number that stands beside its user

    def run(self) -> bool:
        self._choose_beside()
        root = Part("", is_frame=True)
        parts = {path: self._frame_part(path) for path in sorted(self.frames, key=len)}
        grouped: dict[int, list[Shape]] = {}
        for shape in self.shapes:
            if shape.name not in self.beside:
                grouped.setdefault(shape.item, []).append(shape)
        for number, together in grouped.items():
            self.items[number] = self._item(number, together)
            frame = together[0].frame
            (root if frame is None else parts[frame]).parts.append(self.items[number].part)
        for path in sorted(self.frames, key=lambda path: self.frames[path].order):
            (parts[path[:-1]] if path else root).parts.append(parts[path])
        for part in parts.values():
            part.parts.sort(key=lambda inner: inner.order)
        lines = {
            arrow: Line(
                self.named[arrow.tail].item,
                self.named[arrow.head].item,
                arrow.order,
                self._on_line(arrow.style.get("label")),
            )
            for arrow in self.arrows
            if self.named[arrow.tail].item != self.named[arrow.head].item and arrow.tail not in self.beside
        }
        if self.frames:
            done = arrange(root, list(lines.values()))
        else:
            done = arrange_in_rows(root, list(lines.values()), _LONGEST)
        if not done:
            return False
        for item in self.items.values():
            self._set_item(item)
        for arrow, line in lines.items():
            self._set_arrow(arrow, line)
        for path, part in parts.items():
            self._set_frame(self.frames[path], part)
        return True

    def _on_line(self, label: str | None) -> tuple[float, float] | None:
        """Return what a label takes on a line: its table has a margin of its own."""
        if label is None:
            return None
        width, height = label_size(label, _LABEL_FONT)
        return self._turned(Size(width - _LABEL_MARGIN, height - _LABEL_MARGIN))

    def _turned(self, size: Size) -> tuple[float, float]:
        """Return a size along and across the flow."""
        return (size.height, size.width) if self.upright else (size.width, size.height)

    def _widen(self) -> None:
        """Make the cards of all parameters of a layer equally wide."""
        leaves = [shape for shape in self.shapes if shape.style.get("class") == "input" and shape.frame is not None]
        layers = {shape: (shape.frame or ())[:-1] for shape in leaves}
        widest: dict[UnitPath, float] = {}
        for shape, layer in layers.items():
            widest[layer] = max(widest.get(layer, 0.0), self.sizes[shape].width)
        for shape, layer in layers.items():
            self.sizes[shape] = Size(widest[layer], self.sizes[shape].height)

    def _heighten(self) -> None:
        """Give operations of many arguments a straight end, long enough for all arrows."""
        for name, count in Counter([arrow.head for arrow in self.arrows]).items():
            shape = self.named[name]
            if shape.is_operation and count > _FEW:
                width, height = self.sizes[shape]
                long = max(height, _ARROW_ROOM * count)
                self.sizes[shape] = Size(max(width, long), height) if self.upright else Size(width, max(height, long))
                self.straight.add(shape)

    def _choose_beside(self) -> None:
        """Place numbers beside the operation of one or two arguments that alone takes them."""
        uses = Counter([arrow.tail for arrow in self.arrows])
        entering = Counter([arrow.head for arrow in self.arrows])
        taken: set[tuple[str, bool]] = set()
        for arrow in self.arrows:
            side = arrow.head, arrow.order == 0
            alone = self.named[arrow.tail].aside and uses[arrow.tail] == 1
            if alone and entering[arrow.head] == 2 and not arrow.pairs and (arrow.head, not side[1]) not in taken:
                self.beside[arrow.tail] = arrow
                taken.add(side)

    def _frame_part(self, path: UnitPath) -> Part:
        long, across = self._turned(label_size(self.frames[path].style["label"], _TITLE_FONT))
        return Part(path, is_frame=True, title=(across + 4.0, long + 20.0), order=1 + self.frames[path].order)

    def _item(self, number: int, shapes: list[Shape]) -> _Item:
        """Put an operation, its result and the numbers beside it together."""
        sizes = [self._turned(self.sizes[shape]) for shape in shapes]
        half = max([across for _, across in sizes]) / 2
        along = sum([long for long, _ in sizes]) + _TO_CARD * (len(shapes) - 1)
        item = _Item(Part(number, along, half, half, order=shapes[0].order), shapes)
        if shapes[0].is_operation:
            radius = sizes[0][0] / 2
            item.part.round = radius if shapes[0].is_round and shapes[0] not in self.straight else 0.0
            for name, arrow in self.beside.items():
                if arrow.head != shapes[0].name:
                    continue
                long, across = self._turned(self.sizes[self.named[name]])
                reach = sizes[0][1] / 2 + _TO_ASIDE + across
                if arrow.order == 0:
                    item.before, item.part.above = self.named[name], max(half, reach)
                else:
                    item.after, item.part.below = self.named[name], max(half, reach)
                item.part.inset = max(item.part.inset, long / 2 - radius)
            item.part.along += item.part.inset
        return item

    def _set_item(self, item: _Item) -> None:
        u, v = item.part.u + item.part.inset, item.part.v
        previous: Shape | None = None
        for shape in item.shapes:
            long, across = self._turned(self.sizes[shape])
            if previous is not None:
                u += _TO_CARD
                self._join(previous, shape, [(u - _TO_CARD, v), (u, v)])
            self._put(shape, u + long / 2, v)
            if shape is item.shapes[0]:
                for beside, way in ((item.before, -1), (item.after, 1)):
                    if beside is not None:
                        reach = self._turned(self.sizes[beside])[1] / 2
                        end = v + way * across / 2
                        self._put(beside, u + long / 2, end + way * (_TO_ASIDE + reach))
                        self._join(beside, shape, [(u + long / 2, end + way * _TO_ASIDE), (u + long / 2, end)])
            u += long
            previous = shape

    def _put(self, shape: Shape, u: float, v: float) -> None:
        size = self.sizes[shape]
        x, y = self._at(u, v)
        shape.style["pos"] = f"{x:.2f},{y:.2f}"
        if shape in self.straight:
            shape.style["shape"] = "box"
        second = _second_outline(shape)
        shape.style["height"] = f"{(size.height - second) / _INCH:.3f}"
        _set_width(shape, size.width - second)

    def _join(self, tail: Shape, head: Shape, ends: list[Point]) -> None:
        """Draw the straight arrow between two shapes of an item."""
        (u, v), (to_u, to_v) = ends
        points = [(u + (to_u - u) * k / 3, v + (to_v - v) * k / 3) for k in range(4)]
        (arrow,) = [arrow for arrow in self.arrows if arrow.tail == tail.name and arrow.head == head.name]
        self._route(arrow, points)

    def _set_arrow(self, arrow: Arrow, line: Line) -> None:
        self._route(arrow, line.points)
        if "label" in arrow.style:
            if line.label_at is None:
                del arrow.style["label"]
                arrow.style["tooltip"] = arrow.told
            else:
                x, y = self._at(*line.label_at)
                arrow.style["lp"] = f"{x:.2f},{y:.2f}"

    def _route(self, arrow: Arrow, points: list[Point]) -> None:
        """Write the curve of an arrow, whose head takes the last part of the way."""
        (u, v), (before_u, before_v) = points[-1], points[-2]
        way = ((u - before_u) ** 2 + (v - before_v) ** 2) ** 0.5 or 1.0
        short = (u - (u - before_u) / way * _ARROW_HEAD, v - (v - before_v) / way * _ARROW_HEAD)
        tip, *curve = [self._at(*point) for point in [points[-1], *points[:-1], short]]
        arrow.style["pos"] = " ".join([f"e,{tip[0]:.2f},{tip[1]:.2f}", *[f"{x:.2f},{y:.2f}" for x, y in curve]])

    def _set_frame(self, frame: Frame, part: Part) -> None:
        corners = [self._at(part.u, part.v - part.above), self._at(part.u + part.along, part.v + part.below)]
        left, right = sorted([x for x, _ in corners])
        bottom, top = sorted([y for _, y in corners])
        title = label_size(frame.style["label"], _TITLE_FONT)
        frame.style["bb"] = f"{left:.2f},{bottom:.2f},{right:.2f},{top:.2f}"
        frame.style["lp"] = f"{left + 8 + title.width / 2:.2f},{top - 5 - title.height / 2:.2f}"

    def _at(self, u: float, v: float) -> Point:
        """Return the place on paper, in points, upwards from the bottom."""
        return (v, -self.sign * u) if self.upright else (self.sign * u, -v)


def give_room(shape: Shape) -> None:
    """Make a card that Graphviz is to place wide enough for its text in any usual font."""
    if not shape.is_operation:
        _set_width(shape, _size(shape).width - _second_outline(shape))


def _set_width(shape: Shape, width: float) -> None:
    shape.style["width"] = f"{width / _INCH:.3f}"
    # What is wider than its text still begins at the left.
    shape.label = re.sub("<table ", f'<table width="{round(width - _MARGIN.width)}" ', shape.label, count=1)


def _size(shape: Shape) -> Size:
    """Return the size of a shape, from its style or from what it holds."""
    if shape.is_round or "fixedsize" in shape.style:
        return Size(float(shape.style["width"]) * _INCH, float(shape.style["height"]) * _INCH)
    size = label_size(shape.label, float(shape.style.get("fontsize", "12")))
    if shape.is_operation:
        return Size(size.width + 2 * 0.12 * _INCH, float(shape.style["height"]) * _INCH)
    second = _second_outline(shape)
    return Size(size.width + _MARGIN.width + second, size.height + _MARGIN.height + second)


def _second_outline(shape: Shape) -> float:
    """Return what a second outline around a shape takes, both sides together."""
    return 2 * _OUTLINE if shape.style.get("peripheries") == "2" else 0.0
