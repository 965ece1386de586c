"""Run a program as generated Python: no dependency, one sample after the other; arrays are lists of their numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..floats import DOUBLE, Format
from ..operations import Primitive
from ..programs import (
    CALL,
    COUNTED,
    WHILE,
    Gather,
    Loop,
    Numbers,
    Part,
    Place,
    Program,
    Scatter,
    Shape,
    View,
    in_numbers,
    size_of,
)
from .layout import Layout
from .meeting import added

_OPERATORS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "neg": "-{}",
    "square": "{0} * {0}",
    "where": "{1} if {0} else {2}",
    "less": "1.0 if {} < {} else 0.0",
    "less_equal": "1.0 if {} <= {} else 0.0",
    "equal": "1.0 if {} == {} else 0.0",
    "not_equal": "1.0 if {} != {} else 0.0",
}
_ROWS = '''def rows(index, count):
    """Yield the row that each number asks for, those below 0 from the end; `count` if there is none, or a fraction."""
    for x in index:
        k = int(x) if abs(x) <= count and x % 1.0 == 0.0 else count
        yield k + count if k < 0 else k
'''


def build(
    program: Program,
    batched: Sequence[bool],
    reduce: str | None = None,
    threads: int = 1,
    format: Format = DOUBLE,
) -> Callable[[Sequence[Any], int, Any], None]:
    """Return the kernel of a program: ``kernel(arrays, n, out)``.

    Threads bring nothing here, and whatever the format of the arrays is, Python computes in doubles.
    """
    layout = Layout(program, batched, reduce)
    run = function(program)
    shapes = program.shapes

    def kernel(arrays: Sequence[Any], n: int, out: Any) -> None:
        columns = [array.ravel().tolist() if hasattr(array, "ravel") else list(array) for array in arrays]
        first = [size if flag else 0 for size, flag in zip(layout.sizes, layout.batched, strict=True)]
        totals = [0.0] * layout.outputs
        for sample in range(n if layout.has_batch else 1):
            values = []
            for argument, offset, shape in zip(layout.argument_of, layout.offsets, shapes, strict=True):
                column, place = columns[argument], sample * first[argument] + offset
                values.append(column[place : place + size_of(shape)] if shape else column[place])
            found = in_numbers(run(*values), program.result)
            if layout.per_sample:
                for place, value in zip(layout.places(sample, n), found, strict=True):
                    out[place] = value
            elif not layout.has_batch:
                totals = list(found)  # as it is: added to 0, -0.0 loses its sign
            else:
                totals = [total + value for total, value in zip(totals, found, strict=True)]
        if not layout.per_sample:
            for place, total in enumerate(totals):
                out[place] = layout.finish(total, n)

    return kernel


def function(program: Program) -> Callable[..., tuple[Any, ...]]:
    """Compile the generated source: floats and lists of them in, and out."""
    names: dict[str, Any] = {"inf": float("inf"), "nan": float("nan"), "itertools": itertools}
    names.update({name: op.evaluate for op, name in _names(program).items()})
    exec(compile(source(program), f"<chainrule {program.name}>", "exec"), names)
    made: Callable[..., tuple[Any, ...]] = names["f"]
    return made


def source(program: Program) -> str:
    """Return the program as source of a Python function `f` of its inputs; rows are called by name.

    A whole array is a list of its numbers, in order. Each inner program of a loop is a function of its own before `f`,
    and arrays of constants stand before them.
    """
    return "\n".join(_Source(program).texts) + "\n"


class _Source:
    """Write a program: the functions of its inner programs first."""

    def __init__(self, program: Program) -> None:
        self.rows = _names(program)
        self.functions: dict[Program, str] = {}
        self.tables: dict[Numbers, str] = {}
        self.texts: list[str] = []
        self._write(program, "f")
        if any(isinstance(op, (Gather, Scatter)) for op in program.rows_and_loops()):
            self.texts.insert(0, _ROWS)
        self.texts[:0] = [f"{name} = {numbers.tolist()}" for numbers, name in self.tables.items()]

    def _write(self, program: Program, name: str) -> None:
        for op, _ in program.steps:
            for inner in op.programs() if isinstance(op, Loop) else ():
                if inner not in self.functions:
                    self.functions[inner] = f"inner{len(self.functions)}"
                    self._write(inner, self.functions[inner])
        self.texts.append("\n".join(self._lines(program, name)))

    def _lines(self, program: Program, name: str) -> Iterator[str]:
        words = [f"x{k}" for k in range(len(program.names))]
        yield f"def {name}({', '.join(words)}):"
        words += map(self._constant, program.constants)
        place = 1
        for op, args in program.steps:
            own, chosen = f"v{place}", [words[k] for k in args]
            place += op.results
            if isinstance(op, Loop):
                yield from _loop(op, chosen, own, self.functions)
                words += [f"{own}[{k}]" for k in range(op.results)]
                continue
            if isinstance(op, View) and (op.is_all or not op.shape):
                words.append(chosen[0] if op.is_all else f"{chosen[0]}[{op.part.start}]")
                continue
            if isinstance(op, View):
                yield f"    {own} = {_seen(chosen[0], op.part)}"
            elif isinstance(op, Place):
                yield from _place(op, chosen, own)
            elif isinstance(op, Gather):
                yield from _gather(op, chosen[0], chosen[1], own)
            elif isinstance(op, Scatter):
                yield from _scatter(op, chosen[0], chosen[1], own)
            else:
                template = _OPERATORS.get(op.name)
                called = f"{self.rows[op]}({', '.join(chosen)})"
                yield f"    {own} = {template.format(*chosen) if template and not op.custom else called}"
            words.append(own)
        yield f"    return ({', '.join(words[k] for k in program.outputs)},)" if program.outputs else "    return ()"

    def _constant(self, item: float | Numbers) -> str:
        if isinstance(item, Numbers):
            return self.tables.setdefault(item, f"t{len(self.tables)}")
        return repr(item) if item >= 0 else f"({item!r})"


def _tuple(items: Sequence[str]) -> str:
    return f"({''.join(f'{item}, ' for item in items)})"


def _row(array: str, shape: Shape) -> str:
    """Write row k of an array."""
    return f"{array}[{_rows_of('k', size_of(shape)) if shape else 'k'}]"


def _rows_of(counter: str, size: int) -> str:
    return f"{counter} * {size} : ({counter} + 1) * {size}"


def _zeros(shape: Shape) -> str:
    return f"[0.0] * {size_of(shape)}" if shape else "0.0"


def _loop(op: Loop, args: Sequence[str], name: str, functions: dict[Program, str]) -> Iterator[str]:
    """Write a loop; its results are a list under one name."""
    body, shared = functions[op.body], f"{name}s"
    if op.kind == CALL:
        yield f"    {name} = {body}({', '.join(args)})"
        return
    first, end = op.carry, op.carry + op.rows
    yield f"    {name}c = {_tuple(args[:first])}"
    yield f"    {shared} = {_tuple(args[end:])}"
    given = op.body.output_shapes
    stacked, sums = given[first : first + op.stacked], given[first + op.stacked :]
    yield f"    {name}y = {_tuple([_zeros((op.length, *shape)) for shape in stacked])}"
    yield f"    {name}t = [{', '.join(map(_zeros, sums))}]"
    rows = [_row(array, shape) for array, shape in zip(args[first:end], op.body.shapes[first:end], strict=True)]
    yield f"    for k in {_order(op, args[end:])}:"
    if op.condition is not None:
        yield f"        if not {functions[op.condition]}(*{name}c, *{shared})[0]: break"
    yield f"        r = {body}({', '.join([f'*{name}c', *rows, f'*{shared}'])})"
    yield f"        {name}c = r[:{first}]"
    for k, shape in enumerate(stacked):
        yield f"        {_row(f'{name}y[{k}]', shape)} = r[{first + k}]"
    for k, shape in enumerate(sums):
        total, item = f"{name}t[{k}]", f"r[{first + op.stacked + k}]"
        yield f"        {total} = [t + x for t, x in zip({total}, {item})]" if shape else f"        {total} += {item}"
    yield f"    {name} = [*{name}c, *{name}y, *{name}t]"


def _order(op: Loop, shared: Sequence[str]) -> str:
    """Write the rows of a loop's iterations, in order."""
    if op.kind == WHILE and not op.length:
        return "itertools.count()"
    count = f"min({op.length}, int({shared[0]}))" if op.kind == COUNTED else f"{op.length}"
    return f"reversed(range({count}))" if op.backwards else f"range({count})"


# ---- what only moves numbers ----


def _places(part: Part) -> str:
    """Write what yields the places of a part, in order."""
    axes = [axis for axis in zip(part.shape, part.strides, strict=True) if axis[0] != 1]
    if not axes:
        return f"({part.start},)"
    if len(axes) == 1 and axes[0][1]:
        (length, stride), start = axes[0], part.start
        more = f", {stride}" if stride != 1 else ""
        return f"range({start}, {start + length * stride}{more})"
    index = f"{part.start}" + "".join(f" + {stride} * i{k}" for k, (_, stride) in enumerate(axes) if stride)
    loops = "".join(f" for i{k} in range({length})" for k, (length, _) in enumerate(axes))
    return f"({index.removeprefix('0 + ')}{loops})"


def _slice(part: Part) -> str | None:
    """Write a part as a slice, if it is one."""
    if not size_of(part.shape):
        return "0:0"
    axes = [axis for axis in zip(part.shape, part.strides, strict=True) if axis[0] != 1]
    if part.is_contiguous:
        return f"{part.start} : {part.start + size_of(part.shape)}"
    if len(axes) > 1 or axes[0][1] <= 0:
        return None
    length, stride = axes[0]
    return f"{part.start} : {part.start + length * stride} : {stride}"


def _seen(array: str, part: Part) -> str:
    """Write a part of an array."""
    found = _slice(part)
    return f"[{array}[k] for k in {_places(part)}]" if found is None else f"{array}[{found}]"


def _place(op: Place, args: Sequence[str], name: str) -> Iterator[str]:
    if op.fills:
        items = [f"*{arg}" if part.shape else arg for part, arg in zip(op.parts, args, strict=True)]
        yield f"    {name} = [{', '.join(items)}]"
        return
    meets = added(op)
    yield f"    {name} = {_zeros(op.shape)}"
    for part, flag in zip(op.parts, meets, strict=True):
        if flag:
            # To -0.0 anything is added as it is.
            yield f"    for k in {_places(part)}: {name}[k] = -0.0"
    for part, flag, arg in zip(op.parts, meets, args, strict=True):
        if not part.shape:
            yield f"    {name}[{part.start}] {'+=' if flag else '='} {arg}"
            continue
        found = None if flag else _slice(part)
        if found is None:
            yield f"    for k, x in zip({_places(part)}, {arg}): {name}[k] {'+=' if flag else '='} x"
        else:
            yield f"    {name}[{found}] = {arg}"


def _gather(op: Gather, array: str, index: str, name: str) -> Iterator[str]:
    count, size = op.of[0], size_of(op.of[1:])
    rows = f"rows({index if op.index else f'({index},)'}, {count})"
    if op.of[1:]:
        row = f"{array}[{_rows_of('k', size)}] if k < {count} else [nan] * {size}"
        yield f"    {name} = [x for k in {rows} for x in ({row})]"
    else:
        made = name if op.shape else f"[{name}]"
        yield f"    {made} = [{array}[k] if k < {count} else nan for k in {rows}]"


def _scatter(op: Scatter, index: str, items: str, name: str) -> Iterator[str]:
    count, size = op.shape[0], size_of(op.shape[1:])
    rows = f"rows({index if op.index else f'({index},)'}, {count})"
    yield f"    {name} = {_zeros(op.shape)}"
    if op.shape[1:]:
        yield f"    for i, k in enumerate({rows}):"
        yield f"        if k < {count}:"
        yield f"            for j in range({size}): {name}[k * {size} + j] += {items}[i * {size} + j]"
        lost = f"any({items}[{_rows_of('i', size)}])"
    else:
        yield f"    for k, x in zip({rows}, {items if op.index else f'({items},)'}):"
        yield f"        if k < {count}: {name}[k] += x"
        lost = "x"
    yield f"        elif {lost}: {name}[:] = [nan] * {size_of(op.shape)}"


def _names(program: Program) -> dict[Primitive, str]:
    """Give each row of a program a unique name: several of a user's own may share one."""
    found: dict[Primitive, str] = {}
    taken: set[str] = set()
    for op in dict.fromkeys(program.rows()):
        own = op.name if op.name.isidentifier() else "op"
        words = (f"{own}_{k if k > 1 else ''}" for k in itertools.count(1))
        found[op] = next(word for word in words if word not in taken)
        taken.add(found[op])
    return found
