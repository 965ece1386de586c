"""Write a program as text: one line per step, a loop's inner programs indented below it.

What only says where numbers stand is written where it is used: ``w[2]``, ``rows of w``. What adds, or is long, has a
line.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from ..data import Structure
from ..operations import Primitive
from .gathering import Gather, Scatter
from .loop import CALL, COUNTED, WHILE, Loop
from .views import Part, Place, Shape, Structural, View, contiguous, size_of, whole

_LISTED = 12  # so many values are named one by one
_LONG = 160  # letters that have a line of their own


class _Value(NamedTuple):
    """What a value is called.

    Attributes:
        word: its name, or what it looks at.
        line: what it stands in, if others may stand side by side with it: a run of these is written as first…last.
        place: where in the line.
        items: the values that the word lists, if it does.
    """

    word: str
    line: Hashable = None
    place: int = 0
    items: tuple[_Value, ...] = ()

    @property
    def inside(self) -> str:
        """The word as a part of a longer one."""
        return f"({self.word})" if self.items or " as " in self.word else self.word


def lines(program: Any, shown: set[Any] | None = None) -> Iterator[str]:
    """Yield the listing of a `Program`; `shown` holds the inner programs already listed."""
    shown = set() if shown is None else shown
    values = [_Value(name, ("input", _stem(name)), k) for k, name in enumerate(program.names)]
    values += map(_constant, program.constants)
    yield f"{program.name}({', '.join(_parameters(program, values))}):"
    numbers = itertools.count(1)
    for op, args in program.steps:
        looked = _look(op, args, values) if isinstance(op, Structural) and not isinstance(op, Loop) else None
        if looked is not None and len(looked.word) <= _LONG and not _adds(op):
            values.append(looked)
            continue
        own = [_Value(f"v{k}", "computed", k) for k in itertools.islice(numbers, op.results)]
        values += own
        if isinstance(op, Loop):
            yield from _loop(op, args, values, own, shown)
        elif looked is not None:
            yield f"    {own[0].word} = {looked.word}"
        else:
            many = [values[k] for k in args]
            words = [_runs(many)] if len(args) > _LISTED else [value.word for value in many]
            yield f"    {own[0].word} = {_expression(op, words)}"
    yield f"    return {_result(program.result, iter([values[k] for k in program.outputs]))}"


def _loop(
    op: Loop, args: Sequence[int], values: Sequence[_Value], own: Sequence[_Value], shown: set[Any]
) -> Iterator[str]:
    """Yield a loop's line, and its inner programs at their first occurrence."""
    taken = [values[k] for k in args]
    end = op.carry + op.rows
    rows = taken[op.carry : end]
    shapes = op.argument_shapes[op.carry : end]
    have_rows = any(len(shape) > 1 and not value.items for value, shape in zip(rows, shapes, strict=True))
    if all(len(value.items) == op.length for value in rows):
        # Lists of numbers, iteration by iteration.
        rows = list(itertools.chain(*zip(*[value.items for value in rows], strict=True)))
    parts = [
        ("from", _runs(taken[: op.carry])),
        ("over rows of" if have_rows else "over", _runs(rows)),
        ("with", _runs(taken[end:])),
    ]
    text = " ".join(f"{word} {text}" for word, text in parts if text)
    most = " × up to " if op.kind in (WHILE, COUNTED) else " × "
    times = "" if op.kind == CALL else f"{most}{op.length or '∞' if op.kind == WHILE else op.length}"
    order = " backwards" if op.backwards else ""
    new = [inner for inner in op.programs() if inner not in shown]
    gives = f", summing {op.sums}" if op.sums else ""
    asked = f"when {op.condition.name}: {op.body.name}" if op.is_branch and op.condition is not None else ""
    ran = asked or f"{op.kind} {op.body.name}{times}{order}"
    what = f"{ran}{' ' if text else ''}{text}{gives}"
    yield f"    {_runs(own) or 'nothing'} = {what}{':' if new else ''}"
    for inner in new:
        shown.add(inner)
        yield from (f"        {line}" for line in lines(inner, shown))


def _runs(values: Sequence[_Value]) -> str:
    """Name values: those that stand side by side as ``first…last``, others one by one."""
    runs: list[list[_Value]] = []
    for value in values:
        last = runs[-1][1] if runs else None
        if last is not None and value.line is not None and (value.line, value.place) == (last.line, last.place + 1):
            runs[-1][1] = value
        else:
            runs.append([value, value])
    texts = [a.word if a is b else f"{a.word}{', ' if b.place == a.place + 1 else '…'}{b.word}" for a, b in runs]
    return ", ".join(_shortened(texts))


def _shortened(texts: Sequence[str]) -> Sequence[str]:
    return [*texts[:6], f"… {len(texts) - 8} more …", *texts[-2:]] if len(texts) > _LISTED else texts


def _constant(item: Any) -> _Value:
    if isinstance(item, float):
        return _Value(repr(item))
    if size_of(item.shape) > _LISTED:
        return _Value(f"numbers{_sides(item.shape)}")
    items = tuple([_Value(repr(number)) for number in item.tolist()])
    return _Value(_runs(items), items=items)


def _sides(shape: Shape) -> str:
    return f"[{' × '.join(map(str, shape))}]"


def _look(op: Structural, args: Sequence[int], values: Sequence[_Value]) -> _Value:
    """Name what a view looks at, or what an array is put together of."""
    taken = [values[k] for k in args]
    if isinstance(op, View):
        word = taken[0].word if op.is_all else _part(taken[0].inside, op.of, op.part)
        size = size_of(op.shape)
        if op.stops:
            return _Value(f"stop_gradient({word})")
        if op.is_all or not size or not op.part.is_contiguous:
            return _Value(word, items=taken[0].items if op.is_all else ())
        return _Value(word, (args[0], op.shape, op.part.start % size), op.part.start // size)
    if isinstance(op, Place):
        if op.fills and args:
            return _Value(_runs(taken), items=tuple(taken))
        zeros = f"zeros{_sides(op.shape)}"
        placed = [
            value.inside if part == whole(op.shape) else f"{value.inside} at {_part('', op.shape, part).strip()}"
            for value, part in zip(taken, op.parts, strict=True)
        ]
        return _Value(" + ".join(_shortened([zeros, *placed])))
    if isinstance(op, Gather):
        return _Value(f"{taken[0].inside}[{taken[1].word}]")
    return _Value(f"zeros{_sides(op.shapes[0])} + {taken[1].inside} at [{taken[0].word}]")


def _adds(op: Primitive) -> bool:
    return isinstance(op, Scatter) or (isinstance(op, Place) and not op.fills and op.arity > 0)


def _part(word: str, of: Shape, part: Part) -> str:
    """Write a part as an index where it is one of each axis: ``w[2]``, ``w[1:4]``, ``w[:, 3]``."""
    start, shape, strides = part
    if part.is_contiguous and size_of(shape) == size_of(of):
        return f"{word} as {_sides(shape)}"
    index = []
    axes = list(zip(shape, strides, strict=True))
    for length, unit in zip(of, contiguous(of), strict=True):
        first, start = divmod(start, unit)
        if axes and (axes[0][1] == unit or (axes[0][0] == 1 and length > 1 and len(axes) > len(of))):
            count, _ = axes.pop(0)
            index.append(":" if (first, count) == (0, length) else f"{first}:{first + count}")
        elif axes and axes[0][1] and axes[0][1] % unit == 0 and abs(axes[0][1] // unit) < length:
            count, stride = axes.pop(0)
            step = stride // unit
            index.append(f"{first}:{first + step * count}:{step}")
        else:
            index.append(f"{first}")
    if axes or start:
        return f"{word} as {_sides(shape)} from {part.start} by {', '.join(map(str, strides))}"
    while len(index) > 1 and index[-1] == ":":
        index.pop()
    return f"{word}[{', '.join(index)}]"


def _stem(name: str) -> str:
    return name.split("[")[0].split(".")[0]


def _parameters(program: Any, values: Sequence[_Value]) -> Sequence[str]:
    parts = program.arguments.parts
    if program.closed:
        parts = (*parts[:-1], *parts[-1].parts)
    if len(parts) > _LISTED and all(part.kind == "number" for part in parts):
        return [_runs(values[: len(parts)])]
    names = iter(program.names)
    found = []
    for part in parts:
        own = [next(names) for _ in range(part.count)]
        found.append(own[0] if part.kind == "number" else f"{_stem(own[0]) if own else '_'}: {part}")
    return found


def _expression(op: Primitive, words: Sequence[str]) -> str:
    if op.infix:
        return f"{words[0]} {op.symbol} {words[1]}"
    if op.name == "neg":
        return f"−{words[0]}"
    symbol = op.name if "x" in op.symbol else op.symbol
    return f"{symbol if len(symbol) > 1 or symbol.isalpha() else op.name}({', '.join(words)})"


def _result(structure: Structure, values: Iterator[_Value]) -> str:
    if structure.kind == "number":
        return next(values).word
    if structure.whole:
        value = next(values)
        return f"[{value.word}]" if value.items else value.word
    if structure.places is not None:
        inside = _runs(list(itertools.islice(values, structure.size)))
        return f"sparse{list(structure.places.shape)}({inside})"
    if structure.size > _LISTED and all(part.kind == "number" for part in structure.parts):
        inside = _runs(list(itertools.islice(values, structure.size)))
    elif structure.kind == "array":
        inside = ", ".join(next(values).word for _ in range(structure.size))
    else:
        parts = [_result(part, values) for part in structure.parts]
        if structure.kind == "dict":
            pairs = zip(structure.keys, parts, strict=True)
            return "{" + ", ".join(f"{key!r}: {part}" for key, part in pairs) + "}"
        if structure.kind == "record":
            pairs = zip(structure.keys, parts, strict=True)
            return f"{structure.made.__name__}({', '.join(f'{key}={part}' for key, part in pairs)})"
        if structure.kind in ("none", "constant"):
            return str(structure)
        inside = ", ".join(parts if len(parts) <= 100 else [*parts[:3], f"… {len(parts) - 4} more …", parts[-1]])
    if structure.kind == "array":
        return f"array{list(structure.shape)}({inside})"
    return f"[{inside}]" if structure.kind == "list" else f"({inside}{',' if len(structure.parts) == 1 else ''})"
