"""Write a program as text: one line per step, a loop's inner programs indented below it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ..data import Structure
from ..operations import Primitive
from .loop import CALL, COUNTED, WHILE, Loop
from .views import Gather, Place, Structural, View, contiguous, size_of

_CONSTANT, _COMPUTED = 1, 2
_LISTED = 12  # so many values are named one by one


def lines(program: Any, shown: set[Any] | None = None) -> Iterator[str]:
    """Yield the listing of a `Program`; `shown` holds the inner programs already listed."""
    shown = set() if shown is None else shown
    words = [*program.names, *map(_constant, program.constants)]
    yield f"{program.name}({', '.join(_parameters(program))}):"
    kinds = bytearray(len(program.names)) + bytes([_CONSTANT]) * len(program.constants)
    place = 1
    for op, args in program.steps:
        count = op.results
        if isinstance(op, Structural) and not isinstance(op, Loop):
            # What only says where numbers stand has no line of its own.
            words.append(_look(op, args, words, kinds))
            kinds.append(_CONSTANT)
            continue
        words += [f"v{k}" for k in range(place, place + count)]
        place += count
        kinds += bytes([_COMPUTED]) * count
        if isinstance(op, Loop):
            yield from _loop(op, args, words, kinds, len(words) - count, shown)
        else:
            many = [_runs(args, words, kinds)] if len(args) > _LISTED else [words[k] for k in args]
            yield f"    {words[-1]} = {_expression(op, many)}"
    yield f"    return {_result(program.result, iter(program.outputs), words, kinds)}"


def _loop(
    op: Loop, args: Sequence[int], words: Sequence[str], kinds: bytes | bytearray, first: int, shown: set[Any]
) -> Iterator[str]:
    """Yield a loop's line, and its inner programs at their first occurrence."""
    results = _runs(range(first, first + op.results), words, kinds) or "nothing"
    carry, end = args[: op.carry], op.carry + op.rows
    parts = [
        ("from", _runs(carry, words, kinds)),
        ("over", _runs(args[op.carry : end], words, kinds)),
        ("with", _runs(args[end:], words, kinds)),
    ]
    taken = " ".join(f"{word} {text}" for word, text in parts if text)
    most = " × up to " if op.kind in (WHILE, COUNTED) else " × "
    times = "" if op.kind == CALL else f"{most}{op.length or '∞' if op.kind == WHILE else op.length}"
    order = " backwards" if op.backwards else ""
    new = [inner for inner in op.programs() if inner not in shown]
    gives = f", summing {op.sums}" if op.sums else ""
    ran = f"when {op.condition.name}: {op.body.name}" if op.is_branch else f"{op.kind} {op.body.name}{times}{order}"
    what = f"{ran}{' ' if taken else ''}{taken}{gives}"
    yield f"    {results} = {what}{':' if new else ''}"
    for inner in new:
        shown.add(inner)
        yield from (f"        {line}" for line in lines(inner, shown))


def _runs(places: Sequence[int], words: Sequence[str], kinds: bytes | bytearray) -> str:
    """Name values: consecutive ones as ``first…last``, constants one by one."""
    runs: list[list[int]] = []
    for place in places:
        last = runs[-1][1] if runs else -2
        same = last >= 0 and kinds[place] == kinds[last] != _CONSTANT
        if place == last + 1 and same and (kinds[place] == _COMPUTED or _stem(words[place]) == _stem(words[last])):
            runs[-1][1] = place
        else:
            runs.append([place, place])
    texts = [words[a] if a == b else f"{words[a]}{', ' if b == a + 1 else '…'}{words[b]}" for a, b in runs]
    if len(texts) > _LISTED:
        texts = [*texts[:6], f"… {len(texts) - 8} more …", *texts[-2:]]
    return ", ".join(texts)


def _constant(item: Any) -> str:
    if isinstance(item, float):
        return repr(item)
    numbers = item.tolist() if size_of(item.shape) <= _LISTED else []
    return ", ".join(map(repr, numbers)) if numbers else f"numbers[{' × '.join(map(str, item.shape))}]"


def _look(op: Structural, args: Sequence[int], words: Sequence[str], kinds: bytes | bytearray) -> str:
    """Name what a view looks at, or what an array is put together of."""
    if isinstance(op, View):
        word = words[args[0]]
        word = f"({word})" if ", " in word or " of " in word else word
        return word if op.is_all else _part(word, op)
    if isinstance(op, Place):
        if op.fills and args:
            return _runs(args, words, kinds)
        shape = " × ".join(map(str, op.shape))
        return f"zeros[{shape}]" if not args else f"({' + '.join(words[k] for k in args)}) in [{shape}]"
    if isinstance(op, Gather):
        return f"{words[args[0]]}[{words[args[1]]}]"
    return f"{words[args[1]]} at {words[args[0]]} in [{' × '.join(map(str, op.shape))}]"


def _part(word: str, op: View) -> str:
    """Write a view as an index where it is one of each axis: ``w[2]``, ``w[1:4]``, ``w[:, 3]``."""
    start, shape, strides = op.part
    index = []
    axes = list(zip(shape, strides, strict=True))
    for length, unit in zip(op.of, contiguous(op.of), strict=True):
        first, start = divmod(start, unit)
        if axes and (axes[0][1] == unit or (axes[0][0] == 1 and length > 1 and len(axes) > len(op.of))):
            count, _ = axes.pop(0)
            index.append(":" if (first, count) == (0, length) else f"{first}:{first + count}")
        elif axes and axes[0][1] and axes[0][1] % unit == 0 and abs(axes[0][1] // unit) < length:
            count, stride = axes.pop(0)
            step = stride // unit
            index.append(f"{first}:{first + step * count}:{step}")
        else:
            index.append(f"{first}")
    if axes or start:
        return f"{word} as [{' × '.join(map(str, shape))}] from {op.part.start} by {', '.join(map(str, strides))}"
    while len(index) > 1 and index[-1] == ":":
        index.pop()
    return f"{word}[{', '.join(index)}]"


def _stem(name: str) -> str:
    return name.split("[")[0].split(".")[0]


def _parameters(program: Any) -> Sequence[str]:
    parts = program.arguments.parts
    if program.closed:
        parts = (*parts[:-1], *parts[-1].parts)
    if len(parts) > _LISTED and all(part.kind == "number" for part in parts):
        return [_runs(range(len(parts)), program.names, bytes(len(parts)))]
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


def _result(structure: Structure, places: Iterator[int], words: Sequence[str], kinds: bytes | bytearray) -> str:
    if structure.kind == "number" or structure.whole:
        return words[next(places)]
    if structure.places is not None:
        inside = _runs(list(itertools.islice(places, structure.size)), words, kinds)
        return f"sparse{list(structure.places.shape)}({inside})"
    if structure.size > _LISTED and all(part.kind == "number" for part in structure.parts):
        inside = _runs(list(itertools.islice(places, structure.size)), words, kinds)
    elif structure.kind == "array":
        inside = ", ".join(words[next(places)] for _ in range(structure.size))
    else:
        parts = [_result(part, places, words, kinds) for part in structure.parts]
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
