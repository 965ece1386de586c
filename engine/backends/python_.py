"""Run a program as generated Python: no dependency, one sample after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..operations import Primitive
from ..programs import WHILE, Loop, Program
from .flat import flat
from .layout import Layout

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


def build(
    program: Program, batched: Sequence[bool], reduce: str | None = None, threads: int = 1
) -> Callable[[Sequence[Any], int, Any], None]:
    """Return the kernel of a program: ``kernel(arrays, n, out)``; threads bring nothing here."""
    program = flat(program)
    layout = Layout(program, batched, reduce)
    run = function(program)

    def kernel(arrays: Sequence[Any], n: int, out: Any) -> None:
        columns = [array.ravel().tolist() if hasattr(array, "ravel") else list(array) for array in arrays]
        sizes = layout.sizes
        totals = [0.0] * len(program.outputs)
        for sample in range(n if layout.has_batch else 1):
            parts = [
                column[sample * size : sample * size + size] if flag else column
                for column, size, flag in zip(columns, sizes, layout.batched, strict=True)
            ]
            found = run(*itertools.chain.from_iterable(parts))
            if layout.per_sample:
                for place, value in zip(layout.places(sample, n), found, strict=True):
                    out[place] = value
            else:
                totals = [total + value for total, value in zip(totals, found, strict=True)]
        if not layout.per_sample:
            for place, total in enumerate(totals):
                out[place] = layout.finish(total, n)

    return kernel


def function(program: Program) -> Callable[..., tuple[float, ...]]:
    """Compile the generated source: flat floats in, flat floats out."""
    names: dict[str, Any] = {"inf": float("inf"), "nan": float("nan"), "itertools": itertools}
    names.update({name: op.evaluate for op, name in _names(program).items()})
    exec(compile(source(program), f"<chainrule {program.name}>", "exec"), names)
    made: Callable[..., tuple[float, ...]] = names["f"]
    return made


def source(program: Program) -> str:
    """Return the program as source of a Python function `f` of its flat inputs; rows are called by name.

    Each inner program of a loop is a function of its own before it.
    """
    texts: list[str] = []
    program = flat(program)
    _write(program, "f", {}, _names(program), texts)
    return "\n".join(texts) + "\n"


def _write(
    program: Program, name: str, functions: dict[Program, str], rows: dict[Primitive, str], texts: list[str]
) -> None:
    for op, _ in program.steps:
        for inner in op.programs() if isinstance(op, Loop) else ():
            if inner not in functions:
                functions[inner] = f"inner{len(functions)}"
                _write(inner, functions[inner], functions, rows, texts)
    texts.append("\n".join(_lines(program, name, functions, rows)))


def _lines(program: Program, name: str, functions: dict[Program, str], rows: dict[Primitive, str]) -> Iterator[str]:
    words = [f"x{k}" for k in range(len(program.names))]
    yield f"def {name}({', '.join(words)}):"
    words += [repr(number) if number >= 0 else f"({number!r})" for number in program.constants]
    place = 1
    for op, args in program.steps:
        chosen = [words[k] for k in args]
        if isinstance(op, Loop):
            yield from _loop(op, chosen, f"v{place}", functions)
            words += [f"v{place}[{k}]" for k in range(op.results)]
        else:
            template = _OPERATORS.get(op.name)
            text = template.format(*chosen) if template and not op.custom else f"{rows[op]}({', '.join(chosen)})"
            yield f"    v{place} = {text}"
            words.append(f"v{place}")
        place += op.results
    yield f"    return ({', '.join(words[k] for k in program.outputs)},)" if program.outputs else "    return ()"


def _loop(op: Loop, args: Sequence[str], name: str, functions: dict[Program, str]) -> Iterator[str]:
    """Write a loop; its results are a list under one name."""
    start = op.carry + op.length * op.rows
    body, shared = functions[op.body], f"{name}s"
    yield f"    {name}c = ({''.join(f'{arg}, ' for arg in args[: op.carry])})"
    yield f"    {shared} = ({''.join(f'{arg}, ' for arg in args[start:])})"
    if op.kind == WHILE:
        count = f"range({op.length})" if op.length else "itertools.count()"
        yield f"    for k in {count}:"
        yield f"        if not {functions[op.condition]}(*{name}c, *{shared})[0]: break"
        yield f"        {name}c = {body}(*{name}c, *{shared})"
        yield f"    {name} = {name}c"
        return
    end = op.carry + op.stacked
    yield f"    {name}x = ({''.join(f'{arg}, ' for arg in args[op.carry : start])})"
    yield f"    {name}y = [0.0] * {op.length * op.stacked}"
    yield f"    {name}t = [0.0] * {op.sums}"
    order = f"range({op.length - 1}, -1, -1)" if op.backwards else f"range({op.length})"
    yield f"    for k in {order}:"
    yield f"        r = {body}(*{name}c, *{name}x[k * {op.rows} : (k + 1) * {op.rows}], *{shared})"
    yield f"        {name}c = r[:{op.carry}]"
    yield f"        {name}y[k * {op.stacked} : (k + 1) * {op.stacked}] = r[{op.carry}:{end}]"
    yield f"        {name}t = [t + x for t, x in zip({name}t, r[{end}:])]"
    yield f"    {name} = [*{name}c, *{name}y, *{name}t]"


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
