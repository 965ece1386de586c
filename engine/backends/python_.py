"""Run a program as generated Python: no dependency, one sample after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..primitive import Primitive
from ..program import Program
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
    names: dict[str, Any] = {"inf": float("inf"), "nan": float("nan")}
    names.update({_name(step.op): step.op.evaluate for step in program.steps})
    exec(compile(source(program), f"<chainrule {program.name}>", "exec"), names)
    made: Callable[..., tuple[float, ...]] = names["f"]
    return made


def source(program: Program) -> str:
    """Return the program as a Python function `f` of its flat inputs; functions of the table go by their row's name."""
    return "\n".join(_lines(program)) + "\n"


def _lines(program: Program) -> Iterator[str]:
    words = [f"x{k}" for k in range(len(program.names))]
    yield f"def f({', '.join(words)}):"
    words += [repr(number) if number >= 0 else f"({number!r})" for number in program.constants]
    for place, (op, args) in enumerate(program.steps, 1):
        chosen = [words[k] for k in args]
        template = _OPERATORS.get(op.name)
        text = template.format(*chosen) if template and not op.custom else f"{_name(op)}({', '.join(chosen)})"
        yield f"    v{place} = {text}"
        words.append(f"v{place}")
    yield f"    return ({', '.join(words[k] for k in program.outputs)},)" if program.outputs else "    return ()"


def _name(op: Primitive) -> str:
    return f"{op.name}_" if op.name.isidentifier() else f"op_{id(op)}_"
