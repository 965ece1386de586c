"""Write the loops of a program as C: a function for each inner program, and a loop around its call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..loop import WHILE, Loop
from ..program import Program

_RUN = 4  # numbers side by side that are copied at once

Steps = Callable[[Program, Sequence[int], list[str], str], Iterator[str]]


def functions(
    program: Program, prefix: str, steps: Steps, literal: Callable[[float], str], names: dict[Program, str]
) -> Iterator[str]:
    """Yield a function for each inner program, those that it calls first; `names` receives what they are called."""
    for op, _ in program.steps:
        for inner in op.programs() if isinstance(op, Loop) else ():
            if inner in names:
                continue
            yield from functions(inner, prefix, steps, literal, names)
            names[inner] = f"{prefix}_inner{len(names)}"
            words = [f"x[{k}]" for k in range(len(inner.names))] + [literal(number) for number in inner.constants]
            words += [""] * (inner.count - inner.offset)
            yield f"static void {names[inner]}(const double *x, double *y)\n{{\n    (void)x;"
            yield from steps(inner, range(len(inner.steps)), words, "    ")
            for place, value in enumerate(inner.outputs):
                yield f"    y[{place}] = {words[value]};"
            yield "}\n"


def loop(
    op: Loop, args: Sequence[int], value: int, words: list[str], names: dict[Program, str], indent: str
) -> Iterator[str]:
    """Yield the lines of a loop whose results are the numbers from `value` on; they become known in `words`."""
    name, start = f"l{value}", op.carry + op.length * op.rows
    words[value : value + op.results] = [f"{name}[{k}]" for k in range(op.results)]
    yield f"{indent}double {name}[{max(1, op.results)}];"
    yield f"{indent}{{"
    more = indent + "    "
    yield f"{more}double x{name}[{max(1, len(op.body.names))}], y{name}[{max(1, len(op.body.outputs))}];"
    if op.rows:
        yield f"{more}double r{name}[{op.length * op.rows}];"
        yield from _copy(f"r{name}", [words[k] for k in args[op.carry : start]], more)
    yield from _copy(f"x{name}", [words[k] for k in args[: op.carry]], more)
    yield from _copy(f"x{name}", [words[k] for k in args[start:]], more, op.carry + op.rows)
    if op.kind == WHILE:
        yield from _while(op, name, names, more)
    else:
        yield from _counted(op, name, names, more)
    yield f"{indent}}}"


def _counted(op: Loop, name: str, names: dict[Program, str], indent: str) -> Iterator[str]:
    carry, end = op.carry, op.carry + op.length * op.stacked
    for k in range(op.sums):
        yield f"{indent}{name}[{end + k}] = 0.0;"
    yield f"{indent}for (size_t k = 0; k < {op.length}; k++) {{"
    inside = indent + "    "
    yield f"{inside}const size_t i = {f'{op.length - 1} - k' if op.backwards else 'k'};"
    if op.rows:
        yield f"{inside}memcpy(x{name} + {carry}, r{name} + i * {op.rows}, {op.rows} * sizeof(double));"
    yield f"{inside}{names[op.body]}(x{name}, y{name});"
    if carry:
        yield f"{inside}memcpy(x{name}, y{name}, {carry} * sizeof(double));"
    if op.stacked:
        yield f"{inside}memcpy({name} + {carry} + i * {op.stacked}, y{name} + {carry}, {op.stacked} * sizeof(double));"
    for k in range(op.sums):
        yield f"{inside}{name}[{end + k}] += y{name}[{carry + op.stacked + k}];"
    yield f"{inside}(void)i;\n{indent}}}"
    if carry:
        yield f"{indent}memcpy({name}, x{name}, {carry} * sizeof(double));"


def _while(op: Loop, name: str, names: dict[Program, str], indent: str) -> Iterator[str]:
    more = f"k < {op.length}" if op.length else "1"
    yield f"{indent}for (size_t k = 0; {more}; k++) {{"
    yield f"{indent}    double more;\n{indent}    {names[op.condition]}(x{name}, &more);"
    yield f"{indent}    if (more == 0.0) break;\n{indent}    {names[op.body]}(x{name}, y{name});"
    yield f"{indent}    memcpy(x{name}, y{name}, {op.carry} * sizeof(double));\n{indent}}}"
    yield f"{indent}memcpy({name}, x{name}, {op.carry} * sizeof(double));"


def _copy(target: str, words: Sequence[str], indent: str, first: int = 0) -> Iterator[str]:
    """Yield copies of numbers to an array, those that stand side by side at once."""
    place = 0
    while place < len(words):
        base, index = _element(words[place])
        count = 1
        while place + count < len(words) and base and _element(words[place + count]) == (base, index + count):
            count += 1
        if count >= _RUN:
            source = f"&{words[place]}"
            yield f"{indent}memcpy({target} + {first + place}, {source}, {count} * sizeof(double));"
        else:
            for k in range(count):
                yield f"{indent}{target}[{first + place + k}] = {words[place + k]};"
        place += count


def _element(word: str) -> tuple[str, int]:
    """Take ``name[... + index]`` apart; the name is empty where it is no element of an array."""
    if not word.endswith("]"):
        return "", 0
    name, _, inside = word[:-1].partition("[")
    row, _, index = inside.rpartition(" + ")
    return f"{name}[{row}", int(index)
